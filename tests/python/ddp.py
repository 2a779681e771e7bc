"""Trains a network that convnet exported with PyTorch's DistributedDataParallel, and prints the losses of its steps as JSON.

SCRIPT is the .py of `convnet export --format pytorch`, its .safetensors beside it (or --weights) holds the weights to start
from. BATCHES is a .npz: `images` u8 [N, H, W, C], `labels` i64 [N], `order` i64 [S], the numbers of the images in the order in
which they are trained, over as many epochs as there are; `sizes` i64 [T], the images of each global batch, at most S together.

Of a batch of B images, process r of N takes those from floor(B * r / N) to floor(B * (r + 1) / N). The loss is the mean over the
global batch: each process divides the sum over its images by B and multiplies by N, as DistributedDataParallel takes the mean of
the gradients. The same steps are then taken by one process; it is exit code 1 where a loss differs by more than --tolerance.

Adam is Keras's: it takes the powers of beta in float32, where 1 - 0.999 is 1.3e-5 off, and adds epsilon to the root of v, not to
that of v / (1 - beta2^t). PyTorch's rate and epsilon are set anew in each step so that its step is that one. A network with
dropout is refused, as its masks would not be convnet's.

Losses of one network in two orders of summing stay within 1e-7 of each other only where the network has no kinks: with ReLU and
max-pooling, a value within rounding of another takes the other branch sooner or later, and the losses part by 1e-6 and more.
"""

import argparse
import datetime
import importlib.util
import json
import os
import pathlib
import sys
import tempfile
import warnings
from collections import OrderedDict

import numpy
import torch
from torch import nn

# The same arithmetic everywhere: a GPU would round otherwise.
os.environ["CUDA_VISIBLE_DEVICES"] = ""
# Gloo would look the host's name up, which not every machine can.
os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")

# A convolution's gradient over one input channel has another stride there than its bucket, which costs time alone.
warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")

BETAS = (0.9, 0.999)
# Gloo gives up on a process that does not come: no test waits longer.
PATIENCE_SECONDS = 60


def network_of(script, weights):
    """The exported network up to its logits, ready to train, and what pixels are multiplied by."""
    found = importlib.util.spec_from_file_location("exported", script)
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    network = module.load(weights) if weights else module.load()
    for name, layer in network.named_modules():
        if "Dropout" in type(layer).__name__ and (getattr(layer, "p", None) or getattr(layer, "rate", None)):
            sys.exit(f"layer {name} drops values, and its masks would not be convnet's: give a network without dropout")
    layers = list(network.named_children())
    if not isinstance(layers[-1][1], nn.Softmax):
        sys.exit(f"the network ends in {layers[-1][1]}, not in a softmax over classes")
    return nn.Sequential(OrderedDict(layers[:-1])).train(), module.INPUT_SCALE


def batches_of(path):
    """Images u8 [N, C, H, W], labels i64 [N], and the image numbers of each global batch."""
    arrays = numpy.load(path)
    order, sizes = torch.from_numpy(arrays["order"]).long(), arrays["sizes"].tolist()
    if sum(sizes) > len(order) or min(sizes) < 1:
        sys.exit(f"{path}: batches of {sizes} images, and an order of {len(order)}")
    images = torch.from_numpy(arrays["images"]).permute(0, 3, 1, 2).contiguous()
    return images, torch.from_numpy(arrays["labels"]).long(), order[: sum(sizes)].split(sizes)


def as_keras(arguments, step):
    """The rate and epsilon with which PyTorch's Adam takes Keras's step."""
    power1, power2 = (numpy.float32(beta) ** numpy.float32(step) for beta in BETAS)
    alpha = numpy.float32(arguments.lr) * numpy.sqrt(1 - power2) / (1 - power1)
    correction1, correction2 = 1 - BETAS[0] ** step, (1 - BETAS[1] ** step) ** 0.5
    return {"lr": float(alpha) * correction1 / correction2, "eps": arguments.epsilon / correction2}


def steps_of(arguments, rank, count):
    """The losses of the steps, f64, and the weights after them; `count` processes, of which this is number `rank`."""
    network, scale = network_of(arguments.script, arguments.weights)
    images, labels, batches = batches_of(arguments.batches)
    trained = nn.parallel.DistributedDataParallel(network) if count > 1 else network
    optimizer = torch.optim.Adam(network.parameters(), arguments.lr, BETAS)
    losses = []
    for step, batch in enumerate(batches[: arguments.steps], 1):
        mine = batch[len(batch) * rank // count : len(batch) * (rank + 1) // count]
        logits = trained(images[mine].float() * scale)
        each = nn.functional.cross_entropy(logits, labels[mine], reduction="none")
        optimizer.zero_grad()
        (each.sum() * count / len(batch)).backward()
        optimizer.param_groups[0].update(as_keras(arguments, step))
        optimizer.step()
        total = each.detach().double().sum()
        if count > 1:
            torch.distributed.all_reduce(total)
        losses.append(total.item() / len(batch))
    return losses, network.state_dict()


def process(rank, arguments, folder):
    """One process of several; what the first one came to is put into the folder."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=arguments.processes,
        timeout=datetime.timedelta(seconds=PATIENCE_SECONDS))
    result = steps_of(arguments, rank, arguments.processes)
    if rank == 0:
        torch.save(result, f"{folder}/result")
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("script", type=pathlib.Path)
    parser.add_argument("batches", type=pathlib.Path)
    parser.add_argument("--weights", type=pathlib.Path, help=".safetensors to start from (default: the script's own)")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--lr", type=float, default=0.002)
    parser.add_argument("--epsilon", type=float, default=1e-7)
    parser.add_argument("--tolerance", type=float, default=1e-6, help="largest relative difference from one process")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    # What cannot be trained is said once, before there are several processes.
    network_of(arguments.script, arguments.weights)
    with tempfile.TemporaryDirectory() as folder:
        # Forked, as nothing was computed yet: importing torch takes seconds.
        torch.multiprocessing.start_processes(process, (arguments, folder), arguments.processes, start_method="fork")
        losses, weights = torch.load(f"{folder}/result")
    alone, weights_alone = steps_of(arguments, 0, 1)
    difference = max(abs(ours - one) / one for ours, one in zip(losses, alone, strict=True))
    apart = max((weights[name] - weight).abs().max().item() for name, weight in weights_alone.items())
    print(json.dumps({"processes": arguments.processes, "losses": losses, "losses_of_one_process": alone,
                      "largest_relative_difference": difference, "largest_difference_of_weights": apart}))
    # Negated, so that NaN fails too.
    if not difference <= arguments.tolerance:
        sys.exit(f"losses of {arguments.processes} processes and of one differ by {difference:.3g} of their size")


if __name__ == "__main__":
    main()
