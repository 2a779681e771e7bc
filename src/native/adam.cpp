// A step of Adam in one pass over the weights and their state.

#include "adam.h"
#include "caught.h"
#include "parallel.h"
#include "processor.h"

#include <ATen/ATen.h>

namespace {

using Loop = void (*)(const Adam &, const float *, float *, float *, float *, int64_t);

Loop chosen() {
#if defined(__x86_64__)
  if (has_avx512()) return adam_avx512;
  if (has_avx2()) return adam_avx2;
#endif
  return adam_plain;
}

bool is_flat(const at::Tensor &tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat && tensor.is_contiguous();
}

} // namespace

// Changes momentum, velocity and values, f32 of one length; `done` says whether it did: not for tensors elsewhere or in another
// order.
extern "C" char *convnet_adam(const at::Tensor *gradient, at::Tensor *momentum, at::Tensor *velocity, at::Tensor *values,
                              double new_momentum, double new_velocity, double alpha, double epsilon, bool *done) {
  return caught([&] {
    *done = is_flat(*gradient) && is_flat(*momentum) && is_flat(*velocity) && is_flat(*values);
    if (!*done) return;
    const int64_t count = values->numel();
    TORCH_CHECK(gradient->numel() == count && momentum->numel() == count && velocity->numel() == count,
                "the state of an optimizer is of another size than its weights");
    const Adam step{float(new_momentum), float(new_velocity), float(alpha), float(epsilon)};
    const float *g = gradient->const_data_ptr<float>();
    float *m = momentum->mutable_data_ptr<float>(), *v = velocity->mutable_data_ptr<float>();
    float *w = values->mutable_data_ptr<float>();
    static const Loop loop = chosen();
    at::parallel_for(0, count, 32768, [&](int64_t begin, int64_t end) {
      loop(step, g + begin, m + begin, v + begin, w + begin, end - begin);
    });
  });
}
