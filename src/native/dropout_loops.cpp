// The loops of dropout.cpp, compiled once for each instruction set: see loops.cpp. All of them draw the same numbers.
//
// Random numbers are Threefry-4x32 of 20 rounds (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011):
// a function of key and counter, in additions, rotations and exclusive ors of 32 bits.

#include "dropout.h"
#include "vector.h"

namespace {

// Counters whose numbers make DRAWN values: each gives 4 words, of 2 values.
constexpr int64_t COUNTERS = DRAWN / 8;

template <class U>
INLINE void mix(U &a, U &b, int rotation) {
  a += b;
  b = (b << rotation) | (b >> (32 - rotation));
  b ^= a;
}

// The words of one counter in each lane, in place of it.
template <class U>
INLINE void threefry(const uint32_t (&key)[4], U (&words)[4]) {
  constexpr int ROTATIONS[8][2] = {{10, 26}, {11, 21}, {13, 27}, {23, 5}, {6, 20}, {17, 11}, {25, 10}, {18, 20}};
  const uint32_t schedule[5] = {key[0], key[1], key[2], key[3], 0x1BD11BDAu ^ key[0] ^ key[1] ^ key[2] ^ key[3]};
  for (int w = 0; w < 4; w++) words[w] += schedule[w];
#pragma GCC unroll 20
  for (int round = 0; round < 20; round++) {
    const int *rotation = ROTATIONS[round % 8];
    mix(words[0], words[round % 2 ? 3 : 1], rotation[0]);
    mix(words[2], words[round % 2 ? 1 : 3], rotation[1]);
    if (round % 4 != 3) continue;
    const uint32_t number = (round + 1) / 4;
    for (int w = 0; w < 4; w++) words[w] += schedule[(number + w) % 5];
    words[3] += number;
  }
}

// The 16 bits of each of DRAWN values: those of one half of one word lie together, a counter's in each lane.
template <int N>
INLINE void draw(const Dropout &dropout, uint64_t row, int64_t block, uint32_t *bits) {
  using U = typename Vector<N>::U;
  const uint32_t key[4] = {uint32_t(dropout.key), uint32_t(dropout.key >> 32), 0, 0};
  U lanes;
  for (int lane = 0; lane < N; lane++) lanes[lane] = lane;
  for (int64_t first = 0; first < COUNTERS; first += N) {
    const uint64_t counter = uint64_t(block) * COUNTERS + first; // a multiple of N: no carry between lanes
    U words[4] = {lanes + uint32_t(counter), U{} + uint32_t(counter >> 32), U{} + uint32_t(row), U{} + uint32_t(row >> 32)};
    threefry(key, words);
    for (int w = 0; w < 4; w++) {
      const U low = words[w] & 0xffffu, high = words[w] >> 16;
      __builtin_memcpy(bits + 2 * w * COUNTERS + first, &low, sizeof low);
      __builtin_memcpy(bits + (2 * w + 1) * COUNTERS + first, &high, sizeof high);
    }
  }
}

template <int N, class T>
INLINE void keep(const Dropout &dropout, const uint32_t *bits, const T *x, T *y) {
  typename Vector<N>::F value;
  typename Vector<N>::I random;
  __builtin_memcpy(&random, bits, sizeof random);
  load<N>(x, value);
  // as a factor, so that a NaN stays
  const typename Vector<N>::F factor = random >= int32_t(dropout.dropped) ? typename Vector<N>::F{} + dropout.scale : typename Vector<N>::F{};
  store<N>(y, value * factor);
}

template <class T>
INLINE void drop(const Dropout &dropout, uint64_t row, int64_t begin, int64_t count, const T *x, T *y) {
  uint32_t bits[DRAWN];
  for (int64_t at = 0; at < count; at += DRAWN) {
    draw<VECTOR>(dropout, row, (begin + at) / DRAWN, bits);
    const int64_t here = count - at < DRAWN ? count - at : DRAWN;
    int64_t i = 0;
    for (; i + VECTOR <= here; i += VECTOR) keep<VECTOR>(dropout, bits + i, x + at + i, y + at + i);
    for (; i < here; i++) keep<1>(dropout, bits + i, x + at + i, y + at + i);
  }
}

} // namespace

void EXPORTED(dropout_f32_, NAME)(const Dropout &dropout, uint64_t row, int64_t begin, int64_t count, const float *x, float *y) {
  drop(dropout, row, begin, count, x, y);
}
void EXPORTED(dropout_bf16_, NAME)(const Dropout &dropout, uint64_t row, int64_t begin, int64_t count, const Bf16 *x, Bf16 *y) {
  drop(dropout, row, begin, count, x, y);
}
