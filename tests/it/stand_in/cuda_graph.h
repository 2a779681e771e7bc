// libtorch's class of CUDA graphs, by the names that its library has for it. The end of torch_cuda.cpp.

enum cudaStreamCaptureMode { cudaStreamCaptureModeGlobal, cudaStreamCaptureModeThreadLocal, cudaStreamCaptureModeRelaxed };

namespace at::cuda {
struct CUDAGraph {
  explicit CUDAGraph(bool keep_graph);
  ~CUDAGraph();
  void capture_begin(std::pair<unsigned long long, unsigned long long> pool, cudaStreamCaptureMode mode);
  void capture_end();
  void replay();

private:
  std::unique_ptr<Recording> work;
  at::Tensor drawn_from; // the generator's state when it began
  bool draws = false;
};

CUDAGraph::CUDAGraph(bool) {}
CUDAGraph::~CUDAGraph() = default;

void CUDAGraph::capture_begin(std::pair<unsigned long long, unsigned long long>, cudaStreamCaptureMode) {
  check_not_broken();
  TORCH_CHECK(current != computing, "CUDA graphs must be captured on a non-default stream.");
  std::lock_guard<std::recursive_mutex> lock(mutex);
  drawn_from = at::detail::getDefaultCPUGenerator().get_state().clone();
  work = std::make_unique<Recording>(Recording{current});
  recording = work.get();
}

void CUDAGraph::capture_end() {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  recording = nullptr;
  for (auto &[memory, kept] : work->outside) std::memcpy(const_cast<void *>(memory), kept.second.data(), kept.second.size());
  work->outside.clear();
  draws = !at::equal(drawn_from, at::detail::getDefaultCPUGenerator().get_state());
  TORCH_CHECK(!work->is_invalid, "CUDA error: operation failed due to a previous error during capture");
}

void CUDAGraph::replay() {
  // the seed and how far it is drawn from, which the graph reads
  for (int i = 0; draws && i < 2; i++) count_op("aten::fill_");
  count_op("cudaGraphLaunch");
  if (baked() == "seed") {
    at::Generator generator = at::detail::getDefaultCPUGenerator();
    generator.set_state(drawn_from);
  }
  for (const auto &again : work->operators) again();
}
} // namespace at::cuda
