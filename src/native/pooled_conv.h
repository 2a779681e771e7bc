// What pooled_conv.cpp and its loops share.

#pragma once

#include <stdint.h>

// A convolution with strides of 1, and max-pooling of 2 × 2 behind it.
struct PooledConv {
  int64_t height, width, channels; // of the image with the zeros around it
  int64_t filters, kernel;         // its rows, and columns
  int64_t out_height, out_width;   // of the pooling
};

// Numbers of a pixel, of a line of the image, of a line of a kernel, and of one filter's kernel.
static inline int64_t line(const PooledConv &s) { return s.width * s.channels; }
static inline int64_t kernel_line(const PooledConv &s) { return s.kernel * s.channels; }
static inline int64_t kernel_size(const PooledConv &s) { return s.kernel * kernel_line(s); }

// The gradient of a largest value, and where what it is multiplied by begins.
struct Passed {
  int32_t at;
  float gradient;
};

// The gradients of so many filters' kernels are computed at a time, from the gradients of so many windows at least, …
constexpr int64_t FILTERS_AT_A_TIME = 16, WINDOWS_AT_A_TIME = 64;
// … and the image's from those of so many windows of a row.
constexpr int64_t WINDOWS_OF_A_ROW = 8;
// A window's four places, and that of gradients which do not pass.
constexpr int64_t PLACES = 5;

static inline int64_t rows_at_a_time(const PooledConv &s) { return (WINDOWS_AT_A_TIME + s.out_width - 1) / s.out_width; }

// How many are in `room`.
static inline int64_t room_for_kernels(const PooledConv &s) { return FILTERS_AT_A_TIME * rows_at_a_time(s) * s.out_width; }
static inline int64_t room_for_images(const PooledConv &s) { return WINDOWS_OF_A_ROW * PLACES * s.filters; }

// Of one image: `x` and `dx` are f32 [height, width, C], `dy` f32 and `choices` (0 to 3, or CLOSED of pool.h) [out_height, out_width,
// F], kernels f32 [F, kernel, kernel, C], where C fills vectors.
#define POOLED_CONV(NAME)                                                                                              \
  /* Adds the gradients of kernel and bias, f32 [F], of the filters from `first` to `last`. */                         \
  void pooled_conv_kernel_gradient_##NAME(const PooledConv &, const float *x, const float *dy, const uint8_t *choices, \
                                          float *kernel, float *bias, Passed *room, int64_t first, int64_t last);      \
  /* The image's gradient. */                                                                                          \
  void pooled_conv_image_gradient_##NAME(const PooledConv &, const float *kernel, const float *dy,                     \
                                         const uint8_t *choices, float *dx, Passed *room);

#if defined(__x86_64__)
POOLED_CONV(avx2)
POOLED_CONV(avx512)
#endif
