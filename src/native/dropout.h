// What dropout.cpp and its loops share.

#pragma once

#include "bf16.h"

#include <stdint.h>

// Which values stay: those of which 16 random bits, given by `key`, the row and the place in it, are no less than `dropped`.
struct Dropout {
  uint64_t key;
  uint32_t dropped;
  float scale; // of those that stay
};

// Values of a row that are drawn together.
constexpr int64_t DRAWN = 128;

// `count` values of row `row`, from place `begin` of it, which is a multiple of DRAWN: kept ones times the scale, else 0.
#define DROPOUTS(NAME)                                                                                                 \
  void dropout_f32_##NAME(const Dropout &, uint64_t row, int64_t begin, int64_t count, const float *x, float *y);      \
  void dropout_bf16_##NAME(const Dropout &, uint64_t row, int64_t begin, int64_t count, const Bf16 *x, Bf16 *y);

DROPOUTS(plain)
#if defined(__x86_64__)
DROPOUTS(avx2)
DROPOUTS(avx512)
#endif
