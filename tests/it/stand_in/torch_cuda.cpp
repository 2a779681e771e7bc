// A stand-in for libtorch_cuda.so: CUDA as a device over host memory, so that what the program does on a GPU can be looked
// at on a machine without one. Every operator runs on the CPU, after a check that its tensors are on the device. What a
// GPU would make the host wait for is written down, and failures can be asked for. It tells nothing about CUDA's numbers,
// cuDNN or memory.
//
// STAND_IN_LOG   a file; a line for each "<step> <event> <what>", tabs between, where a step begins with each manual_seed:
//                "ops N" when the next step begins, "wait …" where the host waits, "mismatch …" for a tensor elsewhere, or a matrix
//                of a product that kernels do not read fast
// STAND_IN_NAMES there as soon as it is set, to anything: "op …" for each operator, by its name
// STAND_IN_FAIL  "oom S N" or "launch S N": the N-th operator of step S (from 0; -1 before the first) fails; after a
//                launch failure everything does, as on a GPU. "seed S 0": the seed that begins step S fails
// STAND_IN_PLANT a name, such as aten::convolution: that operator copies something to the host
// STAND_IN_BAKE  "Byte 4", "Long 1", "Float 0": a graph keeps what tensors of that kind and so many axes had when it was recorded, which
//                lay outside; "seed": it draws as it did then
// STAND_IN_DRIVER as driver.c has it: its last number is how many GPUs there are; a process uses one

#include "happenings.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/_reshape_alias_native.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/unfold_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

namespace {

// --- memory ---

struct DeviceAllocator final : c10::Allocator {
  static constexpr size_t alignment = 512;
  c10::DataPtr allocate(size_t bytes) override {
    void *memory = bytes ? std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment) : nullptr;
    std::lock_guard<std::recursive_mutex> lock(mutex);
    if (recording) recording->made.insert(memory);
    return {memory, memory, &std::free, gpu()};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &std::free; }
  void copy_data(void *to, const void *from, std::size_t count) const override { std::memcpy(to, from, count); }
};
DeviceAllocator device_memory;

std::map<const void *, size_t> pinned;

// Pinned host memory.
struct HostAllocator final : c10::Allocator {
  static void release(void *memory) {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    pinned.erase(memory);
    std::free(memory);
  }
  c10::DataPtr allocate(size_t bytes) override {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    void *memory = std::malloc(bytes ? bytes : 1);
    pinned[memory] = bytes;
    return {memory, memory, &release, c10::Device(c10::DeviceType::CPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void *to, const void *from, std::size_t count) const override { std::memcpy(to, from, count); }
};
HostAllocator host_memory;

bool is_pinned(const void *memory) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  auto above = pinned.upper_bound(memory);
  if (above == pinned.begin()) return false;
  auto [begin, bytes] = *std::prev(above);
  return static_cast<const char *>(memory) < static_cast<const char *>(begin) + bytes;
}

// --- streams ---

struct Guard final : c10::impl::DeviceGuardImplInterface {
  static constexpr c10::DeviceType static_type = c10::DeviceType::CUDA;
  Guard() = default;
  explicit Guard(c10::DeviceType) {}
  c10::DeviceType type() const override { return static_type; }
  c10::Device exchangeDevice(c10::Device to) const override { return at_index(std::exchange(current_index, to.index())); }
  c10::Device getDevice() const override { return at_index(current_index); }
  void setDevice(c10::Device to) const override { current_index = to.index(); }
  void uncheckedSetDevice(c10::Device to) const noexcept override { current_index = to.index(); }
  c10::Stream getStream(c10::Device) const override { return stream(current); }
  c10::Stream getDefaultStream(c10::Device) const override { return stream(computing); }
  c10::Stream getStreamFromGlobalPool(c10::Device, bool) const override { return stream(num_streams++); }
  c10::Stream exchangeStream(c10::Stream to) const override { return stream(std::exchange(current, to.id())); }
  void *getStreamNativeHandle(const c10::Stream of) const override { return reinterpret_cast<void *>(of.id()); }
  c10::DeviceIndex deviceCount() const noexcept override { return num_gpus(); }
  void record(void **event, const c10::Stream &on, const c10::DeviceIndex, const c10::EventFlag) const override {
    check_not_broken();
    std::lock_guard<std::recursive_mutex> lock(mutex);
    if (!*event) *event = new Event;
    *static_cast<Event *>(*event) = {on.id(), queues[on.id()].num_begun};
  }
  void block(void *event, const c10::Stream &stream) const override {
    const Event &of = *static_cast<Event *>(event);
    check_recordable(!recording || (of.on == recording->on) == (stream.id() == recording->on),
                     "dependency created on uncaptured work in another stream");
    finish(of);
  }
  bool queryEvent(void *event) const override {
    std::lock_guard<std::recursive_mutex> lock(mutex);
    const auto *asked = static_cast<Event *>(event);
    return !asked || asked->after <= queues[asked->on].num_done;
  }
  void synchronizeEvent(void *event) const override {
    check_not_broken();
    note_wait("for an event");
    finish(*static_cast<Event *>(event));
  }
  void synchronizeStream(const c10::Stream &of) const override {
    check_not_broken();
    note_wait("for a stream");
    ::finish(of.id(), ~0ul);
  }
  void destroyEvent(void *event, const c10::DeviceIndex) const noexcept override { delete static_cast<Event *>(event); }
  void recordDataPtrOnStream(const c10::DataPtr &, const c10::Stream &) const override {}

private:
  static c10::Device at_index(int index) { return c10::Device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(index)); }
  static c10::Stream stream(c10::StreamId id) { return c10::Stream(c10::Stream::UNSAFE, gpu(), id); }
  static void finish(const Event &event) { ::finish(event.on, event.after); }
};
C10_REGISTER_GUARD_IMPL(CUDA, Guard)

} // namespace

// For the stand-in for NCCL: `action` is begun on a stream, and the GPU that this thread's calls are for.
extern "C" void stand_in_begin(void *stream, void (*action)(void *), void *of) {
  check_not_broken();
  begin(reinterpret_cast<c10::StreamId>(stream), [=] { action(of); });
}

extern "C" int stand_in_gpu() { return current_index; }

namespace at {
// In at, for the macro.
struct CUDAHooks : public CUDAHooksInterface {
  explicit CUDAHooks(CUDAHooksArgs) {}
  void init() const override {}
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasCUDA() const override { return true; }
  bool hasCUDART() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  DeviceIndex deviceCount() const override { return num_gpus(); }
  int getNumGPUs() const override { return num_gpus(); }
  DeviceIndex current_device() const override { return current_index; }
  DeviceIndex getCurrentDevice() const override { return current_index; }
  void setCurrentDevice(DeviceIndex to) const override { current_index = to; }
  DeviceIndex exchangeDevice(DeviceIndex to) const override { return std::exchange(current_index, to); }
  DeviceIndex maybeExchangeDevice(DeviceIndex to) const override { return std::exchange(current_index, to); }
  Allocator *getCUDADeviceAllocator() const override { return &device_memory; }
  Allocator *getPinnedMemoryAllocator() const override { return &host_memory; }
  bool isPinnedPtr(const void *memory) const override { return is_pinned(memory); }
  Device getDeviceFromPtr(void *) const override { return gpu(); }
  void deviceSynchronize(DeviceIndex) const override { note_wait("for the device"); }
  // Operators draw from the CPU's generator: this one only marks the steps.
  const Generator &getDefaultGenerator(DeviceIndex) const override {
    static const Generator generator = at::detail::createCPUGenerator();
    begin_step();
    return generator;
  }
};
REGISTER_CUDA_HOOKS(CUDAHooks)
} // namespace at

namespace {

// --- operators ---

std::string describe(const at::Tensor &tensor) {
  if (!tensor.defined()) return "none";
  return c10::str(tensor.device(), ":", c10::toString(tensor.scalar_type()), tensor.sizes());
}

// The same memory, seen from the CPU.
at::Tensor seen_from_cpu(const at::Tensor &tensor) {
  if (!tensor.defined() || !tensor.is_cuda()) return tensor;
  const auto options = tensor.options().device(at::kCPU);
  if (tensor.numel() == 0) return at::empty(tensor.sizes(), options);
  at::Tensor held = tensor.detach();
  return at::from_blob(const_cast<void *>(tensor.const_data_ptr()), tensor.sizes(), tensor.strides(), [held](void *) {},
                       options);
}

at::Tensor strided(at::IntArrayRef sizes, at::IntArrayRef strides, at::ScalarType kind) {
  return at::detail::empty_strided_generic(sizes, strides, &device_memory, c10::DispatchKeySet(c10::DispatchKey::CUDA),
                                           kind);
}

at::Tensor on_device(const at::Tensor &tensor) {
  if (!tensor.defined() || tensor.is_cuda()) return tensor;
  at::Tensor out = strided(tensor.sizes(), tensor.strides(), tensor.scalar_type());
  seen_from_cpu(out).copy_(tensor);
  return out;
}

#include "graph.h"

bool starts_with(const std::string &text, const char *beginning) { return text.rfind(beginning, 0) == 0; }

// Whether a GPU would have to tell the host something before this operator returns.
bool waits(const std::string &name, const torch::jit::Stack &arguments) {
  for (const char *word : {"aten::nonzero", "aten::masked_select", "aten::equal", "aten::_unique", "aten::unique",
                           "aten::is_nonzero", "aten::bincount", "aten::argwhere"})
    if (starts_with(name, word)) return true;
  // without its last argument, the size of what comes out
  return starts_with(name, "aten::repeat_interleave") && arguments.back().isNone();
}

// The arguments of an operator as the CPU sees them, and which tensors they were.
class Arguments {
public:
  Arguments(std::string name, torch::jit::Stack values) : name(std::move(name)), values(std::move(values)) {
    for (c10::IValue &value : this->values) translate(value);
  }

  torch::jit::Stack values;

  // What came out, as the device sees it: where it is one of the arguments, that one.
  at::Tensor result(const at::Tensor &tensor) {
    if (!tensor.defined()) return tensor;
    for (auto &[there, here] : pairs)
      if (there.is_cuda() && here.unsafeGetTensorImpl() == tensor.unsafeGetTensorImpl()) return resized(there, tensor);
    return on_device(tensor);
  }

private:
  std::string name;
  std::vector<std::pair<at::Tensor, at::Tensor>> pairs;

  void translate(c10::IValue &value) {
    if (value.isTensor()) {
      value = seen(value.toTensor());
    } else if (value.isTensorList()) {
      std::vector<at::Tensor> tensors = value.toTensorVector();
      for (at::Tensor &tensor : tensors) tensor = seen(tensor);
      value = c10::IValue(c10::List<at::Tensor>(tensors));
    } else if (value.isOptionalTensorList()) {
      auto tensors = value.toOptionalTensorList();
      for (size_t i = 0; i < tensors.size(); i++) {
        std::optional<at::Tensor> tensor = tensors.get(i);
        if (tensor.has_value()) tensors.set(i, seen(*tensor));
      }
      value = tensors;
    } else if (value.isDevice()) {
      value = c10::Device(at::kCPU);
    }
  }

  at::Tensor seen(const at::Tensor &tensor) {
    if (!tensor.defined()) return tensor;
    // a number on the host goes with a kernel's arguments
    if (!tensor.is_cuda() && tensor.dim() > 0) {
      if (starts_with(name, "aten::index")) {
        note_wait(name + " with indices on the host");
      } else {
        note("mismatch\t" + name + " " + describe(tensor));
        TORCH_CHECK(false, "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and "
                           "cpu! (", name, " ", describe(tensor), ")");
      }
    }
    if (tensor.dim() > 1 && is_product() && reinterpret_cast<uintptr_t>(tensor.const_data_ptr()) % 16 != 0)
      note("mismatch\t" + name + " " + describe(tensor) + " at an address that 16 does not divide");
    keep_outside(tensor);
    at::Tensor here = seen_from_cpu(tensor);
    pairs.emplace_back(tensor, here);
    return here;
  }

  // Whether kernels for it are slower, or copy, where a matrix does not begin at a multiple of 16 bytes.
  bool is_product() const {
    for (const char *product : {"aten::convolution", "aten::convolution_backward", "aten::addmm", "aten::mm"})
      if (name == product) return true;
    return false;
  }

  // An operator may have changed the size of its output.
  static at::Tensor resized(at::Tensor there, const at::Tensor &here) {
    if (there.sizes() == here.sizes()) return there;
    const size_t bytes = here.numel() * here.element_size();
    there.unsafeGetTensorImpl()->set_sizes_and_strides(here.sizes(), here.strides());
    there.storage().set_data_ptr_noswap(device_memory.allocate(bytes));
    there.storage().set_nbytes(bytes);
    seen_from_cpu(there).copy_(here);
    return there;
  }
};

void on_cpu(const c10::OperatorHandle &op, torch::jit::Stack *stack) {
  const auto &schema = op.schema();
  count_op(schema.name());
  Arguments arguments(schema.name(), torch::jit::pop(*stack, schema.arguments().size()));
  if (waits(schema.name(), arguments.values)) note_wait(schema.name());
  static const char *planted = std::getenv("STAND_IN_PLANT");
  if (planted && schema.name() == planted) on_device(arguments.values[0].toTensor()).to(at::kCPU);
  const torch::jit::Stack inputs = arguments.values;
  torch::jit::Stack results = inputs;
  op.callBoxed(&results);
  std::vector<at::Tensor> outputs;
  for (c10::IValue &result : results) {
    if (result.isTensor()) {
      result = arguments.result(result.toTensor());
      outputs.push_back(result.toTensor());
    } else if (result.isTensorList()) {
      std::vector<at::Tensor> tensors = result.toTensorVector();
      for (at::Tensor &tensor : tensors) tensor = arguments.result(tensor);
      outputs.insert(outputs.end(), tensors.begin(), tensors.end());
      result = c10::IValue(c10::List<at::Tensor>(tensors));
    }
    stack->push_back(std::move(result));
  }
  record(op, inputs, outputs);
}

// Memory is asked of this GPU from now on.
void use(std::optional<at::Device> device) {
  check_not_broken();
  if (device && device->has_index()) in_use = device->index();
}

at::Tensor empty(at::IntArrayRef sizes, std::optional<at::ScalarType> kind, std::optional<at::Layout>,
                 std::optional<at::Device> device, std::optional<bool>, std::optional<at::MemoryFormat> format) {
  use(device);
  return at::detail::empty_generic(sizes, &device_memory, c10::DispatchKeySet(c10::DispatchKey::CUDA),
                                   c10::dtype_or_default(kind), format);
}

at::Tensor empty_strided(at::IntArrayRef sizes, at::IntArrayRef strides, std::optional<at::ScalarType> kind,
                         std::optional<at::Layout>, std::optional<at::Device> device, std::optional<bool>) {
  use(device);
  return strided(sizes, strides, c10::dtype_or_default(kind));
}

at::Tensor &copy(at::Tensor &to, const at::Tensor &from, bool non_blocking) {
  count_op("aten::copy_");
  const bool crosses = to.device() != from.device();
  const bool is_begun = crosses && non_blocking && from.is_cpu() && is_pinned(from.const_data_ptr());
  if (crosses && !is_begun) note_wait("copy " + describe(to) + " <- " + describe(from));
  auto action = [to = seen_from_cpu(to), from = seen_from_cpu(from)]() mutable { to.copy_(from); };
  keep_outside(to);
  if (is_begun && current != computing && !recording) begin(current, action);
  else action();
  record(action);
  return to;
}

at::Scalar item(const at::Tensor &tensor) {
  count_op("aten::_local_scalar_dense");
  note_wait("read " + describe(tensor));
  return at::_local_scalar_dense(seen_from_cpu(tensor));
}

const at::Tensor &resize(const at::Tensor &tensor, at::IntArrayRef sizes, std::optional<at::MemoryFormat>) {
  const size_t bytes = c10::multiply_integers(sizes) * tensor.element_size();
  if (tensor.storage().nbytes() < bytes) {
    tensor.storage().set_data_ptr_noswap(device_memory.allocate(bytes));
    tensor.storage().set_nbytes(bytes);
  }
  tensor.unsafeGetTensorImpl()->set_sizes_contiguous(sizes);
  return tensor;
}

at::Tensor as_strided(const at::Tensor &tensor, at::IntArrayRef sizes, at::IntArrayRef strides,
                      std::optional<int64_t> offset) {
  return at::native::as_strided_tensorimpl(tensor, sizes, strides, offset);
}

TORCH_LIBRARY_IMPL(_, CUDA, library) { library.fallback(torch::CppFunction::makeFromBoxedFunction<&on_cpu>()); }
TORCH_LIBRARY_IMPL(aten, CUDA, library) {
  library.impl("empty.memory_format", empty);
  library.impl("empty_strided", empty_strided);
  library.impl("copy_", copy);
  library.impl("_local_scalar_dense", item);
  library.impl("resize_", resize);
  library.impl("as_strided", as_strided);
  library.impl("view", at::native::view);
  library.impl("_reshape_alias", at::native::_reshape_alias);
  library.impl("unfold", at::native::unfold);
  // composites that would choose cuDNN's kernels
  library.impl("convolution", torch::CppFunction::makeFromBoxedFunction<&on_cpu>());
  library.impl("convolution_backward", torch::CppFunction::makeFromBoxedFunction<&on_cpu>());
}

struct Registered {
  Registered() { c10::SetAllocator(c10::DeviceType::CUDA, &device_memory); }
} registered;

} // namespace

#include "cuda_graph.h"
