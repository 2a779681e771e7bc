// CUDA graphs on the stand-in: what an operator computed on the CPU is computed again, from the same memory into the same. A part of
// torch_cuda.cpp.

// What lies in memory from before the recording is put back at its end.
void keep_outside(const at::Tensor &tensor) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  if (!recording || !tensor.defined() || !tensor.is_cuda()) return;
  const c10::Storage &storage = tensor.storage();
  if (storage.data() == nullptr || recording->made.count(storage.data())) return;
  recording->outside.emplace(storage.data(), std::pair(storage, std::string(static_cast<const char *>(storage.data()), storage.nbytes())));
}

const std::string &baked() {
  static const std::string text = [] {
    const char *text = std::getenv("STAND_IN_BAKE");
    return std::string(text ? text : "");
  }();
  return text;
}

// The same, or a copy that stays as it is where a graph is to keep it.
c10::IValue as_recorded(const c10::IValue &value) {
  if (!value.isTensor() || !value.toTensor().defined()) return value;
  const at::Tensor tensor = value.toTensor();
  const auto kind = c10::str(c10::toString(tensor.scalar_type()), " ", tensor.dim());
  for (const auto &[begin, kept] : recording->outside) {
    const auto at = static_cast<const char *>(tensor.const_data_ptr()), from = static_cast<const char *>(begin);
    if (kind == baked() && at >= from && at < from + kept.second.size()) return tensor.clone();
  }
  return value;
}

void record(std::function<void()> again) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  if (recording) recording->operators.push_back(std::move(again));
}

void flatten(const torch::jit::Stack &values, std::vector<at::Tensor> &tensors) {
  for (const c10::IValue &value : values) {
    if (value.isTensor()) tensors.push_back(value.toTensor());
    if (value.isTensorList())
      for (const at::Tensor &tensor : value.toTensorVector()) tensors.push_back(tensor);
  }
}

// `inputs` as the CPU sees them, `outputs` as the device does.
void record(const c10::OperatorHandle &op, const torch::jit::Stack &inputs, const std::vector<at::Tensor> &outputs) {
  std::lock_guard<std::recursive_mutex> lock(mutex);
  if (!recording) return;
  torch::jit::Stack read;
  for (const c10::IValue &input : inputs) read.push_back(as_recorded(input));
  std::vector<at::Tensor> written;
  for (const at::Tensor &output : outputs) written.push_back(seen_from_cpu(output));
  record([op, read, written] {
    torch::jit::Stack results = read;
    op.callBoxed(&results);
    std::vector<at::Tensor> computed;
    flatten(results, computed);
    TORCH_CHECK(computed.size() == written.size(), "an operator gives other outputs than it did");
    for (size_t i = 0; i < written.size(); i++) {
      at::Tensor to = written[i];
      if (to.defined() && to.const_data_ptr() != computed[i].const_data_ptr()) to.copy_(computed[i]);
    }
  });
}
