// A stand-in for NVIDIA's driver, libcuda.so.1: what STAND_IN_DRIVER says of itself, "VERSION INIT COUNT", by default
// "13000 0 1". As the real one, it sees no GPU where CUDA_VISIBLE_DEVICES is empty.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NO_DEVICE = 100 };

static void say(int *version, int *init, int *count) {
  const char *said = getenv("STAND_IN_DRIVER");
  const char *visible = getenv("CUDA_VISIBLE_DEVICES");
  *version = 13000, *init = 0, *count = 1;
  if (said) sscanf(said, "%d %d %d", version, init, count);
  if (visible && !*visible && !*init) *init = NO_DEVICE;
}

int cuDriverGetVersion(int *version) {
  int init, count;
  say(version, &init, &count);
  return 0;
}

int cuInit(unsigned flags) {
  int version, init, count;
  (void)flags;
  say(&version, &init, &count);
  return init;
}

int cuDeviceGetCount(int *count) {
  int version, init;
  say(&version, &init, count);
  return init;
}

int cuDeviceGet(int *device, int index) {
  *device = index;
  return 0;
}

int cuDeviceGetName(char *name, int length, int device) {
  snprintf(name, length, "Stand-in %d", device);
  return 0;
}
