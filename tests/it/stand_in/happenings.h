// What happens on the stand-in for CUDA: what is written down, what fails, and what is begun on which stream. torch_cuda.cpp has it.

#pragma once

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include <c10/core/Device.h>
#include <c10/core/Storage.h>
#include <c10/core/Stream.h>
#include <c10/util/Exception.h>

namespace {

std::atomic<int> in_use{0};        // the GPU that memory was last asked of by its number
thread_local int current_index = 0; // the GPU that calls without a number are for

c10::Device gpu() { return c10::Device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(in_use.load())); }

int num_gpus() {
  int version, init, count = 1;
  const char *said = std::getenv("STAND_IN_DRIVER");
  if (said) std::sscanf(said, "%d %d %d", &version, &init, &count);
  return count;
}

// --- what is written down, and fails ---

std::recursive_mutex mutex;
long step = -1;
long ops_in_step = 0;

void note(const std::string &event) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  static std::FILE *log = [] {
    const char *path = std::getenv("STAND_IN_LOG");
    std::FILE *file = path ? std::fopen(path, "a") : nullptr;
    if (file) setvbuf(file, nullptr, _IOLBF, BUFSIZ);
    return file;
  }();
  if (log) std::fprintf(log, "%ld\t%s\n", step, event.c_str());
}

struct Failure {
  std::string kind;
  long step = 0, op = 0;
};

const Failure &asked() {
  static const Failure failure = [] {
    Failure failure;
    char kind[16] = "";
    const char *text = std::getenv("STAND_IN_FAIL");
    if (text && std::sscanf(text, "%15s %ld %ld", kind, &failure.step, &failure.op) == 3) failure.kind = kind;
    return failure;
  }();
  return failure;
}

std::atomic<bool> is_broken{false};

// As a failed kernel does: every later call fails, too.
void check_not_broken() {
  TORCH_CHECK(!is_broken, "CUDA error: unspecified launch failure\nCUDA kernel errors might be asynchronously reported at "
                          "some other API call, so the stacktrace below might be incorrect.");
}

// --- what is recorded in place of done ---

constexpr c10::StreamId computing = 0;
thread_local c10::StreamId current = computing;

// Operators that a CUDA graph does again. They are done while they are recorded, too, for what comes after them asks for their sizes;
// at the end what lay outside is as it was before, as if nothing had been done.
struct Recording {
  c10::StreamId on;
  bool is_invalid = false;
  std::vector<std::function<void()>> operators;
  std::set<const void *> made;                                       // memory that was asked for since it began
  std::map<const void *, std::pair<c10::Storage, std::string>> outside; // other memory that operators had, and what was in it
};
Recording *recording = nullptr; // what is under way

// As CUDA refuses what cannot be recorded; then the recording is worth nothing.
void check_recordable(bool is_recordable, const char *error) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  if (!recording || is_recordable) return;
  recording->is_invalid = true;
  TORCH_CHECK(false, "CUDA error: ", error);
}

// The host would have to wait for the GPU.
void note_wait(const std::string &what) {
  note("wait\t" + what);
  check_recordable(false, "operation not permitted when stream is capturing");
}

void count_op(const std::string &name) {
  check_not_broken();
  std::lock_guard<std::recursive_mutex> lock(mutex);
  check_recordable(!recording || current == recording->on,
                   "operation would make the legacy stream depend on a capturing blocking stream");
  ops_in_step++;
  static const bool names = std::getenv("STAND_IN_NAMES");
  if (names) note("op\t" + name);
  if (asked().step != step || asked().op != ops_in_step) return;
  TORCH_CHECK_WITH(OutOfMemoryError, asked().kind != "oom",
                   "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.19 GiB of which "
                   "1.00 GiB is free. If reserved but unallocated memory is large try setting PYTORCH_ALLOC_CONF.");
  if (asked().kind == "launch") is_broken = true;
  check_not_broken();
}

void begin_step() {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  check_recordable(false, "a seed is set while a graph is recorded");
  note("ops\t" + std::to_string(ops_in_step));
  step++;
  ops_in_step = 0;
  TORCH_CHECK(asked().kind != "seed" || asked().step != step, "CUDA error: device-side assert triggered");
  check_not_broken();
}

// --- streams ---

// What is begun on another stream than the computing one is done when somebody waits for it, and not before: who forgets to sees old
// bytes. The computing stream does everything at once.
std::atomic<c10::StreamId> num_streams{computing + 1};

struct Queue {
  std::deque<std::function<void()>> begun;
  unsigned long num_begun = 0, num_done = 0;
};
std::map<c10::StreamId, Queue> queues;

struct Event {
  c10::StreamId on = computing;
  unsigned long after = 0; // how many were begun there before it
};

void begin(c10::StreamId on, std::function<void()> action) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  queues[on].begun.push_back(std::move(action));
  queues[on].num_begun++;
}

void finish(c10::StreamId on, unsigned long count) {
  std::unique_lock<std::recursive_mutex> lock(mutex);
  Queue &queue = queues[on];
  while (queue.num_done < count && !queue.begun.empty()) {
    const std::function<void()> action = std::move(queue.begun.front());
    queue.begun.pop_front();
    // it may wait for another process, and other threads go on
    lock.unlock();
    action();
    lock.lock();
    queue.num_done++;
  }
}

} // namespace
