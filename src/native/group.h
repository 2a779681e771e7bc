// What group.cpp and reducer.cpp share.

#pragma once

#include <memory>

#include <ATen/ATen.h>
#include <c10/core/Event.h>
#include <torch/csrc/distributed/c10d/Work.hpp>

// The connected processes of a training.
struct Group;

class Communicator;

// A tensor on its way to becoming the sum over all processes.
struct SumUnderWay {
  at::Tensor target, sum;
  c10::intrusive_ptr<c10d::Work> work; // Gloo's
  Communicator *gpus = nullptr;
  std::shared_ptr<c10::Event> done; // NCCL's

  SumUnderWay(Group &group, const at::Tensor &tensor, bool is_bf16, bool is_maximum);
  SumUnderWay(SumUnderWay &&) = default;
  ~SumUnderWay();
  // Then `target` is the sum: for whatever the current stream does next, where it is on a GPU.
  void wait();
};

void sum_over_all(Group &group, at::Tensor &tensor);
