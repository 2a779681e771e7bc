#!/usr/bin/env python3
"""What training in several processes costs: a formula, a simulation of it event by event, and measurements to compare with.

    scripts/scaling_model.py                                  # the tables of docs/scaling.md
    scripts/scaling_model.py --table sizes --preset resnet18 --cluster ethernet-25 --images 128
    scripts/scaling_model.py --measure loopback.json          # all-reduces of Gloo between processes here; needs PyTorch
    scripts/scaling_model.py --calibration loopback.json --trainings                 # PyTorch's training, measured there
    scripts/scaling_model.py --calibration loopback.json --check report.json         # of convnet train --profile --json

A step: each of N processes computes forward and backward on its own images; the gradient, in buckets that start during the
backward pass, is all-reduced; each process then takes the optimizer's step on all weights. A ring moves 2(N-1)/N of the bytes
through each link and takes 2(N-1) hops, a pair of trees moves as much and takes 2 log2(N); the faster one counts, as in NCCL.

Numbers are per process, seconds and bytes. scripts/scaling_numbers.py has them, and says where they come from; those of a
calibration file take their place.
"""

import argparse
import collections
import heapq
import json
import math
import pathlib
import random
import statistics
import sys

import scaling_measure
from scaling_numbers import (
    BUCKET_BYTES,
    CLUSTERS,
    CORES_PER_HOST,
    DECODE_SECONDS,
    JITTER,
    LARGEST_USEFUL_BATCH,
    LAUNCH_SECONDS,
    LAUNCHES_OF_A_LAYER,
    LIMIT,
    LINKS,
    MASK_SECONDS,
    MEMORY_BYTES_PER_SECOND,
    MIB,
    OPTIMIZER_BYTES,
    PEAK_OPERATIONS,
    PRESETS,
    REACHED_OPERATIONS,
    Cluster,
)

Work = collections.namedtuple(
    "Work", "parameters compute masks decode optimizer images gradient_bytes bucket_bytes overlap jitter every norms")


def work_of(preset, images, arguments):
    """What each process does in a step: computing seconds of its images, of a mask of its images, of decoding them on a core."""
    seconds = 6 * preset.multiply_adds / (PEAK_OPERATIONS * REACHED_OPERATIONS) * images
    compute = max(seconds, preset.layers * LAUNCHES_OF_A_LAYER * LAUNCH_SECONDS)
    if arguments.seconds_per_image:
        compute = arguments.seconds_per_image * images
    # what was measured is the CPU, where each process draws for its own images alone, as a part of its computing
    mask_seconds = 0.0 if arguments.measured else MASK_SECONDS
    return Work(
        preset.parameters, compute, preset.dropped * images * mask_seconds,
        DECODE_SECONDS * images if preset.is_decoded else 0.0,
        preset.parameters * OPTIMIZER_BYTES / MEMORY_BYTES_PER_SECOND, images,
        preset.parameters * (2 if arguments.compress == "bf16" else 4), arguments.bucket_mib * MIB,
        not arguments.no_overlap, arguments.jitter, 1,
        preset.norms if arguments.sync_batchnorm else 0)


def all_reduce_seconds(count, cluster, size):
    """One all-reduce of `size` bytes between `count` processes: the faster of ring and trees."""
    if count == 1:
        return 0.0
    if isinstance(cluster, dict):  # measured
        return cluster[str(count)]["latency_seconds"] + size / cluster[str(count)]["bytes_per_second"]
    hosts = -(-count // cluster.per_host)
    inside, between = LINKS[cluster.inside], LINKS[cluster.between]
    rate, hops, levels = inside.bytes_per_second * inside.reached, count, math.log2(count)
    latency = {"ring": 2 * (hops - 1) * inside.hop_seconds, "trees": 2 * levels * inside.hop_seconds}
    if hosts > 1:
        rate = min(rate, between.bytes_per_second * between.reached * cluster.ports)
        # Each host is entered and left once by a ring; trees cross between hosts at their upper levels.
        latency["ring"] = 2 * ((count - hosts) * inside.hop_seconds + hosts * between.hop_seconds)
        latency["trees"] = 2 * (math.log2(cluster.per_host) * inside.hop_seconds + math.log2(hosts) * between.hop_seconds)
    return 2 * (count - 1) / count * size / rate + min(latency.values())


def highest(count):
    """What the largest of `count` standard normal numbers is on average (Blom 1958)."""
    return statistics.NormalDist().inv_cdf((count - 0.375) / (count + 0.25)) if count > 1 else 0.0


def norms_seconds(work, count, cluster):
    """--sync-batchnorm: the sums of each layer, forward and backward, all of them in the way of what follows."""
    return 2 * work.norms * all_reduce_seconds(count, cluster, 0)


def sharing(count, cluster):
    """The processes of a host."""
    return min(count, cluster.per_host) if isinstance(cluster, Cluster) else count


Step = collections.namedtuple("Step", "compute masks waiting exposed decoding optimizer seconds bytes reduce")


def step_of(work, count, cluster):
    """The closed formula: the parts of a step, in seconds."""
    buckets = max(1, math.ceil(work.gradient_bytes / work.bucket_bytes))
    each = all_reduce_seconds(count, cluster, work.gradient_bytes / buckets)
    backward = work.compute * 2 / 3
    exposed = buckets * each
    if work.overlap and count > 1:
        # The last bucket is ready at the end of the backward pass; those before may still hold the link.
        exposed = max(each, buckets * each - backward * (buckets - 1) / buckets)
    exposed = exposed / work.every + norms_seconds(work, count, cluster)
    masks = work.masks * count  # of the global batch, in each process
    waiting = work.jitter * work.compute * highest(count) / math.sqrt(work.every)
    busy = work.compute + masks + waiting + exposed + work.optimizer
    decoding = max(0.0, work.decode * sharing(count, cluster) / CORES_PER_HOST - busy)
    moved = 2 * (count - 1) / count * work.gradient_bytes / work.every
    return Step(work.compute, masks, waiting, exposed, decoding, work.optimizer, busy + decoding, moved, buckets * each)


def simulated(work, count, cluster, steps=30, seed=0):
    """Steps as events. The mean seconds of a step, and the part of it that a process spends with all-reduces and waiting."""
    draw = random.Random(seed)
    buckets = max(1, math.ceil(work.gradient_bytes / work.bucket_bytes))
    each = all_reduce_seconds(count, cluster, work.gradient_bytes / buckets)
    masks, norms, now, spent = work.masks * count, norms_seconds(work, count, cluster), 0.0, 0.0
    for _ in range(steps):
        computing = [masks + work.compute * max(0.5, 1 + work.jitter * draw.gauss(0, 1)) for _ in range(count)]
        end = end_of_buckets(work, [now + norms + seconds for seconds in computing], buckets, each)
        spent += end - now - statistics.fmean(computing)
        now = end + work.optimizer
    return now / steps, spent / now


def end_of_buckets(work, ends, buckets, each):
    """When the last bucket is reduced, of processes whose backward passes end at `ends`."""
    events = []
    for end in ends:
        backward = work.compute * 2 / 3
        for bucket in range(buckets):
            early = backward * (buckets - 1 - bucket) / buckets if work.overlap else 0.0
            heapq.heappush(events, (end - early, bucket))
    ready, link_free, following = [0] * buckets, 0.0, 0
    while following < buckets:
        at, bucket = heapq.heappop(events)
        ready[bucket] += 1
        # An all-reduce starts when every process has the bucket, those before are done, and they come in order.
        while following < buckets and ready[following] == len(ends):
            link_free = max(link_free, at) + (each if len(ends) > 1 else 0.0)
            following += 1
    return max(link_free, *ends)


def works(arguments, preset, count, images=None):
    """The work of a process of `count`: as many images each, or its part of a global batch."""
    if images is None:
        images = arguments.global_batch / count if arguments.global_batch else arguments.images
    return work_of(PRESETS[preset], images, arguments)


def efficiency(work, step, alone_work, alone):
    """Images a second of a process, as a part of those of one process alone."""
    return (work.images / step.seconds) / (alone_work.images / alone.seconds)


def sizes_table(arguments):
    cluster = cluster_of(arguments)
    batch = f"{arguments.global_batch} images in all" if arguments.global_batch else f"{arguments.images} images a process"
    print(f"\n{arguments.preset}, {arguments.cluster}, {batch}, gradient in {arguments.compress}; milliseconds of a step")
    print(f"{'N':>5} {'batch':>7} {'compute':>9} {'masks':>7} {'wait':>7} {'reduce':>8} {'exposed':>8} {'decode':>7} {'adam':>6} "
          f"{'step':>9} {'images/s':>10} {'effic.':>7} {'comm.':>6} {'simulated':>10}")
    alone_work = works(arguments, arguments.preset, 1)
    alone = step_of(alone_work, 1, cluster)
    for count in arguments.processes:
        work = works(arguments, arguments.preset, count)
        step = step_of(work, count, cluster)
        seconds, _ = simulated(work, count, cluster)
        masks_ms, parts = step.masks * 1e3, (step.waiting, step.reduce, step.exposed, step.decoding)
        wait, reduce, exposed, decode = (part * 1e3 for part in parts)
        print(f"{count:5} {work.images * count:7.0f} {step.compute * 1e3:9.3f} {masks_ms:7.3f} {wait:7.3f} {reduce:8.3f} "
              f"{exposed:8.3f} {decode:7.2f} {step.optimizer * 1e3:6.3f} {step.seconds * 1e3:9.3f} "
              f"{work.images * count / step.seconds:10.0f} {efficiency(work, step, alone_work, alone):7.1%} "
              f"{(step.exposed + step.waiting) / step.seconds:6.1%} {(seconds + step.decoding) * 1e3:10.3f}")


def bytes_table(arguments):
    places = [("infiniband", 8), ("infiniband", 1024), ("ethernet-100", 64), ("ethernet-25", 64)]
    print("\nMB of the gradient in f32, and of what a process holds with Adam (weights, gradient, two moments);")
    print("milliseconds of one all-reduce of the whole gradient, f32 / bf16")
    heads = "".join(f"{name + ' ' + str(count):>18}" for name, count in places)
    print(f"{'':16} {'parameters':>10} {'gradient':>8} {'held':>7}{heads}")
    for name, preset in PRESETS.items():
        times = ""
        for cluster, count in places:
            f32, bf16 = (all_reduce_seconds(count, CLUSTERS[cluster], preset.parameters * width) * 1e3 for width in (4, 2))
            times += f"{f32:9.2f} / {bf16:6.2f}"
        print(f"{name:16} {preset.parameters:10,} {preset.parameters * 4 / 1e6:8.2f} {preset.parameters * 16 / 1e6:7.2f}{times}")


# What takes a tenth of a step, and what helps then.
HELP = {
    "latency of the all-reduce": "more images a process; fewer, larger buckets; local SGD",
    "bytes of the all-reduce": "bf16; more images a process; local SGD",
    "dropout masks of all": "masks drawn for the process's own images alone, keyed by image",
    "waiting for the slowest": "equal machines; local SGD",
    "the optimizer's step": "a sharded optimizer: each process updates 1/N of the weights",
    "decoding on each host": "more cores; --cache; images stored smaller",
    "one decoder host for all": "each host decodes its own part, from a shared folder or shards",
    "the global batch": "a smaller part each, LARS and warm-up, or fewer processes",
    "less than an image each": "fewer processes",
}


def troubles(arguments, preset, count, cluster):
    """What takes more than its share of a step with this many processes: how much of it, and what it is."""
    work = works(arguments, preset, count)
    step = step_of(work, count, cluster)
    small = all_reduce_seconds(count, cluster, 0) * math.ceil(work.gradient_bytes / work.bucket_bytes)
    reduce = "latency of the all-reduce" if small > step.reduce / 2 else "bytes of the all-reduce"
    decoders = CORES_PER_HOST / DECODE_SECONDS * (step.seconds - step.decoding) / work.images
    parts = [
        (step.exposed / step.seconds, reduce),
        ((step.masks - work.masks) / step.seconds, "dropout masks of all"),
        (step.waiting / step.seconds, "waiting for the slowest"),
        (step.optimizer / step.seconds, "the optimizer's step"),
        (step.decoding / step.seconds, "decoding on each host"),
    ]
    found = [(part, what) for part, what in parts if part > LIMIT]
    if work.decode and count > decoders:
        found.append((1 - decoders / count, "one decoder host for all"))
    if not arguments.global_batch and work.images * count > LARGEST_USEFUL_BATCH:
        found.append((1.0, "the global batch"))
    if work.images < 1:
        found.append((1.0, "less than an image each"))
    return found


def limits_table(arguments):
    batch = f"{arguments.global_batch} images in all" if arguments.global_batch else f"{arguments.images} images a process"
    print(f"\nwhat takes a tenth of a step, and from how many processes on, of up to {max(arguments.processes)}; {batch}")
    for preset in arguments.presets:
        for name, cluster in CLUSTERS.items():
            since = {}
            for count in arguments.processes[1:]:
                for _, what in sorted(troubles(arguments, preset, count, cluster), reverse=True):
                    since.setdefault(what, count)
            print(f"{preset:16} {name:14} " + ("; ".join(f"{count}: {what}" for what, count in since.items()) or "nothing"))
    print("\nwhat helps then")
    for what, helps in HELP.items():
        print(f"{what:28} {helps}")


def remedies_table(arguments):
    """Efficiencies with each remedy, against one process that does the same work."""
    count = arguments.remedies_at
    print(f"\nefficiency of {count} processes, {arguments.images} images each, and with one thing changed")
    names = ["as it is", "bf16", "images x 4", "local SGD, 8", "sharded Adam", "own masks", "all of these"]
    print(f"{'':31}" + "".join(f"{name:>14}" for name in names))
    for preset in arguments.presets:
        for name, cluster in CLUSTERS.items():
            work, more = (works(arguments, preset, count, arguments.images * times) for times in (1, 4))
            halved, sharded = {"gradient_bytes": work.parameters * 2}, {"optimizer": work.optimizer / count}
            all_of_these = more._replace(**halved, **sharded, masks=more.masks / count, every=8)
            changed = [work, work._replace(**halved), more, work._replace(every=8), work._replace(**sharded),
                       work._replace(masks=work.masks / count), all_of_these]
            # What is changed is not changed for one process, but its images.
            alone = [step_of(more if each.images == more.images else work, 1, cluster) for each in changed]
            parts = [efficiency(each, step_of(each, count, cluster), each, one) for each, one in zip(changed, alone)]
            print(f"{preset:16} {name:14}" + "".join(f"{part:14.1%}" for part in parts))


def cluster_of(arguments):
    return arguments.measured["all_reduce"] if arguments.cluster == "measured" else CLUSTERS[arguments.cluster]


def predicted_share(measured, count, parameters, compute, late, buckets=1):
    """The part of a step that a process spends with all-reduces and waiting: by the formula, and simulated. `late` is how much
    longer the slowest process computes than the mean, as a part of that; more than one bucket begins in the backward pass."""
    size = parameters * 4
    jitter = late / highest(count)
    work = Work(parameters, compute, 0.0, 0.0, 0.0, 1, size, math.ceil(size / buckets), buckets > 1, jitter, 1, 0)
    step = step_of(work, count, measured["all_reduce"])
    _, share = simulated(work, count, measured["all_reduce"], steps=300)
    return (step.exposed + step.waiting) / step.seconds, share


def compare(what, measured_share, predicted):
    """Prints both; how far the simulation is off, as a part of what was measured."""
    formula, simulation = predicted
    off = simulation / measured_share - 1 if measured_share else math.inf
    print(f"{what:34} communication {measured_share:6.1%} measured, {simulation:6.1%} simulated, {formula:6.1%} by the formula: "
          f"{off:+.0%}", flush=True)
    return off


def check_trainings(arguments):
    """The trainings of the calibration file against what is predicted from their steps without all-reduces."""
    offs = []
    for seen in arguments.measured["trainings"]:
        predicted = predicted_share(arguments.measured, seen["processes"], seen["parameters"], seen["work_seconds"], seen["late"])
        offs.append(compare(f"PyTorch, {seen['preset']}, {seen['processes']} processes",
                            seen["communication_seconds"] / seen["step_seconds"], predicted))
    return offs


def measured_of(report):
    """Seconds of a step, and of communication in it, of the document of `convnet train --profile --json`."""
    phases = {phase["phase"]: phase for phase in report["profile"]["phases"]}
    if "communication" not in phases:
        sys.exit("the report has no phase `communication`: give one of train --profile --json in several processes")
    steps = phases["forward"]["count"]
    in_step = ("waiting", "data", "forward", "metrics", "communication", "backward", "optimizer")
    seconds = sum(phases[phase]["seconds"] for phase in in_step if phase in phases)
    return seconds / steps, phases["communication"]["seconds"] / steps


def check_report(arguments):
    """A run of convnet against what is predicted from its computing, or from that of a run alone with as many images a batch."""
    report = document(arguments.check)
    step, communication = measured_of(report)
    count = arguments.count
    if str(count) not in arguments.measured["all_reduce"]:
        sys.exit(f"the calibration file has no all-reduces between {count} processes: --measure with --most {count}")
    compute = step - communication
    if arguments.alone:
        alone = {phase["phase"]: phase for phase in document(arguments.alone)["profile"]["phases"]}
        in_step = ("waiting", "data", "forward", "metrics", "backward", "optimizer")
        compute = sum(alone[phase]["seconds"] for phase in in_step if phase in alone) / alone["forward"]["count"]
    late = statistics.fmean(seen["late"] for seen in arguments.measured["trainings"] if seen["processes"] == count)
    predicted = predicted_share(arguments.measured, count, report["parameters"], compute, late, arguments.buckets)
    return [compare(f"convnet, {report['parameters']:,} parameters, {count} processes", communication / step, predicted)]


def document(path):
    """What a JSON file says."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        sys.exit(f"{path} cannot be read: {error}")


def parsed():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="append", choices=["bytes", "sizes", "limits", "remedies"], help="default: all")
    parser.add_argument("--preset", default="resnet50", choices=PRESETS, help="of the table sizes")
    parser.add_argument("--presets", type=lambda text: text.split(","), help="of the tables limits and remedies",
                        default=["keras-cnn", "mlp", "resnet9", "mobilenet-v2", "resnet50"])
    parser.add_argument("--cluster", default="infiniband", choices=[*CLUSTERS, "measured"])
    parser.add_argument("--processes", type=lambda text: [int(part) for part in text.split(",")],
                        default=[2**power for power in range(11)], help="how many, with commas (default 1 to 1024)")
    parser.add_argument("--images", type=int, default=64, help="images of each process in a step (default 64)")
    parser.add_argument("--global-batch", type=int, help="images of all processes together, in place of --images")
    parser.add_argument("--compress", default="f32", choices=["f32", "bf16"])
    parser.add_argument("--bucket-mib", type=float, default=BUCKET_BYTES / MIB)
    parser.add_argument("--sync-batchnorm", action="store_true", help="batch statistics over the global batch")
    parser.add_argument("--no-overlap", action="store_true", help="all-reduces begin after the backward pass")
    parser.add_argument("--jitter", type=float, default=JITTER)
    parser.add_argument("--seconds-per-image", type=float, help="measured, forward and backward; else from the operations")
    parser.add_argument("--remedies-at", type=int, default=64, help="processes in the table remedies (default 64)")
    parser.add_argument("--measure", type=pathlib.Path, help="measure here, and write this calibration file")
    parser.add_argument("--most", type=int, default=4, help="processes of --measure, at most (default 4)")
    parser.add_argument("--calibration", type=pathlib.Path, help="what --measure wrote")
    parser.add_argument("--trainings", action="store_true", help="compare with the trainings in the calibration file")
    parser.add_argument("--check", type=pathlib.Path, help="compare with a report of convnet train --profile --json")
    parser.add_argument("--count", type=int, default=2, help="processes of --check (default 2)")
    parser.add_argument("--alone", type=pathlib.Path, help="report of one process with as many images in a batch as each had")
    parser.add_argument("--buckets", type=int, default=1, help="buckets of --check; 1: after the backward pass")
    parser.add_argument("--tolerance", type=float, default=0.2, help="of --check and --trainings (default 0.2)")
    arguments = parser.parse_args()
    arguments.measured = document(arguments.calibration) if arguments.calibration else None
    if not arguments.measured and (arguments.trainings or arguments.check or arguments.cluster == "measured"):
        parser.error("--trainings, --check and --cluster measured need --calibration FILE, which --measure writes")
    if unknown := set(arguments.presets) - set(PRESETS):
        parser.error(f"--presets: no {', '.join(sorted(unknown))} here, only {', '.join(PRESETS)}")
    if arguments.cluster == "measured":
        known = [1, *map(int, arguments.measured["all_reduce"])]
        arguments.processes = [count for count in arguments.processes if count in known]
    return arguments


def main():
    arguments = parsed()
    if arguments.measure:
        scaling_measure.measure(arguments.measure, arguments.most)
    elif arguments.trainings or arguments.check:
        offs = check_trainings(arguments) if arguments.trainings else check_report(arguments)
        # Negated, so that NaN fails too.
        sys.exit(not all(abs(off) <= arguments.tolerance for off in offs))
    else:
        tables = {"bytes": bytes_table, "sizes": sizes_table, "limits": limits_table, "remedies": remedies_table}
        for name in arguments.table or tables:
            tables[name](arguments)


if __name__ == "__main__":
    main()
