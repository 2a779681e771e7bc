"""Measurements for scripts/scaling_model.py: all-reduces of Gloo between processes of this machine, and trainings with them.

Everything takes turns in rounds, so that a slow minute of the machine meets all of it. Of every quantity the slowest tenth is
left out of the mean, on each side of a comparison alike.
"""

import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

SIZES = [4 * 4**power for power in range(13)]  # bytes, up to 64 MiB
LARGE = 4 * 2**20  # bytes from which on one all-reduce a round is enough
ROUNDS, STEPS_OF_A_ROUND, WARM_ROUNDS = 14, 5, 2
PATIENCE = 0.1  # the part of the slowest that is left out
PRODUCTS = 25  # of matrices of 384 x 384 before an all-reduce: about 30 ms on one core, the time of a small step
TRAININGS = (("keras-cnn", 64), ("mlp", 256))  # preset, images of each process


def mean(seconds):
    """Without the slowest tenth, in which something else had the cores."""
    return statistics.fmean(sorted(seconds)[: max(1, round(len(seconds) * (1 - PATIENCE)))])


def fit(points):
    """Latency and bandwidth of seconds = latency + size / bandwidth, by least squares of the relative differences."""
    rows = [(1 / seconds, size / seconds) for size, seconds in points]
    aa, ab, bb = (sum(row[i] * row[j] for row in rows) for i, j in ((0, 0), (0, 1), (1, 1)))
    a, b = sum(row[0] for row in rows), sum(row[1] for row in rows)
    latency, slope = (a * bb - b * ab) / (aa * bb - ab * ab), (b * aa - a * ab) / (aa * bb - ab * ab)
    worst = max(abs((latency + slope * size) / seconds - 1) for size, seconds in points)
    return {"latency_seconds": latency, "bytes_per_second": 1 / slope, "largest_relative_difference": worst,
            "points": [list(point) for point in points]}


def all_reduce_seconds(torch, tensor, factor):
    """One all-reduce after computing, as in training, where who has computed does not get the core back at
    once: the seconds of the process that came last to it, who waited for nobody."""
    torch.distributed.barrier()
    for _ in range(PRODUCTS):
        factor @ factor
    begun = time.perf_counter()
    torch.distributed.all_reduce(tensor)
    seconds = torch.tensor([time.perf_counter() - begun], dtype=torch.float64)
    torch.distributed.all_reduce(seconds, torch.distributed.ReduceOp.MIN)
    return seconds.item()


def network(torch, preset):
    """The default network, or the preset mlp, in PyTorch, without dropout."""
    nn = torch.nn
    if preset == "mlp":
        return nn.Sequential(nn.Flatten(), nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10))
    return nn.Sequential(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(1600, 10))


class Training:
    """A training of random images. A step's work is all but the all-reduce: optimizer, forward, backward, the flat gradient."""

    def __init__(self, torch, preset, images):
        self.torch, self.preset, self.images = torch, preset, images
        self.model = network(torch, preset)
        self.optimizer = torch.optim.Adam(self.model.parameters(), 0.002, fused=True)
        self.x, self.y = torch.rand(images, 1, 28, 28), torch.randint(10, (images,))
        self.apart, self.together = [], []

    def work(self):
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.torch.nn.functional.cross_entropy(self.model(self.x), self.y).backward()
        return self.torch.cat([weight.grad.flatten() for weight in self.model.parameters()])

    def alone(self):
        """Steps without all-reduces that all begin at once; keeps the seconds of each."""
        for _ in range(STEPS_OF_A_ROUND):
            self.torch.distributed.barrier()
            begun = time.perf_counter()
            self.work()
            self.apart.append(time.perf_counter() - begun)

    def joined(self):
        """Steps with all-reduces; keeps the seconds of work and of the all-reduce, waiting for the others included."""
        self.torch.distributed.barrier()
        for _ in range(STEPS_OF_A_ROUND):
            begun = time.perf_counter()
            flat = self.work()
            worked = time.perf_counter()
            self.torch.distributed.all_reduce(flat)
            self.together.append((worked - begun, time.perf_counter() - worked))

    def summary(self):
        """What all processes measured, on the first one: `late` is how much longer the slowest one's work takes than the mean."""
        count = self.torch.distributed.get_world_size()
        everyone = [None] * count
        self.torch.distributed.all_gather_object(everyone, (self.apart, self.together))
        apart = list(zip(*(rows for rows, _ in everyone)))
        together = list(zip(*(rows for _, rows in everyone)))
        return {
            "preset": self.preset, "processes": count, "images": self.images,
            "parameters": sum(weight.numel() for weight in self.model.parameters()),
            "work_seconds": mean([statistics.fmean(step) for step in apart]),
            "late": mean([max(step) - statistics.fmean(step) for step in apart]) / mean([statistics.fmean(step) for step in apart]),
            "step_seconds": mean([statistics.fmean(map(sum, step)) for step in together]),
            "reduce_seconds": mean([min(row[1] for row in step) for step in together]),
            "communication_seconds": mean([statistics.fmean(row[1] for row in step) for step in together]),
        }


def process(rank, count, folder):
    """One of `count` processes; the first leaves what was measured in the folder."""
    import torch

    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting-{count}", rank=rank, world_size=count)
    factor = torch.rand(384, 384)
    trainings = [Training(torch, preset, images) for preset, images in TRAININGS]
    tensors, seconds = {size: torch.zeros(size // 4) for size in SIZES}, {size: [] for size in SIZES}
    for number in range(WARM_ROUNDS + ROUNDS):
        for size, tensor in tensors.items():
            seconds[size] += [all_reduce_seconds(torch, tensor, factor) for _ in range(1 if size >= LARGE else 3)]
        for training in trainings:
            training.alone()
            training.joined()
        if number + 1 == WARM_ROUNDS:
            for kept in [*seconds.values(), *(rows for training in trainings for rows in (training.apart, training.together))]:
                kept.clear()
    found = fit([(size, mean(kept)) for size, kept in seconds.items()])
    result = {"fit": found, "trainings": [training.summary() for training in trainings]}
    if rank == 0:
        pathlib.Path(folder, f"result-{count}").write_text(json.dumps(result))
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()


def measure(out, most):
    """Writes the calibration file `out`, of 2 to `most` processes."""
    try:
        import torch.multiprocessing
    except ImportError:
        sys.exit("--measure needs PyTorch: run this script with a Python that has it")
    # Gloo would look the host's name up, which not every machine can.
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    measured = {"all_reduce": {}, "trainings": [], "torch": torch.__version__, "cores": os.cpu_count()}
    with tempfile.TemporaryDirectory() as folder:
        for count in range(2, most + 1):
            torch.multiprocessing.start_processes(process, (count, folder), count, start_method="spawn")
            result = json.loads(pathlib.Path(folder, f"result-{count}").read_text())
            measured["all_reduce"][str(count)] = result["fit"]
            measured["trainings"] += result["trainings"]
            print_fit(count, result["fit"])
    out.write_text(json.dumps(measured, indent=1) + "\n")
    print(f"written {out}")


def print_fit(count, found):
    print(f"{count} processes: latency {found['latency_seconds'] * 1e6:.0f} us, {found['bytes_per_second'] / 1e9:.2f} GB/s, "
          f"measured times within {found['largest_relative_difference']:.0%}")
    print("   " + ", ".join(f"{size:,} B {seconds * 1e6:,.0f} us" for size, seconds in found["points"]), flush=True)
