"""PyTorch with channels last, and that compiled. A function for each kind of work; it runs in a process of its own."""

import importlib.util
import time

import torch
from torch import nn

from . import work as works
from .peers import peak_mib, tested


def network(preset):
    if preset == "keras-cnn":
        return nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(),
                             nn.MaxPool2d(2), nn.Dropout(0.2), nn.Flatten(), nn.Linear(1600, 10))
    import torchvision

    return getattr(torchvision.models, preset.replace("-", "_"))(num_classes=10)


def prepared(model, job):
    model = model.to(memory_format=torch.channels_last)
    # the first epoch, in which it compiles, is left out
    return torch.compile(model) if job["is_compiled"] else model


def batch_of(images, chosen):
    """u8 until here, as convnet has them; NHWC in memory."""
    return (images[chosen].float() / 255).contiguous(memory_format=torch.channels_last)


def step(model, optimizer, x, y, precision):
    """The loss, and how many were right."""
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        logits = model(x).float()
        loss = nn.functional.cross_entropy(logits, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach(), (logits.argmax(1) == y).sum()


def epochs(batches, model, work, job):
    """The seconds of each epoch; `batches` is called for those of one."""
    optimizer = torch.optim.Adam(model.parameters(), works.LEARNING_RATE, eps=1e-7)
    seconds = []
    for _ in range(work.epochs):
        started, right, total = time.perf_counter(), torch.zeros(()), torch.zeros(())
        for x, y in batches():
            loss, correct = step(model, optimizer, x, y, job["precision"])
            total += loss * len(y)
            right += correct
        assert total.isfinite() and right >= 0
        seconds.append(time.perf_counter() - started)
    return seconds


def tensors(work, job, split, count):
    images, labels = works.images_of(job["data"], work, split, count)
    return torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels)


def training(work, job):
    images, labels = tensors(work, job, "train", work.images)
    model = prepared(network(work.preset), job)

    def batches():
        for chosen in torch.randperm(len(images)).split(work.batch):
            yield batch_of(images, chosen), labels[chosen]

    seconds = epochs(batches, model, work, job)
    return {"epochs": seconds, "memory": peak_mib(),
            **tested(work, lambda: accuracy(model, *tensors(work, job, "t10k", works.TEST_IMAGES), 250))}


def accuracy(model, images, labels, batch):
    model.eval()
    right = torch.zeros(())
    with torch.inference_mode():
        for chosen in torch.arange(len(images)).split(batch):
            right += (model(batch_of(images, chosen)).argmax(1) == labels[chosen]).sum()
    return float(right) / len(images)


def exported(job):
    """The model as `convnet export --format pytorch` writes it."""
    spec = importlib.util.spec_from_file_location("exported", job["model"])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load().eval()


def prediction_cold(work, job):
    import numpy as np
    from PIL import Image

    model = exported(job)
    pixels = torch.from_numpy(np.asarray(Image.open(job["picture"]), np.float32).reshape(1, 1, 28, 28) / 255)
    with torch.inference_mode():
        return {"class": int(model(pixels).argmax())}


def prediction_warm(work, job):
    model = prepared(exported(job), job)
    accuracy(model, *tensors(work, job, "t10k", work.first), work.batch)
    images, labels = tensors(work, job, "train", work.counted)
    started = time.perf_counter()
    accuracy(model, images, labels, work.batch)
    return {"seconds": time.perf_counter() - started}


def folder(work, job):
    """The images are decoded anew in each epoch, by two processes."""
    from torchvision import datasets, transforms

    prepare = transforms.Compose([transforms.Resize((work.side, work.side)), transforms.ToTensor()])
    images = datasets.ImageFolder(job["pictures"], prepare)
    loader = torch.utils.data.DataLoader(images, batch_size=work.batch, shuffle=True, num_workers=2, persistent_workers=True)
    model = nn.Sequential(nn.Conv2d(3, 16, 3, 2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
                          nn.Conv2d(32, 64, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                          nn.Linear(64, works.FOLDER_CLASSES))

    def batches():
        for x, y in loader:
            yield x.contiguous(memory_format=torch.channels_last), y

    return {"epochs": epochs(batches, prepared(model, job), work, job), "memory": peak_mib()}
