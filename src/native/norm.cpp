// Batch normalisation with a ReLU or ReLU6 behind it, in two passes over memory each way, of images whose channels lie last, or of
// vectors.
//
// Sums are taken in chunks of rows whose number does not depend on that of the threads, so neither do the results. Kept for the
// backward pass are the inputs and four numbers for each channel; whether the ReLU let a value through is computed anew.

#include "caught.h"
#include "norm.h"
#include "parallel.h"
#include "processor.h"
#include "vectors.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/TracerMode.h>
#include <torch/csrc/autograd/custom_function.h>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

template <class T>
struct Kernels {
  void (*sums)(const T *, const float *, double *, int64_t, int64_t);
  void (*apply)(const T *, const Channels &, Behind, T *, int64_t, int64_t);
  void (*gradient_sums)(const T *, const T *, const Channels &, Behind, double *, int64_t, int64_t);
  void (*gradient)(const T *, const T *, const Channels &, Behind, const float *, const float *, T *, int64_t, int64_t);
};

#define KERNELS(KIND, NAME)                                                                                            \
  { norm_sums_##KIND##NAME, norm_apply_##KIND##NAME, norm_gradient_sums_##KIND##NAME, norm_gradient_##KIND##NAME }

// For the instruction sets of this processor.
template <class T>
Kernels<T> chosen();

template <>
Kernels<float> chosen() {
#if defined(__x86_64__)
  if (has_avx512()) return KERNELS(f32_, avx512);
  if (has_avx2()) return KERNELS(f32_, avx2);
#endif
  return KERNELS(f32_, plain);
}

template <>
Kernels<Bf16> chosen() {
#if defined(__x86_64__)
  if (has_avx512()) return KERNELS(bf16_, avx512);
  if (has_avx2()) return KERNELS(bf16_, avx2);
#endif
  return KERNELS(bf16_, plain);
}

// How the rows of a tensor are shared out.
struct Rows {
  int64_t count, channels, chunk, num_chunks;

  explicit Rows(const at::Tensor &x) {
    constexpr int64_t NUMBERS = 16384, MOST = 64; // in a chunk, and chunks
    channels = x.size(1);
    count = x.numel() / channels;
    num_chunks = std::clamp<int64_t>(x.numel() / NUMBERS, 1, MOST);
    chunk = (count + num_chunks - 1) / num_chunks;
    num_chunks = (count + chunk - 1) / chunk;
  }

  // Does `work(chunk, first row, rows)`.
  template <class Work>
  void each(Work work) const {
    at::parallel_for(0, num_chunks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) work(i, i * chunk, std::min(chunk, count - i * chunk));
    });
  }

  // The sums of `add(first row, rows, sums)` over all chunks: two for each channel.
  template <class Add>
  std::vector<double> sums(Add add) const {
    std::vector<double> all(num_chunks * 2 * channels, 0.0);
    each([&](int64_t i, int64_t row, int64_t rows) { add(row, rows, all.data() + i * 2 * channels); });
    for (int64_t i = 1; i < num_chunks; i++)
      for (int64_t c = 0; c < 2 * channels; c++) all[c] += all[i * 2 * channels + c];
    all.resize(2 * channels);
    return all;
  }
};

// A row each of a tensor f32 [3, C].
Channels channels_of(const at::Tensor &numbers) {
  const float *data = numbers.const_data_ptr<float>();
  const int64_t channels = numbers.size(1);
  return {data, data + channels, data + 2 * channels};
}

float weight_of(const at::Tensor &weights, int64_t c, float none) {
  return weights.defined() ? weights.const_data_ptr<float>()[c] : none;
}

// [3, C]: mean, factor and offset, from the statistics.
at::Tensor numbers_of(const std::vector<double> &mean, const std::vector<double> &variance, const at::Tensor &gamma,
                      const at::Tensor &beta, double epsilon) {
  const int64_t channels = mean.size();
  at::Tensor numbers = at::empty({3, channels}, at::kFloat);
  float *data = numbers.mutable_data_ptr<float>();
  for (int64_t c = 0; c < channels; c++) {
    data[c] = float(mean[c]);
    data[channels + c] = float(weight_of(gamma, c, 1.0f) / std::sqrt(variance[c] + epsilon));
    data[2 * channels + c] = weight_of(beta, c, 0.0f);
  }
  return numbers;
}

// Mean and variance of each channel, around the first row, which keeps the squares small.
template <class T>
void statistics(const at::Tensor &x, std::vector<double> &mean, std::vector<double> &variance) {
  const Rows rows(x);
  const T *data = static_cast<const T *>(x.const_data_ptr());
  std::vector<float> shift(rows.channels);
  for (int64_t c = 0; c < rows.channels; c++) {
    if constexpr (std::is_same_v<T, float>) shift[c] = data[c];
    else shift[c] = float(c10::BFloat16(data[c].bits, c10::BFloat16::from_bits()));
  }
  const auto kernels = chosen<T>();
  const auto sums = rows.sums([&](int64_t row, int64_t count, double *to) {
    kernels.sums(data + row * rows.channels, shift.data(), to, rows.channels, count);
  });
  mean.resize(rows.channels);
  variance.resize(rows.channels);
  for (int64_t c = 0; c < rows.channels; c++) {
    const double offset = sums[c] / rows.count;
    mean[c] = shift[c] + offset;
    const double spread = sums[rows.channels + c] / rows.count - offset * offset;
    variance[c] = spread < 0.0 ? 0.0 : spread; // a NaN stays
  }
}

template <class T>
void apply(const at::Tensor &x, const at::Tensor &numbers, Behind behind, at::Tensor &y) {
  const Rows rows(x);
  const auto kernels = chosen<T>();
  const T *from = static_cast<const T *>(x.const_data_ptr());
  T *to = static_cast<T *>(y.mutable_data_ptr());
  const Channels channels = channels_of(numbers);
  rows.each([&](int64_t, int64_t row, int64_t count) {
    const int64_t at = row * rows.channels;
    kernels.apply(from + at, channels, behind, to + at, rows.channels, count);
  });
}

at::Tensor applied(const at::Tensor &x, const at::Tensor &numbers, Behind behind) {
  at::Tensor y = at::empty_like(x);
  if (x.scalar_type() == at::kFloat) apply<float>(x, numbers, behind, y);
  else apply<Bf16>(x, numbers, behind, y);
  return y;
}

template <class T>
std::vector<double> gradient_sums(const at::Tensor &x, const at::Tensor &dy, const at::Tensor &numbers, Behind behind) {
  const Rows rows(x);
  const auto kernels = chosen<T>();
  const T *from = static_cast<const T *>(x.const_data_ptr()), *gradient = static_cast<const T *>(dy.const_data_ptr());
  const Channels channels = channels_of(numbers);
  return rows.sums([&](int64_t row, int64_t count, double *to) {
    const int64_t at = row * rows.channels;
    kernels.gradient_sums(from + at, gradient + at, channels, behind, to, rows.channels, count);
  });
}

// `corrections`, f32 [2, C], are what the batch's statistics take away; none where the statistics are fixed.
template <class T>
at::Tensor input_gradient(const at::Tensor &x, const at::Tensor &dy, const at::Tensor &numbers, Behind behind,
                          const at::Tensor &corrections) {
  const Rows rows(x);
  const auto kernels = chosen<T>();
  at::Tensor dx = at::empty_like(x);
  const T *from = static_cast<const T *>(x.const_data_ptr()), *gradient = static_cast<const T *>(dy.const_data_ptr());
  T *to = static_cast<T *>(dx.mutable_data_ptr());
  const Channels channels = channels_of(numbers);
  const float *first = corrections.defined() ? corrections.const_data_ptr<float>() : nullptr;
  const float *second = first ? first + rows.channels : nullptr;
  rows.each([&](int64_t, int64_t row, int64_t count) {
    const int64_t at = row * rows.channels;
    kernels.gradient(from + at, gradient + at, channels, behind, first, second, to + at, rows.channels, count);
  });
  return dx;
}

at::MemoryFormat format_of(const at::Tensor &x) {
  return x.dim() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
}

// The gradients of gamma and beta, f32 [C] each, and what the batch's statistics take from the input's.
struct Sums {
  at::Tensor gamma, beta, corrections;

  Sums(const at::Tensor &x, const at::Tensor &dy, const at::Tensor &numbers, const at::Tensor &inverse, Behind behind) {
    const bool is_f32 = x.scalar_type() == at::kFloat;
    const auto sums = is_f32 ? gradient_sums<float>(x, dy, numbers, behind) : gradient_sums<Bf16>(x, dy, numbers, behind);
    const int64_t channels = x.size(1);
    const double count = double(x.numel() / channels);
    gamma = at::empty({channels}, at::kFloat);
    beta = at::empty({channels}, at::kFloat);
    corrections = at::empty({2, channels}, at::kFloat);
    const double *deviation = inverse.const_data_ptr<double>();
    float *to = corrections.mutable_data_ptr<float>();
    for (int64_t c = 0; c < channels; c++) {
      beta.mutable_data_ptr<float>()[c] = float(sums[c]);
      gamma.mutable_data_ptr<float>()[c] = float(sums[channels + c] * deviation[c]);
      to[c] = float(sums[c] / count);
      to[channels + c] = float(sums[channels + c] * deviation[c] * deviation[c] / count);
    }
  }
};

// By the batch's statistics.
struct BatchNorm : torch::autograd::Function<BatchNorm> {
  using Weights = std::optional<at::Tensor>;

  static at::Tensor forward(AutogradContext *context, const at::Tensor &x, const Weights &gamma, const Weights &beta,
                            const at::Tensor &numbers, const at::Tensor &inverse, int64_t behind) {
    context->save_for_backward({x});
    context->saved_data["gamma"] = gamma.has_value();
    context->saved_data["beta"] = beta.has_value();
    // plain numbers, which nobody changes
    context->saved_data["numbers"] = numbers;
    context->saved_data["inverse"] = inverse;
    context->saved_data["behind"] = behind;
    return applied(x, numbers, Behind(behind));
  }

  static tensor_list backward(AutogradContext *context, tensor_list gradients) {
    const at::Tensor x = context->get_saved_variables()[0];
    const at::Tensor numbers = context->saved_data["numbers"].toTensor(), inverse = context->saved_data["inverse"].toTensor();
    const Behind behind = Behind(context->saved_data["behind"].toInt());
    const at::Tensor dy = gradients[0].contiguous(format_of(x));
    Sums sums(x, dy, numbers, inverse, behind);
    at::Tensor dx;
    if (context->needs_input_grad(0)) {
      const bool is_f32 = x.scalar_type() == at::kFloat;
      dx = is_f32 ? input_gradient<float>(x, dy, numbers, behind, sums.corrections)
                  : input_gradient<Bf16>(x, dy, numbers, behind, sums.corrections);
    }
    // tensors that are not there are not counted
    const bool has_gamma = context->saved_data["gamma"].toBool(), has_beta = context->saved_data["beta"].toBool();
    if (!has_gamma || !context->needs_input_grad(1)) sums.gamma.reset();
    if (!has_beta || !context->needs_input_grad(1 + has_gamma)) sums.beta.reset();
    return {dx, sums.gamma, sums.beta, {}, {}, {}};
  }
};

// By statistics that stay as they are, with weights that are not trained.
struct FixedNorm : torch::autograd::Function<FixedNorm> {
  static at::Tensor forward(AutogradContext *context, const at::Tensor &x, const at::Tensor &numbers, int64_t behind) {
    // without a ReLU the gradient needs no input, whose place then only gives its sizes
    context->save_for_backward({x});
    context->saved_data["numbers"] = numbers;
    context->saved_data["behind"] = behind;
    return applied(x, numbers, Behind(behind));
  }

  static tensor_list backward(AutogradContext *context, tensor_list gradients) {
    const at::Tensor x = context->get_saved_variables()[0], numbers = context->saved_data["numbers"].toTensor();
    const Behind behind = Behind(context->saved_data["behind"].toInt());
    const at::Tensor dy = gradients[0].contiguous(format_of(x));
    const bool is_f32 = x.scalar_type() == at::kFloat;
    return {is_f32 ? input_gradient<float>(x, dy, numbers, behind, {}) : input_gradient<Bf16>(x, dy, numbers, behind, {}), {}, {}};
  }
};

at::Tensor or_none(const at::Tensor *tensor) { return tensor ? *tensor : at::Tensor(); }

std::optional<at::Tensor> given(const at::Tensor *tensor) { return tensor ? std::optional(*tensor) : std::nullopt; }

bool is_trained(const at::Tensor *tensor) { return tensor && tensor->requires_grad(); }

std::vector<double> doubles(const at::Tensor &tensor) {
  const at::Tensor values = tensor.contiguous();
  const float *data = values.const_data_ptr<float>();
  return {data, data + values.numel()};
}

void move_towards(at::Tensor &moving, const std::vector<double> &values, double share) {
  float *data = moving.mutable_data_ptr<float>();
  for (size_t c = 0; c < values.size(); c++) data[c] += float((values[c] - data[c]) * share);
}

bool can(const at::Tensor &x, const at::Tensor *gamma, const at::Tensor *beta, const at::Tensor &mean,
         const at::Tensor &variance) {
  const bool is_kind = x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16;
  // what is recorded is libtorch's own: another program lacks this
  if (at::tracer::impl::is_dispatch_enabled()) return false;
  if (!is_kind || !x.device().is_cpu() || x.numel() == 0 || (x.dim() != 4 && x.dim() != 2)) return false;
  const int64_t channels = x.size(1);
  return x.is_contiguous(format_of(x)) && is_vector(gamma, channels) && is_vector(beta, channels) &&
         is_vector(&mean, channels) && is_vector(&variance, channels);
}

} // namespace

// Normalises `x`, f32 or bf16, [B, C, H, W] with the channels last or [B, C], with what is `behind` it: in training by its own mean and
// variance, towards which `mean` and `variance`, f32 [C], then move by `share`; else by those. `out` stays null where it is another
// tensor, or where weights are trained with fixed statistics.
extern "C" char *convnet_batch_norm(const at::Tensor *x, const at::Tensor *gamma, const at::Tensor *beta, at::Tensor *mean,
                                    at::Tensor *variance, double share, double epsilon, bool training, int behind,
                                    at::Tensor **out) {
  return caught([&] {
    *out = nullptr;
    if (!can(*x, gamma, beta, *mean, *variance)) return;
    const bool trains = at::GradMode::is_enabled(), trains_weights = trains && (is_trained(gamma) || is_trained(beta));
    if (!training && trains_weights) return;
    const at::Tensor scale = or_none(gamma), center = or_none(beta);
    std::vector<double> means, variances;
    if (training) {
      at::NoGradGuard guard;
      if (x->scalar_type() == at::kFloat) statistics<float>(*x, means, variances);
      else statistics<Bf16>(*x, means, variances);
      move_towards(*mean, means, share);
      move_towards(*variance, variances, share);
    } else {
      means = doubles(*mean);
      variances = doubles(*variance);
    }
    const at::Tensor numbers = numbers_of(means, variances, scale, center, epsilon);
    if (training && trains && (x->requires_grad() || trains_weights)) {
      at::Tensor inverse = at::empty({int64_t(means.size())}, at::kDouble);
      for (size_t c = 0; c < means.size(); c++) inverse.mutable_data_ptr<double>()[c] = 1.0 / std::sqrt(variances[c] + epsilon);
      *out = new at::Tensor(BatchNorm::apply(*x, given(gamma), given(beta), numbers, inverse, behind));
    } else if (trains && x->requires_grad()) {
      *out = new at::Tensor(FixedNorm::apply(*x, numbers, behind));
    } else {
      *out = new at::Tensor(applied(*x, numbers, Behind(behind)));
    }
  });
}
