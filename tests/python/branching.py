"""Makes networks that branch with real Keras, random weights and statistics in them: their files, inputs and outputs.

For each network NAME in FOLDER: NAME.keras, NAME.json with NAME.weights.h5, NAME.h5, NAME.x.npy, NAME.y.npy (outputs, of
applications the logits), NAME.facts.json. `check` compares what was exported to NAME.to.FORM with them. `train` writes NAME.before.keras, the batches, and the loss of every step.
"""

import argparse
import json
import os
import pathlib
import tempfile
import zlib

import numpy

# The same arithmetic everywhere: a GPU would round otherwise.
os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ.setdefault("KERAS_BACKEND", "torch")
# Keras writes its settings on import: nowhere near the user's.
settings = tempfile.TemporaryDirectory()
os.environ["KERAS_HOME"] = settings.name

import keras
from exchange import check, load_keras, run_script
from keras import applications, layers, ops


def conv(x, filters, size=3, strides=1, activation=True, name=None):
    x = layers.Conv2D(filters, size, strides=strides, padding="same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization()(x)
    return layers.ReLU()(x) if activation else x


def residual(x, filters, strides=1):
    short = x
    if strides > 1 or x.shape[-1] != filters:
        short = conv(x, filters, 1, strides, activation=False)
    y = conv(x, filters, 3, strides)
    y = conv(y, filters, 3, activation=False)
    return layers.ReLU()(layers.Add()([y, short]))


def head(x, units=5, activation=None):
    if len(x.shape) == 4:
        x = layers.GlobalAveragePooling2D()(x)
    return layers.Dense(units, activation=activation, name="head")(x)


def resnet():
    i = x = keras.Input((16, 16, 3), name="image")
    x = conv(x, 8)
    for filters, strides in [(8, 1), (12, 2), (16, 2)]:
        x = residual(x, filters, strides)
    return keras.Model(i, head(x), name="resnet")


def merges():
    i = keras.Input((9, 8, 3))
    a = layers.Conv2D(4, 3, padding="same", activation="tanh")(i)
    b = layers.Conv2D(4, 1, activation="elu")(i)
    c = layers.DepthwiseConv2D(3, padding="same")(b)
    gate = layers.GlobalAveragePooling2D(keepdims=True)(a)
    gate = layers.Conv2D(4, 1, activation="sigmoid")(gate)
    x = layers.Multiply()([a, gate, c])
    x = layers.Subtract()([x, b])
    y = layers.Maximum()([a, b, c])
    z = layers.Minimum()([a, x])
    w = layers.Average()([x, y, z])
    tall = layers.Concatenate(axis=1)([x, layers.Cropping2D(((2, 1), (0, 0)))(y)])
    wide = layers.Concatenate(axis=2)([x, z, layers.Cropping2D(((0, 0), (1, 3)))(y)])
    deep = layers.Concatenate()([w, a, i])
    wide = layers.Conv2D(6, (1, 3), activation="relu")(wide)
    parts = [layers.GlobalMaxPooling2D()(part) for part in [tall, wide, deep]]
    x = layers.Concatenate(axis=-1)(parts)
    return keras.Model(i, head(x), name="merges")


def shared():
    i = keras.Input((12, 12, 3))
    stem = layers.Conv2D(6, 3, padding="same")(i)
    twice = layers.Conv2D(6, 3, padding="same", activation="relu", name="twice")
    norm = layers.BatchNormalization(name="norm")
    pool = layers.MaxPooling2D(name="pool")
    a = norm(twice(stem))
    b = norm(twice(a))
    c = twice(pool(b))
    x = layers.Concatenate()([pool(a), c])
    dense = layers.Dense(7, activation="gelu", name="both")
    x = layers.GlobalAveragePooling2D()(x)
    y = dense(layers.Dense(12)(x))
    z = dense(x)
    return keras.Model(i, head(layers.Add()([y, z])), name="shared")


def block(shape, name, filters):
    i = keras.Input(shape)
    x = layers.Conv2D(filters, 3, padding="same", activation="relu")(i)
    x = layers.Add()([x, layers.Conv2D(filters, 1)(i)])
    x = layers.BatchNormalization()(x)
    return keras.Model(i, x, name=name)


def nested():
    i = keras.Input((8, 8, 3))
    inner = block((8, 8, 4), "inner", 4)
    chain = keras.Sequential([layers.Conv2D(4, 3, padding="same"), layers.BatchNormalization()], name="chain")
    j = keras.Input((8, 8, 4))
    outer = keras.Model(j, layers.Multiply()([inner(j), chain(j)]), name="outer")
    x = layers.Conv2D(4, 1)(i)
    x = outer(x)
    twice = block((8, 8, 4), "twice", 4)
    x = layers.Subtract()([twice(x), twice(twice(x))])
    return keras.Model(i, head(x), name="nested")


def nested_last():
    features = keras.Input((5,))
    top = keras.Model(features, layers.Dense(4)(layers.Dense(6, activation="selu")(features)), name="top")
    i = keras.Input((7, 7, 1))
    x = layers.Flatten()(layers.Conv2D(1, 3)(i))
    x = top(top_input(x))
    return keras.Model(i, x, name="nested_last")


def top_input(x):
    return layers.Average()([layers.Dense(5)(x), layers.Dense(5, activation="relu")(x)])


def transferred():
    base = resnet_base()
    base.trainable = False
    i = keras.Input((16, 16, 3))
    x = base(i, training=False)
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(i, head(x), name="transferred")


def resnet_base():
    i = keras.Input((16, 16, 3), name="base_input")
    return keras.Model(i, residual(conv(i, 6), 8, 2), name="base")


def in_sequential():
    return keras.Sequential(
        [keras.Input((8, 8, 3)), block((8, 8, 3), "first", 5), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(4)],
        name="in_sequential",
    )


def operators():
    i = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same")(i / 2.0 - 0.5)
    y = layers.Conv2D(4, 1)(i)
    x = ops.relu(x + y) * 2.0
    x = x - ops.silu(y)
    x = ops.concatenate([x, x * y], axis=-1)
    x = ops.mean(x, axis=(1, 2))
    return keras.Model(i, head(x), name="operators")


def broadcast():
    i = keras.Input((6, 5, 3))
    x = layers.Conv2D(4, 3)(i)
    squeezed = layers.GlobalAveragePooling2D()(x)
    excited = layers.Dense(4, activation="sigmoid")(squeezed)
    x = layers.Multiply()([excited, x])
    rows = layers.GlobalMaxPooling2D(keepdims=True)(x)
    line = layers.Reshape((3, 4))(layers.Dense(12)(squeezed))  # [B, 3, 4] beside [B, 4, 3, 4]
    x = layers.Add()([rows, x, line])
    return keras.Model(i, head(layers.Concatenate()([layers.Flatten()(x), squeezed])), name="broadcast")


def noise():
    i = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3)(i)
    x = layers.Dropout(0.3, noise_shape=(None, 1, 1, 1))(x)
    x = layers.Add()([layers.Dropout(0.3, noise_shape=(None, 1, 1, 4))(x), layers.SpatialDropout2D(0.1)(x)])
    return keras.Model(i, head(x), name="noise")


def unet():
    i = keras.Input((13, 12, 2))
    x = padded = layers.ZeroPadding2D(((1, 2), (2, 2)))(i)
    skips = []
    for filters in [4, 6]:
        x = conv(x, filters)
        skips.append(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.SeparableConv2D(8, 3, padding="same", activation="swish")(x)
    for filters, skip in zip([6, 4], reversed(skips)):
        x = layers.UpSampling2D(2)(x)
        x = layers.Concatenate()([x, skip])
        x = conv(x, filters)
    x = layers.Conv2DTranspose(3, 3, strides=2, padding="same")(x)
    x = layers.Concatenate()([layers.AveragePooling2D(2)(x), padded])
    return keras.Model(i, head(x), name="unet")


def densenet():
    i = x = keras.Input((16, 16, 3))
    x = conv(x, 6)
    for _ in range(2):
        for _ in range(3):
            y = conv(conv(x, 8, 1), 4)
            x = layers.Concatenate(axis=3)([x, y])
        x = layers.AveragePooling2D(2)(conv(x, 6, 1))
    return keras.Model(i, head(x, activation="softmax"), name="densenet")


def vectors():
    i = keras.Input((27,))
    a = layers.Dense(8, activation="relu", name="a-b")(i)
    b = layers.Dense(8, name="b c")(a)
    x = layers.Add(name="sum")([a, b, a])
    x = layers.Concatenate()([x, i])
    x = layers.LayerNormalization()(x)
    return keras.Model(i, head(x, 1, "sigmoid"), name="vectors")


def grey():
    i = keras.Input((10, 10))
    x = layers.Reshape((10, 10, 1))(i)
    a = layers.Conv2D(3, 3, padding="same")(x)
    b = layers.Permute((2, 1, 3))(a)
    x = layers.Add()([a, b])
    return keras.Model(i, head(x), name="grey")


NETWORKS = {
    make.__name__: make
    for make in [
        resnet,
        merges,
        shared,
        nested,
        nested_last,
        transferred,
        in_sequential,
        operators,
        broadcast,
        noise,
        unet,
        densenet,
        vectors,
        grey,
    ]
}


def application(make, size, **more):
    return lambda: make(weights=None, classes=10, input_shape=(size, size, 3), **more)


APPLICATIONS = {
    "vgg16": application(applications.VGG16, 32),
    "resnet50": application(applications.ResNet50, 64),
    "resnet50v2": application(applications.ResNet50V2, 64),
    "mobilenet": application(applications.MobileNet, 64),
    "mobilenetv2": application(applications.MobileNetV2, 64),
    "mobilenetv3small": application(applications.MobileNetV3Small, 64),
    "mobilenetv3large": application(applications.MobileNetV3Large, 64),
    "mobilenetv3minimal": application(applications.MobileNetV3Small, 64, minimalistic=True),
    "densenet121": application(applications.DenseNet121, 64),
    "xception": application(applications.Xception, 75),
    "inceptionv3": application(applications.InceptionV3, 75),
    "inceptionresnetv2": application(applications.InceptionResNetV2, 75),
    "nasnetmobile": application(applications.NASNetMobile, 64),  # not with Keras's PyTorch backend
    "efficientnetb0": application(applications.EfficientNetB0, 64),
    "efficientnetv2b0": application(applications.EfficientNetV2B0, 64),
    "convnexttiny": application(applications.ConvNeXtTiny, 64),
}
# those that scale their pixels themselves
TAKES_PIXELS = ["mobilenetv3", "efficientnet", "convnext"]


def randomize(model, random):
    """Biases and statistics that change something; kernels as they are initialised."""
    for weight in model.weights:
        name = weight.path.rsplit("/", 1)[-1]
        if name in ["moving_mean", "beta", "bias", "mean"]:
            weight.assign(random.normal(0, 0.1, weight.shape))
        # LayerScale's factors have no name of their own
        elif (name in ["moving_variance", "gamma", "variance"] or name.startswith("variable")) and len(weight.shape) == 1:
            weight.assign(random.uniform(0.5, 1.5, weight.shape))


def outputs(model, images):
    """The logits where the last layer has an activation."""
    last = model.layers[-1]
    activation = getattr(last, "activation", None)
    if activation is not None:
        last.activation = keras.activations.linear
    values = keras.ops.convert_to_numpy(model(images, training=False))
    if activation is not None:
        last.activation = activation
    return values


def facts(model):
    count = lambda weights: sum(int(numpy.prod(weight.shape)) for weight in weights)
    return {
        # functions, too, which are no layers of Keras's
        "layers": [each.name for each in getattr(model, "operations", model.layers) if not isinstance(each, layers.InputLayer)],
        "parameters": model.count_params(),
        "trainable": count(model.trainable_weights),
    }


def make(name, network, folder, takes_pixels=False):
    keras.utils.clear_session()
    keras.utils.set_random_seed(zlib.crc32(name.encode()))
    model = network()
    random = numpy.random.default_rng(zlib.crc32(name.encode()))
    randomize(model, random)
    images = random.uniform(*(0, 255) if takes_pixels else (-1, 1), (3, *model.input_shape[1:])).astype("float32")
    model.save(folder / f"{name}.keras")
    (folder / f"{name}.json").write_text(model.to_json())
    model.save_weights(folder / f"{name}.weights.h5")
    model.save(folder / f"{name}.h5")
    numpy.save(folder / f"{name}.x.npy", images)
    numpy.save(folder / f"{name}.y.npy", outputs(model, images))
    (folder / f"{name}.facts.json").write_text(json.dumps(facts(model)))


def published(folder):
    """Weights as keras.applications publishes them, with the top layer and without, and logits of random pixels 0 to 255."""
    import h5py
    from keras.src.legacy.saving import legacy_h5_format

    for name, make, module in [
        ("resnet50", applications.ResNet50, applications.resnet),
        ("mobilenet-v2", applications.MobileNetV2, applications.mobilenet_v2),
        ("efficientnet-b0", applications.EfficientNetB0, applications.efficientnet),
        ("densenet121", applications.DenseNet121, applications.densenet),
        ("mobilenet-v3-small", applications.MobileNetV3Small, applications.mobilenet_v3),
        ("mobilenet-v3-large", applications.MobileNetV3Large, applications.mobilenet_v3),
        ("convnext-tiny", applications.ConvNeXtTiny, applications.convnext),
    ]:
        keras.utils.set_random_seed(1)
        model = make(weights=None, input_shape=(64, 64, 3))
        random = numpy.random.default_rng(1)
        randomize(model, random)
        # ConvNeXt's has its numbers in its configuration
        normalizations = [layer for layer in model.layers if isinstance(layer, layers.Normalization) and layer.weights]
        mean, deviation = numpy.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], "float32")
        normalize(normalizations, mean, deviation**2)
        pixels = random.integers(0, 256, (2, 64, 64, 3), "uint8")
        numpy.save(folder / f"{name}.x.npy", pixels)
        numpy.save(folder / f"{name}.y.npy", outputs(model, module.preprocess_input(pixels.astype("float32"))))
        # published files have the deviation as the variance, and their networks a Rescaling behind it that mends that
        normalize(normalizations, mean, deviation)
        pool = [layer for layer in model.layers if isinstance(layer, layers.GlobalAveragePooling2D)][-1]
        # published without its top, ConvNeXt has the layer normalisation of its head, too
        last = model.get_layer("convnext_tiny_head_layernorm") if name == "convnext-tiny" else pool
        features = keras.Model(model.input, last.output)
        for suffix, saved in [("", model), ("_notop", features)]:
            with h5py.File(folder / f"{name}{suffix}.h5", "w") as file:
                legacy_h5_format.save_weights_to_hdf5_group(file, saved)
                call_as_keras2(file)


def call_as_keras2(file):
    """Arrays have the names of Keras 2, which published them: those of a nested network begin with its layers'."""
    for group in file.values():
        names = [name.decode() if isinstance(name, bytes) else name for name in group.attrs.get("weight_names", [])]
        renamed = ["/".join(name.split("/")[-2:]) + ":0" for name in names]
        if len(names) == 1 and names[0].rsplit("/", 1)[-1].startswith("variable"):
            renamed = ["Variable:0"]
        for old, new in zip(names, renamed):
            group.move(old, new)
        if names:
            group.attrs["weight_names"] = [name.encode() for name in renamed]


def normalize(normalizations, mean, variance):
    for layer in normalizations:
        layer.set_weights([mean, variance, numpy.array(0)])
        layer.finalize_state()


def check_exported(folder):
    """Every NAME.to.* is NAME.keras: weights bit for bit, outputs as Keras computes them; of scripts the outputs."""
    for path in sorted(folder.glob("*.to.*")):
        if not path.name.endswith((".keras", ".json", ".model.h5", ".py")):
            continue  # weights beside one of these
        keras.utils.clear_session()
        name = path.name.split(".")[0]
        original = load_keras(folder / f"{name}.keras")
        images = numpy.load(folder / f"{name}.x.npy")
        expected = keras.ops.convert_to_numpy(original(images, training=False))
        if path.suffix == ".py":
            check(path, run_script(path, images), expected, 1e-5)
            continue
        model = load_keras(path)
        for one, other in zip(original.get_weights(), model.get_weights(), strict=True):
            assert one.tobytes() == other.tobytes(), f"{path}: another weight"
        check(path, keras.ops.convert_to_numpy(model(images, training=False)), expected, 1e-6)
        print(path)


# of Adam. Fresh, MobileNetV2 magnifies rounding: after twenty steps two runs of Keras's, their pixels 2e-7 apart, differ
# by 7 % at 1e-4, by 0.04 to 0.08 % at 1e-5
LEARNING_RATES = {"mobilenetv2": 1e-5}


def train(name, network, folder, steps=20, batch=32):
    """Adam on the same few pictures; statistics move, nothing is dropped."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    model = network()
    for layer in model.layers:
        if isinstance(layer, layers.Dropout):
            layer.rate = 0.0
    random = numpy.random.default_rng(1)
    classes = model.output_shape[-1]
    labels = random.integers(0, classes, steps * batch)
    patterns = random.uniform(-1, 1, (classes, *model.input_shape[1:]))
    images = (patterns[labels] + random.normal(0, 0.5, (len(labels), *model.input_shape[1:]))).astype("float32")
    model.save(folder / f"{name}.before.keras")
    from_logits = model.layers[-1].activation is keras.activations.linear
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    learning_rate = LEARNING_RATES.get(name, 1e-3)
    model.compile(keras.optimizers.Adam(learning_rate), loss)
    parts = [slice(start, start + batch) for start in range(0, len(labels), batch)]
    losses = []
    for part in parts:
        # of this batch alone: train_on_batch gives the mean of all so far
        model.reset_metrics()
        losses.append(float(model.train_on_batch(images[part], labels[part])))
    numpy.save(folder / f"{name}.images.npy", images)
    numpy.save(folder / f"{name}.labels.npy", labels.astype("int64"))
    (folder / f"{name}.losses.json").write_text(json.dumps({"learning_rate": learning_rate, "losses": losses}))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["networks", "applications", "published", "train", "check"])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    folder, names = arguments.folder, arguments.names
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.command == "check":
        return check_exported(folder)
    if arguments.command == "published":
        return published(folder)
    known = NETWORKS if arguments.command == "networks" else APPLICATIONS | NETWORKS
    for name in names or known:
        if arguments.command == "train":
            train(name, known[name], folder)
        else:
            make(name, known[name], folder, any(name.startswith(start) for start in TAKES_PIXELS))


main()
