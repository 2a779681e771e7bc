// The loops of norm.cpp, compiled once for each instruction set: see loops.cpp.

#include "norm.h"
#include "vector.h"

namespace {

// Rows whose sums are kept in f32 before they are added to those in f64.
constexpr int64_t TILE = 64;

// What goes into the activation of N channels from `c`.
template <int N>
INLINE void normalized(const typename Vector<N>::F &x, const Channels &channels, int64_t c, typename Vector<N>::F &to) {
  typename Vector<N>::F mean, factor, offset;
  load<N>(channels.mean + c, mean);
  load<N>(channels.factor + c, factor);
  load<N>(channels.offset + c, offset);
  to = (x - mean) * factor + offset;
}

// A NaN stays.
template <int N>
INLINE void activate(Behind behind, typename Vector<N>::F &x) {
  using F = typename Vector<N>::F;
  if (behind == Behind::LINEAR) return;
  x = x <= 0.0f ? F{} : x;
  if (behind == Behind::RELU6) x = x >= 6.0f ? F{} + 6.0f : x;
}

// Lets nothing through where `behind` changed `x`.
template <int N>
INLINE void close(Behind behind, const typename Vector<N>::F &x, typename Vector<N>::F &gradient) {
  using F = typename Vector<N>::F;
  if (behind == Behind::LINEAR) return;
  gradient = x <= 0.0f ? F{} : gradient;
  if (behind == Behind::RELU6) gradient = x >= 6.0f ? F{} : gradient;
}

template <int N>
INLINE void add(double *sums, const typename Vector<N>::F &values) {
  for (int i = 0; i < N; i++) sums[i] += double(values[i]);
}

// Of K vectors at once, so that neighbouring numbers are read one after the other.
template <int N, int K, class T>
INLINE void sums(const T *x, const float *shift, double *total, int64_t channels, int64_t rows, int64_t c) {
  typename Vector<N>::F from[K], first[K] = {}, second[K] = {}, value;
  for (int k = 0; k < K; k++) load<N>(shift + c + k * N, from[k]);
  for (int64_t row = 0; row < rows; row++) {
    for (int k = 0; k < K; k++) {
      load<N>(x + row * channels + c + k * N, value);
      value -= from[k];
      first[k] += value;
      second[k] += value * value;
    }
  }
  for (int k = 0; k < K; k++) {
    add<N>(total + c + k * N, first[k]);
    add<N>(total + channels + c + k * N, second[k]);
  }
}

template <int N, class T>
INLINE void apply(const T *x, const Channels &numbers, Behind behind, T *y, int64_t c) {
  typename Vector<N>::F value, result;
  load<N>(x + c, value);
  normalized<N>(value, numbers, c, result);
  activate<N>(behind, result);
  store<N>(y + c, result);
}

template <int N, int K, class T>
INLINE void gradient_sums(const T *x, const T *dy, const Channels &numbers, Behind behind, double *total,
                          int64_t channels, int64_t rows, int64_t c) {
  typename Vector<N>::F mean, value, before, gradient, first[K] = {}, second[K] = {};
  for (int64_t row = 0; row < rows; row++) {
    for (int k = 0; k < K; k++) {
      const int64_t at = c + k * N;
      load<N>(numbers.mean + at, mean);
      load<N>(x + row * channels + at, value);
      load<N>(dy + row * channels + at, gradient);
      normalized<N>(value, numbers, at, before);
      close<N>(behind, before, gradient);
      first[k] += gradient;
      second[k] += gradient * (value - mean);
    }
  }
  for (int k = 0; k < K; k++) {
    add<N>(total + c + k * N, first[k]);
    add<N>(total + channels + c + k * N, second[k]);
  }
}

template <int N, class T>
INLINE void gradient(const T *x, const T *dy, const Channels &numbers, Behind behind, const float *firsts,
                     const float *seconds, T *dx, int64_t c) {
  typename Vector<N>::F value, before, passed, mean, factor, first, second;
  load<N>(x + c, value);
  load<N>(dy + c, passed);
  normalized<N>(value, numbers, c, before);
  close<N>(behind, before, passed);
  load<N>(numbers.factor + c, factor);
  if (firsts) {
    load<N>(numbers.mean + c, mean);
    load<N>(firsts + c, first);
    load<N>(seconds + c, second);
    passed = passed - first - (value - mean) * second;
  }
  store<N>(dx + c, factor * passed);
}

// `WORK` of all channels from 0: of K vectors of N, of one, of single numbers.
#define CHANNELS(WORK)                                                                                                 \
  do {                                                                                                                 \
    int64_t c = 0;                                                                                                     \
    for (; c + 4 * VECTOR <= channels; c += 4 * VECTOR) { constexpr int N = VECTOR, K = 4; WORK; }                     \
    for (; c + VECTOR <= channels; c += VECTOR) { constexpr int N = VECTOR, K = 1; WORK; }                             \
    for (; c < channels; c++) { constexpr int N = 1, K = 1; WORK; }                                                    \
  } while (false)

template <class T>
INLINE void all_sums(const T *x, const float *shift, double *total, int64_t channels, int64_t rows) {
  for (int64_t row = 0; row < rows; row += TILE) {
    const int64_t count = row + TILE < rows ? TILE : rows - row;
    CHANNELS((sums<N, K>(x + row * channels, shift, total, channels, count, c)));
  }
}

template <class T>
INLINE void all_applied(const T *x, const Channels &numbers, Behind behind, T *y, int64_t channels, int64_t rows) {
  for (int64_t row = 0; row < rows; row++) {
    CHANNELS({
      for (int k = 0; k < K; k++) apply<N>(x + row * channels, numbers, behind, y + row * channels, c + k * N);
    });
  }
}

template <class T>
INLINE void all_gradient_sums(const T *x, const T *dy, const Channels &numbers, Behind behind, double *total,
                              int64_t channels, int64_t rows) {
  for (int64_t row = 0; row < rows; row += TILE) {
    const int64_t count = row + TILE < rows ? TILE : rows - row, at = row * channels;
    CHANNELS((gradient_sums<N, K>(x + at, dy + at, numbers, behind, total, channels, count, c)));
  }
}

template <class T>
INLINE void all_gradients(const T *x, const T *dy, const Channels &numbers, Behind behind, const float *first,
                          const float *second, T *dx, int64_t channels, int64_t rows) {
  for (int64_t row = 0; row < rows; row++) {
    const int64_t at = row * channels;
    CHANNELS({
      for (int k = 0; k < K; k++) gradient<N>(x + at, dy + at, numbers, behind, first, second, dx + at, c + k * N);
    });
  }
}

// The activation is known to the compiler within each loop.
#define BY_BEHIND(WORK)                                                                                                \
  switch (behind) {                                                                                                    \
  case Behind::LINEAR: { constexpr Behind b = Behind::LINEAR; WORK; break; }                                           \
  case Behind::RELU: { constexpr Behind b = Behind::RELU; WORK; break; }                                               \
  case Behind::RELU6: { constexpr Behind b = Behind::RELU6; WORK; break; }                                             \
  }

} // namespace

#define LOOPS_OF(T, KIND)                                                                                              \
  void EXPORTED(norm_sums_##KIND, NAME)(const T *x, const float *shift, double *sums, int64_t channels,                \
                                        int64_t rows) {                                                                \
    all_sums(x, shift, sums, channels, rows);                                                                          \
  }                                                                                                                    \
  void EXPORTED(norm_apply_##KIND, NAME)(const T *x, const Channels &numbers, Behind behind, T *y, int64_t channels,   \
                                         int64_t rows) {                                                               \
    BY_BEHIND(all_applied(x, numbers, b, y, channels, rows))                                                           \
  }                                                                                                                    \
  void EXPORTED(norm_gradient_sums_##KIND, NAME)(const T *x, const T *dy, const Channels &numbers, Behind behind,      \
                                                 double *sums, int64_t channels, int64_t rows) {                       \
    BY_BEHIND(all_gradient_sums(x, dy, numbers, b, sums, channels, rows))                                              \
  }                                                                                                                    \
  void EXPORTED(norm_gradient_##KIND, NAME)(const T *x, const T *dy, const Channels &numbers, Behind behind,           \
                                            const float *first, const float *second, T *dx, int64_t channels,          \
                                            int64_t rows) {                                                            \
    BY_BEHIND(all_gradients(x, dy, numbers, b, first, second, dx, channels, rows))                                     \
  }

LOOPS_OF(float, f32_)
LOOPS_OF(Bf16, bf16_)
