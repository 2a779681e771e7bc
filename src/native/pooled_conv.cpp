// A convolution of many channels with the bias, max-pooling of 2 × 2 and ReLU behind it: libtorch's forward, and backward the gradient
// through the largest value of each window alone, less than a quarter of the products. What a ReLU or dropout stopped is left out, too.
//
// Kept for the backward pass are the images and one byte for each output, as in pool.cpp. The gradients are summed in chunks that do
// not depend on the number of threads, so neither do the results. All sums are f32.

#include "pooled_conv.h"
#include "caught.h"
#include "parallel.h"
#include "pooling.h"
#include "processor.h"
#include "vectors.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/TracerMode.h>
#include <torch/csrc/autograd/custom_function.h>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

struct Kernels {
  void (*kernel_gradient)(const PooledConv &, const float *, const float *, const uint8_t *, float *, float *, Passed *, int64_t,
                          int64_t) = nullptr;
  void (*image_gradient)(const PooledConv &, const float *, const float *, const uint8_t *, float *, Passed *) = nullptr;

  // For the instruction sets of this processor; null where there are none.
  Kernels() {
#if defined(__x86_64__)
    if (has_avx512()) {
      kernel_gradient = pooled_conv_kernel_gradient_avx512;
      image_gradient = pooled_conv_image_gradient_avx512;
    } else if (has_avx2()) {
      kernel_gradient = pooled_conv_kernel_gradient_avx2;
      image_gradient = pooled_conv_image_gradient_avx2;
    }
#endif
  }
};

const Kernels &chosen() {
  static const Kernels kernels;
  return kernels;
}

// `zeros`: left, right, above and below of the image.
PooledConv shape_of(const at::Tensor &x, const at::Tensor &kernel, at::IntArrayRef zeros) {
  const int64_t size = kernel.size(2), height = x.size(2) + zeros[2] + zeros[3], width = x.size(3) + zeros[0] + zeros[1];
  return {height, width, x.size(1), kernel.size(0), size, (height - size + 1) / 2, (width - size + 1) / 2};
}

at::Tensor channels_last(const at::Tensor &x) { return x.to(at::kFloat).contiguous(at::MemoryFormat::ChannelsLast); }

// The gradients of the kernel, f32 [F, C, K, K], and of the bias, f32 [F]. `x` has its zeros around it.
std::pair<at::Tensor, at::Tensor> kernel_gradient(const PooledConv &s, const at::Tensor &x, const at::Tensor &dy, const at::Tensor &choices) {
  constexpr int64_t MOST = 8, NUMBERS = 1 << 20; // chunks of images, and what they take together; filters are shared out, too
  const int64_t most = std::clamp<int64_t>(NUMBERS / (s.filters * kernel_size(s)), 1, MOST);
  const int64_t images = x.size(0), chunk = (images + most - 1) / most, num_chunks = (images + chunk - 1) / chunk;
  const int64_t num_blocks = (s.filters + FILTERS_AT_A_TIME - 1) / FILTERS_AT_A_TIME;
  const int64_t image = s.height * line(s), outputs = s.out_height * s.out_width * s.filters;
  at::Tensor kernels = at::zeros({num_chunks, s.filters, s.kernel, s.kernel, s.channels}, at::kFloat);
  at::Tensor biases = at::zeros({num_chunks, s.filters}, at::kFloat);
  const float *from = x.const_data_ptr<float>(), *gradient = dy.const_data_ptr<float>();
  const uint8_t *choice = choices.const_data_ptr<uint8_t>();
  float *kernel = kernels.mutable_data_ptr<float>(), *bias = biases.mutable_data_ptr<float>();
  at::parallel_for(0, num_chunks * num_blocks, 1, [&](int64_t begin, int64_t end) {
    std::vector<Passed> room(room_for_kernels(s));
    for (int64_t part = begin; part < end; part++) {
      const int64_t number = part / num_blocks, first = part % num_blocks * FILTERS_AT_A_TIME;
      for (int64_t i = number * chunk; i < std::min((number + 1) * chunk, images); i++)
        chosen().kernel_gradient(s, from + i * image, gradient + i * outputs, choice + i * outputs,
                                 kernel + number * s.filters * kernel_size(s), bias + number * s.filters, room.data(), first,
                                 std::min(first + FILTERS_AT_A_TIME, s.filters));
    }
  });
  return {kernels.sum(0).permute({0, 3, 1, 2}).contiguous(), biases.sum(0)};
}

// f32 [B, C, H, W] with the zeros around it.
at::Tensor image_gradient(const PooledConv &s, const at::Tensor &kernel, const at::Tensor &dy, const at::Tensor &choices) {
  const at::Tensor weights = kernel.to(at::kFloat).permute({0, 2, 3, 1}).contiguous();
  const int64_t image = s.height * line(s), outputs = s.out_height * s.out_width * s.filters;
  at::Tensor dx = at::empty({dy.size(0), s.channels, s.height, s.width}, dy.options().memory_format(at::MemoryFormat::ChannelsLast));
  const float *from = weights.const_data_ptr<float>(), *gradient = dy.const_data_ptr<float>();
  const uint8_t *choice = choices.const_data_ptr<uint8_t>();
  float *to = dx.mutable_data_ptr<float>();
  at::parallel_for(0, dy.size(0), 1, [&](int64_t begin, int64_t end) {
    std::vector<Passed> room(room_for_images(s));
    for (int64_t i = begin; i < end; i++)
      chosen().image_gradient(s, from, gradient + i * outputs, choice + i * outputs, to + i * image, room.data());
  });
  return dx;
}

struct PooledConvolution : torch::autograd::Function<PooledConvolution> {
  static at::Tensor forward(AutogradContext *context, const at::Tensor &x, const at::Tensor &kernel,
                            const std::optional<at::Tensor> &bias, const std::vector<int64_t> &zeros, bool relu) {
    const at::Tensor weights = kernel.to(x.scalar_type());
    const at::Tensor convolved = at::conv2d(x, weights, {}, 1, {zeros[2], zeros[0]}).contiguous(at::MemoryFormat::ChannelsLast);
    at::Tensor choices;
    at::Tensor y = max_pooled(convolved, bias.value_or(at::Tensor()), 2, 2, relu, &choices);
    context->save_for_backward({x, weights, choices});
    context->saved_data["zeros"] = zeros;
    context->saved_data["bias"] = bias.has_value();
    return y;
  }

  static tensor_list backward(AutogradContext *context, tensor_list gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &x = saved[0], &kernel = saved[1], &choices = saved[2];
    const auto zeros = context->saved_data["zeros"].toIntVector();
    const bool has_bias = context->saved_data["bias"].toBool();
    const bool is_padded = std::any_of(zeros.begin(), zeros.end(), [](int64_t size) { return size > 0; });
    const PooledConv s = shape_of(x, kernel, zeros);
    const at::Tensor dy = channels_last(gradients[0]);
    at::Tensor of_x, of_kernel, of_bias;
    if (context->needs_input_grad(0)) {
      of_x = image_gradient(s, kernel, dy, choices).narrow(2, zeros[2], x.size(2)).narrow(3, zeros[0], x.size(3));
      of_x = of_x.to(x.scalar_type()).contiguous(at::MemoryFormat::ChannelsLast);
    }
    if (context->needs_input_grad(1) || has_bias) {
      const at::Tensor padded = is_padded ? at::constant_pad_nd(x, zeros) : x;
      std::tie(of_kernel, of_bias) = kernel_gradient(s, channels_last(padded), dy, choices);
      // tensors that are not there are not counted
      if (!context->needs_input_grad(1)) of_kernel.reset();
      if (!has_bias || !context->needs_input_grad(2)) of_bias.reset();
    }
    return {of_x, of_kernel, of_bias, {}, {}};
  }
};

bool can(const at::Tensor &x, const at::Tensor &kernel, const at::Tensor *bias, at::IntArrayRef zeros) {
  constexpr int64_t CHANNELS = 16; // fill the vectors of every instruction set
  const bool is_kind = x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16;
  // what is recorded is libtorch's own: another program lacks this
  if (!chosen().image_gradient || at::tracer::impl::is_dispatch_enabled() || !at::GradMode::is_enabled()) return false;
  if (!x.requires_grad() && !kernel.requires_grad() && !(bias && bias->requires_grad())) return false;
  if (!is_kind || !x.device().is_cpu() || x.dim() != 4 || x.numel() == 0) return false;
  if (x.size(1) % CHANNELS != 0 || !x.is_contiguous(at::MemoryFormat::ChannelsLast)) return false;
  if (!is_f32(kernel) || kernel.dim() != 4 || kernel.size(1) != x.size(1) || kernel.size(2) != kernel.size(3)) return false;
  if (!is_vector(bias, kernel.size(0))) return false;
  // libtorch's convolution takes as many on both sides
  if (zeros[0] != zeros[1] || zeros[2] != zeros[3] || zeros[0] < 0 || zeros[2] < 0) return false;
  const PooledConv s = shape_of(x, kernel, zeros);
  const int64_t largest = std::max(s.height * line(s), s.filters * kernel_size(s));
  return s.out_height > 0 && s.out_width > 0 && largest <= std::numeric_limits<int32_t>::max();
}

} // namespace

// Convolves `x`, f32 or bf16 [B, C, H, W] with the channels last, with `kernel`, f32 [F, C, K, K], between `zeros` (left, right, above,
// below), adds `bias`, f32 [F] or null, and takes the largest of each 2 × 2, through a ReLU if `relu`. `out` stays null where it does
// not: where no gradient is wanted, for other tensors and sizes, and without vectors.
extern "C" char *convnet_pooled_conv(const at::Tensor *x, const at::Tensor *kernel, const at::Tensor *bias, const int64_t *zeros,
                                     bool relu, at::Tensor **out) {
  return caught([&] {
    *out = nullptr;
    const std::vector<int64_t> around(zeros, zeros + 4);
    if (!can(*x, *kernel, bias, around)) return;
    const auto added = bias ? std::optional<at::Tensor>(*bias) : std::nullopt;
    *out = new at::Tensor(PooledConvolution::apply(*x, *kernel, added, around, relu));
  });
}
