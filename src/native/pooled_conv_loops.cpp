// The loops of pooled_conv.cpp, compiled once for each instruction set: see loops.cpp.

#include "pool.h"
#include "pooled_conv.h"
#include "vector.h"

#if VECTOR >= 8

namespace {

// Numbers that stay in registers: they are added up over a list.
constexpr int MOST = 12;

// to[0 .. N vectors] += Σ gradient · from[at ..].
template <int N>
INLINE void add(const Passed *list, int64_t count, const float *from, float *to) {
  typename Vector<VECTOR>::F sums[N], value;
  for (int n = 0; n < N; n++) load<VECTOR>(to + n * VECTOR, sums[n]);
  for (int64_t i = 0; i < count; i++) {
    const float *row = from + list[i].at;
#pragma GCC unroll 12
    for (int n = 0; n < N; n++) {
      load<VECTOR>(row + n * VECTOR, value);
      sums[n] += list[i].gradient * value;
    }
  }
  for (int n = 0; n < N; n++) store<VECTOR>(to + n * VECTOR, sums[n]);
}

// The same of `num_vectors`, at most MOST.
INLINE void add(int64_t num_vectors, const Passed *list, int64_t count, const float *from, float *to) {
  switch (num_vectors) {
    case 1: return add<1>(list, count, from, to);
    case 2: return add<2>(list, count, from, to);
    case 3: return add<3>(list, count, from, to);
    case 4: return add<4>(list, count, from, to);
    case 5: return add<5>(list, count, from, to);
    case 6: return add<6>(list, count, from, to);
    case 7: return add<7>(list, count, from, to);
    case 8: return add<8>(list, count, from, to);
    case 9: return add<9>(list, count, from, to);
    case 10: return add<10>(list, count, from, to);
    case 11: return add<11>(list, count, from, to);
    default: return add<MOST>(list, count, from, to);
  }
}

// Does `work(number of the kernel's line, its first number, vectors)` for all parts of a kernel.
template <class Work>
INLINE void each_part(const PooledConv &s, Work work) {
  const int64_t num_vectors = kernel_line(s) / VECTOR;
  for (int64_t p = 0; p < s.kernel; p++)
    for (int64_t v = 0; v < num_vectors; v += MOST) work(p, v * VECTOR, num_vectors - v < MOST ? num_vectors - v : MOST);
}

INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

} // namespace

void EXPORTED(pooled_conv_kernel_gradient_, NAME)(const PooledConv &s, const float *x, const float *dy, const uint8_t *choices,
                                                  float *kernel, float *bias, Passed *room, int64_t first, int64_t last) {
  const int64_t rows = rows_at_a_time(s), most = rows * s.out_width;
  for (int64_t begin = 0; begin < s.out_height; begin += rows) {
    // a list for each filter
    int64_t counts[FILTERS_AT_A_TIME] = {};
    for (int64_t i = begin; i < smaller(begin + rows, s.out_height); i++) {
      for (int64_t j = 0; j < s.out_width; j++) {
        const int64_t window = (i * s.out_width + j) * s.filters, corner = 2 * (i * s.width + j) * s.channels;
        const int32_t places[4] = {int32_t(corner), int32_t(corner + s.channels), int32_t(corner + line(s)),
                                   int32_t(corner + line(s) + s.channels)};
        for (int64_t f = first; f < last; f++) {
          const uint8_t choice = choices[window + f];
          const float gradient = dy[window + f];
          int64_t &count = counts[f - first];
          room[(f - first) * most + count] = {places[choice & 3], gradient};
          count += (choice != CLOSED) & (gradient != 0.0f); // a NaN passes
        }
      }
    }
    for (int64_t f = first; f < last; f++)
      for (int64_t i = 0; i < counts[f - first]; i++) bias[f] += room[(f - first) * most + i].gradient;
    each_part(s, [&](int64_t p, int64_t at, int64_t num_vectors) {
      for (int64_t f = first; f < last; f++)
        add(num_vectors, room + (f - first) * most, counts[f - first], x + p * line(s) + at,
            kernel + f * kernel_size(s) + p * kernel_line(s) + at);
    });
  }
}

void EXPORTED(pooled_conv_image_gradient_, NAME)(const PooledConv &s, const float *kernel, const float *dy, const uint8_t *choices,
                                                 float *dx, Passed *room) {
  __builtin_memset(dx, 0, s.height * line(s) * sizeof *dx);
  for (int64_t i = 0; i < s.out_height; i++) {
    for (int64_t begin = 0; begin < s.out_width; begin += WINDOWS_OF_A_ROW) {
      // a list for each place of each window
      const int64_t windows = smaller(WINDOWS_OF_A_ROW, s.out_width - begin);
      int64_t counts[WINDOWS_OF_A_ROW][PLACES] = {};
      for (int64_t w = 0; w < windows; w++) {
        const int64_t window = (i * s.out_width + begin + w) * s.filters;
        for (int64_t f = 0; f < s.filters; f++) {
          const int64_t place = smaller(choices[window + f], PLACES - 1);
          const float gradient = dy[window + f];
          int64_t &count = counts[w][place];
          room[(w * PLACES + place) * s.filters + count] = {int32_t(f * kernel_size(s)), gradient};
          count += gradient != 0.0f;
        }
      }
      each_part(s, [&](int64_t p, int64_t at, int64_t num_vectors) {
        for (int64_t w = 0; w < windows; w++) {
          for (int64_t place = 0; place < PLACES - 1; place++) {
            const int64_t row = 2 * i + place / 2 + p, column = 2 * (begin + w) + place % 2;
            add(num_vectors, room + (w * PLACES + place) * s.filters, counts[w][place], kernel + p * kernel_line(s) + at,
                dx + row * line(s) + column * s.channels + at);
          }
        }
      });
    }
  }
}

#endif
