"""The integer reference against TensorFlow, PyTorch and hls4ml's C simulation, side by side in one run.

    python benchmarks/reference.py [--quick] [--json FILE] [--threads N]

Subjects of a comparison take turns, round after round, so that whatever else the machine does hits all of
them; a subject's time is its fastest round, its median stands beside it. Every reference run is under a
fault list of BER 1e-4 that is applied and undone within the measured time. The networks are hwflow's ports,
untrained: speed does not depend on the weights.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from hwflow.data import Dataset
from hwflow.design import harden as harden_design
from hwflow.faults import sample_ber
from hwflow.firmware.convert import generate, read_keras
from hwflow.firmware.csim import CsimExecutor
from hwflow.graph import Graph, WeightLayer
from hwflow.hardening import HardenOptions, harden
from hwflow.memory import memories
from hwflow.models import alexnet, cifar_resnet, densenet169, resnet18, resnet50
from hwflow.models._tf import tensorflow
from hwflow.reference import IntegerExecutor
from hwflow.reuse import choose_reuse

BATCH = 16
BER = 1e-4
ROUNDS = 7
PEAK = Path(__file__).with_name("peak.cpp")


@dataclass(frozen=True)
class Times:
    """Seconds of every round."""

    seconds: Sequence[float]

    @property
    def best(self) -> float:
        return min(self.seconds)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def take_turns(subjects: Mapping[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, Times]:
    """Time all subjects in turn, after one call each that is not counted."""
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    for round_ in range(rounds + 1):
        for name, run in subjects.items():
            start = time.perf_counter()
            run()
            if round_:
                seconds[name].append(time.perf_counter() - start)
    return {name: Times(values) for name, values in seconds.items()}


class Table:
    """Rows as they come, and the targets."""

    def __init__(self) -> None:
        self.targets: dict[str, float] = {}
        self.rows: list[dict[str, Any]] = []

    def row(self, what: str, text: str, **numbers: float) -> None:
        self.rows.append({"what": what, "text": text, **numbers})
        print(f"{what:<44} {text}", flush=True)

    def target(self, name: str, value: float, wanted: str) -> None:
        self.targets[name] = round(value, 6)
        print(f"{'  ' + name:<44} {value:.3g} (target: {wanted})", flush=True)


def typed(graph: Graph, bits: int) -> Graph:
    """The hardened graph with activations of ``bits`` bits, calibrated on one random image."""
    image = np.random.default_rng(0).uniform(0, 1, (1, *graph.input.shape))
    return harden(graph, image, HardenOptions(activation_bits=bits)).graph


def batch(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 1, (BATCH, *shape))


def reference(graph: Graph, threads: int | None) -> tuple[IntegerExecutor, Callable[[], object]]:
    """A batch under a fault list, which a round draws again only in its weights."""
    executor = IntegerExecutor(graph, threads)
    codes = executor.encode(batch(graph.input.shape))
    faults = sample_ber(memories(graph), BER, 1, graph.digest)
    return executor, lambda: executor.run(codes, faults)


def tensorflow_run(model: Any) -> Callable[[], object]:
    tf = tensorflow()
    images = tf.constant(batch(model.input_shape[1:]).astype(np.float32))
    function = tf.function(lambda x: model(x, training=False))
    return lambda: function(images).numpy()


def torch_run(name: str) -> Callable[[], object] | None:
    """PyTorch's float32 network, batch norm folded; None without PyTorch."""
    try:
        import torch

        from tests.unit.torch_networks import NETWORKS
    except ImportError:
        return None
    network = NETWORKS[name]().eval()
    images = torch.from_numpy(batch((224, 224, 3)).astype(np.float32)).permute(0, 3, 1, 2).contiguous()
    with torch.inference_mode():
        network = torch.jit.optimize_for_inference(torch.jit.trace(network, images))

    def run() -> object:
        with torch.inference_mode():
            return network(images)

    return run


def against_float(
    table: Table, name: str, model: Any, graph: Graph, bits: Sequence[int], threads: int | None, torch: bool = False
) -> dict[int, float]:
    """Compare one network; the reference's seconds an image, by activation bits."""
    subjects: dict[str, Callable[[], object]] = {"TensorFlow float32": tensorflow_run(model)}
    other = torch_run(name) if torch else None
    if other is not None:
        subjects["PyTorch float32"] = other
    for width in bits:
        executor, run = reference(typed(graph, width), threads)
        subjects[f"hwflow, {width}-bit activations"] = run
        print(f"{name}: {executor.engine.note}")
    times = take_turns(subjects)
    for subject, values in times.items():
        speed, median = BATCH / values.best, BATCH / values.median
        table.row(f"{name}, {subject}", f"{speed:6.1f} images/s, median {median:6.1f}", best=speed, median=median)
    fastest = min(times[subject].best for subject in subjects if "float32" in subject)
    for width in bits:
        ratio = fastest / times[f"hwflow, {width}-bit activations"].best
        table.target(f"{name}_act{width}_vs_float", ratio, "1.5, aim at 2" if width == 8 else "1")
    return {width: times[f"hwflow, {width}-bit activations"].best / BATCH for width in bits}


def against_csim(table: Table, name: str, graph: Graph, image_seconds: float, folder: Path) -> None:
    """hls4ml's C simulation, one process: three images less one, which takes start-up off."""
    typed_graph = typed(graph, 16)
    generate(typed_graph, None, folder / name, reuse=choose_reuse(typed_graph))
    csim = CsimExecutor(folder / name, typed_graph)
    csim.build()
    codes = typed_graph.input.resolved.encode(batch(typed_graph.input.shape)[:3])
    seconds = []
    for count in (1, 3):
        start = time.perf_counter()
        outputs = csim.run(codes[:count])
        seconds.append(time.perf_counter() - start)
    assert np.array_equal(outputs, IntegerExecutor(typed_graph).run(codes)), "the C simulation differs"
    each = (seconds[1] - seconds[0]) / 2
    table.row(f"{name}, hls4ml C simulation", f"{each:.3f} s an image", best=1 / each)
    table.target(f"{name}_vs_csim", each / image_seconds, "1000")


def faults(table: Table, graph: Graph, threads: int | None) -> None:
    """Fault lists of ResNet50: drawn, applied, undone; and rounds that spare the first layers."""
    executor = IntegerExecutor(graph, threads)
    prone = memories(graph)
    milliseconds: dict[str, list[float]] = {"draw and apply": [], "undo": []}
    for seed in range(20):
        start = time.perf_counter()
        drawn = sample_ber(prone, BER, seed, graph.digest)
        with executor.faulted(drawn):
            applied = time.perf_counter()
        milliseconds["draw and apply"].append(1e3 * (applied - start))
        milliseconds["undo"].append(1e3 * (time.perf_counter() - applied))
    for what, values in milliseconds.items():
        table.row(
            f"resnet50, {len(drawn)} faults: {what}", f"{min(values):.2f} ms, median {statistics.median(values):.2f}"
        )
    table.target("resnet50_faults_apply_ms", min(milliseconds["draw and apply"]), "under 20")
    table.target("resnet50_faults_undo_ms", min(milliseconds["undo"]), "under 20")
    codes = executor.encode(batch(graph.input.shape))
    prefix = executor.clean_prefix(codes)
    late = late_memories(graph)
    few = sample_ber([memory for memory in prone if memory.name in late], BER, 1, graph.digest)
    times = take_turns({"all": lambda: executor.run(codes, few), "prefix": lambda: prefix.run(few)}, 4)
    table.row("resnet50, clean prefix kept", f"{prefix.bytes / 2**20:.0f} MiB for a batch of {BATCH}")
    table.target("resnet50_last_third_share", times["prefix"].best / times["all"].best, "about 0.33")


def late_memories(graph: Graph) -> set[str]:
    """Memories of the layers that do the last third of the products."""
    work = [(layer.name, layer.vectors * layer.n_in * layer.n_out) for layer in graph.weight_layers]
    total = sum(products for _, products in work)
    done, late = 0, set()
    for name, products in work:
        if done >= 2 * total / 3:
            late.add(f"{name}.weight")
        done += products
    return late


def in_a_child(code: str, *arguments: str) -> str:
    """Standard output of Python code in a process of its own."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return done.stdout


MEMORY = """
import pickle, sys
import numpy as np
from hwflow.faults import sample_ber
from hwflow.memory import memories
from hwflow.reference import IntegerExecutor
with open(sys.argv[1], "rb") as file:
    graph = pickle.load(file)
executor = IntegerExecutor(graph)
codes = executor.encode(np.random.default_rng(1).uniform(0, 1, (int(sys.argv[2]), *graph.input.shape)))
executor.run(codes, sample_ber(memories(graph), 1e-4, 1))
# not getrusage: what it tells of a child includes the parent's memory before exec
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def memory(table: Table, graph: Graph, folder: Path) -> None:
    """Peak memory of a process that holds the graph, builds the executor and runs a batch."""
    path = folder / "graph.pickle"
    path.write_bytes(pickle.dumps(graph))
    kilobytes = int(in_a_child(MEMORY, str(path), str(BATCH)))
    table.target("resnet50_peak_gb", kilobytes * 1024 / 1e9, "under 1.5")


def start_up(table: Table, model: Any, folder: Path) -> None:
    """``hwflow evaluate`` of one image of ResNet18, the whole process."""
    images = batch((224, 224, 3)).astype(np.float32)
    data = folder / "data.npz"
    np.savez(data, x=images[:1], y=np.zeros(1, dtype=np.int64))
    harden_design(model, folder / "design", calibration=Dataset("noise", images[:2], None))
    command = [sys.executable, "-m", "hwflow", "evaluate", str(folder / "design"), "--data", str(data)]
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - start)
    table.target("resnet18_evaluate_start_s", min(seconds), "under 5")


def profile(graph: Graph, threads: int | None, peak: float) -> list[str]:
    """Where the time goes: lines of a Markdown table by kind of step."""
    executor = IntegerExecutor(graph, threads)
    engine = executor.engine
    best = [float("inf")] * len(engine.steps)
    for _ in range(ROUNDS):
        tensors = {graph.input.name: engine.stored(graph.input.name, executor.encode(batch(graph.input.shape)))}
        for position, step in enumerate(engine.steps):
            sources = [tensors[name] for name in step.inputs]
            start = time.perf_counter()
            tensors[step.name] = step.run(sources)
            best[position] = min(best[position], time.perf_counter() - start)
    kinds: dict[str, list[float]] = {}
    for step, seconds in zip(engine.steps, best, strict=True):
        node = step.nodes[0]
        kind, products = node.op, 0.0
        if isinstance(node, WeightLayer):
            products = float(BATCH * node.vectors * node.weight.values.size) if node.op != "Affine" else 0.0
            layer = engine.layers.get(node.name)
            winograd = getattr(layer, "winograd", None) is not None
            if node.op == "Conv2D":
                kernel = "x".join(map(str, node.weight.values.shape[:2]))
                kind = f"convolution {kernel}{', Winograd' if winograd else ''}"
        row = kinds.setdefault(kind, [0.0, 0.0, 0.0])
        row[0] += seconds
        row[1] += products
        row[2] += 1
    total = sum(best)
    lines = ["| step | calls | share of the time | G products/s | of the measured peak |", "|---|---|---|---|---|"]
    for kind, (seconds, products, calls) in sorted(kinds.items(), key=lambda item: -item[1][0]):
        rate = products / seconds / 1e9
        speed = f"{rate:.0f} | {rate / peak:.0%}" if products else "|"
        lines.append(f"| {kind} | {calls:.0f} | {seconds / total:.1%} | {speed} |")
    rate = sum(row[1] for row in kinds.values()) / total / 1e9
    lines.append(f"| all: {BATCH / total:.1f} images/s | {len(best)} | | {rate:.0f} | {rate / peak:.0%} |")
    return lines


def peak_rate(folder: Path, threads: int) -> float:
    """Measured peak of vpmaddwd and vpaddd on registers, G products/s on ``threads`` cores; 0 without AVX2."""
    program = folder / "peak"
    built = subprocess.run(["g++", "-O2", "-mavx2", str(PEAK), "-o", str(program)], capture_output=True, check=False)
    if built.returncode:
        return 0.0
    one = max(float(subprocess.run([program], capture_output=True, text=True, check=True).stdout) for _ in range(5))
    return one * threads


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    from hwflow.reference.kernels import build

    versions = {}
    for package in ("numpy", "tensorflow-cpu", "torch", "hls4ml"):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = "not installed"
    info = Path("/proc/cpuinfo")
    model = next((line for line in info.read_text().splitlines() if "model name" in line), "") if info.exists() else ""
    return {
        "processor": model.partition(":")[2].strip() or platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "kernels": build().note,
        "python": platform.python_version(),
        **versions,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="ResNet18 and csim of the small ResNet-20 only")
    parser.add_argument("--json", type=Path, help="write the table here")
    parser.add_argument("--threads", type=int, help="threads of the reference; default all cores")
    options = parser.parse_args()
    start = time.perf_counter()
    about = machine()
    print("\n".join(f"{key}: {value}" for key, value in about.items()), flush=True)
    table, threads = Table(), options.threads
    profiles: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peak = peak_rate(folder, threads or about["cores"])
        table.row("peak of int16 products, AVX2", f"{peak:.0f} G products/s", best=peak)
        network = resnet18()
        graph = read_keras(network)
        each = against_float(table, "resnet18", network, graph, (8, 16), threads, torch=True)
        profiles["resnet18, 8-bit activations"] = profile(typed(graph, 8), threads, peak)
        profiles["resnet18, 16-bit activations"] = profile(typed(graph, 16), threads, peak)
        start_up(table, network, folder)
        small = read_keras(cifar_resnet(20))
        _, run = reference(typed(small, 16), threads)
        against_csim(table, "resnet20", small, take_turns({"it": run})["it"].best / BATCH, folder)
        if not options.quick:
            against_csim(table, "resnet18", graph, each[16], folder)
            for title, make in (("alexnet", alexnet), ("resnet50", resnet50), ("densenet169", densenet169)):
                network = make()
                graph = read_keras(network)
                against_float(table, title, network, graph, (8, 16), threads)
                if title == "resnet50":
                    fifty = typed(graph, 16)
                    faults(table, fifty, threads)
                    memory(table, fifty, folder)
                    profiles["resnet50, 16-bit activations"] = profile(fifty, threads, peak)
    for title, lines in profiles.items():
        print(f"\n{title}\n\n" + "\n".join(lines))
    print(f"\n{time.perf_counter() - start:.0f} s")
    if options.json:
        content = {"machine": about, "targets": table.targets, "rows": table.rows, "profiles": profiles}
        options.json.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
