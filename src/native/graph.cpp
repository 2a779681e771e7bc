// Work recorded as a CUDA graph, by libtorch's own class for it, at::cuda::CUDAGraph. Its functions are found by name while the program
// runs: to build, nothing of CUDA is needed, and a program that links no libtorch_cuda is the same on a machine without a GPU.

#include "caught.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <ATen/ATen.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace {

// What at::cuda::CUDAGraph takes: a test asks the compiler whether it has room.
constexpr size_t ROOM = 1024;
constexpr unsigned THREAD_LOCAL = 1; // cudaStreamCaptureModeThreadLocal: other threads may do what they like

using Pool = std::pair<unsigned long long, unsigned long long>; // c10::MempoolId_t; zeros: one of its own

// Its functions, in the order that graph.rs has them in; `this` comes first, as the C++ ABI has it.
struct Functions {
  void (*construct)(void *, bool keep_graph);
  void (*destroy)(void *);
  void (*capture_begin)(void *, Pool, unsigned mode);
  void (*capture_end)(void *);
  void (*replay)(void *);
};

} // namespace

struct Graph {
  explicit Graph(const Functions &functions, c10::Device device) : functions(functions), device(device), guard(device.type()) {}
  Graph(const Graph &) = delete;
  ~Graph() {
    if (is_whole) functions.destroy(memory);
    // what was not recorded to its end stays for ever: libtorch's allocator may still ask it
    else if (is_begun) (void)memory_owner.release();
  }

  // From now on this thread's work is recorded in place of done, on a stream of its own: the default one cannot be.
  void begin() {
    guard.synchronizeStream(guard.getStream(device));
    on.emplace(guard.getStreamFromGlobalPool(device, false));
    functions.construct(memory, false);
    is_begun = true;
    functions.capture_begin(memory, Pool{0, 0}, THREAD_LOCAL);
  }

  void end() {
    char *error = caught([&] { functions.capture_end(memory); });
    on.reset();
    if (error == nullptr) {
      is_whole = true;
      return;
    }
    const std::string text = error;
    std::free(error);
    revive_generator();
    TORCH_CHECK(false, text);
  }

  void replay() { functions.replay(memory); }

private:
  // A recording that failed leaves libtorch's generator as if it went on, and nothing could be drawn any more: it goes on with a copy,
  // which does not.
  void revive_generator() {
    std::free(caught([&] {
      at::Generator generator = at::globalContext().defaultGenerator(device);
      generator.graphsafe_set_state(generator.clone());
    }));
  }

  const Functions functions;
  const c10::Device device;
  const c10::impl::VirtualGuardImpl guard;
  std::optional<c10::StreamGuard> on;
  struct alignas(std::max_align_t) Room {
    char bytes[ROOM];
  };
  std::unique_ptr<Room> memory_owner = std::make_unique<Room>();
  void *const memory = memory_owner.get();
  bool is_begun = false, is_whole = false;
};

// Begins to record what this thread does on the GPU number `index`.
extern "C" char *convnet_graph_begin(const Functions *functions, int8_t index, Graph **out) {
  return caught([&] {
    auto graph = std::make_unique<Graph>(*functions, c10::Device(c10::DeviceType::CUDA, index));
    graph->begin();
    *out = graph.release();
  });
}

// Ends it. After an error the graph can be freed, and nothing else.
extern "C" char *convnet_graph_end(Graph *graph) {
  return caught([&] { graph->end(); });
}

// Has the GPU do all of it, behind what it does; does not wait.
extern "C" char *convnet_graph_replay(Graph *graph) {
  return caught([&] { graph->replay(); });
}

extern "C" void convnet_graph_free(Graph *graph) { std::free(caught([&] { delete graph; })); }

// Begins to copy `count` numbers into `to`, f32 [count] on a GPU, behind what it does. They are free again on return.
extern "C" char *convnet_set_numbers(const at::Tensor *to, const float *numbers, int64_t count) {
  return caught([&] {
    const at::Tensor pinned = at::empty({count}, at::TensorOptions().dtype(at::kFloat).pinned_memory(true));
    std::memcpy(pinned.mutable_data_ptr(), numbers, count * sizeof(float));
    to->copy_(pinned, /*non_blocking=*/true);
  });
}
