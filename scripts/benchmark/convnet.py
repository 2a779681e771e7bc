"""convnet's own runs."""

import json
import pathlib
import platform
import statistics
import subprocess

from . import measure, work as works
from .work import COLD, FOLDER, TRAINING, WARM

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROGRAM = ROOT / "target/release/convnet"
PROCESSES = 5  # of a cold prediction in a round
PAIRS = 3  # of evaluations of few and of many images in a round


class Convnet:
    """Runs a work in a folder for files; `cache` is where training from a folder keeps decoded images."""

    def __init__(self, data, folder, precision, cache="none"):
        self.data, self.folder, self.precision, self.cache = data, pathlib.Path(folder), precision, cache

    def run(self, work):
        """Seconds, whole seconds, memory and perhaps the accuracy of one round."""
        return {TRAINING: self.train, COLD: self.cold, WARM: self.warm, FOLDER: self.train}[work.kind](work)

    def train_command(self, work, model):
        if work.kind == FOLDER:
            network = self.folder / "folder.txt"
            network.write_text(works.FOLDER_NETWORK)
            what = ["--data", works.class_folders(self.folder), "--model", network, "--cache", self.cache]
        else:
            what = ["--data", works.few_test_images(self.data, self.folder), "--limit-train", work.images, "--model", work.preset]
        return [PROGRAM, "train", *what, "--validation", "none", "--image-size", work.side, "--channels", work.channels,
                "--batch-size", work.batch, "--epochs", work.epochs, "--lr", works.LEARNING_RATE, "--precision", self.precision,
                "--progress", "none", "--json", "--device", "cpu", "--logs", self.folder / "logs",
                "--models", model.parent, "--name", model.name]

    def train(self, work):
        model = self.folder / "models/trained"
        process = measure.run(self.train_command(work, model))
        seconds = [epoch["seconds"] for epoch in json.loads(process.out)["epochs"]]
        result = {"seconds": statistics.median(seconds[1:]), "whole": process.seconds, "memory": process.memory_mib}
        if work.has_accuracy:
            tested = measure.run([PROGRAM, "evaluate", model, "--data", self.data, "--json", "--device", "cpu"])
            result["accuracy"] = json.loads(tested.out)["accuracy"]
        return result

    def model(self, work):
        """A saved model, trained for a moment."""
        model = self.folder / f"models/{work.preset}-{work.side}"
        if not model.with_suffix(".json").exists():
            measure.run(self.train_command(work, model))
        return model

    def cold(self, work):
        command = [PROGRAM, "predict", self.model(work), works.picture(self.data, self.folder), "--json", "--device", "cpu"]
        processes = [measure.run(command) for _ in range(PROCESSES)]
        return cold_result(processes, json.loads(processes[0].out)["predictions"][0]["class"])

    def warm(self, work):
        model, data = self.model(work), works.warm_data(self.data, self.folder, work)
        few, many = ([measure.run([PROGRAM, "evaluate", model, "--data", data, "--split", split, "--json", "--device", "cpu"])
                      for _ in range(PAIRS)] for split in ("test", "train"))
        whole = statistics.median(process.seconds for process in many)
        seconds = whole - statistics.median(process.seconds for process in few)
        return {"seconds": seconds, "whole": whole, "memory": statistics.median(process.memory_mib for process in many)}

    def export(self, work, form, suffix):
        """The model as another program's file."""
        file = self.folder / f"exported_{work.preset.replace('-', '_')}_{work.side}{suffix}"
        if not file.exists():
            measure.run([PROGRAM, "export", self.model(work), "--format", form, "--out", file])
        return file

    def architecture(self, work):
        """A preset as Keras's JSON."""
        file = self.folder / f"{work.preset}-{work.side}.json"
        if not file.exists():
            shape = f"{work.side},{work.side},{work.channels}"
            measure.run([PROGRAM, "summary", work.preset, "--input-shape", shape, "--classes", "10", "--write", file])
        return file


def cold_result(processes, predicted):
    seconds = statistics.median(process.seconds for process in processes)
    memory = statistics.median(process.memory_mib for process in processes)
    return {"seconds": seconds, "whole": seconds, "memory": memory, "class": predicted}


def commit():
    """The commit of the checkout."""
    found = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def processor():
    """The processor's name and how many of its cores are there."""
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    flags = next((line for line in lines if line.startswith("flags")), "")
    vectors = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "no AVX2"
    return f"{len(names)} × {names[0] if names else platform.machine()}, {vectors}"
