// Batches on their way to a GPU: pinned memory, a copying stream, events. Device-generic, so that no CUDA header and no
// symbol of libtorch_cuda is needed.
//
// A slot's memory is kept and used again, and what is given out is a copy of it on the computing stream: so no tensor is
// used on two streams, and nothing has to ask the driver while memory is freed, where an exception would end the process.

#include "caught.h"

#include <memory>
#include <vector>

#include <ATen/ATen.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace {

struct Slot {
  at::Tensor pinned;   // u8 [bytes], on the host
  at::Tensor staged;   // u8 [bytes], on the device
  c10::Event copied;   // pinned is in staged
  c10::Event consumed; // staged was read
};

} // namespace

struct Feed {
  c10::impl::VirtualGuardImpl guard;
  c10::Device device;
  c10::Stream copies;
  std::vector<Slot> slots;
};

// `num_slots` slots of `bytes` bytes for the GPU number `index`.
extern "C" char *convnet_feed_new(int8_t index, size_t num_slots, int64_t bytes, Feed **out) {
  return caught([&] {
    const c10::Device device(c10::DeviceType::CUDA, index);
    c10::impl::VirtualGuardImpl guard(device.type());
    auto feed = std::make_unique<Feed>(Feed{guard, device, guard.getStreamFromGlobalPool(device, true), {}});
    const auto kind = at::TensorOptions().dtype(at::kByte);
    for (size_t i = 0; i < num_slots; i++) {
      Slot slot{at::empty({bytes}, kind.pinned_memory(true)), at::empty({bytes}, kind.device(device)),
                c10::Event(device.type()), c10::Event(device.type())};
      // whoever had this memory before may still be at work on it
      slot.consumed.record(guard.getStream(device));
      feed->slots.push_back(std::move(slot));
    }
    *out = feed.release();
  });
}

// Begins to copy `count` bytes at `pixels`, which are free again on return, into a slot that is not on its way.
extern "C" char *convnet_feed_start(Feed *feed, size_t index, const uint8_t *pixels, int64_t count) {
  return caught([&] {
    Slot &slot = feed->slots.at(index);
    TORCH_CHECK(count <= slot.pinned.numel(), "a batch is larger than its slot");
    // a copy some batches ago: the GPU has work for as many steps
    if (!slot.copied.query()) slot.copied.synchronize();
    std::memcpy(slot.pinned.mutable_data_ptr(), pixels, count);
    c10::StreamGuard on(feed->copies);
    slot.consumed.block(feed->copies);
    slot.staged.narrow(0, 0, count).copy_(slot.pinned.narrow(0, 0, count), /*non_blocking=*/true);
    slot.copied.record(feed->copies);
  });
}

// The bytes of a slot in a tensor of its own, u8 of `sizes`, as soon as the copy is done: the computing stream waits for
// it, not the host.
extern "C" char *convnet_feed_take(Feed *feed, size_t index, const int64_t *sizes, size_t rank, at::Tensor **out) {
  return caught([&] {
    Slot &slot = feed->slots.at(index);
    const at::IntArrayRef shape(sizes, rank);
    const c10::Stream computing = feed->guard.getStream(feed->device);
    slot.copied.block(computing);
    at::Tensor batch = slot.staged.narrow(0, 0, c10::multiply_integers(shape)).clone().view(shape);
    slot.consumed.record(computing);
    *out = new at::Tensor(std::move(batch));
  });
}

// Ends it. Where the GPU is in error its memory stays, for giving it back would throw in a destructor.
extern "C" void convnet_feed_free(Feed *feed) {
  char *error = caught([&] { feed->guard.synchronizeStream(feed->copies); });
  if (error == nullptr) delete feed;
  std::free(error);
}
