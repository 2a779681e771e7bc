"""Reads a model that convnet saved with PyTorch alone, runs it and compares the outputs with convnet's.

Knows the layers of the default network and a few more; any other layer, name or shape is an error.
"""

import json
import sys
from collections import OrderedDict

import numpy
import torch
from agreement import argument_parser, model_file, report
from safetensors.torch import load_file
from torch import nn

ACTIVATIONS = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "softmax": lambda: nn.Softmax(dim=1),
    "tanh": nn.Tanh,
}


class FlattenChannelsLast(nn.Module):
    """Keras's Flatten: [B, C, H, W] to [B, H * W * C]."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


class GlobalAveragePooling(nn.Module):
    """[B, C, H, W] to [B, C]."""

    def forward(self, x):
        return x.mean((2, 3))


def convolution(config, channels):
    return nn.Conv2d(
        channels,
        config["filters"],
        tuple(config["kernel_size"]),
        stride=tuple(config["strides"]),
        padding=config["padding"],
        dilation=tuple(config["dilation_rate"]),
        groups=config.get("groups", 1),
        bias=config["use_bias"],
    )


def batch_normalization(config, features, is_flat):
    normalization = (nn.BatchNorm1d if is_flat else nn.BatchNorm2d)(features, eps=config["epsilon"])
    if not config["scale"]:
        normalization.register_parameter("weight", None)
    if not config["center"]:
        normalization.register_parameter("bias", None)
    return normalization


def build(layers, weights):
    """The network as PyTorch modules, named as Keras's layers are; sizes that follow from the input come from weights."""
    modules = OrderedDict()
    is_flat = False
    for layer in layers:
        kind, config = layer["class_name"], layer["config"]
        name = config["name"]
        if kind == "Conv2D":
            channels = weights[f"{name}.weight"].shape[1] * config.get("groups", 1)
            modules[name] = convolution(config, channels)
        elif kind == "Dense":
            modules[name] = nn.Linear(weights[f"{name}.weight"].shape[1], config["units"], bias=config["use_bias"])
        elif kind == "BatchNormalization":
            modules[name] = batch_normalization(config, len(weights[f"{name}.running_mean"]), is_flat)
        elif kind == "MaxPooling2D" and config["padding"] == "valid":
            modules[name] = nn.MaxPool2d(tuple(config["pool_size"]), tuple(config["strides"]))
        elif kind == "GlobalAveragePooling2D":
            modules[name], is_flat = GlobalAveragePooling(), True
        elif kind == "Flatten":
            modules[name], is_flat = FlattenChannelsLast(), True
        elif kind not in ("InputLayer", "Dropout", "Activation"):
            sys.exit(f"layer {name}: {kind} with {config} is not known here")
        activation = config.get("activation", "linear")
        if activation != "linear":
            modules[f"{name}_activation"] = ACTIVATIONS[activation]()
    return nn.Sequential(modules)


def main():
    arguments = argument_parser(__doc__).parse_args()
    architecture = json.loads(model_file(arguments.model, ".json").read_text())
    weights = load_file(model_file(arguments.model, ".safetensors"))
    network = build(architecture["config"]["layers"], weights)
    network.load_state_dict(weights, strict=True)
    images = torch.from_numpy(numpy.load(arguments.input)).permute(0, 3, 1, 2)
    with torch.inference_mode():
        report(network.eval()(images).numpy(), arguments)


main()
