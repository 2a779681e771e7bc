// at::parallel_for, on several threads.

#pragma once

#include <ATen/Parallel.h>

#ifndef INTRA_OP_PARALLEL
#error "without -fopenmp at::parallel_for is a loop of one thread"
#endif
