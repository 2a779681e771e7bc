"""What is measured, and the files it is measured on."""

import dataclasses
import gzip
import pathlib

TRAINING, COLD, WARM, FOLDER = "training", "prediction-cold", "prediction-warm", "folder"
LEARNING_RATE = 0.002
TEST_IMAGES = 10_000
FOLDER_IMAGES = 300
FOLDER_CLASSES = 3


@dataclasses.dataclass(frozen=True)
class Work:
    """A preset, or a small network for pictures from a folder, and what is done with it."""

    kind: str
    preset: str = "keras-cnn"
    images: int = 20_000
    side: int = 28
    channels: int = 1
    batch: int = 128
    epochs: int = 4
    first: int = 10_000  # of predictions in a warm process: images that are predicted before, …
    counted: int = 50_000  # … and those that count

    @property
    def has_accuracy(self):
        """Whether the images are whole ones, so that what is learnt means something."""
        return self.kind == TRAINING and self.side == 28


WORK = {
    "default-32": Work(TRAINING, batch=32, epochs=3),
    "default-128": Work(TRAINING),
    "default-1024": Work(TRAINING, batch=1024),
    "resnet18-64": Work(TRAINING, "resnet18", 640, 64, 3, 32, 3),
    "mobilenet-v2-96": Work(TRAINING, "mobilenet-v2", 640, 96, 3, 32, 3),
    "prediction-cold": Work(COLD, images=2_000, epochs=1),
    "prediction-warm": Work(WARM, images=2_000, batch=250, epochs=1),
    "resnet18-64-warm": Work(WARM, "resnet18", 640, 64, 3, 32, 1, 500, 2_000),
    "mobilenet-v2-96-warm": Work(WARM, "mobilenet-v2", 640, 96, 3, 32, 1, 500, 2_000),
    "folder-224": Work(FOLDER, "", FOLDER_IMAGES, 224, 3, 32, 4),
}

# of folder-224, in convnet's short form (docs/layers.md); the peers' own files have the same
FOLDER_NETWORK = """\
Conv2D 16 3 2 relu
MaxPooling2D 2
Conv2D 32 3 relu
MaxPooling2D 2
Conv2D 64 3 relu
GlobalAveragePooling2D
Dense softmax
"""


def idx(data, name, offset, count=None):
    """The bytes behind the header of one of the four files."""
    import numpy as np

    with gzip.open(pathlib.Path(data) / f"{name}.gz") as file:
        return np.frombuffer(file.read(), np.uint8, offset=offset, count=-1 if count is None else count)


def images_of(data, work, split="train", count=None):
    """Images, u8 [N, H, W, C], and labels; larger ones are the small ones, repeated: what is in them does not matter here."""
    import numpy as np

    count = count or work.images
    images = idx(data, f"{split}-images-idx3-ubyte", 16).reshape(-1, 28, 28, 1)[:count]
    times = -(-work.side // 28)
    images = np.tile(images, (1, times, times, work.channels))[:, :work.side, :work.side]
    return images, idx(data, f"{split}-labels-idx1-ubyte", 8)[:count].astype(np.int64)


def unpacked(data, folder, test_images):
    """A folder with the data as they are, not compressed, and so many of its test images."""
    new = pathlib.Path(folder) / f"data-{test_images}"
    if new.exists():
        return new
    new.mkdir()
    for split, count in [("train", None), ("t10k", test_images)]:
        for name, header, size in [(f"{split}-images-idx3-ubyte", 16, 784), (f"{split}-labels-idx1-ubyte", 8, 1)]:
            with gzip.open(pathlib.Path(data) / f"{name}.gz") as file:
                content = file.read() if count is None else file.read(header + count * size)
            if count is not None:
                content = content[:4] + count.to_bytes(4, "big") + content[8:]
            (new / name).write_bytes(content)
    return new


def warm_data(data, folder, work):
    """A file for convnet: as test images those that are predicted before, as training images these and those that count."""
    import numpy as np

    file = pathlib.Path(folder) / f"warm-{work.preset}-{work.side}.npz"
    if not file.exists():
        arrays = {}
        for split, name, count in [("test", "t10k", work.first), ("train", "train", work.first + work.counted)]:
            arrays[f"x_{split}"], arrays[f"y_{split}"] = images_of(data, work, name, count)
        np.savez(file, **arrays)
    return file


def few_test_images(data, folder):
    """As `unpacked`, but compressed as it was, with 100 test images: the peers test nothing either."""
    new = pathlib.Path(folder) / "few"
    if not new.exists():
        small = unpacked(data, folder, 100)
        new.mkdir()
        for name in ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]:
            (new / name).symlink_to(small / name)
        for name in ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]:
            (new / name).symlink_to(pathlib.Path(data).resolve() / name)
    return new


def picture(data, folder):
    """A PNG file of the first test image."""
    from PIL import Image

    file = pathlib.Path(folder) / "picture.png"
    if not file.exists():
        Image.fromarray(idx(data, "t10k-images-idx3-ubyte", 16, 784).reshape(28, 28)).save(file)
    return file


def class_folders(folder):
    """JPEGs of about 500 x 400 pixels in a folder for each class: smooth noise with a grain, tinted by the class."""
    import numpy as np
    from PIL import Image

    root = pathlib.Path(folder) / "pictures"
    if root.exists():
        return root
    rng = np.random.default_rng(0)
    for number in range(FOLDER_IMAGES):
        label = number % FOLDER_CLASSES
        width, height = (int(side) for side in rng.integers((440, 340), (560, 460)))
        coarse = rng.integers(0, 200, (12, 15, 3), np.uint8)
        coarse[..., label] += 55
        pixels = np.asarray(Image.fromarray(coarse).resize((width, height), Image.BICUBIC), np.int16)
        pixels = pixels + rng.integers(-12, 13, pixels.shape, np.int16)
        file = root / f"class{label}" / f"{number:04}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, quality=90)
    return root
