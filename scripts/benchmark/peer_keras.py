"""Keras on TensorFlow. A function for each kind of work; it runs in a process of its own."""

import os
import time

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", KERAS_BACKEND="tensorflow", CUDA_VISIBLE_DEVICES="-1")

import keras
import numpy as np

from . import work as works
from .peers import peak_mib, tested


class Clock(keras.callbacks.Callback):
    """Each epoch's seconds."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self.started = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self.started)


def compiled(model):
    model.compile(keras.optimizers.Adam(works.LEARNING_RATE), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def training(work, job):
    if job["precision"] == "bf16":
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    images, labels = works.images_of(job["data"], work)
    images = images.astype(np.float32) / 255
    with open(job["network"], encoding="utf-8") as file:
        model = compiled(keras.models.model_from_json(file.read()))
    clock = Clock()
    model.fit(images, labels, batch_size=work.batch, epochs=work.epochs, verbose=0, callbacks=[clock])
    return {"epochs": clock.seconds, "memory": peak_mib(), **tested(work, lambda: accuracy(model, work, job))}


def accuracy(model, work, job):
    images, labels = works.images_of(job["data"], work, "t10k", works.TEST_IMAGES)
    return float(model.evaluate(images.astype(np.float32) / 255, labels, batch_size=250, verbose=0)[1])


def prediction_cold(work, job):
    from PIL import Image

    model = keras.models.load_model(job["model"], compile=False)
    pixels = np.asarray(Image.open(job["picture"]), np.float32).reshape(1, 28, 28, 1) / 255
    return {"class": int(np.asarray(model(pixels, training=False)).argmax())}


def prediction_warm(work, job):
    model = compiled(keras.models.load_model(job["model"], compile=False))
    first, images = (works.images_of(job["data"], work, split, count)
                     for split, count in [("t10k", work.first), ("train", work.counted)])
    model.evaluate(first[0].astype(np.float32) / 255, first[1], batch_size=work.batch, verbose=0)
    started = time.perf_counter()
    model.evaluate(images[0].astype(np.float32) / 255, images[1], batch_size=work.batch, verbose=0)
    return {"seconds": time.perf_counter() - started}


def folder(work, job):
    """The images are decoded anew in each epoch, by TensorFlow's threads."""
    data = keras.utils.image_dataset_from_directory(job["pictures"], image_size=(work.side, work.side), batch_size=work.batch,
                                                    verbose=False)
    layers = keras.layers
    model = keras.Sequential([
        keras.Input((work.side, work.side, 3)), layers.Rescaling(1 / 255), layers.Conv2D(16, 3, 2, activation="relu"),
        layers.MaxPooling2D(2), layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, activation="relu"), layers.GlobalAveragePooling2D(),
        layers.Dense(works.FOLDER_CLASSES, activation="softmax")])
    clock = Clock()
    compiled(model).fit(data.prefetch(2), epochs=work.epochs, verbose=0, callbacks=[clock])
    return {"epochs": clock.seconds, "memory": peak_mib()}
