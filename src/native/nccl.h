// What nccl.cpp and group.cpp share: sums over GPUs.

#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include <ATen/ATen.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

// NCCL's own interface, as nccl.h has it: it has not changed since 2.4, bf16 came with 2.10 and ncclGetLastError with 2.13.
namespace nccl {

using Result = int;    // ncclResult_t
using Handle = void *; // ncclComm_t

struct UniqueId { // ncclUniqueId
  char bytes[128];
};

// By name, in the order that nccl.rs has them in.
struct Functions {
  Result (*get_unique_id)(UniqueId *);
  Result (*comm_init_rank)(Handle *, int size, UniqueId, int rank);
  Result (*all_reduce)(const void *from, void *to, size_t count, int kind, int operation, Handle, void *stream);
  Result (*comm_abort)(Handle);
  Result (*comm_get_async_error)(Handle, Result *);
  const char *(*get_error_string)(Result);
  const char *(*get_last_error)(Handle); // null in old libraries
};

} // namespace nccl

// This process's GPU, connected with those of the others. Sums are on a stream of their own.
class Communicator {
public:
  // Waits for all `size` processes, which come with one `id`, and for a first sum.
  Communicator(const nccl::Functions &functions, const std::string &id, int rank, int size, c10::Device device);
  ~Communicator() { give_up(std::chrono::milliseconds::max()); }
  Communicator(const Communicator &) = delete;

  // Begins to put the sum over all processes, or the largest value, into `tensor`, contiguous, behind what the current stream does. The
  // tensor has to live until a stream has waited for the event.
  std::shared_ptr<c10::Event> begin(const at::Tensor &tensor, bool is_maximum);
  // Has the current stream wait.
  void wait_for(const c10::Event &done) const;
  // Throws where NCCL has noticed a failure, or the sums have not gone on for `limit`. Waits for nobody.
  void check(std::chrono::milliseconds limit);
  // Ends all sums, whose numbers are wrong then: from now on `begin` throws. False where another thread was within `begin` for
  // `patience`.
  bool give_up(std::chrono::milliseconds patience);

private:
  using Clock = std::chrono::steady_clock;

  void require(nccl::Result result, const char *what) const;

  const nccl::Functions functions;
  const c10::Device device;
  const c10::impl::VirtualGuardImpl guard;
  const c10::Stream stream;
  std::timed_mutex mutex;        // for what follows: NCCL takes one call at a time
  nccl::Handle handle = nullptr; // null once it was given up
  std::shared_ptr<c10::Event> latest, watched;
  Clock::time_point moved = Clock::now(); // when a sum was last seen to go on, or none to be under way
};
