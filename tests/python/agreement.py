"""What the checks of convnet's saved models have in common: their arguments, and how outputs are compared."""

import argparse
import os
import pathlib
import sys

import numpy

# The same arithmetic everywhere: a GPU would round otherwise.
os.environ["CUDA_VISIBLE_DEVICES"] = ""


def argument_parser(description):
    """Arguments: the model's stem, its input, and the output that convnet gave for it."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("model", type=pathlib.Path, help="stem of <model>.json and <model>.safetensors")
    parser.add_argument("input", type=pathlib.Path, help=".npy, f32 [N, H, W, C], as handed to the model")
    parser.add_argument("--expect", type=pathlib.Path, help=".npy, f32 [N, K]: convnet's output, to compare with")
    parser.add_argument("--out", type=pathlib.Path, help=".npy to write the output to")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="largest absolute difference (default 1e-5)")
    return parser


def model_file(stem, suffix):
    """<stem><suffix>; a dot in the stem is part of the name."""
    return stem.with_name(stem.name + suffix)


def report(output, arguments):
    """Writes the output where that is asked for, and ends with code 1 unless it agrees with the expected one."""
    if arguments.out:
        numpy.save(arguments.out, output)
    if not arguments.expect:
        return
    expected = numpy.load(arguments.expect)
    if output.shape != expected.shape:
        sys.exit(f"shapes differ: {output.shape} here, {expected.shape} in {arguments.expect}")
    difference = numpy.abs(output - expected).max()
    # Negated, so that NaN fails too.
    if not difference <= arguments.tolerance:
        sys.exit(f"outputs differ by {difference:.3g}, more than {arguments.tolerance:.3g}")
    print(f"{len(output)} outputs agree, largest difference {difference:.3g}")
