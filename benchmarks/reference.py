"""The integer reference against TensorFlow, PyTorch and hls4ml's C simulation, side by side in one run.

    python benchmarks/reference.py [--quick] [--json FILE] [--threads N] [--limit SECONDS]

Subjects of a comparison take turns, round after round, so that whatever else the machine does hits all of
them; a subject's time is its fastest round, its median stands beside it. Every reference run is under a
fault list of BER 1e-4 that is applied and undone within the measured time. The networks are hwflow's ports,
untrained: speed does not depend on the weights.

Every part is a process of its own: one that fails, or for which no time is left, costs its own rows only.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measure import ROUNDS, Measured, Target, in_a_child, machine, peak_rate, profile, take_turns

from hwflow.cost.reuse import choose_reuse
from hwflow.data import Dataset
from hwflow.faults import sample_ber
from hwflow.firmware.convert import generate
from hwflow.firmware.csim import CsimExecutor
from hwflow.frontends.keras_graph import read_keras
from hwflow.graph import Graph
from hwflow.hardening import HardenOptions, harden
from hwflow.memory import memories
from hwflow.models import NETWORKS
from hwflow.models._tf import tensorflow
from hwflow.reference import IntegerExecutor
from hwflow.stages.harden import harden as harden_design

ROOT = Path(__file__).resolve().parent.parent
BATCH = 16
MANY = 256  # images of a small network, as an evaluation takes them
BER = 1e-4
LIMIT = 840.0  # seconds


TARGETS = {
    "resnet18_act8_vs_float": Target("ResNet18, 8-bit activations, faults / fastest float32, clean", least=1.5),
    "resnet18_act16_vs_float": Target("ResNet18, 16-bit activations / fastest float32", least=1.0),
    "resnet18_vs_csim": Target("ResNet18, 8-bit activations / hls4ml C simulation", least=1000),
    "resnet20_vs_csim": Target("CIFAR ResNet-20, 8-bit activations / hls4ml C simulation", least=1000),
    "resnet20_act16_vs_csim": Target("CIFAR ResNet-20, 16-bit activations / hls4ml C simulation", least=1000),
    "alexnet_act16_vs_float": Target("AlexNet, 16-bit activations / TensorFlow float32", least=1.0),
    "resnet50_act16_vs_float": Target("ResNet50, 16-bit activations / TensorFlow float32", least=1.0),
    "densenet169_act16_vs_float": Target("DenseNet169, 16-bit activations / TensorFlow float32", least=1.0),
    "resnet50_faults_apply_ms": Target("ResNet50, BER 1e-4: draw and apply a fault list, ms", most=20),
    "resnet50_faults_undo_ms": Target("ResNet50, BER 1e-4: undo it, ms", most=20),
    "resnet50_last_third_share": Target("ResNet50: a round in the last third of the work / a whole round", most=0.4),
    "resnet50_peak_gb": Target("ResNet50, batch 16: peak memory, GB", most=1.5),
    "resnet18_evaluate_start_s": Target("hwflow evaluate, ResNet18, one image: the whole process, s", most=5),
}


def typed(graph: Graph, bits: int) -> Graph:
    """The hardened graph with activations of ``bits`` bits, calibrated on one random image."""
    image = np.random.default_rng(0).uniform(0, 1, (1, *graph.input.shape))
    return harden(graph, image, HardenOptions(activation_bits=bits)).graph


def batch(shape: tuple[int, ...], count: int = BATCH) -> np.ndarray:
    return np.random.default_rng(1).uniform(0, 1, (count, *shape))


def reference(graph: Graph, threads: int | None, count: int = BATCH) -> tuple[IntegerExecutor, Callable[[], object]]:
    """A batch under a fault list."""
    executor = IntegerExecutor(graph, threads)
    codes = executor.encode(batch(graph.input.shape, count))
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
    except ImportError:
        return None
    sys.path.insert(0, str(ROOT))
    from tests.unit.torch_networks import NETWORKS as TORCH_NETWORKS

    network = TORCH_NETWORKS[name]().eval()
    images = torch.from_numpy(batch((224, 224, 3)).astype(np.float32)).permute(0, 3, 1, 2).contiguous()
    with torch.inference_mode():
        network = torch.jit.optimize_for_inference(torch.jit.trace(network, images))

    def run() -> object:
        with torch.inference_mode():
            return network(images)

    return run


def against_float(found: Measured, threads: int | None, name: str, profiled: Sequence[int], torch: bool) -> None:
    """One network in float32 and with activations of 8 and 16 bits; profiles at the widths ``profiled``."""
    model = NETWORKS[name]()
    graph = read_keras(model)
    subjects: dict[str, Callable[[], object]] = {"TensorFlow float32": tensorflow_run(model)}
    if torch:
        if (other := torch_run(name)) is not None:
            subjects["PyTorch float32"] = other
        else:
            found.row(f"{name}, PyTorch float32", "not measured: PyTorch is not installed")
    graphs = {bits: typed(graph, bits) for bits in (8, 16)}
    for bits, each in graphs.items():
        executor, subjects[f"hwflow, {bits}-bit activations"] = reference(each, threads)
        found.row(f"{name}, {bits}-bit activations", executor.engine.note)
    times = take_turns(subjects, ROUNDS)
    for subject, values in times.items():
        speed, median = BATCH / values.best, BATCH / values.median
        found.row(f"{name}, {subject}", f"{speed:6.1f} images/s, median {median:6.1f}", best=speed, median=median)
    fastest = min(times[subject].best for subject in subjects if "float32" in subject)
    for bits in graphs:
        found.target(f"{name}_act{bits}_vs_float", fastest / times[f"hwflow, {bits}-bit activations"].best)
    if profiled:
        with tempfile.TemporaryDirectory() as folder:
            peak = peak_rate(Path(folder), threads or machine()["cores"])
        found.row("peak of exact 8-bit products", f"{peak:.0f} G products/s", best=peak)
    for bits in profiled:
        lines = profile(IntegerExecutor(graphs[bits], threads), batch(graph.input.shape), peak)
        found.profile(f"{name}, {bits}-bit activations", lines)


def against_csim(
    found: Measured, threads: int | None, name: str, widths: Sequence[int], images: int, count: int
) -> None:
    """hls4ml's C simulation in one process: ``images`` + 1 images less one, which takes start-up off."""
    graph = read_keras(NETWORKS[name]())
    for bits in widths:
        each = typed(graph, bits)
        executor, run = reference(each, threads, count)
        codes = executor.encode(batch(graph.input.shape)[: images + 1])
        with tempfile.TemporaryDirectory() as folder:
            generate(each, None, Path(folder) / name, reuse=choose_reuse(each))
            csim = CsimExecutor(Path(folder) / name, each)
            csim.build()
            seconds = []
            for number in (1, images + 1):
                start = time.perf_counter()
                outputs = csim.run(codes[:number])
                seconds.append(time.perf_counter() - start)
        if not np.array_equal(outputs, executor.run(codes)):
            raise SystemExit(f"{name}, {bits}-bit activations: the C simulation differs from the reference")
        image, ours = (seconds[1] - seconds[0]) / images, take_turns({"": run}, ROUNDS)[""].best / count
        what = f"{name}, {bits}-bit activations"
        found.row(f"{what}, hls4ml C simulation", f"{image:.3f} s an image, the mean of {images}", seconds=image)
        found.row(f"{what}, hwflow", f"{1 / ours:.1f} images/s in batches of {count}", best=1 / ours)
        found.target(f"{name}{'' if bits == 8 else f'_act{bits}'}_vs_csim", image / ours)


def faults(found: Measured, threads: int | None) -> None:
    """Fault lists of ResNet50: drawn, applied, undone; rounds that spare the first layers; peak memory."""
    graph = typed(read_keras(NETWORKS["resnet50"]()), 16)
    executor = IntegerExecutor(graph, threads)
    prone = memories(graph)
    apply, undo = [], []
    for seed in range(20):
        start = time.perf_counter()
        drawn = sample_ber(prone, BER, seed, graph.digest)
        with executor.faulted(executor.upset(drawn)):
            applied = time.perf_counter()
        apply.append(1e3 * (applied - start))
        undo.append(1e3 * (time.perf_counter() - applied))
    for what, values in {"draw and apply": apply, "undo": undo}.items():
        best, median = min(values), statistics.median(values)
        text = f"{best:.2f} ms, median {median:.2f}, {1e3 * best / len(drawn):.2f} us each"
        found.row(f"resnet50, {len(drawn)} faults: {what}", text, best=best, median=median)
    found.target("resnet50_faults_apply_ms", min(apply))
    found.target("resnet50_faults_undo_ms", min(undo))
    codes = executor.encode(batch(graph.input.shape))
    late, share = late_memories(graph)
    few = sample_ber([memory for memory in prone if memory.name in late], BER, 1, graph.digest)
    prefix = executor.clean_prefix(codes, rounds=[few])
    times = take_turns({"all": lambda: executor.run(codes, few), "prefix": lambda: prefix.run(few)}, 4)
    text = f"{prefix.bytes / 2**20:.0f} MiB are kept for a batch of {BATCH}"
    found.row(f"resnet50, layers with the last {share:.0%} of the products", text)
    found.target("resnet50_last_third_share", times["prefix"].best / times["all"].best)
    with tempfile.NamedTemporaryFile() as file:
        file.write(pickle.dumps(graph))
        file.flush()
        kilobytes = int(in_a_child(MEMORY, file.name, str(BATCH)))
    found.target("resnet50_peak_gb", kilobytes * 1024 / 1e9)


def late_memories(graph: Graph) -> tuple[set[str], float]:
    """Memories of the layers that do the last third of the products, and their share of them."""
    work = [(layer.name, layer.vectors * layer.n_in * layer.n_out) for layer in graph.weight_layers]
    total = sum(products for _, products in work)
    done, late, share = 0, set(), 0.0
    for name, products in work:
        if done >= 2 * total / 3:
            late.add(f"{name}.weight")
            share += products / total
        done += products
    return late, share


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


def start_up(found: Measured, threads: int | None) -> None:
    """``hwflow evaluate`` of one image of ResNet18, the whole process."""
    images = batch((224, 224, 3), 2).astype(np.float32)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "data.npz", x=images[:1], y=np.zeros(1, dtype=np.int64))
        harden_design(NETWORKS["resnet18"](), folder / "design", calibration=Dataset("noise", images, None))
        command = [sys.executable, "-m", "hwflow", "evaluate", folder / "design", "--data", folder / "data.npz"]
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            subprocess.run(list(map(str, command)), check=True, capture_output=True)
            seconds.append(time.perf_counter() - start)
    found.target("resnet18_evaluate_start_s", min(seconds))


Part = Callable[[Measured, int | None], None]
PARTS: dict[str, Part] = {
    "resnet18": partial(against_float, name="resnet18", profiled=(8, 16), torch=True),
    "start-up": start_up,
    "resnet20-csim": partial(against_csim, name="resnet20", widths=(8, 16), images=4, count=MANY),
    "faults": faults,
    "resnet18-csim": partial(against_csim, name="resnet18", widths=(8,), images=1, count=BATCH),
    "resnet50": partial(against_float, name="resnet50", profiled=(16,), torch=False),
    "alexnet": partial(against_float, name="alexnet", profiled=(), torch=False),
    "densenet169": partial(against_float, name="densenet169", profiled=(), torch=False),
}
QUICK = ("resnet18", "start-up", "resnet20-csim")


def run_part(name: str, threads: int | None, seconds: float, folder: Path) -> tuple[dict[str, Any], str | None]:
    """What a part found, and what kept it from finding more."""
    if seconds <= 0:
        return {}, "no time was left"
    path = folder / f"{name}.json"
    command = [sys.executable, __file__, "--part", name, "--json", str(path)]
    command += [] if threads is None else ["--threads", str(threads)]
    # A session of its own, so that compilers and simulations end with it.
    part = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    reason = None
    try:
        _, errors = part.communicate(timeout=seconds)
        if part.returncode:
            reason = (errors.strip().splitlines() or [f"status {part.returncode}"])[-1]
    except subprocess.TimeoutExpired:
        reason = f"it took more than the {seconds:.0f} s that were left"
    finally:
        if part.poll() is None:
            os.killpg(part.pid, signal.SIGKILL)
            part.communicate()
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    return found, reason


def print_summary(targets: dict[str, float]) -> None:
    print("\n| what | measured | target | |\n|---|---|---|---|")
    for name, target in TARGETS.items():
        value = targets.get(name)
        print(
            f"| {target.what} | {'not measured | |' if value is None else f'{value:.3g} | {target.verdict(value)}'} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    parser.add_argument("--part", choices=PARTS, help="one part, in this process")
    parser.add_argument("--json", type=Path, help="write the table here")
    parser.add_argument("--threads", type=int, help="threads of the reference; default all cores")
    parser.add_argument("--limit", type=float, default=LIMIT, help="seconds after which parts are left out")
    options = parser.parse_args()
    if options.part:
        PARTS[options.part](Measured(options.json), options.threads)
        return
    begin = time.perf_counter()
    about = machine()
    print("\n".join(f"{key}: {value}" for key, value in about.items()), flush=True)
    whole: dict[str, Any] = {"machine": about, "targets": {}, "rows": [], "profiles": {}, "failed": {}}
    with tempfile.TemporaryDirectory() as folder:
        for name in QUICK if options.quick else PARTS:
            passed = time.perf_counter() - begin
            print(f"[{passed:4.0f} s] {name}", file=sys.stderr, flush=True)
            part, reason = run_part(name, options.threads, options.limit - passed, Path(folder))
            for key, values in part.items():
                whole[key] = whole[key] + values if key == "rows" else whole[key] | values
            for row in part.get("rows", ()):
                print(f"{row['what']:<52} {row['text']}", flush=True)
            for target, value in part.get("targets", {}).items():
                print(f"  {target:<50} {value:.3g}", flush=True)
            if reason is not None:
                whole["failed"][name] = reason
                print(f"{name}: not all was measured: {reason}", flush=True)
    for title, lines in whole["profiles"].items():
        print(f"\n{title}\n\n" + "\n".join(lines))
    print_summary(whole["targets"])
    whole["seconds"] = time.perf_counter() - begin
    print(f"\n{whole['seconds']:.0f} s")
    if options.json:
        options.json.write_text(json.dumps(whole, indent=2) + "\n")


if __name__ == "__main__":
    main()
