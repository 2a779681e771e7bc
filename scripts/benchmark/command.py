"""The command line of scripts/bench.py."""

import argparse
import json
import os
import pathlib
import sys
import tempfile

from . import convnet, peers, table
from .work import COLD, FOLDER, WORK

CACHED = "convnet, cached"  # from a folder, with its images decoded once, which is convnet's default

SLOW = 10  # times as slow as convnet: such a peer takes part in the first round alone


def arguments(description):
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--work", default=",".join(WORK), help="%(default)s")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--peers", default="keras,pytorch,burn,candle", help=f"of {', '.join(peers.MODULES)}")
    parser.add_argument("--json", help="a file for all measurements")
    parser.add_argument("--markdown", action="store_true", help="print tables in Markdown")
    parser.add_argument("--job", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        return options
    if options.data is None:
        parser.error("which DATA?")
    options.work, options.peers = options.work.split(","), [name for name in options.peers.split(",") if name]
    for names, known in [(options.work, WORK), (options.peers, peers.MODULES)]:
        for name in names:
            if name not in known:
                parser.error(f"{name} is none of {', '.join(known)}")
    if not convnet.PROGRAM.exists():
        parser.error(f"there is no {convnet.PROGRAM}: cargo build --release")
    return options


def compare(name, options, folder):
    """All rounds of a work: each tool's results, and why others have none."""
    work, ours = WORK[name], convnet.Convnet(options.data, folder, options.precision)
    tools = {"convnet": lambda: ours.run(work)}
    if work.kind == FOLDER:
        cached = convnet.Convnet(options.data, folder, options.precision, "auto")
        tools[CACHED] = lambda: cached.run(work)
    reasons = {}
    for peer in options.peers:
        reason = peers.reason_against(peer, work, options.precision)
        if reason:
            reasons[peer] = reason
        else:
            tools[peer] = lambda peer=peer: peers.Peer(peer, ours).run(name, work)
    results = {tool: [] for tool in tools}
    for number in range(options.rounds):
        for tool, run in tools.items():
            if number and is_slow(results[tool], results["convnet"]):
                continue
            results[tool].append({**run(), "load": os.getloadavg()[0]})
            print(f"{name}, round {number + 1}: {tool}: {results[tool][-1]}", file=sys.stderr, flush=True)
    if work.kind == COLD:
        check_classes(results)
    return results, reasons


def is_slow(results, ours):
    """Whether a tool is so slow that a round of it is enough to say so."""
    return results[0]["seconds"] > SLOW * ours[0]["seconds"]


def check_classes(results):
    """Those that load the same weights predict the same class; burn and candle have random ones."""
    classes = {tool: rounds[0]["class"] for tool, rounds in results.items() if tool not in peers.RUST}
    if len(set(classes.values())) > 1:
        sys.exit(f"error: the tools predict different classes for one picture: {classes}")


def main(description):
    options = arguments(description)
    if options.job:
        peers.perform(options.job)
        return
    peers.ensure_python({module for peer in options.peers for module in peers.MODULES[peer]} | {"numpy", "PIL"})
    if set(options.peers) & set(peers.RUST):
        peers.rust_program()
    found = {"command": sys.argv, "commit": convnet.commit(), "processor": convnet.processor(), "precision": options.precision, "work": {}}
    with tempfile.TemporaryDirectory() as folder:
        for name in options.work:
            results, reasons = compare(name, options, folder)
            found["work"][name] = {"results": results, "not_run": reasons}
            loads = [result["load"] for rounds in results.values() for result in rounds]
            title = f"{name}, {options.precision}, {options.rounds} rounds, load {min(loads):.0f} to {max(loads):.0f}"
            print((table.markdown if options.markdown else table.text)(title, results, reasons), flush=True)
            if options.json:
                pathlib.Path(options.json).write_text(json.dumps(found, indent=1))
