"""Loads a model that convnet saved into real Keras, runs it and compares the outputs with convnet's."""

import os
import sys
import tempfile

import numpy
from agreement import argument_parser, model_file, report

os.environ["KERAS_BACKEND"] = "torch"
# Keras writes its settings on import: nowhere near the user's.
settings = tempfile.TemporaryDirectory()
os.environ["KERAS_HOME"] = settings.name

import keras
from safetensors.numpy import load_file

# Keras's name of a weight, and convnet's.
WEIGHT_NAMES = {
    "kernel": "weight",
    "bias": "bias",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def to_keras(weight):
    """PyTorch's order of a weight's dimensions to Keras's: convolution, dense, or a vector."""
    return weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T


def set_weights(model, weights):
    """Hands each layer its weights; Keras checks the shapes, and none may be left over."""
    for layer in model.layers:
        names = [f"{layer.name}.{WEIGHT_NAMES[variable.name]}" for variable in layer.weights]
        layer.set_weights([to_keras(weights.pop(name)) for name in names])
    if weights:
        sys.exit(f"weights that Keras has no layer for: {sorted(weights)}")


def main():
    parser = argument_parser(__doc__)
    parser.add_argument("--parameters", type=int, help="how many parameters Keras must count")
    arguments = parser.parse_args()
    model = keras.models.model_from_json(model_file(arguments.model, ".json").read_text())
    set_weights(model, load_file(model_file(arguments.model, ".safetensors")))
    if arguments.parameters is not None and model.count_params() != arguments.parameters:
        sys.exit(f"Keras counts {model.count_params()} parameters, not {arguments.parameters}")
    report(model.predict(numpy.load(arguments.input), verbose=0), arguments)


main()
