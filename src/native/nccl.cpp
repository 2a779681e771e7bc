// Sums over GPUs by NCCL, whose library is loaded while the program runs: nothing of it or of CUDA is needed to build.

#include "nccl.h"
#include "caught.h"

#include <ATen/core/grad_mode.h>
#include <c10/core/DeviceGuard.h>

namespace {

constexpr nccl::Result SUCCESS = 0, IN_PROGRESS = 7;
constexpr int SUM = 0, MAX = 2; // ncclRedOp_t

// ncclDataType_t.
int kind_of(const at::Tensor &tensor) {
  switch (tensor.scalar_type()) {
  case at::kLong: return 4;
  case at::kFloat: return 7;
  case at::kDouble: return 8;
  case at::kBFloat16: return 9;
  default: TORCH_CHECK(false, "NCCL is given no tensors of kind ", tensor.scalar_type());
  }
}

std::string to_hex(const nccl::UniqueId &id) {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const char byte : id.bytes) {
    text += digits[static_cast<unsigned char>(byte) >> 4];
    text += digits[byte & 15];
  }
  return text;
}

nccl::UniqueId from_hex(const std::string &text) {
  nccl::UniqueId id;
  TORCH_CHECK(text.size() == 2 * sizeof(id.bytes), "the id of the NCCL group came as ", text.size(), " digits");
  for (size_t i = 0; i < sizeof(id.bytes); i++)
    id.bytes[i] = static_cast<char>(std::stoi(text.substr(2 * i, 2), nullptr, 16));
  return id;
}

void require(const nccl::Functions &functions, nccl::Handle handle, nccl::Result result, const char *what) {
  if (result == SUCCESS) return;
  const char *last = functions.get_last_error ? functions.get_last_error(handle) : nullptr;
  TORCH_CHECK(false, "NCCL: ", what, ": ", functions.get_error_string(result), last && *last ? ": " : "", last ? last : "");
}

} // namespace

void Communicator::require(nccl::Result result, const char *what) const { ::require(functions, handle, result, what); }

Communicator::Communicator(const nccl::Functions &functions, const std::string &id, int rank, int size, c10::Device device)
    : functions(functions), device(device), guard(device.type()), stream(guard.getStreamFromGlobalPool(device, true)) {
  at::NoGradGuard no_gradients;
  c10::DeviceGuard on(device);
  require(functions.comm_init_rank(&handle, size, from_hex(id), rank), "the GPUs cannot be connected");
  // NCCL connects some of them with the first sum
  at::Tensor ones = at::ones({1}, at::TensorOptions().dtype(at::kFloat).device(device));
  wait_for(*begin(ones, false));
  const float sum = ones.item<float>(); // waits for the device
  TORCH_CHECK(sum == static_cast<float>(size), "NCCL sums wrong numbers: ", size, " ones are ", sum);
}

std::shared_ptr<c10::Event> Communicator::begin(const at::Tensor &tensor, bool is_maximum) {
  TORCH_CHECK(tensor.device() == device, "a tensor on ", tensor.device(), " is summed on ", device);
  const int kind = kind_of(tensor);
  const auto count = static_cast<size_t>(tensor.numel());
  c10::DeviceGuard on(device);
  std::lock_guard<std::timed_mutex> lock(mutex);
  TORCH_CHECK(handle, "NCCL: the sums over the processes were given up");
  c10::Event ready(device.type());
  ready.record(guard.getStream(device));
  ready.block(stream);
  void *memory = tensor.data_ptr();
  require(functions.all_reduce(memory, memory, count, kind, is_maximum ? MAX : SUM, handle, stream.native_handle()),
          "a sum over the processes cannot begin");
  auto done = std::make_shared<c10::Event>(device.type());
  done->record(stream);
  latest = done;
  return done;
}

void Communicator::wait_for(const c10::Event &done) const { done.block(guard.getStream(device)); }

void Communicator::check(std::chrono::milliseconds limit) {
  c10::DeviceGuard on(device); // else CUDA would take memory on the first GPU for this thread
  std::unique_lock<std::timed_mutex> lock(mutex, std::try_to_lock);
  const auto now = Clock::now();
  if (lock) {
    if (!handle) return;
    nccl::Result result = SUCCESS;
    require(functions.comm_get_async_error(handle, &result), "its state is not known");
    if (result != IN_PROGRESS) require(result, "a sum over the processes failed");
    if (!watched || watched->query()) {
      watched = std::exchange(latest, nullptr);
      moved = now;
    }
  }
  TORCH_CHECK(now - moved < limit, "NCCL: a sum over the processes has not come in ",
              std::chrono::duration_cast<std::chrono::seconds>(limit).count(), " seconds");
}

bool Communicator::give_up(std::chrono::milliseconds patience) {
  std::unique_lock<std::timed_mutex> lock(mutex, std::defer_lock);
  if (patience == std::chrono::milliseconds::max()) lock.lock();
  else if (!lock.try_lock_for(patience)) return false;
  // unlike ncclCommDestroy it waits for no other process
  if (handle) functions.comm_abort(std::exchange(handle, nullptr));
  return true;
}

// What all processes have to name who belong together, as text for the caller to free: one process asks for it.
extern "C" char *convnet_nccl_id(const nccl::Functions *functions, char **text) {
  return caught([&] {
    nccl::UniqueId id{};
    require(*functions, nullptr, functions->get_unique_id(&id), "there is no id for the group");
    *text = strdup(to_hex(id).c_str());
  });
}

// Process `rank` of `size` with its GPU number `index`, connected with the others that come with this `id`.
extern "C" char *convnet_nccl_connect(const nccl::Functions *functions, const char *id, int rank, int size, int8_t index,
                                      Communicator **out) {
  return caught([&] { *out = new Communicator(*functions, id, rank, size, c10::Device(c10::DeviceType::CUDA, index)); });
}

extern "C" char *convnet_nccl_check(Communicator *communicator, int64_t limit_ms) {
  return caught([&] { communicator->check(std::chrono::milliseconds(limit_ms)); });
}

extern "C" char *convnet_nccl_give_up(Communicator *communicator, int64_t patience_ms, bool *done) {
  return caught([&] { *done = communicator->give_up(std::chrono::milliseconds(patience_ms)); });
}

extern "C" void convnet_nccl_free(Communicator *communicator) { std::free(caught([&] { delete communicator; })); }
