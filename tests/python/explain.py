"""What PyTorch says of an exported model: Grad-CAM, and the cosine distances of features.

    explain.py MODEL.py DATA.npz INDEX CLASS MODULE in|out LAST

Image INDEX of DATA's x_test; Grad-CAM of CLASS where MODULE takes (in) or gives (out) a map; distances to all of x_train by what module
LAST takes. Prints {"values": [[...]], "distances": [...]}.
"""
import importlib.util
import json
import sys

import numpy as np
import torch

path, data, index, label, module, side, last = sys.argv[1:]
spec = importlib.util.spec_from_file_location("exported", path)
exported = importlib.util.module_from_spec(spec)
spec.loader.exec_module(exported)
model = exported.load()
for name, part in model.named_modules():
    if isinstance(part, torch.nn.ReLU):
        part.inplace = False
arrays = np.load(data)


def batch(images):
    images = torch.from_numpy(images).float().mul(exported.INPUT_SCALE)
    return images.reshape(len(images), *images.shape[1:3], -1).permute(0, 3, 1, 2)


seen = {}
modules = dict(model.named_modules())
hook = lambda key, value: seen.__setitem__(key, value)
if side == "in":
    modules[module].register_forward_pre_hook(lambda _, inputs: hook("map", inputs[0]))
else:
    modules[module].register_forward_hook(lambda _, inputs, output: hook("map", output))
modules[last].register_forward_pre_hook(lambda _, inputs: hook("features", inputs[0]))
modules[last].register_forward_hook(lambda _, inputs, output: hook("logits", output))

image = batch(arrays["x_test"][int(index)][None]).requires_grad_(True)
model(image)
own = seen["features"].detach()
feature_map = seen["map"]
gradient, = torch.autograd.grad(seen["logits"][0, int(label)], feature_map)
weights = gradient.mean(dim=(2, 3), keepdim=True)
values = torch.relu((weights * feature_map).sum(dim=1))[0].detach()
with torch.no_grad():
    model(batch(arrays["x_train"]))
    distances = 1 - torch.nn.functional.cosine_similarity(seen["features"], own)
print(json.dumps({"values": values.tolist(), "distances": distances.tolist()}))
