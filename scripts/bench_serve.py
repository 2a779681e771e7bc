#!/usr/bin/env python3
"""Loads servers of one network side by side: convnet serve, and FastAPI on uvicorn with PyTorch. The same weights and pictures.

    cargo build --release
    apt-get install wrk
    python3 scripts/bench_serve.py models/model PICTURES [--seconds 20] [--rounds 3] [--clients 64] [--json FILE]

PICTURES is a folder with image files (convnet data export digits:100 --format png --out png). The first run installs the peers
below the cache folder. All servers take turns, each alone, so that a slow minute of the machine meets all of them; each is asked by
wrk on the same machine, with as many connections as --clients, each of which sends one picture after another. FastAPI runs as
one process with torch's threads, and as one process for each core with one thread each; the better counts. Its endpoint decodes
with Pillow and computes in the event loop, which was the fastest of the usual ways here. Before anything is timed, all
have to give the same probabilities, to within 1e-5.

The table has the median over the rounds: images a second, the median latency and its 99th percentile, errors of all rounds.
"""

import argparse
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
PEERS = ["fastapi==0.121.3", "uvicorn[standard]==0.38.0", "pillow", "numpy", "safetensors"]
TORCH = ["torch==2.11.0"]

APP = '''
import io, sys
import numpy as np, torch
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from PIL import Image
sys.path.insert(0, {folder!r})
import exported

if {threads}:
    torch.set_num_threads({threads})
model = exported.load() if hasattr(exported, "load") else exported.build()
model.eval()
app = FastAPI()

@app.post("/v1/predict")
async def predict(request: Request):
    image = Image.open(io.BytesIO(await request.body())).convert({mode!r}).resize(({width}, {height}), Image.BILINEAR)
    pixels = np.asarray(image, np.float32).reshape({height}, {width}, {channels})
    x = torch.from_numpy(pixels).permute(2, 0, 1)[None] * exported.INPUT_SCALE
    with torch.inference_mode():
        probabilities = model(x)[0].tolist()  # the network ends in its softmax
    best = max(range(len(probabilities)), key=probabilities.__getitem__)
    return JSONResponse({{"predictions": [{{"label": exported.LABELS[best], "class": best, "probability": probabilities[best],
                                           "probabilities": probabilities}}]}})
'''

LUA = '''
local bodies = {}
for path in io.lines("%(list)s") do
  local file = io.open(path, "rb")
  bodies[#bodies + 1] = file:read("*a")
  file:close()
end
local at = 0
function request()
  at = at %% #bodies + 1
  return wrk.format("POST", "/v1/predict?top=1", {["Content-Type"] = "application/octet-stream"}, bodies[at])
end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT %%d %%d %%f %%f %%d\\n", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))
end
'''


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("pictures")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--convnet", default=str(ROOT / "target/release/convnet"))
    parser.add_argument("--flags", default="", help="further flags of convnet serve, in one word")
    parser.add_argument("--site-packages", help="a folder with torch, in place of installing it")
    parser.add_argument("--json")
    return parser.parse_args()


def peers_python(options):
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "convnet/bench-serve"
    python = cache / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", cache], check=True)
    packages = PEERS + ([] if options.site_packages else TORCH)
    subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages], check=True)
    return python


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def servers(options, folder, shape, python):
    """The commands that start each server on a port, and their environments."""
    environment = dict(os.environ)
    if options.site_packages:
        environment["PYTHONPATH"] = options.site_packages
    cores = len(os.sched_getaffinity(0))
    commands = {"convnet serve": (lambda port: [options.convnet, "serve", options.model, "--port", str(port), "-q",
                                                *options.flags.split()], None)}
    for workers, threads in [(1, 0), (cores, 1)]:
        name = f"app{workers}"
        source = APP.format(folder=str(folder), threads=threads, mode="L" if shape["channels"] == 1 else "RGB", **shape)
        (folder / f"{name}.py").write_text(source)

        def command(port, name=name, workers=workers):
            return [str(python), "-m", "uvicorn", f"{name}:app", "--port", str(port), "--workers", str(workers),
                    "--log-level", "error", "--no-access-log"]

        commands[f"FastAPI, {workers} process{'es' if workers > 1 else ''}"] = (command, environment)
    return commands


def ask(port, picture):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/predict?top=1", picture.read_bytes(),
                                     {"Content-Type": "application/octet-stream"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["predictions"][0]["probabilities"]


class Running:
    """A server that answers, until the block ends."""

    def __init__(self, command, environment, folder, picture):
        self.port = free_port()
        self.process = subprocess.Popen(command(self.port), env=environment, cwd=folder, stdout=subprocess.DEVNULL)
        deadline = time.time() + 120
        while True:
            try:
                self.first = ask(self.port, picture)
                return
            except OSError:
                if self.process.poll() is not None or time.time() > deadline:
                    sys.exit(f"error: it does not start: {command(self.port)}")
                time.sleep(0.2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def memory_mib(process):
    """What the process and its children hold."""
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    total = 0
    for pid in [process.pid, *children]:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        total += next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    return total / 1024


def load(running, options, script, seconds):
    command = ["wrk", "-t1", f"-c{options.clients}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script),
               f"http://127.0.0.1:{running.port}/"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    line = next(line for line in text.splitlines() if line.startswith("RESULT"))
    requests, micros, p50, p99, errors = map(float, line.split()[1:])
    return {"images_per_second": requests / micros * 1e6, "p50_ms": p50 / 1e3, "p99_ms": p99 / 1e3, "errors": int(errors),
            "memory_mib": memory_mib(running.process)}


def main():
    options = arguments()
    options.model = str(pathlib.Path(options.model).resolve())
    pictures = sorted(path for path in pathlib.Path(options.pictures).resolve().rglob("*")
                      if path.suffix.lower() in (".png", ".jpg", ".jpeg"))
    if not pictures:
        sys.exit(f"error: there is no picture in {options.pictures}")
    python = peers_python(options)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        export = [options.convnet, "export", options.model, "--format", "pytorch", "--out", str(folder / "exported.py"), "-q"]
        subprocess.run(export, check=True)
        shape = json.loads(pathlib.Path(options.model + ".json").read_text())["convnet"]["input"]
        shape = {side: shape[side] for side in ("height", "width", "channels")}
        (folder / "list").write_text("".join(f"{path}\n" for path in pictures))
        script = folder / "post.lua"
        script.write_text(LUA % {"list": folder / "list"})
        commands = servers(options, folder, shape, python)
        results, first = {server: [] for server in commands}, None
        for number in range(options.rounds):
            for server, (command, environment) in commands.items():
                with Running(command, environment, folder, pictures[0]) as running:
                    first = first or running.first
                    if max(abs(a - b) for a, b in zip(first, running.first)) > 1e-5:
                        sys.exit(f"error: {server} gives other probabilities: {first}, {running.first}")
                    load(running, options, script, 2)
                    results[server].append(load(running, options, script, options.seconds))
                    print(f"round {number + 1}: {server}: {results[server][-1]}", file=sys.stderr, flush=True)
    report(results, options)


def report(results, options):
    keys = ["images_per_second", "p50_ms", "p99_ms", "memory_mib"]
    medians = {server: {key: statistics.median(run[key] for run in runs) for key in keys} for server, runs in results.items()}
    print(f"| server | images/s | p50, ms | p99, ms | memory, MiB | errors |\n| --- | --- | --- | --- | --- | --- |")
    for server, runs in results.items():
        m = medians[server]
        errors = sum(run["errors"] for run in runs)
        print(f"| {server} | {m['images_per_second']:.0f} | {m['p50_ms']:.1f} | {m['p99_ms']:.1f} | {m['memory_mib']:.0f} | {errors} |")
    own, *others = results
    for key, better in [("images_per_second", max), ("p99_ms", min)]:
        best = better(others, key=lambda server: medians[server][key])
        ratios = sorted(a[key] / b[key] for a, b in zip(results[own], results[best]))
        print(f"{key}: {own} over {best}: {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
