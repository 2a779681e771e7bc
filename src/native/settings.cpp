// Settings of libtorch that tch lacks, or sets without catching exceptions.

#include "caught.h"

#include <ATen/Context.h>
#include <ATen/Version.h>

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

// Holds cuDNN to algorithms that give the same bits each time, or lets it take any.
extern "C" char *convnet_set_deterministic(bool deterministic) {
  return caught([&] { at::globalContext().setDeterministicCuDNN(deterministic); });
}

// Whether cuDNN is held to them.
extern "C" char *convnet_is_deterministic(bool *deterministic) {
  return caught([&] { *deterministic = at::globalContext().deterministicCuDNN(); });
}

// Seeds the CPU's generator and, where `gpu` is not negative, that of the GPU number `gpu`.
extern "C" char *convnet_manual_seed(uint64_t seed, int gpu) {
  return caught([&] {
    const auto reseed = [&](c10::Device device) {
      at::Generator generator = at::globalContext().defaultGenerator(device);
      std::lock_guard<std::mutex> lock(generator.mutex());
      generator.set_current_seed(seed);
    };
    reseed(c10::Device(c10::DeviceType::CPU));
    if (gpu >= 0) reseed(c10::Device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(gpu)));
  });
}

// The instruction set that libtorch's own kernels for the CPU are chosen by, for the caller to free.
extern "C" char *convnet_cpu_capability(char **name) {
  return caught([&] { *name = strdup(at::get_cpu_capability().c_str()); });
}
