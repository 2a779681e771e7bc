// How libtorch multiplies f32 matrices on CUDA: tch has no switch for it.

#include <cstdlib>
#include <cstring>
#include <exception>

#include <ATen/Context.h>

namespace {

// Runs `action`; its error's text for the caller to free, or null.
template <typename Action>
char *caught(Action action) {
  try {
    action();
    return nullptr;
  } catch (const c10::Error &error) {
    return strdup(error.what_without_backtrace());
  } catch (const std::exception &error) {
    return strdup(error.what());
  } catch (...) {
    return strdup("an exception of an unknown type");
  }
}

} // namespace

// Lets cuBLAS and cuDNN compute f32 products in TF32, or forbids it.
extern "C" char *convnet_allow_tf32(bool allowed) {
  return caught([&] {
    at::globalContext().setAllowTF32CuBLAS(allowed);
    at::globalContext().setAllowTF32CuDNN(allowed);
  });
}

// Whether both are allowed to.
extern "C" char *convnet_tf32_is_allowed(bool *allowed) {
  return caught([&] {
    const auto &context = at::globalContext();
    *allowed = context.allowTF32CuBLAS() && context.allowTF32CuDNN();
  });
}
