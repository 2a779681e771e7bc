// What pool.cpp offers to other operators.

#pragma once

#include <ATen/ATen.h>

// The largest of each window of `x`, [B, C, H, W] with the channels last, plus `bias` (f32 [C], or undefined), through a ReLU if `relu`;
// where they are in their windows, u8, into `choices` unless that is null.
at::Tensor max_pooled(const at::Tensor &x, const at::Tensor &bias, int64_t height, int64_t width, bool relu, at::Tensor *choices);
