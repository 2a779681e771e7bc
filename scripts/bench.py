#!/usr/bin/env python3
"""Times `convnet train` and Keras's `fit` side by side: the same network, data, batches and validation.

    python -m venv bench && bench/bin/pip install tensorflow==2.21.0
    cargo build --release
    bench/bin/python scripts/bench.py DATA [--rounds 3] [--epochs 3]

DATA is a folder with Fashion-MNIST's (or MNIST's) four .gz files. Both take turns, a process each, so that a slow minute
of the machine meets both. The first epoch of each process is left out (Keras traces and compiles in it). An epoch is
training on all but the last 5,000 images and validation on those; the figure to read is the ratio.
"""

import argparse
import gzip
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

CONVNET = pathlib.Path(__file__).resolve().parent.parent / "target/release/convnet"


def keras_epoch_seconds(data, epochs):
    """Runs in a process of its own: seconds of each epoch of Keras's fit."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    import numpy as np
    from keras import layers

    def read(name, offset):
        with gzip.open(pathlib.Path(data) / name) as file:
            return np.frombuffer(file.read(), np.uint8, offset=offset)

    images = read("train-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28, 1).astype(np.float32) / 255
    labels = keras.utils.to_categorical(read("train-labels-idx1-ubyte.gz", 8), 10)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([
        layers.Input((28, 28, 1)),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(64, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Dropout(0.2),
        layers.Flatten(),
        layers.Dense(10, activation="softmax"),
    ])
    model.compile(keras.optimizers.Adam(0.002), loss="categorical_crossentropy", metrics=["accuracy"])
    seconds = []

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.started = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            seconds.append(time.perf_counter() - self.started)

    train, held_out = slice(0, -5000), slice(-5000, None)
    model.fit(images[train], labels[train], batch_size=128, epochs=epochs, verbose=0, callbacks=[Clock()],
              validation_data=(images[held_out], labels[held_out]), validation_batch_size=1000)
    return seconds


def convnet_epoch_seconds(data, epochs, folder):
    command = [CONVNET, "train", "--data", data, "--epochs", str(epochs), "--progress", "none", "--json",
               "--logs", f"{folder}/logs", "--models", f"{folder}/models"]
    report = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return [epoch["seconds"] for epoch in report["epochs"]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--keras-only", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.keras_only:
        print(json.dumps(keras_epoch_seconds(arguments.data, arguments.epochs)))
        return
    import tempfile

    keras_medians, convnet_medians = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(1, arguments.rounds + 1):
            convnet = convnet_epoch_seconds(arguments.data, arguments.epochs, folder)[1:]
            command = [sys.executable, __file__, arguments.data, "--epochs", str(arguments.epochs), "--keras-only"]
            keras = json.loads(subprocess.run(command, check=True, capture_output=True).stdout.splitlines()[-1])[1:]
            convnet_medians.append(statistics.median(convnet))
            keras_medians.append(statistics.median(keras))
            print(f"round {number}: convnet {convnet_medians[-1]:.2f} s, Keras {keras_medians[-1]:.2f} s an epoch",
                  flush=True)
    ratios = [k / c for k, c in zip(keras_medians, convnet_medians)]
    print(f"Keras's epoch takes {statistics.median(ratios):.2f} times as long as convnet's "
          f"({min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} rounds)")


if __name__ == "__main__":
    main()
