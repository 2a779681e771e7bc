// The loops of pool.cpp and adam.cpp, compiled once for each instruction set: build.rs gives the flags, and VECTOR, how many f32 a vector
// holds, and NAME. Left to the compiler's vectoriser the loops are slower than libtorch's operators. No header of a library is
// included, for what it defines would be compiled for this instruction set, and used everywhere.

#include "adam.h"
#include "pool.h"
#include "vector.h"

namespace {

// N channels from `c` of one output: `from` is the window's first pixel.
template <int N, class T>
INLINE void pool(const Shape &shape, int64_t window_height, int64_t window_width, const T *from, const float *bias,
                 T *to, uint8_t *choice, int64_t c) {
  using V = Vector<N>;
  typename V::F largest, value;
  typename V::I chosen = {};
  load<N>(from + c, largest);
  for (int64_t i = 0; i < window_height; i++) {
    for (int64_t j = 0; j < window_width; j++) {
      if (i == 0 && j == 0) continue;
      load<N>(from + (i * shape.width + j) * shape.channels + c, value);
      // a NaN stays, as in libtorch
      const typename V::I larger = (value > largest) | (value != value);
      largest = larger ? value : largest;
      chosen = larger ? typename V::I{} + int32_t(i * window_width + j) : chosen;
    }
  }
  if (bias) {
    load<N>(bias + c, value);
    largest += value;
  }
  if (shape.relu) {
    const typename V::I closed = largest <= 0.0f;
    largest = closed ? typename V::F{} : largest;
    chosen = closed ? typename V::I{} + int32_t(CLOSED) : chosen;
  }
  store<N>(to + c, largest);
  if (choice) {
    const auto bytes = __builtin_convertvector(chosen, typename V::U8);
    __builtin_memcpy(choice + c, &bytes, sizeof bytes);
  }
}

template <int N, class T>
INLINE void pool_rows(const Shape &shape, int64_t window_height, int64_t window_width, const T *x, const float *bias,
                      T *y, uint8_t *choices, int64_t begin, int64_t end) {
  const int64_t channels = shape.channels, columns = out_width(shape);
  for (int64_t row = begin; row < end; row++) {
    const T *from = x + start(shape, row);
    for (int64_t j = 0; j < columns; j++, from += window_width * channels) {
      const int64_t at = (row * columns + j) * channels;
      uint8_t *choice = choices ? choices + at : nullptr;
      int64_t c = 0;
      for (; c + N <= channels; c += N) pool<N>(shape, window_height, window_width, from, bias, y + at, choice, c);
      for (; c < channels; c++) pool<1>(shape, window_height, window_width, from, bias, y + at, choice, c);
    }
  }
}

template <class T>
INLINE void clear(T *from, const T *to) {
  for (; from < to; from++) *from = T{};
}

// The gradient of N channels from `c` of one window.
template <int N, class T>
INLINE void spread(const Shape &shape, int64_t window_height, int64_t window_width, const T *gradient,
                   const uint8_t *choice, T *to, float *bias, int64_t c) {
  using V = Vector<N>;
  typename V::F value, sum;
  typename V::U8 bytes;
  load<N>(gradient + c, value);
  __builtin_memcpy(&bytes, choice + c, sizeof bytes);
  const auto chosen = __builtin_convertvector(bytes, typename V::I);
  for (int64_t i = 0; i < window_height; i++) {
    for (int64_t j = 0; j < window_width; j++) {
      const typename V::I here = chosen == int32_t(i * window_width + j);
      store<N>(to + (i * shape.width + j) * shape.channels + c, here ? value : typename V::F{});
    }
  }
  if (bias) {
    load<N>(bias + c, sum);
    store<N>(bias + c, sum + (chosen != int32_t(CLOSED) ? value : typename V::F{}));
  }
}

template <int N, class T>
INLINE void spread_rows(const Shape &shape, int64_t window_height, int64_t window_width, const T *gradient,
                        const uint8_t *choices, T *dx, float *bias, int64_t begin, int64_t end) {
  const int64_t channels = shape.channels, columns = out_width(shape), line = shape.width * channels;
  for (int64_t row = begin; row < end; row++) {
    T *const first = dx + start(shape, row);
    T *to = first;
    for (int64_t j = 0; j < columns; j++, to += window_width * channels) {
      const int64_t at = (row * columns + j) * channels;
      int64_t c = 0;
      for (; c + N <= channels; c += N)
        spread<N>(shape, window_height, window_width, gradient + at, choices + at, to, bias, c);
      for (; c < channels; c++)
        spread<1>(shape, window_height, window_width, gradient + at, choices + at, to, bias, c);
    }
    // what no window holds, at the right and below
    const int64_t used = columns * window_width * channels;
    for (int64_t i = 0; i < window_height; i++) clear(first + i * line + used, first + (i + 1) * line);
    if ((row + 1) % out_height(shape) == 0) {
      const int64_t lines = shape.height - out_height(shape) * window_height;
      clear(first + window_height * line, first + (window_height + lines) * line);
    }
  }
}

// The common window has a loop of its own, whose sizes the compiler knows.
template <int N, class T>
INLINE void pool_any(const Shape &s, const T *x, const float *bias, T *y, uint8_t *choices, int64_t begin, int64_t end) {
  if (s.window_height == 2 && s.window_width == 2) pool_rows<N>(s, 2, 2, x, bias, y, choices, begin, end);
  else pool_rows<N>(s, s.window_height, s.window_width, x, bias, y, choices, begin, end);
}

template <int N, class T>
INLINE void spread_any(const Shape &s, const T *gradient, const uint8_t *choices, T *dx, float *bias, int64_t begin,
                       int64_t end) {
  if (s.window_height == 2 && s.window_width == 2) spread_rows<N>(s, 2, 2, gradient, choices, dx, bias, begin, end);
  else spread_rows<N>(s, s.window_height, s.window_width, gradient, choices, dx, bias, begin, end);
}

} // namespace

void EXPORTED(pool_f32_, NAME)(const Shape &s, const float *x, const float *bias, float *y, uint8_t *choices, int64_t begin,
                               int64_t end) {
  pool_any<VECTOR>(s, x, bias, y, choices, begin, end);
}
void EXPORTED(pool_bf16_, NAME)(const Shape &s, const Bf16 *x, const float *bias, Bf16 *y, uint8_t *choices, int64_t begin,
                                int64_t end) {
  pool_any<VECTOR>(s, x, bias, y, choices, begin, end);
}
void EXPORTED(spread_f32_, NAME)(const Shape &s, const float *gradient, const uint8_t *choices, float *dx, float *bias,
                                 int64_t begin, int64_t end) {
  spread_any<VECTOR>(s, gradient, choices, dx, bias, begin, end);
}
void EXPORTED(spread_bf16_, NAME)(const Shape &s, const Bf16 *gradient, const uint8_t *choices, Bf16 *dx, float *bias,
                                  int64_t begin, int64_t end) {
  spread_any<VECTOR>(s, gradient, choices, dx, bias, begin, end);
}

void EXPORTED(adam_, NAME)(const Adam &a, const float *__restrict gradient, float *__restrict momentum,
                           float *__restrict velocity, float *__restrict values, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    const float m = momentum[i] + a.new_momentum * (gradient[i] - momentum[i]);
    const float v = velocity[i] + a.new_velocity * (gradient[i] * gradient[i] - velocity[i]);
    momentum[i] = m;
    velocity[i] = v;
    values[i] -= m * a.alpha / (__builtin_sqrtf(v) + a.epsilon);
  }
}
