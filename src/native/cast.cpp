// Weights in bf16, all of them by one operator: they lie in one tensor. Their gradients come back as f32 by two.

#include "caught.h"

#include <algorithm>
#include <vector>

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

// A tensor of its own with these values of `flat`: no view, so that the autograd engine does not look for what it is a view of.
at::Tensor part_of(const at::Tensor &flat, int64_t start, at::IntArrayRef sizes, at::IntArrayRef strides) {
  at::Tensor part = at::detail::make_tensor<at::TensorImpl>(c10::Storage(flat.storage()), flat.key_set(), flat.dtype());
  part.unsafeGetTensorImpl()->set_storage_offset(flat.storage_offset() + start);
  part.unsafeGetTensorImpl()->set_sizes_and_strides(sizes, strides);
  return part;
}

// What of the storage all of `weights` take: from the first number to behind the last.
std::pair<int64_t, int64_t> range_of(at::TensorList weights) {
  int64_t begin = INT64_MAX, end = 0;
  for (const at::Tensor &weight : weights) {
    begin = std::min(begin, weight.storage_offset());
    end = std::max(end, weight.storage_offset() + weight.numel());
  }
  return {begin, end};
}

tensor_list cast(at::TensorList weights) {
  const auto [begin, end] = range_of(weights);
  const at::Tensor flat = part_of(weights[0].detach(), begin - weights[0].storage_offset(), {end - begin}, {1}).to(at::kBFloat16);
  tensor_list casted;
  for (const at::Tensor &weight : weights)
    casted.push_back(part_of(flat, weight.storage_offset() - begin, weight.sizes(), weight.strides()));
  return casted;
}

// In the order of memory.
at::Tensor in_order(const at::Tensor &weight) { return weight.dim() == 4 ? weight.permute({0, 2, 3, 1}) : weight; }

struct Cast : torch::autograd::Function<Cast> {
  // Takes a list of this type: of another the engine would not see the tensors.
  static tensor_list forward(AutogradContext *context, at::TensorList weights) {
    context->set_materialize_grads(false);
    return cast(weights);
  }

  // A weight that nobody used has no gradient.
  static tensor_list backward(AutogradContext *, tensor_list gradients) {
    std::vector<at::Tensor> flat;
    for (const at::Tensor &gradient : gradients)
      if (gradient.defined()) flat.push_back(in_order(gradient).reshape({-1}));
    if (flat.empty()) return gradients;
    const at::Tensor all = at::cat(flat).to(at::kFloat);
    int64_t start = 0;
    for (at::Tensor &gradient : gradients) {
      if (!gradient.defined()) continue;
      const at::Tensor part = all.narrow(0, start, gradient.numel()).view(in_order(gradient).sizes());
      start += gradient.numel();
      gradient = part.dim() == 4 ? part.permute({0, 3, 1, 2}) : part;
    }
    return gradients;
  }
};

// Whether a weight's numbers lie one after the other, without gaps.
bool is_dense(const at::Tensor &weight) { return weight.scalar_type() == at::kFloat && in_order(weight).is_contiguous(); }

} // namespace

// `casted` are those of `count` weights, f32, as bf16 that lie in one tensor with the first; null for the others.
extern "C" char *convnet_cast_together(const at::Tensor *const *weights, size_t count, at::Tensor **casted) {
  return caught([&] {
    std::fill(casted, casted + count, nullptr);
    tensor_list together;
    std::vector<size_t> places;
    for (size_t i = 0; i < count; i++) {
      if (!is_dense(*weights[i]) || !weights[i]->storage().is_alias_of(weights[0]->storage())) continue;
      together.push_back(*weights[i]);
      places.push_back(i);
    }
    if (together.size() < 2) return;
    const bool trains = at::GradMode::is_enabled() && together[0].requires_grad();
    const at::TensorList list(together);
    tensor_list made = trains ? Cast::apply(list) : cast(list);
    for (size_t i = 0; i < made.size(); i++) casted[places[i]] = new at::Tensor(std::move(made[i]));
  });
}
