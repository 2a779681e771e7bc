// Dropout in one pass each way. Which values stay is a function of a key, the row (an image's number in its batch) and the place in it:
// nothing is kept for the backward pass, and whoever computes some rows of a batch draws for those alone.

#include "dropout.h"
#include "caught.h"
#include "parallel.h"
#include "processor.h"

#include <algorithm>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

template <class T>
using Loop = void (*)(const Dropout &, uint64_t, int64_t, int64_t, const T *, T *);

// For the instruction sets of this processor.
template <class T>
Loop<T> chosen();

template <>
Loop<float> chosen() {
#if defined(__x86_64__)
  if (has_avx512()) return dropout_f32_avx512;
  if (has_avx2()) return dropout_f32_avx2;
#endif
  return dropout_f32_plain;
}

template <>
Loop<Bf16> chosen() {
#if defined(__x86_64__)
  if (has_avx512()) return dropout_bf16_avx512;
  if (has_avx2()) return dropout_bf16_avx2;
#endif
  return dropout_bf16_plain;
}

// How an image's values lie in memory: its channels last.
at::MemoryFormat format_of(const at::Tensor &x) {
  return x.dim() == 4 ? at::MemoryFormat::ChannelsLast : at::MemoryFormat::Contiguous;
}

template <class T>
void drop_into(const Dropout &dropout, int64_t first_row, const at::Tensor &x, at::Tensor &y) {
  constexpr int64_t NUMBERS = 64 * DRAWN; // that a thread takes at least
  const int64_t rows = x.size(0), row_size = x.numel() / rows, pieces = (row_size + DRAWN - 1) / DRAWN;
  const T *from = static_cast<const T *>(x.const_data_ptr());
  T *to = static_cast<T *>(y.mutable_data_ptr());
  const Loop<T> loop = chosen<T>();
  at::parallel_for(0, rows * pieces, NUMBERS / DRAWN, [&](int64_t begin, int64_t end) {
    while (begin < end) {
      const int64_t row = begin / pieces, piece = begin % pieces, last = std::min(pieces, piece + end - begin);
      const int64_t at = piece * DRAWN, count = std::min(last * DRAWN, row_size) - at;
      loop(dropout, uint64_t(first_row + row), at, count, from + row * row_size + at, to + row * row_size + at);
      begin += last - piece;
    }
  });
}

at::Tensor dropped(const Dropout &dropout, int64_t first_row, const at::Tensor &x) {
  const at::Tensor values = x.contiguous(format_of(x));
  at::Tensor y = at::empty_like(values);
  if (values.numel() == 0) return y;
  if (values.scalar_type() == at::kFloat) drop_into<float>(dropout, first_row, values, y);
  else drop_into<Bf16>(dropout, first_row, values, y);
  return y;
}

Dropout dropout_of(int64_t key, int64_t dropped) {
  return {uint64_t(key), uint32_t(dropped), float(65536.0 / (65536.0 - double(dropped)))};
}

// Values and gradients alike: linear in what goes in.
struct Drop : torch::autograd::Function<Drop> {
  static at::Tensor forward(AutogradContext *context, const at::Tensor &x, int64_t key, int64_t out_of_65536, int64_t first_row) {
    context->saved_data["numbers"] = std::vector<int64_t>{key, out_of_65536, first_row};
    return dropped(dropout_of(key, out_of_65536), first_row, x);
  }

  static tensor_list backward(AutogradContext *context, tensor_list gradients) {
    const auto numbers = context->saved_data["numbers"].toIntVector();
    return {dropped(dropout_of(numbers[0], numbers[1]), numbers[2], gradients[0]), {}, {}, {}};
  }
};

} // namespace

// Drops `dropped` out of 65536 values of `x`, f32 or bf16 on the CPU, whose first row is `first_row` of its batch, by the random numbers
// of `key`, and scales the others. `out` stays null for other tensors.
extern "C" char *convnet_dropout(const at::Tensor *x, int64_t key, int64_t dropped, int64_t first_row, at::Tensor **out) {
  return caught([&] {
    *out = nullptr;
    const bool is_kind = x->scalar_type() == at::kFloat || x->scalar_type() == at::kBFloat16;
    if (!is_kind || !x->device().is_cpu() || x->dim() < 1) return;
    TORCH_CHECK(dropped >= 0 && dropped < 65536, "dropout of ", dropped, " out of 65536 values");
    *out = new at::Tensor(Drop::apply(*x, key, dropped, first_row));
  });
}
