// Records what libtorch does with an input as a module of TorchScript. tch records, too, but takes no weights that need a gradient,
// makes constants of them, which `module.to(device)` leaves where they are, and saves no text beside.

#include "caught.h"

#include <sstream>

#include <ATen/ops/empty.h>
#include <torch/csrc/jit/api/module.h>
#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/passes/fixup_trace_scope_blocks.h>
#include <torch/csrc/jit/passes/normalize_ops.h>

namespace {

using namespace torch::jit;

struct Trace {
  Module module;
  std::shared_ptr<tracer::TracingState> state;
  Value *self;
};

// A part of the module under `name`, and the value that reads it.
Value *part(Trace &trace, const std::string &name, const at::Tensor &tensor, bool is_buffer) {
  trace.module.register_parameter(name, tensor.detach(), is_buffer);
  Value *value = trace.state->graph->insertNode(trace.state->graph->createGetAttr(trace.self, name))->output();
  value->inferTypeFrom(tensor);
  return value;
}

// Conversions of a kind, as which tch names the device, too: the module would compute there wherever it is moved to. Those that
// change nothing go.
void forget_devices(Graph &graph) {
  std::vector<Node *> conversions;
  for (Node *node : graph.nodes())
    if (node->kind() == aten::to && node->matches("aten::to.dtype_layout(Tensor(a) self, *, ScalarType? dtype=None, "
                                                  "Layout? layout=None, Device? device=None, bool? pin_memory=None, "
                                                  "bool non_blocking=False, bool copy=False, MemoryFormat? "
                                                  "memory_format=None) -> Tensor(a)"))
      conversions.push_back(node);
  for (Node *node : conversions) {
    WithInsertPoint before(node);
    Value *from = node->input(0), *kind = node->input(1), *to = from;
    const auto type = from->type()->cast<c10::TensorType>();
    const auto known = type ? type->scalarType() : std::nullopt;
    const auto wanted = toIValue(kind);
    if (!known || !wanted || !wanted->isInt() || wanted->toInt() != static_cast<int64_t>(*known)) {
      Value *no = graph.insertConstant(false), *none = graph.insertConstant(c10::IValue());
      to = graph.insertNode(graph.create(aten::to, {from, kind, no, no, none}))->output();
    }
    node->output()->replaceAllUsesWith(to);
    node->destroy();
  }
}

// Constants with axes as buffers, so that they go to another device with the module.
void move_constants(Trace &trace) {
  auto &graph = trace.state->graph;
  std::vector<Node *> constants;
  for (Node *node : graph->nodes()) {
    const bool is_tensor = node->kind() == prim::Constant && node->hasAttribute(attr::value) &&
                           node->kindOf(attr::value) == AttributeKind::t;
    if (is_tensor && node->t(attr::value).dim() > 0) constants.push_back(node);
  }
  WithInsertPoint before(graph->block()->nodes().front());
  for (size_t index = 0; index < constants.size(); ++index) {
    Node *node = constants[index];
    node->output()->replaceAllUsesWith(
        part(trace, "constant_" + std::to_string(index), node->t(attr::value), true));
    node->destroy();
  }
}

} // namespace

// Begins to record what this thread does with `input`; `count` weights are the module's parameters, under `names`.
extern "C" char *convnet_trace_begin(const at::Tensor *input, const char *const *names, const at::Tensor *const *weights,
                                     int64_t count, void **trace) {
  return caught([&] {
    TORCH_CHECK(!tracer::isTracing(), "a trace cannot be made within another");
    auto made = std::make_unique<Trace>(Trace{Module("Network"), std::make_shared<tracer::TracingState>(), nullptr});
    made->module.register_attribute("training", c10::BoolType::get(), false);
    auto &graph = made->state->graph;
    made->self = graph->addInput("self")->setType(made->module._ivalue()->type());
    Value *images = graph->addInput("images")->setType(c10::TensorType::get());
    made->state->setValue(*input, images);
    for (int64_t index = 0; index < count; ++index)
      made->state->setValue(*weights[index], part(*made, names[index], *weights[index], false));
    tracer::setTracingState(made->state);
    *trace = made.release();
  });
}

// Ends the recording, where `output` is what came of the input, and saves the module with `text` as its extra file `name`: `file`
// is its bytes, u8. Without an output it is given up.
extern "C" char *convnet_trace_end(void *trace, const at::Tensor *output, const char *name, const char *text,
                                   at::Tensor **file) {
  const std::unique_ptr<Trace> owned(static_cast<Trace *>(trace));
  return caught([&] {
    if (!output) {
      tracer::abandon();
      return;
    }
    auto &graph = owned->state->graph;
    try {
      graph->registerOutput(owned->state->getOutput(*output, 0));
    } catch (...) {
      tracer::abandon();
      throw;
    }
    tracer::setTracingState(nullptr);
    move_constants(*owned);
    forget_devices(*graph);
    FixupTraceScopeBlocks(graph, &owned->module);
    NormalizeOps(graph);
    auto *forward = owned->module._ivalue()->compilation_unit()->create_function("forward", graph);
    owned->module.type()->addMethod(forward);
    owned->module.to(c10::Device(c10::DeviceType::CPU)); // it loads where there is no other
    std::ostringstream bytes;
    owned->module.save(bytes, {{name, text}});
    const std::string saved = bytes.str();
    at::Tensor whole = at::empty({static_cast<int64_t>(saved.size())}, at::kByte);
    std::memcpy(whole.mutable_data_ptr(), saved.data(), saved.size());
    *file = new at::Tensor(whole);
  });
}
