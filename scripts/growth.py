#!/usr/bin/env python3
"""How the seconds and the memory of a training grow with the images, the batch and the width of the network.

    cargo build --release
    python3 scripts/growth.py DATA --json growth.json --png docs/images/growth.png
    python3 scripts/growth.py --from growth.json --png docs/images/growth.png       # draws what was measured

DATA is a folder with Fashion-MNIST's (or MNIST's) four .gz files; the first 10,000 training images are repeated as often as need be.
They lie in IDX files, which convnet holds in memory, or as PNG in shards (.tar) or class folders, from which each batch is read and decoded
anew (`--cache none`). Each point is a process of its own that trains the default network, or of other widths; its fastest epoch counts, and its
peak memory. Neither validation nor test is in it.
"""

import argparse
import io
import json
import math
import os
import pathlib
import sys
import tarfile
import tempfile

from benchmark import convnet, measure, peers, work as works

COUNTS = [1_000, 10_000, 100_000, 1_000_000]
BATCHES = [8, 32, 128, 512, 2048]
WIDTHS = [8, 16, 32, 64, 128, 256]
DISTINCT, SHARD = 10_000, 1_000
BATCH_IMAGES, WIDTH_IMAGES = 20_000, 2_000
BATCH = 128
IN_MEMORY, SHARDS, FOLDERS = "in memory (IDX)", "streamed (PNG in shards)", "streamed (PNG in class folders)"
NETWORK = "Conv2D {0} 3 relu\nMaxPooling2D 2\nConv2D {1} 3 relu\nMaxPooling2D 2\nDropout 0.2\nFlatten\nDense softmax\n"


def idx_folder(data, folder, count):
    """The images as IDX files, so many."""
    new = folder / f"idx-{count}"
    if new.exists():
        return new
    new.mkdir()
    for name, magic, header, size in [("images-idx3", 0x803, 16, 784), ("labels-idx1", 0x801, 8, 1)]:
        values = works.idx(data, f"train-{name}-ubyte", header, DISTINCT * size).tobytes()
        shape = (28).to_bytes(4, "big") * 2 if size > 1 else b""
        with open(new / f"train-{name}-ubyte", "wb") as file:
            file.write(magic.to_bytes(4, "big") + count.to_bytes(4, "big") + shape)
            for first in range(0, count, DISTINCT):
                file.write(values[:min(DISTINCT, count - first) * size])
    return new


def shard_folder(data, folder, count):
    """The images in shards of 1,000, of which ten are distinct files: the others are links to them."""
    new = folder / f"shards-{count}"
    if new.exists():
        return new
    distinct = folder / "distinct"
    if not distinct.exists():
        write_shards(data, distinct)
    new.mkdir()
    sources = sorted(distinct.iterdir())
    for number in range(-(-count // SHARD)):
        os.link(sources[number % len(sources)], new / f"train-{number:06}.tar")
    return new


def class_folders(data, folder, count):
    """The images in class folders: links to as many distinct files as there are."""
    new, distinct = folder / f"folders-{count}", folder / "distinct-files"
    if new.exists():
        return new
    if not distinct.exists():
        distinct.mkdir()
        for image, (png, _) in enumerate(pngs(data)):
            (distinct / f"{image}.png").write_bytes(png)
    labels = works.images_of(data, works.WORK["default-128"], "train", DISTINCT)[1]
    for name in sorted(set(labels)):
        (new / "train" / str(name)).mkdir(parents=True)
    for image in range(count):
        os.link(distinct / f"{image % DISTINCT}.png", new / "train" / str(labels[image % DISTINCT]) / f"{image:07}.png")
    return new


def pngs(data):
    """Each distinct image's PNG and its label."""
    from PIL import Image

    for image, label in zip(*works.images_of(data, works.WORK["default-128"], "train", DISTINCT)):
        png = io.BytesIO()
        Image.fromarray(image[:, :, 0]).save(png, "png")
        yield png.getvalue(), label


def write_shards(data, folder):
    images = pngs(data)
    folder.mkdir()

    def add(tar, name, content):
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))

    for number in range(DISTINCT // SHARD):
        with tarfile.open(folder / f"{number:06}.tar", "w") as tar:
            for image in range(number * SHARD, (number + 1) * SHARD):
                png, label = next(images)
                add(tar, f"{image:06}.png", png)
                add(tar, f"{image:06}.cls", str(label).encode())


def train(folder, data, images, batch=BATCH, width=32, cache="auto"):
    """Seconds of the fastest epoch, and the process's peak memory."""
    network = folder / f"width-{width}.txt"
    network.write_text(NETWORK.format(width, 2 * width))
    epochs = 4 if images <= BATCH_IMAGES else 2 if images <= 100_000 else 1
    process = measure.run([convnet.PROGRAM, "train", "--data", data, "--model", network, "--validation", "none", "--no-check",
                           "--cache", cache, "--batch-size", batch, "--epochs", epochs, "--tensorboard", "none", "--device", "cpu",
                           "--progress", "none", "--json", "--logs", folder / "logs", "--models", folder / "models"])
    seconds = min(epoch["seconds"] for epoch in json.loads(process.out)["epochs"])
    point = {"images": images, "batch": batch, "width": width, "seconds": seconds, "memory": process.memory_mib}
    print(f"{cache}: {point}", file=sys.stderr, flush=True)
    return point


def measured(data, largest, parts):
    found = {"command": sys.argv, "commit": convnet.commit(), "processor": convnet.processor()}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if "images" in parts:
            found["images"] = {IN_MEMORY: [], SHARDS: [], FOLDERS: []}
            for count in [count for count in COUNTS if count <= largest]:
                found["images"][IN_MEMORY].append(train(folder, idx_folder(data, folder, count), count))
                found["images"][SHARDS].append(train(folder, shard_folder(data, folder, count), count, cache="none"))
                found["images"][FOLDERS].append(train(folder, class_folders(data, folder, count), count, cache="none"))
        if "batch" in parts:
            some = idx_folder(data, folder, BATCH_IMAGES)
            found["batch"] = [train(folder, some, BATCH_IMAGES, batch=batch) for batch in BATCHES]
        if "width" in parts:
            few = idx_folder(data, folder, WIDTH_IMAGES)
            found["width"] = [train(folder, few, WIDTH_IMAGES, width=width) for width in WIDTHS]
    return found


def draw(found, png):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update({"font.size": 10, "axes.grid": True, "grid.alpha": 0.3, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = pyplot.subplots(2, 3, figsize=(10, 6), layout="constrained", sharex="col")
    panels = [("images", "training images", found["images"]),
              ("batch", f"images a batch\n(of {BATCH_IMAGES:,} images)", {"": found["batch"]}),
              ("width", f"filters of the first convolution\n(half of the second's; {WIDTH_IMAGES:,} images)", {"": found["width"]})]
    for column, (key, label, lines) in enumerate(panels):
        for row, (value, words) in enumerate([("seconds", "seconds an epoch"), ("memory", "peak memory, MiB")]):
            axis = axes[row][column]
            for name, points in lines.items():
                axis.plot([point[key] for point in points], [point[value] for point in points], marker="o", label=name)
            axis.set(xscale="log", yscale="log")
            describe(axis, key, value, [point for points in lines.values() for point in points])
            if column == 0:
                axis.set_ylabel(words)
            if row == 1:
                axis.set_xlabel(label)
    axes[1][0].legend(frameon=False, loc="upper left", fontsize=8, handlelength=1.2, borderaxespad=0)
    figure.savefig(png, dpi=100)


def describe(axis, key, value, points):
    """Ticks as plain numbers: every measured size; powers of two, or of ten where the values are far apart."""
    from matplotlib import ticker

    sizes = sorted({point[key] for point in points})
    axis.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axis.xaxis.set_minor_locator(ticker.NullLocator())
    values = [point[value] for point in points]
    base = 2 if max(values) / min(values) < 100 else 10
    lowest = base ** math.floor(math.log(min(values), base))
    axis.set_ylim(lowest, max(max(values) * 1.2, lowest * base**3))
    axis.yaxis.set_major_locator(ticker.LogLocator(base=base, numticks=12))
    axis.yaxis.set_minor_locator(ticker.NullLocator())
    axis.yaxis.set_major_formatter(ticker.FuncFormatter(lambda number, _: f"{number:,.0f}" if number >= 1 else f"{number:.2g}"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?")
    parser.add_argument("--largest", type=int, default=COUNTS[-1], help="the most images [%(default)s]")
    parser.add_argument("--parts", default="images,batch,width", help="what is measured [%(default)s]")
    parser.add_argument("--from", dest="source", type=pathlib.Path, help="a file of --json: what is not measured is taken from it")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--png", type=pathlib.Path)
    options = parser.parse_args()
    if options.data is None and options.source is None:
        parser.error("DATA, --from a file, or both")
    peers.ensure_python(["numpy", "PIL", "matplotlib"])
    found = json.loads(options.source.read_text()) if options.source else {}
    if options.data:
        found |= measured(options.data, options.largest, options.parts.split(","))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    if options.png:
        draw(found, options.png)


if __name__ == "__main__":
    main()
