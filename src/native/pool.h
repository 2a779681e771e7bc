// What pool.cpp and its loops share.

#pragma once

#include "bf16.h"

#include <stdint.h>

// Where the ReLU let nothing through.
constexpr uint8_t CLOSED = 255;

struct Shape {
  int64_t batch, channels, height, width; // of what is pooled
  int64_t window_height, window_width;
  bool relu;
};

// Their own for each instruction set: no linkage.
static inline int64_t out_height(const Shape &s) { return s.height / s.window_height; }
static inline int64_t out_width(const Shape &s) { return s.width / s.window_width; }

// Where the windows of output row `row` begin.
static inline int64_t start(const Shape &s, int64_t row) {
  return ((row / out_height(s)) * s.height + (row % out_height(s)) * s.window_height) * s.width * s.channels;
}

#define LOOPS(NAME)                                                                                                    \
  void pool_f32_##NAME(const Shape &, const float *, const float *, float *, uint8_t *, int64_t, int64_t);             \
  void pool_bf16_##NAME(const Shape &, const Bf16 *, const float *, Bf16 *, uint8_t *, int64_t, int64_t);              \
  void spread_f32_##NAME(const Shape &, const float *, const uint8_t *, float *, float *, int64_t, int64_t);           \
  void spread_bf16_##NAME(const Shape &, const Bf16 *, const uint8_t *, Bf16 *, float *, int64_t, int64_t);

LOOPS(plain)
#if defined(__x86_64__)
LOOPS(avx2)
LOOPS(avx512)
#endif
