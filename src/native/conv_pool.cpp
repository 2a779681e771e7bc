// The convolution of a network's first layer on images of one channel, and the bias, max-pooling of 2 × 2 and ReLU behind it, in one
// pass each way: its outputs, many times the image, never come to memory, and the gradient goes through the largest value of each
// window alone.
//
// Kept for the backward pass are the images and one byte for each output, as in pool.cpp. The gradients are summed in chunks that do
// not depend on the number of threads, so neither do the results.

#include "conv_pool.h"
#include "caught.h"
#include "parallel.h"
#include "processor.h"
#include "vectors.h"

#include <algorithm>
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
  void (*pool)(const ConvPool &, const T *, const float *, const float *, T *, uint8_t *, float *, int64_t, int64_t);
  void (*gradient)(const ConvPool &, const T *, const T *, const uint8_t *, float *, float *, float *, int64_t, int64_t);
};

// For the instruction sets of this processor; null where there are none.
template <class T>
Kernels<T> chosen();

template <>
Kernels<float> chosen() {
#if defined(__x86_64__)
  if (has_avx512()) return {conv_pool_f32_avx512, conv_pool_gradient_f32_avx512};
  if (has_avx2()) return {conv_pool_f32_avx2, conv_pool_gradient_f32_avx2};
#endif
  return {nullptr, nullptr};
}

template <>
Kernels<Bf16> chosen() {
#if defined(__x86_64__)
  if (has_avx512()) return {conv_pool_bf16_avx512, conv_pool_gradient_bf16_avx512};
  if (has_avx2()) return {conv_pool_bf16_avx2, conv_pool_gradient_bf16_avx2};
#endif
  return {nullptr, nullptr};
}

// `zeros`: left, right, above and below of the image.
ConvPool shape_of(const at::Tensor &x, const at::Tensor &kernel, at::IntArrayRef zeros, bool relu) {
  const int64_t size = kernel.size(2), height = x.size(2) + zeros[2] + zeros[3] - size + 1, width = x.size(3) + zeros[0] + zeros[1] - size + 1;
  return {x.size(2), x.size(3), kernel.size(0), size, zeros[2], zeros[0], height / 2, width / 2, relu};
}

std::vector<float> strip_of(const ConvPool &s) { return std::vector<float>((s.kernel + 1) * line(s)); }

// f32 [kernel, kernel, F]
at::Tensor flat(const at::Tensor &kernel) { return kernel.detach().select(1, 0).permute({1, 2, 0}).contiguous(); }

template <class T>
void pool_into(const ConvPool &s, const at::Tensor &x, const at::Tensor &kernel, const at::Tensor &bias, at::Tensor &y, at::Tensor &choices) {
  constexpr int64_t ROWS = 16; // that a thread takes at least
  const auto kernels = chosen<T>();
  const T *from = static_cast<const T *>(x.const_data_ptr());
  const float *weights = kernel.const_data_ptr<float>(), *added = bias.defined() ? bias.const_data_ptr<float>() : nullptr;
  T *to = static_cast<T *>(y.mutable_data_ptr());
  uint8_t *choice = choices.defined() ? choices.mutable_data_ptr<uint8_t>() : nullptr;
  at::parallel_for(0, x.size(0) * s.out_height, ROWS, [&](int64_t begin, int64_t end) {
    kernels.pool(s, from, weights, added, to, choice, strip_of(s).data(), begin, end);
  });
}

at::Tensor pooled(const ConvPool &s, const at::Tensor &x, const at::Tensor &kernel, const at::Tensor &bias, at::Tensor *choices) {
  const auto like = x.options().memory_format(at::MemoryFormat::ChannelsLast);
  const auto sizes = {x.size(0), s.filters, s.out_height, s.out_width};
  at::Tensor y = at::empty(sizes, like), none;
  if (choices) *choices = at::empty(sizes, like.dtype(at::kByte));
  at::Tensor &choice = choices ? *choices : none;
  const at::Tensor weights = flat(kernel);
  if (x.scalar_type() == at::kFloat) pool_into<float>(s, x, weights, bias, y, choice);
  else pool_into<Bf16>(s, x, weights, bias, y, choice);
  return y;
}

// The gradients of the kernel and of the bias behind it, f32 [kernel * kernel + 1, F].
template <class T>
at::Tensor gradients_of(const ConvPool &s, const at::Tensor &x, const at::Tensor &dy, const at::Tensor &choices) {
  constexpr int64_t MOST = 64; // chunks
  const auto kernels = chosen<T>();
  const int64_t images = x.size(0), chunk = (images + MOST - 1) / MOST, num_chunks = (images + chunk - 1) / chunk;
  const int64_t taps = s.kernel * s.kernel, count = (taps + 1) * s.filters;
  at::Tensor sums = at::zeros({num_chunks, taps + 1, s.filters}, at::kFloat);
  const T *from = static_cast<const T *>(x.const_data_ptr()), *gradient = static_cast<const T *>(dy.const_data_ptr());
  const uint8_t *choice = choices.const_data_ptr<uint8_t>();
  float *to = sums.mutable_data_ptr<float>();
  at::parallel_for(0, num_chunks, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> strip = strip_of(s);
    for (int64_t i = begin; i < end; i++) {
      const int64_t first = i * chunk * s.out_height, last = std::min((i + 1) * chunk, images) * s.out_height;
      float *kernel = to + i * count;
      kernels.gradient(s, from, gradient, choice, kernel, kernel + taps * s.filters, strip.data(), first, last);
    }
  });
  return sums.sum(0, false, at::kDouble).to(at::kFloat);
}

struct ConvAndPool : torch::autograd::Function<ConvAndPool> {
  static at::Tensor forward(AutogradContext *context, const at::Tensor &x, const at::Tensor &kernel,
                            const std::optional<at::Tensor> &bias, const std::vector<int64_t> &zeros, bool relu) {
    at::Tensor choices;
    at::Tensor y = pooled(shape_of(x, kernel, zeros, relu), x, kernel, bias.value_or(at::Tensor()), &choices);
    context->save_for_backward({x, kernel, choices});
    context->saved_data["zeros"] = zeros;
    context->saved_data["relu"] = relu;
    context->saved_data["bias"] = bias.has_value();
    return y;
  }

  static tensor_list backward(AutogradContext *context, tensor_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &kernel = saved[1], &choices = saved[2];
    const auto zeros = context->saved_data["zeros"].toIntVector();
    const ConvPool s = shape_of(x, kernel, zeros, context->saved_data["relu"].toBool());
    const at::Tensor dy = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    const bool is_f32 = x.scalar_type() == at::kFloat;
    const at::Tensor all = is_f32 ? gradients_of<float>(s, x, dy, choices) : gradients_of<Bf16>(s, x, dy, choices);
    const int64_t taps = s.kernel * s.kernel;
    // [F, 1, kernel, kernel], as it lies in memory a kernel's filter after filter
    at::Tensor of_kernel = all.narrow(0, 0, taps).t().contiguous().view({s.filters, 1, s.kernel, s.kernel}), of_bias;
    if (context->saved_data["bias"].toBool()) of_bias = all.select(0, taps);
    return {{}, of_kernel, of_bias, {}, {}};
  }
};

bool can(const at::Tensor &x, const at::Tensor &kernel, const at::Tensor *bias, at::IntArrayRef zeros) {
  const bool is_kind = x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16;
  // what is recorded is libtorch's own: another program lacks this
  if (!chosen<float>().pool || at::tracer::impl::is_dispatch_enabled()) return false;
  if (!is_kind || !x.device().is_cpu() || x.dim() != 4 || x.size(1) != 1 || x.numel() == 0 || !x.is_contiguous()) return false;
  if (x.requires_grad() && at::GradMode::is_enabled()) return false; // no gradient of the image
  if (!is_f32(kernel) || kernel.dim() != 4 || kernel.size(1) != 1 || kernel.size(2) != kernel.size(3) || !has_loop(kernel.size(2))) return false;
  if (!is_vector(bias, kernel.size(0))) return false;
  const ConvPool s = shape_of(x, kernel, zeros, false);
  return std::all_of(zeros.begin(), zeros.end(), [](int64_t size) { return size >= 0; }) && s.out_height > 0 && s.out_width > 0;
}

} // namespace

// Convolves `x`, f32 or bf16 [B, 1, H, W], with `kernel`, f32 [F, 1, K, K], between `zeros` (left, right, above, below), adds `bias`,
// f32 [F] or null, and takes the largest of each 2 × 2, through a ReLU if `relu`. `out` stays null where it does not: for other tensors
// and sizes, without vectors, and where the image's gradient is wanted.
extern "C" char *convnet_conv_pool(const at::Tensor *x, const at::Tensor *kernel, const at::Tensor *bias, const int64_t *zeros,
                                   bool relu, at::Tensor **out) {
  return caught([&] {
    *out = nullptr;
    const std::vector<int64_t> around(zeros, zeros + 4);
    if (!can(*x, *kernel, bias, around)) return;
    const bool trains = at::GradMode::is_enabled() && (kernel->requires_grad() || (bias && bias->requires_grad()));
    if (trains) {
      const auto added = bias ? std::optional<at::Tensor>(*bias) : std::nullopt;
      *out = new at::Tensor(ConvAndPool::apply(*x, *kernel, added, around, relu));
    } else {
      *out = new at::Tensor(pooled(shape_of(*x, *kernel, around, relu), *x, *kernel, bias ? *bias : at::Tensor(), nullptr));
    }
  });
}
