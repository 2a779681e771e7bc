// Max-pooling of windows that do not overlap, with the bias before it and the ReLU behind it, in one pass each way.
//
// Images are channels-last. The largest value of a window plus the bias is the largest of the values plus the bias: rounding
// keeps order. What remains of the forward pass is one byte for each output, the number of the largest value in its window.

#include "caught.h"
#include "parallel.h"
#include "pool.h"
#include "pooling.h"
#include "processor.h"

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
  void (*pool)(const Shape &, const T *, const float *, T *, uint8_t *, int64_t, int64_t);
  void (*spread)(const Shape &, const T *, const uint8_t *, T *, float *, int64_t, int64_t);
};

// For the instruction sets of this processor.
struct Chosen {
  Kernels<float> f32{pool_f32_plain, spread_f32_plain};
  Kernels<Bf16> bf16{pool_bf16_plain, spread_bf16_plain};

  Chosen() {
#if defined(__x86_64__)
    if (has_avx512()) {
      f32 = {pool_f32_avx512, spread_f32_avx512};
      bf16 = {pool_bf16_avx512, spread_bf16_avx512};
    } else if (has_avx2()) {
      f32 = {pool_f32_avx2, spread_f32_avx2};
      bf16 = {pool_bf16_avx2, spread_bf16_avx2};
    }
#endif
  }
};

const Chosen &chosen() {
  static const Chosen kernels;
  return kernels;
}

// Output rows that a thread takes at least.
int64_t rows_per_task(const Shape &shape) {
  constexpr int64_t NUMBERS = 32768;
  return std::max<int64_t>(1, NUMBERS / (shape.window_height * shape.width * shape.channels));
}

template <class T>
void pool_into(const Kernels<T> &kernels, const Shape &shape, const at::Tensor &x, const at::Tensor &bias, at::Tensor &y, at::Tensor &choices) {
  const T *from = static_cast<const T *>(x.const_data_ptr());
  const float *added = bias.defined() ? bias.const_data_ptr<float>() : nullptr;
  T *to = static_cast<T *>(y.mutable_data_ptr());
  uint8_t *choice = choices.defined() ? choices.mutable_data_ptr<uint8_t>() : nullptr;
  at::parallel_for(0, shape.batch * out_height(shape), rows_per_task(shape),
                   [&](int64_t begin, int64_t end) { kernels.pool(shape, from, added, to, choice, begin, end); });
}

// The input's gradient into `dx`, the bias's is returned if it is `wanted`: summed in chunks that do not depend on the number of
// threads, so neither does the result.
template <class T>
at::Tensor spread_into(const Kernels<T> &kernels, const Shape &shape, const at::Tensor &gradient, const at::Tensor &choices,
                       at::Tensor &dx, bool wanted) {
  constexpr int64_t MOST = 64; // chunks
  const int64_t rows = shape.batch * out_height(shape), chunk = std::max(rows_per_task(shape), (rows + MOST - 1) / MOST);
  const int64_t num_chunks = (rows + chunk - 1) / chunk;
  const T *from = static_cast<const T *>(gradient.const_data_ptr());
  const uint8_t *choice = choices.const_data_ptr<uint8_t>();
  T *to = static_cast<T *>(dx.mutable_data_ptr());
  at::Tensor bias;
  if (wanted) bias = at::zeros({num_chunks, shape.channels}, gradient.options().dtype(at::kFloat));
  float *sums = wanted ? bias.mutable_data_ptr<float>() : nullptr;
  at::parallel_for(0, num_chunks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++)
      kernels.spread(shape, from, choice, to, sums ? sums + i * shape.channels : nullptr, i * chunk, std::min((i + 1) * chunk, rows));
  });
  return wanted ? bias.sum(0) : bias;
}

at::Tensor image(std::initializer_list<int64_t> sizes, at::TensorOptions options) {
  return at::empty(sizes, options.memory_format(at::MemoryFormat::ChannelsLast));
}

} // namespace

at::Tensor max_pooled(const at::Tensor &x, const at::Tensor &bias, int64_t height, int64_t width, bool relu, at::Tensor *choices) {
  const Shape shape{x.size(0), x.size(1), x.size(2), x.size(3), height, width, relu};
  const auto sizes = {shape.batch, shape.channels, out_height(shape), out_width(shape)};
  at::Tensor y = image(sizes, x.options()), none;
  if (choices) *choices = image(sizes, x.options().dtype(at::kByte));
  at::Tensor &choice = choices ? *choices : none;
  if (x.scalar_type() == at::kFloat) pool_into(chosen().f32, shape, x, bias, y, choice);
  else pool_into(chosen().bf16, shape, x, bias, y, choice);
  return y;
}

namespace {

struct MaxPool : torch::autograd::Function<MaxPool> {
  static at::Tensor forward(AutogradContext *context, const at::Tensor &x, const std::optional<at::Tensor> &bias,
                            int64_t height, int64_t width, bool relu) {
    at::Tensor choices;
    at::Tensor y = max_pooled(x, bias.value_or(at::Tensor()), height, width, relu, &choices);
    context->save_for_backward({choices});
    context->saved_data["sizes"] = x.sizes().vec();
    context->saved_data["window"] = std::vector<int64_t>{height, width, relu, bias.has_value()};
    return y;
  }

  static tensor_list backward(AutogradContext *context, tensor_list gradients) {
    const auto sizes = context->saved_data["sizes"].toIntVector(), window = context->saved_data["window"].toIntVector();
    const Shape shape{sizes[0], sizes[1], sizes[2], sizes[3], window[0], window[1], bool(window[2])};
    const at::Tensor choices = context->get_saved_variables()[0];
    const at::Tensor gradient = gradients[0].contiguous(at::MemoryFormat::ChannelsLast);
    at::Tensor dx = image({sizes[0], sizes[1], sizes[2], sizes[3]}, gradient.options());
    const bool is_f32 = gradient.scalar_type() == at::kFloat, has_bias = window[3];
    const at::Tensor bias = is_f32 ? spread_into(chosen().f32, shape, gradient, choices, dx, has_bias)
                                   : spread_into(chosen().bf16, shape, gradient, choices, dx, has_bias);
    return {dx, bias, {}, {}, {}};
  }
};

} // namespace

// Whether `convnet_max_pool` computes this: f32 or bf16 on the CPU, [B, C, H, W] with the channels last, in windows that fit.
extern "C" char *convnet_can_max_pool(const at::Tensor *x, int64_t height, int64_t width, bool *can) {
  return caught([&] {
    const bool is_kind = x->scalar_type() == at::kFloat || x->scalar_type() == at::kBFloat16;
    // what is recorded is libtorch's own: another program lacks this
    const bool is_recorded = at::tracer::impl::is_dispatch_enabled();
    *can = is_kind && !is_recorded && x->device().is_cpu() && x->dim() == 4 && x->is_contiguous(at::MemoryFormat::ChannelsLast) &&
           height * width < CLOSED && x->size(2) >= height && x->size(3) >= width && x->numel() > 0;
  });
}

// The largest of each window of `x` plus `bias` (f32 [C], or null), through a ReLU if `relu`.
extern "C" char *convnet_max_pool(const at::Tensor *x, const at::Tensor *bias, int64_t height, int64_t width, bool relu,
                                  at::Tensor **out) {
  return caught([&] {
    const auto added = bias ? std::optional<at::Tensor>(bias->contiguous()) : std::nullopt;
    const bool trains = at::GradMode::is_enabled() && (x->requires_grad() || (bias && bias->requires_grad()));
    if (trains) {
      *out = new at::Tensor(MaxPool::apply(*x, added, height, width, relu));
    } else {
      *out = new at::Tensor(max_pooled(*x, added.value_or(at::Tensor()), height, width, relu, nullptr));
    }
  });
}
