// A stand-in for libnccl.so.2: sums over processes in memory that they share, on the streams of torch_cuda.cpp, so that a sum waits for
// the other processes where a GPU would. One of a process that is gone does so until it is aborted.
//
// STAND_IN_NCCL  "fail N" or "hang N": the N-th sum (the first one is 1) is refused, or does not return; "apart N": the N-th is known to
//                have failed from then on, as when the network has; "lonely 0": the processes do not come together; "old 0": 2.9;
//                "rank R …": any of these in process R alone
// STAND_IN_NCCL_LOG  a file for each process, behind it ".R" for process R: "init SIZE GPU" and "sum|max KIND COUNT" on a line each

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SUCCESS = 0, SYSTEM_ERROR = 2, INVALID_USAGE = 5, REMOTE_ERROR = 6 };
enum { INT64 = 4, FLOAT32 = 7, FLOAT64 = 8, BFLOAT16 = 9 };
enum { SUM = 0, MAX = 2 };
enum { MOST = 8, ROOM = 1 << 20 };

typedef struct {
  char internal[128];
} UniqueId;

// A round of a sum: all write, then all read.
typedef struct {
  _Atomic long here, gpus[MOST], written[MOST], read[MOST];
  char room[MOST][ROOM];
} Shared;

typedef struct {
  Shared *shared;
  int rank, size;
  long round, num_sums;
  _Atomic int is_aborted, is_apart;
  FILE *log;
} Comm;

typedef struct {
  Comm *comm;
  const char *from;
  char *to;
  size_t count;
  int kind, operation;
} Sum;

static const char *last_error = "";

// What is asked of process `rank`: the word, and its number.
static int asked(int rank, const char *word) {
  char said[16] = "";
  int number = 0, only = rank, skipped = 0;
  const char *text = getenv("STAND_IN_NCCL");
  if (!text) return -1;
  if (sscanf(text, "rank %d %n", &only, &skipped) == 1) text += skipped;
  sscanf(text, "%15s %d", said, &number);
  return only == rank && !strcmp(said, word) ? number : -1;
}

int ncclGetVersion(int *version) {
  *version = asked(0, "old") < 0 ? 22809 : 20900;
  return SUCCESS;
}

const char *ncclGetErrorString(int result) { return result == INVALID_USAGE ? "invalid usage" : "unhandled error"; }

const char *ncclGetLastError(void *comm) { return last_error; }

int ncclGetUniqueId(UniqueId *id) {
  static int number = 0;
  memset(id, 0, sizeof *id);
  snprintf(id->internal, sizeof id->internal, "nccl-%d-%d", (int)getpid(), number++); // a file where all run
  return SUCCESS;
}

// Waits until each process's number in `counts` is at least `count`.
static int wait_for(Comm *comm, _Atomic long *counts, long count) {
  for (int rank = 0; rank < comm->size; rank++)
    while (counts[rank] < count) {
      if (comm->is_aborted) return 0;
      usleep(50);
    }
  return 1;
}

int ncclCommInitRank(void **out, int size, UniqueId id, int rank) {
  int file = open(id.internal, O_CREAT | O_RDWR, 0600);
  if (size > MOST || file < 0 || ftruncate(file, sizeof(Shared))) return SYSTEM_ERROR;
  Comm *comm = calloc(1, sizeof *comm);
  comm->shared = mmap(NULL, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  comm->rank = rank, comm->size = size;
  const char *path = getenv("STAND_IN_NCCL_LOG");
  char own[4096];
  snprintf(own, sizeof own, "%s.%d", path ? path : "", rank);
  comm->log = path ? fopen(own, "a") : NULL;
  if (comm->log) setvbuf(comm->log, NULL, _IOLBF, BUFSIZ);
  int (*gpu)(void) = (int (*)(void))dlsym(RTLD_DEFAULT, "stand_in_gpu");
  if (comm->log) fprintf(comm->log, "init %d %d\n", size, gpu());
  while (asked(rank, "lonely") >= 0) sleep(1);
  comm->shared->gpus[rank] = 1 + gpu();
  comm->shared->here++;
  while (comm->shared->here < size) usleep(50);
  unlink(id.internal);
  for (int other = 0; other < size; other++)
    if (other != rank && comm->shared->gpus[other] == 1 + gpu()) {
      last_error = "Duplicate GPU detected";
      return INVALID_USAGE;
    }
  *out = comm;
  return SUCCESS;
}

static size_t size_of(int kind) { return kind == BFLOAT16 ? 2 : kind == FLOAT32 ? 4 : 8; }

static double value(const char *at, int kind, size_t i) {
  if (kind == FLOAT64) return ((const double *)at)[i];
  if (kind == FLOAT32) return ((const float *)at)[i];
  uint32_t bits = (uint32_t)((const uint16_t *)at)[i] << 16;
  float number;
  memcpy(&number, &bits, sizeof number);
  return number;
}

static void put(char *at, int kind, size_t i, double number) {
  if (kind == FLOAT64) ((double *)at)[i] = number;
  if (kind == FLOAT32) ((float *)at)[i] = (float)number;
  if (kind != BFLOAT16) return;
  float narrow = (float)number;
  uint32_t bits;
  memcpy(&bits, &narrow, sizeof bits);
  bits += 0x7fff + (bits >> 16 & 1); // to the nearest, ties to even
  ((uint16_t *)at)[i] = (uint16_t)(bits >> 16);
}

// All processes' numbers `i` in one.
static void together(const Comm *comm, char *to, int kind, int operation, size_t i) {
  if (kind == INT64) {
    int64_t all = ((int64_t *)comm->shared->room[0])[i];
    for (int rank = 1; rank < comm->size; rank++) {
      int64_t number = ((int64_t *)comm->shared->room[rank])[i];
      all = operation == SUM ? all + number : number > all ? number : all;
    }
    ((int64_t *)to)[i] = all;
    return;
  }
  double all = value(comm->shared->room[0], kind, i);
  for (int rank = 1; rank < comm->size; rank++) {
    double number = value(comm->shared->room[rank], kind, i);
    if (operation == SUM) all = kind == FLOAT64 ? all + number : (float)all + (float)number;
    else if (number > all) all = number;
  }
  put(to, kind, i, all);
}

static void do_sum(void *of) {
  Sum *sum = of;
  Comm *comm = sum->comm;
  size_t size = size_of(sum->kind), most = ROOM / size;
  for (size_t start = 0; start < sum->count; start += most) {
    size_t count = sum->count - start < most ? sum->count - start : most;
    if (!wait_for(comm, comm->shared->read, comm->round)) break;
    memcpy(comm->shared->room[comm->rank], sum->from + start * size, count * size);
    comm->shared->written[comm->rank] = ++comm->round;
    if (!wait_for(comm, comm->shared->written, comm->round)) break;
    for (size_t i = 0; i < count; i++) together(comm, sum->to + start * size, sum->kind, sum->operation, i);
    comm->shared->read[comm->rank] = comm->round;
  }
  free(sum);
}

int ncclAllReduce(const void *from, void *to, size_t count, int kind, int operation, void *of, void *stream) {
  Comm *comm = of;
  long number = ++comm->num_sums;
  if (comm->log) fprintf(comm->log, "%s %d %zu\n", operation == MAX ? "max" : "sum", kind, count);
  while (asked(comm->rank, "hang") == number) sleep(1);
  if (asked(comm->rank, "apart") == number) comm->is_apart = 1;
  if (asked(comm->rank, "fail") == number) {
    last_error = "the stand-in was asked to fail";
    return SYSTEM_ERROR;
  }
  Sum *sum = malloc(sizeof *sum);
  *sum = (Sum){comm, from, to, count, kind, operation};
  void (*begin)(void *, void (*)(void *), void *) =
      (void (*)(void *, void (*)(void *), void *))dlsym(RTLD_DEFAULT, "stand_in_begin");
  begin(stream, do_sum, sum);
  return SUCCESS;
}

int ncclCommGetAsyncError(void *of, int *result) {
  Comm *comm = of;
  *result = comm->is_apart ? REMOTE_ERROR : SUCCESS;
  return SUCCESS;
}

int ncclCommAbort(void *of) {
  ((Comm *)of)->is_aborted = 1; // a sum may still look at it
  return SUCCESS;
}
