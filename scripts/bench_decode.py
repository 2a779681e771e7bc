#!/usr/bin/env python3
"""Images a second from a folder of JPEGs: convnet's streaming and PyTorch's DataLoader with torchvision, in turns.

    pip install torch==2.11.0 torchvision==0.26.0 pillow
    cargo build --release --example decode_speed
    python scripts/bench_decode.py FOLDER [--size 224] [--workers 2] [--rounds 3] [--decode fast]

FOLDER has a folder for each class below train/. Both decode to RGB, resize with antialiasing to SIZE x SIZE, shuffle and
make uint8 batches of 64, with as many workers. Both take turns; the figure to read is the ratio. With `--decode fast` convnet
decodes as `convnet train --decode fast` does.
"""

import argparse
import pathlib
import statistics
import subprocess
import time

EXAMPLE = pathlib.Path(__file__).resolve().parent.parent / "target/release/examples/decode_speed"


def torch_rate(folder, size, workers):
    import torch
    from torchvision import datasets, transforms

    torch.set_num_threads(1)
    prepare = transforms.Compose([transforms.Resize((size, size)), transforms.PILToTensor()])
    images = datasets.ImageFolder(folder / "train", prepare)
    loader = torch.utils.data.DataLoader(images, batch_size=64, shuffle=True, num_workers=workers)
    batches = iter(loader)  # starts the workers; their start is not counted
    first = next(batches)[0].shape[0]
    started, count = time.perf_counter(), 0
    for pixels, _ in batches:
        count += pixels.shape[0]
    assert first + count == len(images)
    return count / (time.perf_counter() - started)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--decode", default="exact", choices=["exact", "fast"])
    arguments = parser.parse_args()
    ratios = []
    for number in range(1, arguments.rounds + 1):
        command = [EXAMPLE, arguments.folder, str(arguments.size), str(arguments.workers), arguments.decode]
        convnet = float(subprocess.run(command, check=True, capture_output=True).stdout)
        pytorch = torch_rate(arguments.folder, arguments.size, arguments.workers)
        ratios.append(convnet / pytorch)
        print(f"round {number}: convnet {convnet:.0f}, PyTorch {pytorch:.0f} images/s", flush=True)
    print(f"convnet decodes {statistics.median(ratios):.2f} times as many ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
