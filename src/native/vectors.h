// What operators ask of weights.

#pragma once

#include <ATen/ATen.h>

static inline bool is_f32(const at::Tensor &tensor) { return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat; }

// Whether there is none, or it is f32 [size] on the CPU.
static inline bool is_vector(const at::Tensor *tensor, int64_t size) {
  return !tensor || (is_f32(*tensor) && tensor->dim() == 1 && tensor->size(0) == size && tensor->is_contiguous());
}
