"""hls4ml's own tests with hwflow in the place of its C simulation.

    git clone --branch v1.3.0 https://github.com/fastmachinelearning/hls4ml
    python benchmarks/hls4ml_tests.py hls4ml/test/pytest [--hardened] [pytest's arguments]

``ModelGraph.compile`` makes an emulator, and ``predict`` and ``trace`` run it. What the emulator refuses is a skipped
test with its reason, and so is another backend than Vivado and Vitis.

With ``--hardened``, ``predict`` hardens the Keras model that the graph was converted from, with the test's own inputs
as calibration, and runs hwflow's fixed-point reference: weights of 16 bits, scaled by powers of two, activations of 16
bits, values divided by S. hls4ml's types, strategies and io_types are then not used, and assertions against Keras are
on hwflow. Not applicable are tests that ask for more than outputs (``trace``), whose graph does not come from a Keras
model, or that compare with something else than the Keras model (``ELSEWHERE``). A test that fails although every value
is within a few steps of its 16-bit type of Keras' own is counted apart: it asks for more than 16 bits.

Counts of passed, failed and refused tests are printed.
"""

import collections
import os
import re
import sys
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

BACKENDS = ("Vivado", "Vitis")
HARDENED = "--hardened"
STEPS = 4
"""Of its type that an output may be away from Keras' where a test fails for the rounding of 16-bit activations."""

ELSEWHERE = {
    "test_softmax_skipped": "its configuration takes a layer out of the network",
    r"test_btnn.*-True\]": "it decodes hls4ml's one-bit outputs",
}
"""Tests that compare outputs with something else than the Keras model, by a pattern of their names, and why."""


FINER = "ask for more than 16 bits"


class InPlace(ABC):
    """A pytest plug-in that puts ``compile``, ``predict`` and ``trace`` in the place of hls4ml's."""

    name = ""

    def __init__(self) -> None:
        self.ran: set[str] = set()
        self.reasons: collections.Counter[str] = collections.Counter()
        self.outcomes: collections.Counter[str] = collections.Counter()
        self.failed: list[str] = []
        self.current = ""

    def pytest_configure(self) -> None:
        """Put the functions in."""
        import hls4ml
        from hls4ml.model.graph import ModelGraph

        hls4ml.utils.plot_model = lambda *_, **__: None  # which needs Graphviz

        def checked(model: Any) -> None:
            backend = model.config.config.get("Backend", "none")
            if backend not in BACKENDS:
                self.refuse(f"backend {backend}")
            self.attempt(self.compile, model)

        ModelGraph.compile = checked
        ModelGraph.predict = lambda model, x: self.attempt(self.predict, model, x)
        ModelGraph.trace = lambda model, x: self.attempt(self.trace, model, x)

    def attempt(self, function: Any, *arguments: Any) -> Any:
        """Call a function; what hwflow refuses is skipped."""
        from hwflow.errors import HwflowError

        self.ran.add(self.current)
        try:
            return function(*arguments)
        except HwflowError as error:
            return self.refuse(str(error).partition(": ")[2] or str(error))

    @abstractmethod
    def compile(self, model: Any) -> None:
        """In the place of ``ModelGraph.compile``."""

    @abstractmethod
    def predict(self, model: Any, x: Any) -> Any:
        """In the place of ``ModelGraph.predict``."""

    @abstractmethod
    def trace(self, model: Any, x: Any) -> Any:
        """In the place of ``ModelGraph.trace``."""

    def kind(self, report: Any) -> str:
        """What a report counts as."""
        return str(report.outcome)

    def about(self, report: Any) -> str:
        """More on a failed test."""
        return ""

    def refuse(self, why: str) -> None:
        """Skip the test that runs."""
        self.reasons[why[:90]] += 1
        pytest.skip(f"hwflow: {why}")

    def pytest_runtest_setup(self, item: Any) -> None:
        """Remember which test runs."""
        self.current = item.nodeid

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Count what ran."""
        if report.when == "call" and (report.nodeid in self.ran or report.outcome == "skipped"):
            kind = self.kind(report)
            self.outcomes[kind] += 1
            if kind not in ("passed", "skipped"):
                self.failed.append(f"{kind}: {report.nodeid}{self.about(report)}")

    def pytest_terminal_summary(self) -> None:
        """Print the counts."""
        print(f"\non {self.name}: {self.outcomes['passed']} passed, {self.outcomes['failed']} failed;", end=" ")
        if self.outcomes[FINER]:
            print(f"{self.outcomes[FINER]} {FINER};", end=" ")
        print(f"{sum(self.reasons.values())} refused or not applicable")
        for reason, count in self.reasons.most_common(60):
            print(f"  {count:5} {reason}")
        print("\n".join(self.failed))


class Emulated(InPlace):
    """hwflow's emulator of hls4ml's own types."""

    name = "the emulator"

    def compile(self, model: Any) -> None:
        """An emulator of the graph; one that was changed by hand is written first, as hls4ml does."""
        from hwflow.emulation import emulate
        from hwflow.errors import HwflowError

        try:
            model.hwflow_emulator = emulate(model)
        except HwflowError as error:
            if "write it first" not in str(error):
                raise
            model.write()
            model.hwflow_emulator = emulate(model)

    def predict(self, model: Any, x: Any) -> Any:
        """Outputs of the emulator."""
        return model.hwflow_emulator.predict(x)

    def trace(self, model: Any, x: Any) -> Any:
        """Outputs and layers of the emulator."""
        return model.hwflow_emulator.trace(x)


class Hardened(InPlace):
    """hwflow's reference of the hardened Keras model."""

    name = "the hardened reference"

    def __init__(self) -> None:
        super().__init__()
        self.steps: dict[str, float] = {}

    def kind(self, report: Any) -> str:
        """A failure whose every value is next to Keras' is for its 16 bits."""
        close = report.failed and self.steps.get(report.nodeid, np.inf) <= STEPS
        return FINER if close else str(report.outcome)

    def about(self, report: Any) -> str:
        """How far it is from Keras."""
        return f" ({self.steps[report.nodeid]:.1f} steps from Keras)" if report.nodeid in self.steps else ""

    def compile(self, model: Any) -> None:
        """Nothing yet: activation types come from inputs."""
        if model.config.config.get("KerasModel") is None:
            self.refuse("not applicable: the graph does not come from a Keras model")
        for name, why in ELSEWHERE.items():
            if re.search(name, self.current):
                self.refuse(f"not applicable: {why}")

    def predict(self, model: Any, x: Any) -> Any:
        """Outputs of the hardened network, whose activation types these inputs gave."""
        import hwflow
        from hwflow.frontends.packed import pack

        keras_model = model.config.config["KerasModel"]
        arrays = [np.asarray(each) for each in (x if isinstance(x, list | tuple) else [x])]
        shapes = [tuple(tensor.shape[1:]) for tensor in keras_model.inputs]
        shaped = [each.reshape(-1, *shape) for each, shape in zip(arrays, shapes, strict=True)]
        images = shaped[0] if len(shaped) == 1 else pack(shaped)
        options = hwflow.HardenOptions(hwflow.ScalingOptions(hwflow.FixedType(16, 3), scale="pow2"))
        with tempfile.TemporaryDirectory() as folder:
            design = hwflow.harden(keras_model, Path(folder) / "design", options, calibration=images)
        values = np.concatenate(list(outputs(design.graph, images))).reshape(len(images), -1)
        steps = distance(design.graph, values, keras_model, shaped)
        self.steps[self.current] = max(self.steps.get(self.current, 0), steps)
        values = values.astype(arrays[0].dtype)
        sizes = [int(np.prod(tensor.shape[1:])) for tensor in keras_model.outputs]
        parts = np.split(values, np.cumsum(sizes)[:-1], axis=1)
        parts = [part[0] if len(part) == 1 else part for part in parts]
        return parts[0] if len(parts) == 1 else parts

    def trace(self, model: Any, x: Any) -> Any:
        """No layers: a hardened network has others than hls4ml's."""
        self.refuse("not applicable: trace, which asks for every layer of hls4ml's")


def outputs(graph: Any, images: Any) -> Any:
    """Values of a design's outputs, a batch after the other."""
    from hwflow.executors import Setup, open_executor

    executor = open_executor("reference", Setup(graph, threads=1))
    step = executor.images_at_once
    for start in range(0, len(images), step):
        yield graph.output.resolved.decode(executor.start(images[start : start + step])(None))


def distance(graph: Any, values: Any, keras_model: Any, inputs: Any) -> float:
    """The largest distance between a design's values ``(n, size)`` and Keras', in steps of the output type."""
    theirs = keras_model.predict(inputs, verbose=0)
    flat = [np.asarray(each).reshape(len(values), -1) for each in (theirs if isinstance(theirs, list) else [theirs])]
    return float(np.abs(np.concatenate(flat, axis=1) - values).max() / graph.output.resolved.lsb)


def main() -> None:
    """Run pytest in the folder of hls4ml's tests."""
    folder, *arguments = sys.argv[1:] or sys.exit(__doc__)
    plugin = Hardened() if HARDENED in arguments else Emulated()
    arguments = [argument for argument in arguments if argument != HARDENED]
    options = ["-q", "-p", "no:cacheprovider", "-o", "addopts=", "--continue-on-collection-errors", "--tb=line"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.exit(pytest.main([str(Path(folder)), *options, *arguments], plugins=[plugin]))


if __name__ == "__main__":
    main()
