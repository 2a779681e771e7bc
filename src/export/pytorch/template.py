# written by convnet {version}; needs torch and safetensors
from collections import OrderedDict
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn

LABELS = {labels}
INPUT_SCALE = {scale}  # what pixels 0 to 255 are multiplied by
WEIGHTS = Path(__file__).with_name({weights})


class Function(nn.Module):
    """A function that is no module of PyTorch's."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class PReLU(nn.Module):
    """x above 0, weight * x below, with a weight of any shape."""

    def __init__(self, shape):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(shape))

    def forward(self, x):
        return F.relu(x) - self.weight * F.relu(-x)


class Scale(nn.Module):
    """x times a weight of any shape."""

    def __init__(self, shape):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(shape))

    def forward(self, x):
        return x * self.weight


class SharedDropout(nn.Module):
    """Dropout where all places along some dimensions are dropped together."""

    def __init__(self, rate, dims):
        super().__init__()
        self.rate, self.dims = rate, dims

    def forward(self, x):
        shape = [1 if dim in self.dims else size for dim, size in enumerate(x.shape)]
        return x * F.dropout(x.new_ones(shape), self.rate, self.training)
{network}

def build():
    """The network without its weights: float32 {shape} in, already scaled; {outputs} out: {kind}."""
    return {built}


def load(weights=WEIGHTS):
    """The network with its weights, ready to predict."""
    model = build()
    model.load_state_dict(load_file(weights))
    return model.eval()


if __name__ == "__main__":
    print(load())
