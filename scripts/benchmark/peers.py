"""The peers: where they come from, what they can do, and a process of each."""

import functools
import importlib.util
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

from . import convnet, measure, work as works
from .work import COLD, FOLDER, TRAINING, WARM

PACKAGES = ["tensorflow==2.21.0", "torch==2.11.0", "torchvision==0.26.0", "safetensors==0.8.0", "pillow==13.0.0",
            "matplotlib==3.10.7"]
MODULES = {"keras": ["tensorflow", "PIL"], "pytorch": ["torch", "torchvision", "safetensors", "PIL"],
           "torch-compile": ["torch", "torchvision", "safetensors", "PIL"], "burn": ["numpy", "PIL"], "candle": ["numpy", "PIL"]}
RUST = ["burn", "candle"]
RUST_FOLDER = pathlib.Path(__file__).resolve().parent / "rust_peers"
BENCH = RUST_FOLDER.parent.parent / "bench.py"


def cache():
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "convnet"


def missing(modules):
    importlib.invalidate_caches()
    return [module for module in modules if not importlib.util.find_spec(module)]


def ensure_python(modules):
    """Goes on in a Python that has the modules; installs them where they are not there yet."""
    if not missing(modules):
        return
    python = cache() / "bench-env/bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", python.parent.parent], check=True)
    if python.parent.parent != pathlib.Path(sys.prefix):
        os.execv(python, [str(python), *sys.argv])
    subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
    if missing(modules):
        sys.exit(f"error: {', '.join(missing(modules))} did not come with {', '.join(PACKAGES)}")


@functools.cache
def rust_program():
    """Builds burn's and candle's program for this processor; nothing is done where it is new."""
    target = cache() / "bench-peers"
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target), "RUSTFLAGS": "-C target-cpu=native"}
    command = ["cargo", "build", "--release", "--locked", "--quiet"]
    subprocess.run(command, cwd=RUST_FOLDER, env=environment, check=True)
    return target / "release/rust_peers"


def reason_against(peer, work, precision):
    """Why a peer does not do a work; none where it does."""
    if peer in RUST:
        if work.preset != "keras-cnn":
            return "only the default network is written in it"
        if precision != "fp32":
            return "no mixed precision on the CPU is written for it"
    if peer == "torch-compile" and work.kind == COLD:
        return "it would compile in each process"
    return None


# within a peer's process

def peak_mib():
    """The most memory that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def tested(work, accuracy):
    """The accuracy, where it means something, and its seconds, which do not count."""
    if not work.has_accuracy:
        return {}
    started = time.perf_counter()
    found = accuracy()
    return {"accuracy": found, "uncounted": time.perf_counter() - started}


def perform(job):
    """What a peer's process of Python does: prints what it measured."""
    if job["peer"] == "keras":
        from . import peer_keras as peer
    else:
        from . import peer_pytorch as peer
    job["is_compiled"] = job["peer"] == "torch-compile"
    work = works.WORK[job["work"]]
    kinds = {TRAINING: "training", COLD: "prediction_cold", WARM: "prediction_warm", FOLDER: "folder"}
    print(json.dumps(getattr(peer, kinds[work.kind])(work, job)))


# in the program that compares

class Peer:
    """Runs works in one of the peers, a process each."""

    def __init__(self, name, ours):
        self.name, self.ours = name, ours

    def run(self, name, work):
        """As `Convnet.run`."""
        command = self.rust_command(work) if self.name in RUST else self.python_command(name, work)
        if work.kind == COLD:
            processes = [measure.run(command) for _ in range(convnet.PROCESSES)]
            return convnet.cold_result(processes, last_line(processes[0])["class"])
        process = measure.run(command)
        said = last_line(process)
        seconds = said["seconds"] if work.kind == WARM else statistics.median(said["epochs"][1:])
        result = {"seconds": seconds, "whole": process.seconds - said.get("uncounted", 0),
                  "memory": said.get("memory", process.memory_mib)}
        if "accuracy" in said:
            result["accuracy"] = said["accuracy"]
        return result

    def python_command(self, name, work):
        ours, job = self.ours, {"peer": self.name, "work": name, "data": str(self.ours.data), "precision": self.ours.precision}
        if work.kind == TRAINING and self.name == "keras":
            job["network"] = str(ours.architecture(work))
        if work.kind in (COLD, WARM):
            suffix, form = (".keras", "keras") if self.name == "keras" else (".py", "pytorch")
            job["model"] = str(ours.export(work, form, suffix))
            job["picture"] = str(works.picture(ours.data, ours.folder))
        if work.kind == FOLDER:
            job["pictures"] = str(works.class_folders(ours.folder))
        return [sys.executable, BENCH, "--job", json.dumps(job)]

    def rust_command(self, work):
        program, data = rust_program(), self.ours.data
        if work.kind == TRAINING:
            return [program, self.name, "train", data, work.images, work.batch, work.epochs]
        if work.kind == WARM:
            return [program, self.name, "warm", data, work.batch]
        weights = self.ours.folder / f"{self.name}.weights.safetensors"
        if not weights.exists():
            measure.run([program, self.name, "init", weights])
        return [program, self.name, "cold", weights, works.picture(data, self.ours.folder)]


def last_line(process):
    return json.loads(process.out.splitlines()[-1])
