// The loops of conv_pool.cpp, compiled once for each instruction set: see loops.cpp.

#include "conv_pool.h"
#include "vector.h"

#if VECTOR >= 8

namespace {

INLINE void to_f32(const float *from, int64_t count, float *to) { __builtin_memcpy(to, from, count * sizeof *to); }

INLINE void to_f32(const Bf16 *from, int64_t count, float *to) {
  for (int64_t i = 0; i < count; i++) {
    const uint32_t bits = uint32_t(from[i].bits) << 16;
    __builtin_memcpy(to + i, &bits, sizeof bits);
  }
}

// The lines that output row `number` is computed from.
template <class T>
INLINE void fill(const ConvPool &s, const T *x, int64_t number, float *strip) {
  const int64_t image = number / s.out_height, first = number % s.out_height * 2 - s.top, count = line(s);
  const int64_t there = s.width < count - s.left ? s.width : count - s.left;
  for (int64_t row = first; row <= first + s.kernel; row++, strip += count) {
    int64_t at = 0;
    if (row >= 0 && row < s.height && there > 0) {
      for (; at < s.left; at++) strip[at] = 0.0f;
      to_f32(x + (image * s.height + row) * s.width, there, strip + at);
      at += there;
    }
    for (; at < count; at++) strip[at] = 0.0f;
  }
}

// K vectors of N filters from `f`, of the output whose window begins at `patch`, by kernels of KERNEL × KERNEL numbers.
template <int KERNEL, int N, int K, class T>
INLINE void pooled(const ConvPool &s, const float *patch, const float *kernel, const float *bias, T *y, uint8_t *choices,
                   int64_t f) {
  using V = Vector<N>;
  typename V::F sums[4][K] = {}, weight[K];
  for (int p = 0; p < KERNEL; p++) {
#pragma GCC unroll 5
    for (int q = 0; q < KERNEL; q++) {
      for (int k = 0; k < K; k++) load<N>(kernel + (p * KERNEL + q) * s.filters + f + k * N, weight[k]);
      for (int place = 0; place < 4; place++) {
        const float value = patch[(p + place / 2) * line(s) + place % 2 + q];
        for (int k = 0; k < K; k++) sums[place][k] += value * weight[k];
      }
    }
  }
  for (int k = 0; k < K; k++) {
    typename V::F largest = sums[0][k], added;
    typename V::I chosen = {};
    for (int place = 1; place < 4; place++) {
      // a NaN stays, as in libtorch
      const typename V::I larger = (sums[place][k] > largest) | (sums[place][k] != sums[place][k]);
      largest = larger ? sums[place][k] : largest;
      chosen = larger ? typename V::I{} + place : chosen;
    }
    if (bias) {
      load<N>(bias + f + k * N, added);
      largest += added;
    }
    if (s.relu) {
      const typename V::I closed = largest <= 0.0f;
      largest = closed ? typename V::F{} : largest;
      chosen = closed ? typename V::I{} + int32_t(CLOSED_WINDOW) : chosen;
    }
    store<N>(y + f + k * N, largest);
    if (!choices) continue;
    const auto bytes = __builtin_convertvector(chosen, typename V::U8);
    __builtin_memcpy(choices + f + k * N, &bytes, sizeof bytes);
  }
}

// Adds what a row of outputs gives to the gradients of N filters from `f`: of LINES lines of the kernel from `first`, and of the bias.
template <int KERNEL, int LINES, int N, class T>
INLINE void add_gradients(const ConvPool &s, const float *strip, const T *dy, const uint8_t *choices, int first, float *kernel,
                          float *bias, int64_t f) {
  using V = Vector<N>;
  typename V::F sums[LINES * KERNEL], total = {}, gradient;
  float *const to = kernel + first * KERNEL * s.filters + f;
  for (int t = 0; t < LINES * KERNEL; t++) load<N>(to + t * s.filters, sums[t]);
  for (int64_t j = 0; j < s.out_width; j++) {
    typename V::U8 bytes;
    load<N>(dy + j * s.filters + f, gradient);
    __builtin_memcpy(&bytes, choices + j * s.filters + f, sizeof bytes);
    const auto chosen = __builtin_convertvector(bytes, typename V::I);
    const float *patch = strip + first * line(s) + 2 * j;
    total += chosen != int32_t(CLOSED_WINDOW) ? gradient : typename V::F{};
#pragma GCC unroll 4
    for (int place = 0; place < 4; place++) {
      const typename V::F passed = chosen == place ? gradient : typename V::F{};
#pragma GCC unroll 9
      for (int t = 0; t < LINES * KERNEL; t++)
        sums[t] += patch[(t / KERNEL + place / 2) * line(s) + place % 2 + t % KERNEL] * passed;
    }
  }
  for (int t = 0; t < LINES * KERNEL; t++) store<N>(to + t * s.filters, sums[t]);
  if (!bias || first > 0) return;
  load<N>(bias + f, gradient);
  store<N>(bias + f, gradient + total);
}

// What is given for all filters from 0: for K vectors of N, for one, for narrower ones, for single numbers.
#define FILTERS(MOST, ...)                                                                                                           \
  do {                                                                                                                               \
    int64_t f = 0;                                                                                                                   \
    for (; f + MOST * VECTOR <= s.filters; f += MOST * VECTOR) { [[maybe_unused]] constexpr int N = VECTOR, K = MOST; __VA_ARGS__; } \
    for (; f + VECTOR <= s.filters; f += VECTOR) { [[maybe_unused]] constexpr int N = VECTOR, K = 1; __VA_ARGS__; }                  \
    for (; f + 4 <= s.filters; f += 4) { [[maybe_unused]] constexpr int N = 4, K = 1; __VA_ARGS__; }                                 \
    for (; f < s.filters; f++) { [[maybe_unused]] constexpr int N = 1, K = 1; __VA_ARGS__; }                                         \
  } while (false)

template <int KERNEL, class T>
INLINE void forward(const ConvPool &s, const T *x, const float *kernel, const float *bias, T *y, uint8_t *choices,
                    float *strip, int64_t begin, int64_t end) {
  for (int64_t number = begin; number < end; number++) {
    fill(s, x, number, strip);
    for (int64_t j = 0; j < s.out_width; j++) {
      const int64_t at = (number * s.out_width + j) * s.filters;
      const float *patch = strip + 2 * j;
      uint8_t *choice = choices ? choices + at : nullptr;
      FILTERS(2, pooled<KERNEL, N, K>(s, patch, kernel, bias, y + at, choice, f));
    }
  }
}

template <int KERNEL, int LINES, class T>
INLINE void gradients(const ConvPool &s, const T *x, const T *dy, const uint8_t *choices, float *kernel, float *bias,
                      float *strip, int64_t begin, int64_t end) {
  for (int64_t number = begin; number < end; number++) {
    fill(s, x, number, strip);
    const int64_t at = number * s.out_width * s.filters;
    for (int first = 0; first < KERNEL; first += LINES)
      FILTERS(1, add_gradients<KERNEL, LINES, N>(s, strip, dy + at, choices + at, first, kernel, bias, f));
  }
}

} // namespace

#define LOOPS_OF(T, KIND)                                                                                              \
  void EXPORTED(conv_pool_##KIND, NAME)(const ConvPool &s, const T *x, const float *kernel, const float *bias, T *y,   \
                                        uint8_t *choices, float *strip, int64_t begin, int64_t end) {                  \
    if (s.kernel == 3) forward<3>(s, x, kernel, bias, y, choices, strip, begin, end);                                  \
    else forward<5>(s, x, kernel, bias, y, choices, strip, begin, end);                                                \
  }                                                                                                                    \
  /* as many lines of the kernel at a time as have room in a processor's registers */                                  \
  void EXPORTED(conv_pool_gradient_##KIND, NAME)(const ConvPool &s, const T *x, const T *dy, const uint8_t *choices,   \
                                                 float *kernel, float *bias, float *strip, int64_t begin,              \
                                                 int64_t end) {                                                        \
    if (s.kernel == 3) gradients<3, 3>(s, x, dy, choices, kernel, bias, strip, begin, end);                            \
    else gradients<5, 1>(s, x, dy, choices, kernel, bias, strip, begin, end);                                          \
  }

LOOPS_OF(float, f32_)
LOOPS_OF(Bf16, bf16_)

#endif
