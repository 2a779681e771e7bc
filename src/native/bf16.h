#pragma once

#include <stdint.h>

// A number in bfloat16.
struct Bf16 {
  uint16_t bits;
};
