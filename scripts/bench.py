#!/usr/bin/env python3
"""Times training side by side: convnet, Keras on TensorFlow, PyTorch with channels last, and that compiled (`--peers
keras,pytorch,torch-compile`). The same networks, batch sizes and steps.

    cargo build --release
    python3 scripts/bench.py DATA [--rounds 5] [--work default-128,resnet18-64] [--json FILE]

DATA is a folder with Fashion-MNIST's (or MNIST's) four .gz files. The first run installs the peers below the cache folder.
All take turns, a process each, so that a slow minute of the machine meets all of them. A process trains several epochs of the
same images without validation; the first is left out (Keras traces and compiles in it), the median of the others counts.
`whole` is the process from start to end, `memory` the most it held. A ratio is the peer's seconds over convnet's of the same
round; the table shows the median over the rounds and its range.
"""

import argparse
import functools
import gzip
import importlib.util
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CONVNET = ROOT / "target/release/convnet"
PACKAGES = ["tensorflow==2.21.0", "torch==2.11.0", "torchvision==0.26.0"]
MODULES = {"keras": ["tensorflow"], "pytorch": ["torch", "torchvision"], "torch-compile": ["torch", "torchvision"]}

# what is trained: preset, images, their side and channels, batch size, epochs
WORK = {
    "default-32": ("keras-cnn", 20000, 28, 1, 32, 3),
    "default-128": ("keras-cnn", 20000, 28, 1, 128, 4),
    "default-1024": ("keras-cnn", 20000, 28, 1, 1024, 4),
    "resnet18-64": ("resnet18", 640, 64, 3, 32, 3),
    "mobilenet-v2-96": ("mobilenet-v2", 640, 96, 3, 32, 3),
}


def images_of(data, count, side, channels):
    """Images and labels, u8; larger ones are the small ones, repeated: what is in them does not matter here."""
    import numpy as np

    def read(name, offset):
        with gzip.open(pathlib.Path(data) / name) as file:
            return np.frombuffer(file.read(), np.uint8, offset=offset)

    images = read("train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1)[:count]
    times = -(-side // 28)
    images = np.tile(images, (1, times, times, channels))[:, :side, :side]
    return images, read("train-labels-idx1-ubyte.gz", 8)[:count].astype(np.int64)


def keras_seconds(work, data, network, precision):
    os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", KERAS_BACKEND="tensorflow")
    import keras
    import numpy as np

    preset, count, side, channels, batch, epochs = WORK[work]
    if precision == "bf16":
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    images, labels = images_of(data, count, side, channels)
    images = images.astype(np.float32) / 255
    model = keras.models.model_from_json(pathlib.Path(network).read_text())
    model.compile(keras.optimizers.Adam(0.002), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    seconds = []

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.started = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            seconds.append(time.perf_counter() - self.started)

    model.fit(images, labels, batch_size=batch, epochs=epochs, verbose=0, callbacks=[Clock()])
    return seconds


def pytorch_network(preset):
    import torch
    import torchvision
    from torch import nn

    if preset == "keras-cnn":
        return nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(),
                             nn.MaxPool2d(2), nn.Dropout(0.2), nn.Flatten(), nn.Linear(1600, 10))
    return getattr(torchvision.models, preset.replace("-", "_"))(num_classes=10)


def pytorch_seconds(work, data, _, precision, is_compiled=False):
    import torch

    preset, count, side, channels, batch, epochs = WORK[work]
    images, labels = images_of(data, count, side, channels)
    # u8 until the step, as convnet has them; NHWC in memory
    images, labels = torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels)
    model = pytorch_network(preset).to(memory_format=torch.channels_last)
    if is_compiled:
        model = torch.compile(model)  # the first epoch, in which it compiles, is left out
    optimizer = torch.optim.Adam(model.parameters(), 0.002)
    seconds = []
    for _ in range(epochs):
        started, right, total = time.perf_counter(), torch.zeros(()), torch.zeros(())
        for chosen in torch.randperm(count).split(batch):
            x, y = images[chosen].float() / 255, labels[chosen]
            x = x.contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                logits = model(x).float()
                loss = torch.nn.functional.cross_entropy(logits, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(y)
            right += (logits.argmax(1) == y).sum()
        assert total.isfinite()
        seconds.append(time.perf_counter() - started)
    return seconds


def convnet_command(work, data, precision, folder):
    preset, count, side, channels, batch, epochs = WORK[work]
    return [CONVNET, "train", "--data", few_test_images(data, folder), "--limit-train", str(count), "--validation", "none",
            "--model", preset, "--image-size", str(side), "--channels", str(channels), "--batch-size", str(batch),
            "--epochs", str(epochs), "--precision", precision, "--progress", "none", "--json", "--device", "cpu",
            "--logs", f"{folder}/logs", "--models", f"{folder}/models"]


def few_test_images(data, folder):
    """A folder with the data's training images and 100 of its test images: the peers test nothing."""
    few = pathlib.Path(folder) / "data"
    if not few.exists():
        few.mkdir()
        for name, header, size in [("t10k-images-idx3-ubyte", 16, 784), ("t10k-labels-idx1-ubyte", 8, 1)]:
            with gzip.open(pathlib.Path(data) / f"{name}.gz") as file:
                content = file.read(header + 100 * size)
            (few / name).write_bytes(content[:4] + (100).to_bytes(4, "big") + content[8:])
        for name in ["train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"]:
            (few / name).symlink_to(pathlib.Path(data).resolve() / name)
    return few


def measured(command):
    """What the command printed last, its seconds and its peak memory in MiB."""
    started = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=subprocess.PIPE)
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"{command} failed:\n{said.decode()[-3000:]}")
        out.seek(0)
        return out.read().decode(), time.perf_counter() - started, usage.ru_maxrss / 1024


def run(tool, work, data, network, precision, folder):
    if tool == "convnet":
        out, whole, memory = measured(convnet_command(work, data, precision, folder))
        seconds = [epoch["seconds"] for epoch in json.loads(out)["epochs"]]
    else:
        command = [sys.executable, __file__, data, "--peer", tool, "--work", work, "--network", network]
        out, whole, memory = measured(command + ["--precision", precision])
        seconds = json.loads(out.splitlines()[-1])
    return {"epoch": statistics.median(seconds[1:]), "whole": whole, "memory": memory}


def ensure_peers(peers):
    """Goes on in a Python that has the peers."""
    if not all(importlib.util.find_spec(module) for peer in peers for module in MODULES[peer]):
        cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "convnet/bench-env"
        python = cache / "bin/python"
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", cache], check=True)
            subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
        os.execv(python, [str(python), *sys.argv])


def compare(work, arguments, folder):
    preset, _, side, channels, _, _ = WORK[work]
    network = f"{folder}/{work}.json"
    subprocess.run([CONVNET, "summary", preset, "--input-shape", f"{side},{side},{channels}", "--classes", "10",
                    "--write", network], check=True, stdout=subprocess.DEVNULL)
    rows = {tool: [] for tool in ["convnet", *arguments.peers.split(",")]}
    for _ in range(arguments.rounds):
        for tool, results in rows.items():
            results.append(run(tool, work, arguments.data, network, arguments.precision, folder))
    print(f"\n{work}, {arguments.precision}, {arguments.rounds} rounds")
    print(f"{'':13} {'epoch s':>8} {'ratio':>6} {'range':>13} {'whole s':>8} {'ratio':>6} {'MiB':>6}")
    ours = rows["convnet"]
    for tool, results in rows.items():
        middle = {key: statistics.median(result[key] for result in results) for key in ours[0]}
        ratios = {key: sorted(theirs[key] / own[key] for theirs, own in zip(results, ours)) for key in ours[0]}
        span = f"{ratios['epoch'][0]:.2f} to {ratios['epoch'][-1]:.2f}"
        print(f"{tool:13} {middle['epoch']:8.2f} {statistics.median(ratios['epoch']):6.2f} {span:>13} "
              f"{middle['whole']:8.2f} {statistics.median(ratios['whole']):6.2f} {middle['memory']:6.0f}", flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", default=",".join(WORK))
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--peers", default="keras,pytorch")
    parser.add_argument("--json", help="a file for all measurements")
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("--network", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peer:
        compiled = functools.partial(pytorch_seconds, is_compiled=True)
        peer = {"keras": keras_seconds, "pytorch": pytorch_seconds, "torch-compile": compiled}[arguments.peer]
        print(json.dumps(peer(arguments.work, arguments.data, arguments.network, arguments.precision)))
        return
    ensure_peers(arguments.peers.split(","))
    with tempfile.TemporaryDirectory() as folder:
        results = {work: compare(work, arguments, folder) for work in arguments.work.split(",")}
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
