// Memory of Rust's as a tensor.

#include "caught.h"

#include <ATen/ATen.h>

// The values at `values`, of the scalar type `kind`, as a tensor of `sizes`, without a copy. `release` is called with `owner` when nobody needs them any more; it may be
// on any thread.
extern "C" char *convnet_shared(const void *values, int kind, const int64_t *sizes, size_t rank, void *owner,
                                void (*release)(void *), at::Tensor **out) {
  return caught([&] {
    const std::shared_ptr<void> owned(owner, release);
    *out = new at::Tensor(at::from_blob(
        const_cast<void *>(values), at::IntArrayRef(sizes, rank), [owned](void *) {}, static_cast<at::ScalarType>(kind)));
  });
}
