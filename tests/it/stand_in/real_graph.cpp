// What src/native/graph.cpp takes for granted of libtorch's class, asked of the compiler: its size, and the names of its functions, which
// are what this file leaves undefined.

#include <ATen/cuda/CUDAGraph.h>

using at::cuda::CUDAGraph;

static_assert(sizeof(CUDAGraph) <= 1024 && alignof(CUDAGraph) <= alignof(std::max_align_t));
static_assert(sizeof(cudaStreamCaptureMode) == sizeof(unsigned) && cudaStreamCaptureModeThreadLocal == 1);
static_assert(std::is_same_v<c10::MempoolId_t, std::pair<unsigned long long, unsigned long long>>);

extern "C" void use(void *memory) {
  auto *graph = new (memory) CUDAGraph(false);
  graph->capture_begin({0, 0}, cudaStreamCaptureModeThreadLocal);
  graph->capture_end();
  graph->replay();
  graph->~CUDAGraph();
}
