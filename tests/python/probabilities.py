"""Real runtimes on files that convnet exported: the probabilities that convnet gave for the same images.

FOLDER holds, for each NAME, NAME.onnx or NAME.pt, NAME.probabilities.npy, and the images: NAME.images.npy, or pictures
NAME.0.png, NAME.1.png ... which Pillow decodes here. ONNX's own checker and its strict shape inference have to accept every
.onnx.
"""

import argparse
import json
import pathlib
import sys

import numpy

TOLERANCE = 1e-5


def images(folder, name):
    array = folder / f"{name}.images.npy"
    if array.exists():
        return numpy.load(array)
    from PIL import Image

    count = len(list(folder.glob(f"{name}.*.png")))
    pictures = [numpy.asarray(Image.open(folder / f"{name}.{number}.png")) for number in range(count)]
    return numpy.stack([picture.reshape(*picture.shape[:2], -1) for picture in pictures])


def of_onnx(path, batches):
    import onnx
    import onnxruntime

    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    told = session.get_modelmeta().custom_metadata_map
    (source,), (result,) = session.get_inputs(), session.get_outputs()
    if (source.name, source.shape[0], result.name, result.shape[0]) != ("images", "N", "probabilities", "N"):
        sys.exit(f"{path}: takes {source}, gives {result}")
    if len(json.loads(told["labels"])) != result.shape[1] or json.loads(told["input"])["height"] != source.shape[1]:
        sys.exit(f"{path}: tells {told}")
    return [session.run(None, {"images": batch})[0] for batch in batches]


def of_torchscript(path, batches):
    import torch

    told = {"convnet.json": ""}
    model = torch.jit.load(path, _extra_files=told).eval()
    told = json.loads(told["convnet.json"])
    # it computes where it is moved to, with all that it holds
    if "torch.device(" in model.code or "CONSTANTS" in model.code:
        sys.exit(f"{path}: keeps to its device:\n{model.code}")
    with torch.no_grad():
        # several times: its optimizer rewrites the graph when it has seen it run
        for _ in range(2):
            outputs = [model(torch.from_numpy(batch)).numpy() for batch in batches]
    if len(told["labels"]) != outputs[0].shape[1] or told["input"]["height"] != batches[0].shape[1]:
        sys.exit(f"{path}: tells {told}")
    return outputs


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    paths = sorted([*folder.glob("*.onnx"), *folder.glob("*.pt")])
    largest = 0.0
    for path in paths:
        expected = numpy.load(folder / f"{path.stem}.probabilities.npy")
        stored = images(folder, path.stem)
        # batches of several sizes, as every one is taken
        batches = [stored, stored[:1], numpy.concatenate([stored, stored, stored])]
        outputs = (of_onnx if path.suffix == ".onnx" else of_torchscript)(path, batches)
        for output, wanted in zip(outputs, [expected, expected[:1], numpy.concatenate([expected] * 3)]):
            difference = numpy.abs(output - wanted).max() if output.shape == wanted.shape else numpy.inf
            # Negated, so that NaN fails too.
            if not difference <= TOLERANCE:
                sys.exit(f"{path}: probabilities differ by {difference:.3g}, more than {TOLERANCE:.3g}")
            largest = max(largest, difference)
    print(f"{len(paths)} files, probabilities within {largest:.2g}")


main()
