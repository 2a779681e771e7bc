// Images that are flipped and shifted by whole pixels, as bytes, in one pass.

#include "caught.h"
#include "parallel.h"

#include <algorithm>
#include <cstring>

#include <ATen/ATen.h>

namespace {

// Where an image's pixels come from.
struct Move {
  bool mirrors;       // left for right, before the shift
  int64_t right, down; // how many pixels further their sources are
};

// One row of `width` pixels of `channels` bytes; zeros where a source would be outside.
void move_row(const uint8_t *from, uint8_t *to, const Move &move, int64_t width, int64_t channels) {
  // the pixel x has its source at x + right, or at width - 1 - x + right
  const int64_t shift = move.mirrors ? -move.right : move.right;
  const int64_t first = std::clamp<int64_t>(-shift, 0, width), end = std::clamp<int64_t>(width - shift, first, width);
  std::memset(to, 0, size_t(first * channels));
  std::memset(to + end * channels, 0, size_t((width - end) * channels));
  if (!move.mirrors) {
    std::memcpy(to + first * channels, from + (first + shift) * channels, size_t((end - first) * channels));
    return;
  }
  const uint8_t *source = from + (width - 1 - first + move.right) * channels;
  uint8_t *target = to + first * channels, *const last = to + end * channels;
  if (channels == 1) {
    while (target != last) *target++ = *source--;
  } else if (channels == 3) {
    for (; target != last; target += 3, source -= 3) {
      target[0] = source[0];
      target[1] = source[1];
      target[2] = source[2];
    }
  } else {
    for (; target != last; target += channels, source -= channels) std::memcpy(target, source, size_t(channels));
  }
}

}  // namespace

// `images`, u8 [B, H, W, C] in this order in memory, each mirrored and shifted as its row of `moves`, i32 [B, 3], says: whether it is
// mirrored, and by how many pixels the sources are further right and down.
extern "C" char *convnet_flip_and_shift(const at::Tensor *images, const at::Tensor *moves, at::Tensor **out) {
  return caught([&] {
    TORCH_CHECK(images->device().is_cpu() && images->scalar_type() == at::kByte && images->dim() == 4, "images are u8 [B, H, W, C]");
    const int64_t count = images->size(0), height = images->size(1), width = images->size(2), channels = images->size(3);
    TORCH_CHECK(moves->device().is_cpu() && moves->scalar_type() == at::kInt && moves->sizes() == at::IntArrayRef({count, 3}),
                "moves are i32 [B, 3]");
    const at::Tensor from = images->contiguous(), all = moves->contiguous();
    at::Tensor to = at::empty_like(from);
    const uint8_t *source = from.const_data_ptr<uint8_t>();
    uint8_t *target = to.mutable_data_ptr<uint8_t>();
    const int32_t *numbers = all.const_data_ptr<int32_t>();
    constexpr int64_t BYTES = 1 << 15;  // that a thread takes at least
    const int64_t row = width * channels, rows = BYTES / std::max<int64_t>(row, 1) + 1;
    at::parallel_for(0, count * height, rows, [&](int64_t begin, int64_t end) {
      for (int64_t at = begin; at < end; ++at) {
        const int64_t image = at / height, y = at % height;
        const int32_t *move = numbers + image * 3;
        const int64_t from_y = y + move[2];
        if (from_y < 0 || from_y >= height) {
          std::memset(target + at * row, 0, size_t(row));
        } else {
          move_row(source + (image * height + from_y) * row, target + at * row, {move[0] != 0, move[1], move[2]}, width, channels);
        }
      }
    });
    *out = new at::Tensor(to);
  });
}
