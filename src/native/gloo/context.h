// See algorithm.h.
#pragma once

#include <chrono>

namespace gloo {

// Weak, for libtorch_cuda.so has these functions too, and a program for the CPU is not to ask for that library because of them.
class Context {
 public:
  __attribute__((weak)) void setTimeout(std::chrono::milliseconds timeout);
  __attribute__((weak)) void closeConnections();
};

} // namespace gloo
