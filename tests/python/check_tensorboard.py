"""Checks a run's TensorBoard logs: folders, tags, steps, values and plugins are those of Keras 3's callback.

    check_tensorboard.py RUN_FOLDER --epochs 3 --steps-per-epoch 430 [--metrics loss,accuracy] [--no-validation]
                         [--classes a,b,c] [--histograms N] [--http]

Reads the event files twice, record by record (with both checksums) and through TensorBoard's own loader, and compares
them with history.csv where the run has one. With --classes also what the run tells beside its curves: settings and the
run's end for HParams, texts, the layout of Custom Scalars, pictures, and a precision-recall curve for each class. With --http it also starts TensorBoard on a free port, once with each of
its loaders, and compares what the scalars and graphs pages get. Prints every deviation; exits with 1 if there is one.
Needs the packages tensorboard and numpy.
"""

import argparse
import collections
import csv
import json
import math
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import numpy
from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.data_compat import migrate_value
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.pr_curve import metadata as pr_curve_metadata
from tensorboard.util import tensor_util

GRAPH = ("keras", "graph_keras_model", b"1")  # tag, plugin, its content
START, END = "_hparams_/session_start_info", "_hparams_/session_end_info"
LAYOUT = "custom_scalars__config__"
TEXTS = ("command", "settings", "network", "environment", "data")

deviations = []


def check(holds, what):
    """Notes `what` where something that must hold does not."""
    if not holds:
        deviations.append(what)


def expected_steps(arguments):
    """The steps of every tag that must be there: {run: {tag: steps}}."""
    epochs = list(range(arguments.epochs))
    batches_done = [(epoch + 1) * arguments.steps_per_epoch for epoch in epochs]
    runs = {"train": {f"epoch_{name}": epochs for name in (*arguments.metrics, "learning_rate")}}
    if arguments.validation:
        runs["validation"] = {f"epoch_{metric}": epochs for metric in arguments.metrics}
        for metric in arguments.metrics:
            runs["validation"][f"evaluation_{metric}_vs_iterations"] = batches_done
    if arguments.classes:
        runs["."] = {f"test_{metric}": [arguments.epochs] for metric in arguments.metrics}
    return runs


def read_records(path):
    """The events of the file at `path`. A record that is not whole or not what was written is a deviation."""
    data = path.read_bytes()
    start = 0
    while start < len(data):
        header = data[start : start + 12]
        length = struct.unpack("<Q", header[:8])[0] if len(header) == 12 else len(data)
        body, crc = data[start + 12 : start + 12 + length], data[start + 12 + length : start + 16 + length]
        if len(crc) < 4:
            return check(False, f"{path}: torn record at byte {start}")
        if header[8:] != struct.pack("<I", masked_crc32c(header[:8])) or crc != struct.pack("<I", masked_crc32c(body)):
            return check(False, f"{path}: wrong checksum at byte {start}")
        yield Event.FromString(body)
        start += 16 + length


def read_run(folder):
    """What a run has, each in the order it was written: its scalars, {tag: [(step, value), …]}, the JSON of its graphs, and
    the values of other plugins, {plugin: {tag: [(step, tensor, content), …]}}."""
    scalars, graphs = collections.defaultdict(list), []
    others = collections.defaultdict(lambda: collections.defaultdict(list))
    for path in sorted(folder.glob("*tfevents*")):
        check(re.fullmatch(r"events\.out\.tfevents\.\d{10}\..+\.\d+\.\d+\.v2", path.name), f"{path}: unusual name")
        events = list(read_records(path))
        check(events and events[0].file_version == "brain.Event:2", f"{path}: no file version in the first record")
        times = [event.wall_time for event in events]
        check(times == sorted(times), f"{path}: time runs backwards")
        check(all(1.6e9 < seconds < time.time() + 60 for seconds in times), f"{path}: wrong times: {times[:3]}")
        for event in events:
            for value in map(migrate_value, event.summary.value):
                plugin = value.metadata.plugin_data
                tensor = tensor_util.make_ndarray(value.tensor)
                if plugin.plugin_name == "scalars":
                    check(tensor.shape == (), f"{path}: {value.tag} has shape {tensor.shape}")
                    scalars[value.tag].append((event.step, float(tensor)))
                elif plugin.plugin_name == GRAPH[1]:
                    found = (value.tag, plugin.plugin_name, plugin.content)
                    check(found == GRAPH and event.step == 0, f"{path}: unexpected {found} at step {event.step}")
                    graphs.append(tensor.item().decode())
                else:
                    others[plugin.plugin_name][value.tag].append((event.step, tensor, plugin.content))
    return dict(scalars), graphs, {plugin: dict(tags) for plugin, tags in others.items()}


def check_run(name, scalars, expected, last_step, metrics):
    """Compares a run's tags, steps and ranges with what is expected."""
    all_batch_tags = {f"batch_{metric}" for metric in metrics}
    batch_tags = all_batch_tags & scalars.keys()
    check(batch_tags in (set(), all_batch_tags) if name == "train" else not batch_tags, f"{name}: only {batch_tags}")
    check(scalars.keys() - batch_tags == expected.keys(), f"{name}: tags {sorted(scalars)}, not {sorted(expected)}")
    for tag, points in scalars.items():
        steps = [step for step, _ in points]
        if tag in batch_tags:
            check(steps == sorted(set(steps)), f"{name}/{tag}: repeated or unordered steps {steps}")
            check(1 <= steps[0] and steps[-1] <= last_step, f"{name}/{tag}: steps {steps[0]} to {steps[-1]}")
            check(steps == [step for step, _ in scalars.get("batch_loss", [])], f"{name}/{tag}: not batch_loss's steps")
        elif tag in expected:
            check(steps == expected[tag], f"{name}/{tag}: steps {steps}, not {expected[tag]}")
        highest = 1.0 if "accuracy" in tag else math.inf
        bad = [point for point in points if not (math.isfinite(point[1]) and 0 <= point[1] <= highest)]
        check(not bad, f"{name}/{tag}: values that cannot be: {bad}")


def check_graph(graphs):
    """A run has one graph: the JSON of a Sequential model. Returns the names of its layers."""
    check(len(graphs) == 1, f"train: {len(graphs)} Keras graphs")
    try:
        model = json.loads(graphs[0])
        check(model["class_name"] == "Sequential", f"train: the graph is a {model['class_name']}")
        layers = [layer for layer in model["config"]["layers"] if layer["class_name"] != "InputLayer"]
        return [layer["config"]["name"] for layer in layers]
    except (IndexError, KeyError, TypeError, ValueError) as error:
        check(False, f"train: the graph is no model's JSON: {error!r}")
        return []


def expected_plugins(arguments):
    """The tags of the other plugins that must be there, and their steps: {run: {plugin: {tag: steps}}}."""
    epochs = arguments.epochs
    runs = {"train": {}, "validation": {}}
    if arguments.classes:
        pictures = sorted({2**power - 1 for power in range(64) if 2**power <= epochs} | {epochs - 1})
        runs["."] = {
            "hparams": {START: [0], END: [0]},
            "text": {tag: [0] for tag in TEXTS},
            "custom_scalars": {LAYOUT: [0]},
        }
        runs["train"]["images"] = {"training_images": [0]}
        if arguments.validation:
            runs["validation"]["images"] = {tag: pictures for tag in ("confusion_matrix", "mistakes")}
            runs["validation"]["pr_curves"] = {f"pr_curve/{name}": list(range(epochs)) for name in arguments.classes}
    return runs


def check_plugins(name, others, expected, histograms):
    """A run has the other plugins' tags at the steps that are expected, and they say what they should."""
    steps = {plugin: {tag: [step for step, *_ in points] for tag, points in tags.items()} for plugin, tags in others.items()}
    counted = steps.pop("histograms", {})
    check(steps == expected, f"{name}: other plugins have {steps}, not {expected}")
    check(bool(counted) == (name == "train" and bool(histograms)), f"{name}: histograms {sorted(counted)}")
    for tag, found in counted.items():
        check(re.fullmatch(r".+/\w+(/gradient)?/histogram", tag), f"{name}: a histogram is called {tag}")
        check(found == list(range(0, found[-1] + 1, histograms)), f"{name}/{tag}: steps {found}")
        for _, buckets, _ in others["histograms"][tag]:
            is_whole = buckets.shape == (30, 3) and numpy.array_equal(buckets[1:, 0], buckets[:-1, 1])
            check(is_whole and (buckets[:, 2] >= 0).all(), f"{name}/{tag}: buckets {buckets}")
    for tag, points in others.get("pr_curves", {}).items():
        for step, rows, content in points:
            hits, alarms, quiet, missed, precision, recall = rows.astype(float)
            thresholds = pr_curve_metadata.parse_plugin_metadata(content).num_thresholds
            check(rows.shape == (6, thresholds), f"{name}/{tag}: {rows.shape}, but {thresholds} thresholds")
            check(numpy.ptp(hits + alarms + quiet + missed) == 0, f"{name}/{tag}: another number of images at each threshold")
            ours = numpy.stack([hits / numpy.maximum(1e-7, hits + alarms), hits / numpy.maximum(1e-7, hits + missed)])
            check(numpy.allclose(ours, [precision, recall], atol=1e-6), f"{name}/{tag}: precision or recall at step {step}")
    for tag, points in others.get("images", {}).items():
        for step, (width, height, *pictures), _ in points:
            png = pictures[0]
            size = struct.unpack(">II", png[16:24]) if png[:8] == b"\x89PNG\r\n\x1a\n" else None
            check(size == (int(width), int(height)), f"{name}/{tag}: {size} is not {width}x{height}, at step {step}")


def check_settings(others):
    """The plugins' own parsers read the settings, the end and the layout."""
    (_, _, start), (_, _, end) = others["hparams"][START][0], others["hparams"][END][0]
    settings = hparams_metadata.parse_session_start_info_plugin_data(start).hparams
    kinds = {key: settings[key].WhichOneof("kind") for key in ("lr", "batch_size", "optimizer", "model", "shuffle", "seed")}
    number, word, truth = "number_value", "string_value", "bool_value"
    expected = {"lr": number, "batch_size": number, "optimizer": word, "model": word, "shuffle": truth, "seed": number}
    check(kinds == expected, f"hyperparameters {kinds}, not {expected}")
    status = hparams_metadata.parse_session_end_info_plugin_data(end).status
    check(status == api_pb2.STATUS_SUCCESS, f"the run's status is {status}")
    layout = layout_pb2.Layout.FromString(others["custom_scalars"][LAYOUT][0][1].item())
    charts = [tag for category in layout.category for chart in category.chart for tag in chart.multiline.tag]
    check("epoch_loss" in charts and "evaluation_loss_vs_iterations" in charts, f"Custom Scalars shows {charts}")


def check_history(path, runs, metrics):
    """The same numbers, to float32, are in history.csv."""
    columns = {("train", f"epoch_{name}"): name for name in (*metrics, "learning_rate")}
    columns |= {("validation", f"epoch_{name}"): f"val_{name}" for name in metrics}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for (run, tag), column in columns.items():
        logged = runs.get(run, {}).get(tag, [])
        cells = [(int(row["epoch"]) - 1, float(numpy.float32(row[column]))) for row in rows if row[column]]
        check(logged == cells, f"{run}/{tag}: {logged}, but {column} in history.csv is {cells}")


def check_loader(folder, run, scalars, others):
    """TensorBoard's own loader shows the same points, and files them under the same plugins."""
    everything = {plugin_event_accumulator.TENSORS: 0}
    loaded = plugin_event_accumulator.EventAccumulator(str(folder), size_guidance=everything)
    loaded.Reload()
    plugins = {plugin: set(loaded.PluginTagToContent(plugin)) for plugin in loaded.ActivePlugins()}
    expected = {"scalars": set(scalars)} | ({GRAPH[1]: {GRAPH[0]}} if run == "train" else {})
    expected |= {plugin: set(tags) for plugin, tags in others.items()}
    check(plugins == expected, f"{run}: TensorBoard files the tags under {plugins}, not {expected}")
    for tag, points in scalars.items() if plugins == expected else ():
        seen = [(event.step, float(tensor_util.make_ndarray(event.tensor_proto))) for event in loaded.Tensors(tag)]
        check(seen == points, f"{run}/{tag}: TensorBoard loads {seen}, the files hold {points}")


class Server:
    """TensorBoard on a free port, for as long as the `with` block takes."""

    def __init__(self, folder, loader, timeout_seconds):
        self.output = tempfile.TemporaryFile(mode="w+")
        self.deadline = time.monotonic() + timeout_seconds
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(folder), "--host", "127.0.0.1"]
        command += ["--port", "0", f"--load_fast={loader}", "--samples_per_plugin=scalars=1000000"]
        self.process = subprocess.Popen(command, stdout=self.output, stderr=self.output, stdin=subprocess.DEVNULL)
        # no proxy between us and this machine
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.output.close()

    def said(self):
        self.output.seek(0)
        return self.output.read()

    def wait_for(self, what):
        """The first answer of `what()` that is not empty; None when the time is over or TensorBoard has ended."""
        while time.monotonic() < self.deadline and self.process.poll() is None:
            if answer := what():
                return answer
            time.sleep(0.1)
        return None

    def address(self):
        found = re.search(r"TensorBoard \S+ at (http://\S+:[1-9]\d*/)", self.said())
        return found and found.group(1)

    def get(self, address, page, **query):
        timeout = max(1.0, self.deadline - time.monotonic())
        with self.opener.open(f"{address}data/{page}?{urllib.parse.urlencode(query)}", timeout=timeout) as answer:
            return answer.read().decode()

    def post(self, address, page, query):
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{address}data/{page}", json.dumps(query).encode(), headers)
        with self.opener.open(request, timeout=max(1.0, self.deadline - time.monotonic())) as answer:
            return answer.read().decode()


def check_hparams_page(folder, loader, timeout_seconds, metrics):
    """The page of hyperparameters has the run with its settings, its end, and its metrics beside them. TensorBoard finds a
    run's metrics where the folder of all runs is given, not the run's own."""
    with Server(folder.resolve().parent, loader, timeout_seconds) as server:
        address = server.wait_for(server.address)
        names = set()

        def hyperparameters():
            experiment = json.loads(server.post(address, "plugin/hparams/experiment", {}))
            names.update(info["name"] for info in experiment.get("hparamInfos", []))
            return len(experiment.get("metricInfos", [])) >= 4 * len(metrics)  # training by batch too

        check(address and server.wait_for(hyperparameters), f"--load_fast={loader}: no hyperparameters: {server.said()}")
        check({"lr", "optimizer", "batch_size"} <= names, f"--load_fast={loader}: hyperparameters {names}")
        if not deviations:
            check_session(server, address, folder.resolve().name, loader, names, metrics)


def check_session(server, address, run, loader, names, metrics):
    """The run is done, and its metrics are beside its settings."""
    columns = [{"hparam": name} for name in sorted(names)]
    wanted = [{"group": group, "tag": f"epoch_{metric}"} for group in ("train", "validation") for metric in metrics]
    wanted += [{"group": "", "tag": f"test_{metric}"} for metric in metrics]
    request = {
        "colParams": columns + [{"metric": metric} for metric in wanted],
        "allowedStatuses": ["STATUS_SUCCESS"],
        "startIndex": 0,
        "sliceSize": 10,
    }
    groups = json.loads(server.post(address, "plugin/hparams/session_groups", request))["sessionGroups"]
    groups = [group for group in groups if group["name"] == run]
    check(len(groups) == 1, f"--load_fast={loader}: {run} is not done")
    for group in groups:
        values = {(value["name"]["group"], value["name"]["tag"]) for value in group["metricValues"]}
        missing = [metric for metric in wanted if (metric["group"], metric["tag"]) not in values]
        check(not missing, f"--load_fast={loader}: {missing} are not beside the hyperparameters")


def check_other_pages(server, loader, address, expected):
    """The pages of texts, pictures, curves and histograms list what is expected."""
    for plugin in ("text", "images", "pr_curves", "histograms"):
        listed = {run: sorted(tags) for run, tags in json.loads(server.get(address, f"plugin/{plugin}/tags")).items() if tags}
        wanted = {run: sorted(plugins[plugin]) for run, plugins in expected.items() if plugin in plugins}
        check(listed == wanted, f"--load_fast={loader}: {plugin} {listed}, not {wanted}")
    layout = json.loads(server.get(address, "plugin/custom_scalars/layout"))
    check(len(layout["category"]) == 2, f"--load_fast={loader}: layout {layout}")


def check_http(folder, loader, timeout_seconds, runs, layers, others):
    """What the pages of a TensorBoard get over HTTP is what the files hold."""
    expected = {run: set(scalars) for run, scalars in runs.items()}
    with Server(folder, loader, timeout_seconds) as server:
        address = server.wait_for(server.address)
        if address is None:
            return check(False, f"TensorBoard (--load_fast={loader}) does not start:\n{server.said()}")

        def tags():
            answer = json.loads(server.get(address, "plugin/scalars/tags"))
            return {run: set(tags) for run, tags in answer.items()}

        # the runs appear one by one while the files are read
        seen = server.wait_for(lambda: (found := tags()) == expected and found) or tags()
        check(seen == expected, f"--load_fast={loader}: tags {seen}, not {expected}")
        for run, scalars in runs.items():
            for tag, points in scalars.items():
                answer = json.loads(server.get(address, "plugin/scalars/scalars", run=run, tag=tag))
                seen = [(step, float(value)) for _, step, value in answer]
                check(seen == points, f"--load_fast={loader}: {run}/{tag} is {seen}, not {points}")
        if "hparams" in others.get(".", {}):
            check_other_pages(server, loader, address, others)
        graphs = json.loads(server.get(address, "plugin/graphs/info"))
        named = {run: sorted(graph["tags"]) for run, graph in graphs.items()}
        if named != {"train": ["keras"]}:
            return check(False, f"--load_fast={loader}: graphs {named}")
        conceptual = graphs["train"]["tags"]["keras"]["conceptual_graph"]
        check(conceptual, f"--load_fast={loader}: keras is no conceptual graph")
        graph = server.get(address, "plugin/graphs/graph", run="train", tag="keras", conceptual="true")
        missing = [layer for layer in layers if f'/{layer}"' not in graph and f'"{layer}"' not in graph]
        check(not missing, f"--load_fast={loader}: layers {missing} are not in the graph")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run_folder", type=pathlib.Path, help="the folder that holds train/ and validation/")
    parser.add_argument("--epochs", type=int, required=True, help="epochs that were trained, from the first")
    parser.add_argument("--steps-per-epoch", type=int, required=True, help="batches in an epoch")
    names = lambda text: text.split(",")
    parser.add_argument("--metrics", type=names, default=["loss", "accuracy"], help="the run's metrics, with commas")
    parser.add_argument("--no-validation", dest="validation", action="store_false", help="there must be no validation/")
    parser.add_argument("--classes", type=names, default=[], help="the classes' names, with commas, of a run that tells all")
    parser.add_argument("--histograms", type=int, default=0, help="epochs between two histograms")
    parser.add_argument("--http", action="store_true", help="start TensorBoard and check its answers")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds that each TensorBoard may take")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    folder = arguments.run_folder
    expected = expected_steps(arguments)
    found = {path.parent.relative_to(folder).as_posix() for path in folder.rglob("*tfevents*")}
    check(found == expected.keys(), f"event files in {sorted(found)}, not in {sorted(expected)}")
    runs, layers, others = {}, [], {}
    plugins = expected_plugins(arguments)
    for run in sorted(found & expected.keys()):
        runs[run], graphs, others[run] = read_run(folder / run)
        check_run(run, runs[run], expected[run], arguments.epochs * arguments.steps_per_epoch, arguments.metrics)
        check_plugins(run, others[run], plugins[run], arguments.histograms)
        check_loader(folder / run, run, runs[run], others[run])
        if run == "train":
            layers = check_graph(graphs)
        else:
            check(not graphs, f"{run}: has a graph")
    if "hparams" in others.get(".", {}):
        check_settings(others["."])
    if (folder / "history.csv").exists():
        check_history(folder / "history.csv", runs, arguments.metrics)
    if arguments.http and not deviations:
        for loader in ("auto", "false"):
            check_http(folder, loader, arguments.timeout, runs, layers, others)
            if "hparams" in others.get(".", {}):
                check_hparams_page(folder, loader, arguments.timeout, arguments.metrics)
    for deviation in deviations:
        print(f"deviation: {deviation}")
    num_points = sum(len(points) for scalars in runs.values() for points in scalars.values())
    print(f"{folder}: {num_points} points, {len(layers)} layers, {len(deviations)} deviations")
    return 1 if deviations else 0


if __name__ == "__main__":
    sys.exit(main())
