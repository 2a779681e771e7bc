// Counts what CUDA's runtime is asked for, for scripts/check_device: LD_PRELOAD it, and COUNT_CUDA names the file that gets
// "launches N" and "waits N" when the program ends. Launches are kernels and graphs; waits are calls in which the host waits
// for the GPU. libtorch copies to and from pageable memory with cudaMemcpyAsync and then waits for the stream.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static atomic_long launches, waits;

typedef struct {
  unsigned x, y, z;
} Size;

static void *real(const char *name) {
  void *found = dlsym(RTLD_NEXT, name);
  for (int version = 13; !found && version >= 11; version--) {
    char file[32];
    snprintf(file, sizeof file, version == 11 ? "libcudart.so.11.0" : "libcudart.so.%d", version);
    void *runtime = dlopen(file, RTLD_NOW | RTLD_NOLOAD);
    if (runtime) found = dlsym(runtime, name);
  }
  return found;
}

// A function of CUDA's runtime that is counted and then called.
#define COUNTED(counter, name, parameters, arguments)      \
  int name parameters {                                    \
    static int(*function) parameters;                      \
    if (!function) function = (int(*) parameters)real(#name); \
    counter++;                                             \
    return function arguments;                             \
  }

COUNTED(launches, cudaLaunchKernel, (const void *f, Size g, Size b, void **a, size_t m, void *s), (f, g, b, a, m, s))
COUNTED(launches, __cudaLaunchKernel, (void *f, Size g, Size b, void **a, size_t m, void *s), (f, g, b, a, m, s))
COUNTED(launches, cudaLaunchKernelExC, (const void *c, const void *f, void **a), (c, f, a))
COUNTED(launches, cudaGraphLaunch, (void *g, void *s), (g, s))
COUNTED(waits, cudaStreamSynchronize, (void *s), (s))
COUNTED(waits, cudaEventSynchronize, (void *e), (e))
COUNTED(waits, cudaDeviceSynchronize, (void), ())
COUNTED(waits, cudaMemcpy, (void *to, const void *from, size_t n, int kind), (to, from, n, kind))

__attribute__((destructor)) static void report(void) {
  const char *path = getenv("COUNT_CUDA");
  FILE *file = path ? fopen(path, "w") : NULL;
  if (!file) return;
  fprintf(file, "launches %ld\nwaits %ld\n", (long)launches, (long)waits);
  fclose(file);
}
