// Several processes that train together: a store where they meet, and sums over all of them, by libtorch's c10d and its Gloo, and by NCCL
// where there is one GPU each.

#include "group.h"
#include "caught.h"
#include "nccl.h"

#include <chrono>
#include <string>
#include <vector>

#include <c10/util/Logging.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

C10_DECLARE_int(caffe2_log_level);

struct Store {
  c10::intrusive_ptr<c10d::Store> store;
};

// Gloo's group, whose connections can be closed while the others wait for this process.
struct Gloo : c10d::ProcessGroupGloo {
  using ProcessGroupGloo::ProcessGroupGloo;

  void disconnect() {
    for (const auto &context : contexts_) context->closeConnections();
  }
};

struct Group {
  c10::intrusive_ptr<Gloo> backend;
  Communicator *gpus = nullptr; // for tensors on a GPU, where there is one
};

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

// The sum over all processes of a tensor, and its gradient, which is the sum of theirs.
struct SummedOverAll : torch::autograd::Function<SummedOverAll> {
  static at::Tensor forward(AutogradContext *context, const at::Tensor &x, int64_t group) {
    context->saved_data["group"] = group;
    at::Tensor sum = x.contiguous().clone();
    sum_over_all(*reinterpret_cast<Group *>(group), sum);
    return sum;
  }

  static tensor_list backward(AutogradContext *context, tensor_list gradients) {
    at::Tensor sum = gradients[0].contiguous().clone();
    sum_over_all(*reinterpret_cast<Group *>(context->saved_data["group"].toInt()), sum);
    return {sum, {}};
  }
};

} // namespace

SumUnderWay::SumUnderWay(Group &group, const at::Tensor &tensor, bool is_bf16, bool is_maximum) : target(tensor) {
  at::NoGradGuard guard;
  TORCH_CHECK(tensor.is_contiguous(), "only contiguous tensors are summed over processes");
  if (tensor.is_cuda() && group.gpus) {
    sum = is_bf16 ? tensor.to(at::kBFloat16) : tensor;
    gpus = group.gpus;
    done = gpus->begin(sum, is_maximum);
    return;
  }
  // what is summed lies in the host's memory; the copy waits for a GPU
  sum = is_bf16 ? tensor.to(at::kCPU, at::kBFloat16) : tensor.to(at::kCPU);
  c10d::AllreduceOptions options;
  options.reduceOp = is_maximum ? c10d::ReduceOp::MAX : c10d::ReduceOp::SUM;
  std::vector<at::Tensor> tensors{sum};
  work = group.backend->allreduce(tensors, options);
}

// A GPU may be at work on the memory until then.
SumUnderWay::~SumUnderWay() {
  if (done) std::free(caught([&] { gpus->wait_for(*done); }));
}

void SumUnderWay::wait() {
  at::NoGradGuard guard;
  if (work) work->wait();
  if (done) gpus->wait_for(*std::exchange(done, nullptr)); // as this thread's next kernels do, not the thread itself
  if (!sum.is_same(target)) target.copy_(sum);
}

void sum_over_all(Group &group, at::Tensor &tensor) { SumUnderWay(group, tensor, false, false).wait(); }

// A store at `host` and `port`, which this process serves or that another one does; its keys begin with `prefix`. `listening` is the
// socket that listens there already, which the store then has, or negative.
extern "C" char *convnet_store_new(const char *host, uint16_t port, bool serves, int listening, const char *prefix,
                                   int64_t timeout_ms, Store **out) {
  return caught([&] {
    // c10d writes what goes wrong with the stack besides, once and again: what matters is in its exceptions
    constexpr int FATAL = 3;
    if (!std::getenv("TORCH_CPP_LOG_LEVEL")) FLAGS_caffe2_log_level = FATAL;
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = serves;
    options.waitWorkers = false;
    if (listening >= 0) options.masterListenFd = listening;
    options.timeout = std::chrono::milliseconds(timeout_ms);
    auto store = c10::make_intrusive<c10d::TCPStore>(host, options);
    *out = new Store{c10::make_intrusive<c10d::PrefixStore>(prefix, store)};
  });
}

extern "C" void convnet_store_free(Store *store) { delete store; }

extern "C" char *convnet_store_set(Store *store, const char *key, const char *value) {
  return caught([&] { store->store->set(key, std::string(value)); });
}

// What `key` stands for, for the caller to free; null where it is not there. It does not wait.
extern "C" char *convnet_store_get(Store *store, const char *key, char **value) {
  return caught([&] {
    *value = nullptr;
    if (!store->store->check({key})) return;
    const std::vector<uint8_t> bytes = store->store->get(key);
    *value = strndup(reinterpret_cast<const char *>(bytes.data()), bytes.size());
  });
}

// Adds `amount` to the number that `key` stands for.
extern "C" char *convnet_store_add(Store *store, const char *key, int64_t amount, int64_t *sum) {
  return caught([&] { *sum = store->store->add(key, amount); });
}

// Process `rank` of `size`, connected with the others, which it finds through the store.
extern "C" char *convnet_group_new(Store *store, int rank, int size, int64_t timeout_ms, Group **out) {
  return caught([&] {
    const auto options = c10d::ProcessGroupGloo::Options::create_default(std::chrono::milliseconds(timeout_ms));
    const auto gloo = c10::make_intrusive<c10d::PrefixStore>("gloo", store->store);
    *out = new Group{c10::make_intrusive<Gloo>(gloo, rank, size, options)};
  });
}

extern "C" void convnet_group_free(Group *group) { delete group; }

// Closes the connections: what the others still wait for fails at once, with them as here.
extern "C" char *convnet_group_disconnect(Group *group) {
  return caught([&] { group->backend->disconnect(); });
}

// From now on tensors on a GPU are summed by `gpus`, which has to outlive the group.
extern "C" void convnet_group_use_gpus(Group *group, Communicator *gpus) { group->gpus = gpus; }

// In `tensor`, contiguous, the sum over all processes, or the largest value; in bf16 where `is_bf16`.
extern "C" char *convnet_all_reduce(Group *group, at::Tensor *tensor, bool is_bf16, bool is_maximum) {
  return caught([&] { SumUnderWay(*group, *tensor, is_bf16, is_maximum).wait(); });
}

// Begins with what convnet_all_reduce does, for convnet_all_reduce_finish.
extern "C" char *convnet_all_reduce_begin(Group *group, const at::Tensor *tensor, bool is_maximum, SumUnderWay **out) {
  return caught([&] { *out = new SumUnderWay(*group, *tensor, false, is_maximum); });
}

// Waits until the tensor has what all processes have together.
extern "C" char *convnet_all_reduce_finish(SumUnderWay *under_way) {
  return caught([&] { under_way->wait(); });
}

extern "C" void convnet_all_reduce_free(SumUnderWay *under_way) { delete under_way; }

// A new tensor with the sum over all processes, through which gradients go.
extern "C" char *convnet_differentiable_sum(Group *group, const at::Tensor *x, at::Tensor **out) {
  return caught([&] { *out = new at::Tensor(SummedOverAll::apply(*x, reinterpret_cast<int64_t>(group))); });
}
