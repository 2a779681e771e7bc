#!/usr/bin/env python3
"""A table of the parts of a training step: how long each takes, and its share of what the machine does at most.

    cargo bench --bench parts
    python3 scripts/roofline.py

It reads what the first line wrote below target/criterion. A part that computes is compared with the measured rate of a large product of
matrices, or of a large convolution where that is higher, one that moves memory with that of a copy within the caches, where a batch's activations of the default network lie; by how many
additions and multiplications, or bytes, it has at the least: see benches/parts.rs. Convnet's own operators leave out some of the
arithmetic (what max-pooling throws away has no gradient), so that their share of the whole can be above 1.
"""

import argparse
import json
import os
import pathlib
import sys

PEAK, COMPUTE = "peak", ["a product of matrices", "a large convolution"]
COPY, FAR_COPY = "a copy within the caches", "a copy"


def measured(folder):
    """Each group's functions, with nanoseconds (the median, of the peaks the least) and what they do: {group: {function: (nanoseconds, kind, count)}}."""
    found = {}
    for path in sorted(folder.glob("*/*/new/benchmark.json"), key=lambda path: path.stat().st_mtime):
        about = json.loads(path.read_text())
        times = json.loads(path.with_name("estimates.json").read_text())
        kind, count = next(iter(about["throughput"].items())) if about["throughput"] else (None, 0)
        group = found.setdefault(about["group_id"], {})
        samples = json.loads(path.with_name("sample.json").read_text())
        fastest = min(time / count for time, count in zip(samples["times"], samples["iters"]))
        nanoseconds = fastest if about["group_id"] == PEAK else times["median"]["point_estimate"]
        group[about["function_id"]] = (nanoseconds, kind, count)
    return found


def text_of(nanoseconds):
    for unit, size in [("s", 1e9), ("ms", 1e6), ("µs", 1e3)]:
        if nanoseconds >= size:
            return f"{nanoseconds / size:.3g} {unit}"
    return f"{nanoseconds:.3g} ns"


def table(found):
    def rate(name):
        nanoseconds, _, count = found[PEAK][name]
        return count / nanoseconds

    compute = max(COMPUTE, key=rate)
    peaks = {"Elements": rate(compute), "Bytes": rate(COPY)}
    yield (f"Peaks: {peaks['Elements']:.0f} GFLOP/s ({compute}), {peaks['Bytes']:.0f} GB/s ({COPY}), "
           f"{rate(FAR_COPY):.0f} GB/s ({FAR_COPY} of more than they hold)\n")
    yield "| part | convnet | share of the peak | libtorch | share of the peak | libtorch's time over convnet's |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for group, functions in found.items():
        if group == PEAK:
            continue
        ours, theirs = functions.get("fused"), functions.get("libtorch")
        rows = [(group, ours, theirs)] if theirs else [(f"{group}: {name}", one, None) for name, one in functions.items()]
        for name, *pair in rows:
            cells = []
            for one in pair:
                share = f"{one[2] / one[0] / peaks[one[1]]:.2f}" if one and one[1] else ""
                cells += [text_of(one[0]) if one else "", share]
            ratio = f"{pair[1][0] / pair[0][0]:.2f}" if all(pair) else ""
            yield f"| {name} | {' | '.join(cells)} | {ratio} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = os.environ.get("CARGO_TARGET_DIR", "target")
    parser.add_argument("--criterion", type=pathlib.Path, default=pathlib.Path(target, "criterion"), metavar="FOLDER")
    found = measured(parser.parse_args().criterion)
    if not {*COMPUTE, COPY, FAR_COPY} <= found.get(PEAK, {}).keys():
        sys.exit("error: the machine's peaks were not measured: cargo bench --bench parts")
    print("\n".join(table(found)))


if __name__ == "__main__":
    main()
