// Memory of Rust's as a tensor.

#include "caught.h"

#include <ATen/ATen.h>

// The bytes at `bytes` as u8 of `sizes`, without a copy. `release` is called with `owner` when nobody needs them any more; it may be
// on any thread.
extern "C" char *convnet_bytes_shared(const uint8_t *bytes, const int64_t *sizes, size_t rank, void *owner,
                                      void (*release)(void *), at::Tensor **out) {
  return caught([&] {
    const std::shared_ptr<void> owned(owner, release);
    *out = new at::Tensor(at::from_blob(
        const_cast<uint8_t *>(bytes), at::IntArrayRef(sizes, rank), [owned](void *) {}, at::kByte));
  });
}
