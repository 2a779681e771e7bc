"""Real Keras and PyTorch on files that convnet read or wrote: the same weights bit for bit, the same outputs."""

import argparse
import importlib.util
import os
import pathlib
import sys
import tempfile

import numpy

# The same arithmetic everywhere: a GPU would round otherwise.
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["KERAS_BACKEND"] = "torch"
# Keras writes its settings on import: nowhere near the user's.
settings = tempfile.TemporaryDirectory()
os.environ["KERAS_HOME"] = settings.name


def load_keras(path):
    """A .keras, a whole-model .h5, or a JSON with weights of the same name beside it."""
    import keras

    if path.suffix != ".json":
        return keras.models.load_model(path)
    model = keras.models.model_from_json(path.read_text())
    weights = [path.with_suffix(suffix) for suffix in (".weights.h5", ".h5")]
    model.load_weights(next(file for file in weights if file.exists()))
    return model


def check(what, output, expected, tolerance):
    # Negated, so that NaN fails too.
    scale = numpy.maximum(numpy.abs(expected), 1.0)
    difference = (numpy.abs(output - expected) / scale).max() if output.shape == expected.shape else numpy.inf
    if not difference <= tolerance:
        sys.exit(f"{what}: outputs differ by {difference:.3g}, more than {tolerance:.3g}")


def same(arguments):
    """Every file is the first one's network: weights bit for bit, outputs as Keras itself computes the first one's."""
    images = numpy.load(arguments.input)
    original = load_keras(arguments.files[0])
    first, expected = original.get_weights(), original.predict(images, verbose=0)
    for path in arguments.files[1:]:
        model = load_keras(path)
        weights = model.get_weights()
        if len(weights) != len(first):
            sys.exit(f"{path}: {len(weights)} weights, not {len(first)}")
        for index, (one, other) in enumerate(zip(first, weights)):
            if one.shape != other.shape or one.tobytes() != other.tobytes():
                sys.exit(f"{path}: weight {index} is another")
        check(path, model.predict(images, verbose=0), expected, arguments.tolerance)


def save(model, paths):
    for path in paths:
        if path.name.endswith(".weights.h5"):
            model.save_weights(path)
        elif path.suffix == ".json":
            path.write_text(model.to_json())
        else:
            model.save(path)


def resave(arguments):
    """Loads the first file and saves it under the other names."""
    save(load_keras(arguments.files[0]), arguments.files[1:])


def nested(arguments):
    """Makes a network with a network in it, moving statistics and a frozen layer among its weights, and saves it."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    block = [layers.Conv2D(3, 2, activation="relu"), layers.BatchNormalization(), layers.Conv2D(3, 2)]
    block[2].trainable = False
    model = keras.Sequential(
        [
            keras.Input((6, 7, 2)),
            layers.Conv2D(2, 1),
            keras.Sequential(block, name="block"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dense(4, activation="softmax"),
        ]
    )
    random = numpy.random.default_rng(1)
    model.set_weights([random.uniform(0.2, 1.2, weight.shape) for weight in model.get_weights()])
    images = random.random((5, 6, 7, 2), "float32")
    numpy.save(arguments.input, images)
    numpy.save(arguments.expect, model.predict(images, verbose=0))
    save(model, arguments.files)


def optimizers():
    from keras.optimizers import SGD, Adam, AdamW, Lion, Nadam, RMSprop

    return {
        "adam": Adam(0.01),
        "adam_in_parts": Adam(0.01, gradient_accumulation_steps=5),
        "adam_averaged": Adam(0.01, use_ema=True),
        "adamw": AdamW(0.01),
        "nadam": Nadam(0.005),
        "sgd": SGD(0.01, momentum=0.9, nesterov=True),
        "rmsprop": RMSprop(0.002),
        "rmsprop_momentum": RMSprop(0.002, momentum=0.5),
        "rmsprop_centered": RMSprop(0.002, centered=True),
        "rmsprop_both": RMSprop(0.002, momentum=0.5, centered=True),
        "lion": Lion(0.001),
    }


def train_network(layers, optimizer, loss, images, labels, folder, name):
    """Trains for an epoch of five batches and saves, as .keras and .h5, then for two more and saves as <name>.after.keras."""
    import keras

    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input(images.shape[1:]), *layers])
    model.compile(optimizer, loss)
    for epoch in range(3):
        if epoch == 1:
            save(model, [folder / f"{name}.keras", folder / f"{name}.h5"])
        for start in range(0, len(images), 32):
            model.train_on_batch(images[start : start + 32], labels[start : start + 32])
    save(model, [folder / f"{name}.after.keras"])


def warm(arguments):
    """Trains networks with every optimizer, and one that ends in logits. Layers are called as older files call slots."""
    import keras
    from keras import layers

    (folder,) = arguments.files
    random = numpy.random.default_rng(1)
    labels = random.integers(0, 4, 160)
    patterns = random.uniform(0, 255, (4, 8, 8, 1))
    pixels = (patterns[labels] * 0.5 + random.uniform(0, 120, (160, 8, 8, 1))).astype("uint8")
    numpy.savez(folder / "data.npz", x_train=pixels, y_train=labels, x_test=pixels[:9], y_test=labels[:9])
    images = (pixels / 255).astype("float32")
    for name, optimizer in optimizers().items():
        network = [
            layers.Conv2D(6, 3, activation="relu", name="conv_m"),
            layers.MaxPooling2D(),
            layers.Flatten(name="m"),
            layers.Dense(8, activation="elu", name="v"),
            layers.Dense(4, activation="softmax", name="dense_v"),
        ]
        train_network(network, optimizer, "sparse_categorical_crossentropy", images, labels, folder, name)
    network = [layers.Conv2D(6, 3), layers.Activation("gelu"), layers.Flatten(), layers.Dense(4)]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    train_network(network, keras.optimizers.Adam(0.01), loss, images, labels, folder, "logits")


def run_script(path, images):
    """What an exported script gives for images in Keras's order."""
    import torch

    specification = importlib.util.spec_from_file_location("exported", path)
    exported = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(exported)
    images = torch.from_numpy(images).float()
    images = images.permute(0, 3, 1, 2) if images.ndim == 4 else images
    with torch.inference_mode():
        output = exported.load()(images)
    return (output.permute(0, 2, 3, 1) if output.ndim == 4 else output).numpy()


def torch_script(arguments):
    output = run_script(arguments.files[0], numpy.load(arguments.input))
    check(arguments.files[0], output, numpy.load(arguments.expect), arguments.tolerance)


def main():
    commands = {"same": same, "resave": resave, "nested": nested, "torch": torch_script, "warm": warm}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=commands)
    parser.add_argument("files", type=pathlib.Path, nargs="+")
    parser.add_argument("--input", type=pathlib.Path, help=".npy, [N, H, W, C], as handed to the model")
    parser.add_argument("--expect", type=pathlib.Path, help=".npy: the outputs that a script must give")
    parser.add_argument("--tolerance", type=float, default=1e-5)
    arguments = parser.parse_args()
    commands[arguments.command](arguments)


if __name__ == "__main__":
    main()
