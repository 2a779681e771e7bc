// What adam.cpp and its loops share.

#pragma once

#include <stdint.h>

// A step's numbers: 1 - beta1, 1 - beta2, the step size with its bias correction, what is added to the root.
struct Adam {
  float new_momentum, new_velocity, alpha, epsilon;
};

#define ADAM(NAME) void adam_##NAME(const Adam &, const float *, float *, float *, float *, int64_t);

ADAM(plain)
#if defined(__x86_64__)
ADAM(avx2)
ADAM(avx512)
#endif
