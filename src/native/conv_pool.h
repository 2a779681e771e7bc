// What conv_pool.cpp and its loops share.

#pragma once

#include "bf16.h"

#include <stdint.h>

// Where the ReLU let nothing through; the places of a window are 0 to 3.
constexpr uint8_t CLOSED_WINDOW = 255;

// A convolution of images of one channel, with strides of 1, and max-pooling of 2 × 2 behind it.
struct ConvPool {
  int64_t height, width, filters;
  int64_t kernel, top, left;     // rows and columns of the kernel; zeros above and left of the image
  int64_t out_height, out_width; // of the pooling
  bool relu;
};

// The kernels that there are loops for.
static inline bool has_loop(int64_t kernel) { return kernel == 3 || kernel == 5; }

// A row of outputs is computed from `kernel + 1` lines of so many numbers, zeros around the image included.
static inline int64_t line(const ConvPool &s) { return 2 * s.out_width + s.kernel - 1; }

// Kernels are f32 [kernel, kernel, F]. Rows of outputs are numbered over all images. `strip` has room for those lines.
#define CONV_POOL(T, KIND, NAME)                                                                                       \
  /* `bias`, f32 [F], and `choices`, as y, may be null. */                                                             \
  void conv_pool_##KIND##NAME(const ConvPool &, const T *x, const float *kernel, const float *bias, T *y,              \
                              uint8_t *choices, float *strip, int64_t begin, int64_t end);                             \
  /* Adds the gradients of kernel and bias. */                                                                         \
  void conv_pool_gradient_##KIND##NAME(const ConvPool &, const T *x, const T *dy, const uint8_t *choices,              \
                                       float *kernel, float *bias, float *strip, int64_t begin, int64_t end);

#define CONV_POOLS(NAME) CONV_POOL(float, f32_, NAME) CONV_POOL(Bf16, bf16_, NAME)

// Without vectors of 8 numbers libtorch's operators are faster.
#if defined(__x86_64__)
CONV_POOLS(avx2)
CONV_POOLS(avx512)
#endif
