// What group.cpp and reducer.cpp share.

#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/distributed/c10d/Work.hpp>

// The connected processes of a training.
struct Group;

// A tensor on its way to becoming the sum over all processes.
struct SumUnderWay {
  at::Tensor target, sum;
  c10::intrusive_ptr<c10d::Work> work;

  SumUnderWay(Group &group, const at::Tensor &tensor, bool is_bf16, bool is_maximum);
  // Then `target` is the sum.
  void wait();
};

void sum_over_all(Group &group, at::Tensor &tensor);
