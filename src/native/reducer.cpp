// Gradients that are summed over all processes while the backward pass still goes on: as soon as all of a bucket's are there.

#include "caught.h"
#include "group.h"

#include <memory>
#include <vector>

#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/variable.h>

namespace {

// A parameter's place in the flat gradient.
struct Place {
  int64_t start, count;
  size_t bucket;
};

struct Bucket {
  int64_t start = 0, count = 0; // with the gaps between its parameters
  size_t parameters = 0, missing = 0;
};

// What the hooks share; they may outlive the reducer.
struct State {
  Group *group;
  bool is_bf16;
  std::vector<Place> places;
  std::vector<Bucket> buckets; // from the flat gradient's end to its start: as the backward pass goes
  // of the pass at hand
  bool is_armed = false, adds = false, sums = false;
  at::Tensor gradient; // f32 [P]
  size_t next = 0;     // the next bucket to sum: all processes sum them in one order
  std::vector<SumUnderWay> under_way;

  void take(size_t index, const at::Tensor &gradient_of_one) {
    if (!is_armed) return;
    at::NoGradGuard guard;
    const Place &place = places[index];
    const bool is_image = gradient_of_one.dim() == 4;
    const at::Tensor values = (is_image ? gradient_of_one.permute({0, 2, 3, 1}) : gradient_of_one).reshape({-1});
    at::Tensor part = gradient.narrow(0, place.start, place.count);
    if (adds) part.add_(values);
    else part.copy_(values);
    if (buckets[place.bucket].missing == 0) return; // the same weight twice: the sum comes once
    if (--buckets[place.bucket].missing == 0 && sums) start();
  }

  // Begins with the buckets whose turn it is.
  void start() {
    for (; next < buckets.size() && buckets[next].missing == 0; next++) {
      const Bucket &bucket = buckets[next];
      under_way.emplace_back(*group, gradient.narrow(0, bucket.start, bucket.count), is_bf16, false);
    }
  }
};

} // namespace

struct Reducer {
  std::shared_ptr<State> state;
};

// For `count` parameters that lie one after the other in a flat tensor, maybe with gaps, as their gradients will; in buckets of at least
// `bucket_size` numbers.
extern "C" char *convnet_reducer_new(Group *group, at::Tensor *const *parameters, size_t count, int64_t bucket_size,
                                     bool is_bf16, Reducer **out) {
  return caught([&] {
    auto state = std::make_shared<State>();
    state->group = group;
    state->is_bf16 = is_bf16;
    state->places.resize(count);
    for (size_t i = 0; i < count; i++) {
      state->places[i] = {parameters[i]->storage_offset(), parameters[i]->numel(), 0};
      TORCH_CHECK(parameters[i]->storage().is_alias_of(parameters[0]->storage()), "the parameters are not views of one tensor");
    }
    for (size_t i = count; i-- > 0;) {
      if (state->buckets.empty() || state->buckets.back().count >= bucket_size) state->buckets.emplace_back();
      Bucket &bucket = state->buckets.back();
      state->places[i].bucket = state->buckets.size() - 1;
      const Place &place = state->places[i];
      const int64_t end = bucket.parameters ? bucket.start + bucket.count : place.start + place.count;
      bucket.start = place.start;
      bucket.count = end - place.start;
      bucket.parameters++;
    }
    for (size_t i = 0; i < count; i++)
      parameters[i]->register_hook([state, i](const at::Tensor &gradient) { state->take(i, gradient); });
    *out = new Reducer{state};
  });
}

// What gradients come now go into `gradient`, f32 [P]: added to what is there where it `adds`, and summed over all processes where it
// `sums`.
extern "C" char *convnet_reducer_arm(Reducer *reducer, const at::Tensor *gradient, bool adds, bool sums) {
  return caught([&] {
    State &state = *reducer->state;
    state.gradient = *gradient;
    state.adds = adds;
    state.sums = sums;
    state.next = 0;
    state.under_way.clear();
    for (Bucket &bucket : state.buckets) bucket.missing = bucket.parameters;
    state.is_armed = true;
  });
}

// Waits until the sums are there.
extern "C" char *convnet_reducer_finish(Reducer *reducer) {
  return caught([&] {
    State &state = *reducer->state;
    state.is_armed = false;
    state.gradient.reset();
    std::vector<SumUnderWay> under_way = std::move(state.under_way);
    state.under_way.clear();
    for (SumUnderWay &sum : under_way) sum.wait();
    TORCH_CHECK(!state.sums || state.next == state.buckets.size(), "a weight got no gradient");
  });
}

extern "C" void convnet_reducer_free(Reducer *reducer) {
  reducer->state->is_armed = false;
  delete reducer;
}
