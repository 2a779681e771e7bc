// What norm.cpp and its loops share.

#pragma once

#include "bf16.h"

#include <stdint.h>

// What is done behind the normalisation: nothing, max(0, .), or that and at most 6.
enum class Behind { LINEAR = 0, RELU = 1, RELU6 = 2 };

// Numbers for each channel. What is normalised is (x - mean) * factor + offset.
struct Channels {
  const float *mean, *factor, *offset;
};

// x and y lie row by row: a pixel's channels together. `sums` has two numbers for each channel.
#define NORM(T, KIND, NAME)                                                                                            \
  /* Adds x - shift, and its square. */                                                                                \
  void norm_sums_##KIND##NAME(const T *x, const float *shift, double *sums, int64_t channels, int64_t rows);           \
  void norm_apply_##KIND##NAME(const T *x, const Channels &, Behind, T *y, int64_t channels, int64_t rows);            \
  /* Adds the gradient before what is behind, and it times x - mean. */                                                \
  void norm_gradient_sums_##KIND##NAME(const T *x, const T *dy, const Channels &, Behind, double *sums,                \
                                       int64_t channels, int64_t rows);                                                \
  /* dx = factor * (gradient - first - (x - mean) * second), where two numbers are given for each channel. */          \
  void norm_gradient_##KIND##NAME(const T *x, const T *dy, const Channels &, Behind, const float *first,               \
                                  const float *second, T *dx, int64_t channels, int64_t rows);

#define NORMS(NAME) NORM(float, f32_, NAME) NORM(Bf16, bf16_, NAME)

NORMS(plain)
#if defined(__x86_64__)
NORMS(avx2)
NORMS(avx512)
#endif
