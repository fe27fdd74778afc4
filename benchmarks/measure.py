"""What the programs beside this one share: taking turns, tables, and what the numbers depend on."""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from hwflow.graph import WeightLayer
from hwflow.reference import IntegerExecutor
from hwflow.reference.kernels import build

FEATURES = ("avx2", "avx512f", "avx512bw", "avx512_vnni", "avx_vnni", "amx_int8")
PACKAGES = ("numpy", "tensorflow-cpu", "keras", "torch", "hls4ml")
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


@dataclass(frozen=True)
class Target:
    """A line of the summary: what it is, and what is wanted of it; ``most`` is a limit, ``least`` a ratio."""

    what: str
    least: float | None = None
    most: float | None = None

    def verdict(self, value: float) -> str:
        wanted = f"at least {self.least:g}" if self.least is not None else f"at most {self.most:g}"
        met = value >= self.least if self.least is not None else value <= (self.most or 0.0)
        return f"{wanted} | {'met' if met else 'missed'}"


@dataclass
class Measured:
    """What one part has found so far, which is written to ``path`` whenever there is more.

    Attributes:
        path: of a JSON file.
        targets: numbers that have a target, by name.
        rows: all lines, as they are printed, with their numbers.
        profiles: lines of Markdown tables, by title.
    """

    path: Path
    targets: dict[str, float] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    profiles: dict[str, list[str]] = field(default_factory=dict)

    def row(self, what: str, text: str, **numbers: float) -> None:
        self.rows.append({"what": what, "text": text, **numbers})
        self._save()

    def target(self, name: str, value: float) -> None:
        self.targets[name] = round(value, 6)
        self._save()

    def profile(self, title: str, lines: list[str]) -> None:
        self.profiles[title] = lines
        self._save()

    def _save(self) -> None:
        content = {"targets": self.targets, "rows": self.rows, "profiles": self.profiles}
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(content))
        partial.replace(self.path)


def in_a_child(code: str, *arguments: str) -> str:
    """Standard output of Python code in a process of its own."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def peak_rate(folder: Path, threads: int) -> float:
    """Measured peak of exact 8-bit products on registers, G products/s on ``threads`` cores; 0 without AVX2."""
    program = folder / "peak"
    built = subprocess.run(["g++", "-O2", "-mavx2", str(PEAK), "-o", str(program)], capture_output=True, check=False)
    if built.returncode:
        return 0.0
    one = max(float(subprocess.run([program], capture_output=True, text=True, check=True).stdout) for _ in range(5))
    return one * threads


def machine() -> dict[str, Any]:
    """What the numbers depend on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return {
        "processor": model or platform.processor(),
        "features": ", ".join(name for name in FEATURES if name in flags) or "unknown",
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "kernels": build().note,
        "python": platform.python_version(),
        **{package: _version(package) for package in PACKAGES},
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def profile(executor: IntegerExecutor, images: np.ndarray, peak: float) -> list[str]:
    """Where the time of a batch goes: lines of a Markdown table by kind of step."""
    graph, engine = executor.graph, executor.engine
    codes = executor.encode(images)
    best = [float("inf")] * len(engine.steps)
    for _ in range(ROUNDS):
        tensors = {graph.input.name: engine.stored(graph.input.name, codes)}
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
            products = float(len(images) * node.vectors * node.weight.values.size) if node.op != "Affine" else 0.0
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
        lines.append(f"| {kind} | {calls:.0f} | {seconds / total:.1%} | {_rate(products, seconds, peak)} |")
    products = sum(row[1] for row in kinds.values())
    lines.append(f"| all: {len(images) / total:.1f} images/s | {len(best)} | | {_rate(products, total, peak)} |")
    return lines


def _rate(products: float, seconds: float, peak: float) -> str:
    if not products:
        return "|"
    rate = products / seconds / 1e9
    return f"{rate:.0f} | {rate / peak:.0%}" if peak else f"{rate:.0f} |"
