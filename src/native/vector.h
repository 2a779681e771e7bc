// Vectors for the loops, of GCC's and Clang's own types, and how f32 and bf16 numbers come in and go out of them. Only for files
// that build.rs compiles for each instruction set.

#pragma once

#include "bf16.h"

namespace {

template <int N>
struct Vector {
  typedef float F __attribute__((vector_size(4 * N)));
  typedef int32_t I __attribute__((vector_size(4 * N)));
  typedef uint32_t U __attribute__((vector_size(4 * N)));
  typedef uint16_t U16 __attribute__((vector_size(2 * N)));
  typedef uint8_t U8 __attribute__((vector_size(N)));
};

#define INLINE static inline __attribute__((always_inline))

template <int N>
INLINE void load(const float *from, typename Vector<N>::F &to) {
  __builtin_memcpy(&to, from, sizeof to);
}

template <int N>
INLINE void load(const Bf16 *from, typename Vector<N>::F &to) {
  typename Vector<N>::U16 half;
  __builtin_memcpy(&half, from, sizeof half);
  const typename Vector<N>::U bits = __builtin_convertvector(half, typename Vector<N>::U) << 16;
  to = (typename Vector<N>::F)bits;
}

template <int N>
INLINE void store(float *to, const typename Vector<N>::F &from) {
  __builtin_memcpy(to, &from, sizeof from);
}

// To the nearest, halves to the even one, as libtorch does.
template <int N>
INLINE void store(Bf16 *to, const typename Vector<N>::F &from) {
  using U = typename Vector<N>::U;
  const U bits = (U)from;
  const U rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
  const U kept = from == from ? rounded : U{} + 0x7fc00000u;
  const auto half = __builtin_convertvector(kept >> 16, typename Vector<N>::U16);
  __builtin_memcpy(to, &half, sizeof half);
}

} // namespace

#define JOINED(A, B) A##B
#define EXPORTED(A, B) JOINED(A, B)
