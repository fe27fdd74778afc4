"""Runs the executors on the same images under the same faults, and compares them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwflow.data import Dataset
from hwflow.errors import HwflowError
from hwflow.executors import Setup, encode, open_executor, reference_batch
from hwflow.faults import FaultList
from hwflow.folders.design import Design
from hwflow.graph import Graph, IntArray, Node
from hwflow.graph.decision import class_scores, code_threshold
from hwflow.progress import Step, silent
from hwflow.reference import IntegerExecutor
from hwflow.rtl.executor import BoolArray, Expectation, RtlExecutor, Simulator
from hwflow.stages.classification import KERAS, ExecutorAccuracy, Limits, Score, Truth
from hwflow.stages.comparison import Compared, Comparison, Condition

FIRMWARE = "firmware"
"""hls4ml's C++ in the place of the RTL."""
LOGITS = "reference_logits"
"""The reference scored where the RTL ends: two logits that differ may give probabilities of one code."""


@dataclass(frozen=True)
class ReferenceOutputs:
    """Output codes of the reference.

    Attributes:
        logits: ``(n, *output shape)``, where the RTL ends.
        final: the same, or the probabilities that a large softmax makes of them, where the firmware ends.
    """

    logits: IntArray
    final: IntArray

    def with_images_of(self, other: ReferenceOutputs, images: BoolArray) -> ReferenceOutputs:
        """These, but some images, a mask ``(n,)``, as in ``other``."""
        logits, final = self.logits.copy(), self.final.copy()
        logits[images], final[images] = other.logits[images], other.final[images]
        return ReferenceOutputs(logits, final)


def compare(
    design: Design,
    rtl: Path,
    data: Dataset,
    conditions: Sequence[Condition],
    *,
    simulator: Simulator,
    firmware: Path | None = None,
    limits: Limits | None = None,
    step: Step = silent,
) -> Compared:
    """Run the images through the reference, the RTL and the C++ firmware under every condition.

    The RTL is compared where it ends. In its place may be a folder of
    :func:`hwflow.rtl.behavioural.behavioural_project`, which counts as ``firmware``. The simulation is built once, and
    the float network runs once.

    Args:
        design: whose network.
        rtl: folder of its RTL.
        data: images, with labels if they are known.
        conditions: the first one without faults.
        simulator: of the RTL.
        firmware: folder of its firmware, whose C++ runs too.
        limits: what the bench asserts too.
        step: called with the name of each step.

    Raises:
        HwflowError: an upset after which no image begins, a tool that is missing, or a simulation that fails.
    """
    bench = _Comparator(design.graph, rtl, data, simulator, firmware, limits or Limits(), step)
    step(f"building the {simulator} simulation")
    bench.rtl.build()
    if len(design.graph.output.shape) == 1:
        step("Keras in float")
        bench.hold_against(Truth(keras_classes(design, data.images), data.labels))
    for condition in conditions:
        bench.run(condition)
    accuracy = {}
    if bench.truth is not None:
        accuracy = {name: ExecutorAccuracy.of(scores) for name, scores in bench.scores.items()}
    return Compared(tuple(bench.comparisons), accuracy, bench.reports, tuple(bench.failures))


class _Comparator:
    """Every executor, opened once, and what was found so far."""

    def __init__(
        self,
        graph: Graph,
        rtl: Path,
        data: Dataset,
        simulator: Simulator,
        firmware: Path | None,
        limits: Limits,
        step: Step,
    ) -> None:
        from hwflow.firmware import CsimExecutor

        self.simulator, self.limits, self.step = simulator, limits, step
        self.codes = encode(graph, data.images)
        self.reference = IntegerExecutor(graph)
        self.rtl = RtlExecutor(rtl, graph, simulator)
        self.csim = None if firmware is None else CsimExecutor(firmware, graph)
        self.dut = FIRMWARE if self.rtl.design.behavioural else "rtl"
        self.truth: Truth | None = None
        self.clean: ReferenceOutputs | None = None
        self.comparisons: list[Comparison] = []
        names = [KERAS, "reference", LOGITS, self.dut, "csim"]
        names = [
            name for name in names if (name != LOGITS or graph.in_rtl is not graph) and (name != "csim" or self.csim)
        ]
        self.scores: dict[str, list[Score]] = {name: [] for name in names}
        self.reports: dict[str, str] = {}
        self.failures: list[str] = []

    def hold_against(self, truth: Truth) -> None:
        """Score every executor from now on, and the Keras model at once."""
        self.truth = truth
        self.scores[KERAS].append(truth.score(truth.keras, np.ones(len(self.codes), dtype=bool)))

    def run(self, condition: Condition) -> None:
        """Compare all executors under one condition."""
        if condition.upset_cycle is not None:
            self._check_upset(condition.upset_cycle)
        self.step(f"reference ({condition.name})")
        expected = reference_outputs(self.reference, self.codes, condition.faults)
        self.clean = self.clean or expected
        self.step(f"{self.simulator} ({condition.name})")
        logits = self.rtl.run(
            self.codes, condition.faults, condition.upset_cycle, expected=self._expectation(expected.logits)
        )
        assert self.rtl.statistics is not None
        self.reports[condition.name] = self.rtl.statistics.xunit
        self.failures += [
            f"cocotb's {test} under faults {condition.name!r}: {text}"
            for test, text in self.rtl.statistics.failures.items()
        ]
        counted, sides = np.ones(len(self.codes), dtype=bool), {}
        if condition.upset_cycle is not None:
            before, after = self.rtl.statistics.sides(condition.upset_cycle)
            expected = expected.with_images_of(self.clean, before)
            counted = before | after
            numbers = (int(each.sum()) for each in (before, after, ~counted))
            sides = dict(zip(("images_before", "images_after", "images_inside"), numbers, strict=True))
        self._score("reference", condition, expected.final, counted)
        if LOGITS in self.scores:
            self._score(LOGITS, condition, expected.logits, counted)
        cycles = None if self.dut == FIRMWARE else self.rtl.cycles_per_image
        self._compare(self.dut, condition, logits, expected.logits, counted, cycles, **sides)
        if self.csim is not None:
            self.step(f"C simulation ({condition.name})")
            self._compare("csim", condition, self.csim.run(self.codes, condition.faults), expected.final, counted)

    def _check_upset(self, cycle: int) -> None:
        """Refuse an upset after which no image begins. When images begin depends neither on pixels nor on weights."""
        assert self.rtl.statistics is not None
        before, after = self.rtl.statistics.sides(cycle)
        if not after.any():
            raise HwflowError(
                f"--upset-cycle {cycle}: of {len(self.codes)} images, {before.sum()} have left the design by then, "
                f"{len(self.codes) - before.sum()} are inside and none begins later; choose an earlier cycle or more "
                "--images"
            )

    def _expectation(self, logits: IntArray) -> Expectation:
        """What the bench judges by; it reads the fault-free codes only if it upsets in mid-run."""
        assert self.clean is not None
        keras, labels = (None, None) if self.truth is None else (self.truth.keras, self.truth.labels)
        limits = (self.limits.max_loss, self.limits.min_accuracy)
        return Expectation(logits, self.clean.logits, labels, keras, *limits, code_threshold(self.reference.graph))

    def _compare(
        self,
        name: str,
        condition: Condition,
        outputs: IntArray,
        expected: IntArray,
        counted: BoolArray,
        cycles: float | None = None,
        **sides: int,
    ) -> None:
        """Note the differing codes and the score of the RTL or of the firmware."""
        differing = int(np.count_nonzero(outputs[counted] != expected[counted]))
        self.comparisons.append(
            Comparison(
                executor=self.simulator if name == "rtl" else name,
                faults=condition.name,
                flips=condition.flips,
                images=int(counted.sum()),
                output_codes=int(expected[counted].size),
                differing_codes=differing,
                cycles_per_image=cycles,
                **sides,
            )
        )
        self._score(name, condition, outputs, counted, differing)

    def _score(
        self,
        name: str,
        condition: Condition,
        outputs: IntArray,
        counted: BoolArray,
        differing: int | None = None,
    ) -> None:
        if self.truth is not None:
            about = (condition.name, condition.seed, condition.flips, differing)
            # Of equal outputs the first class counts, as in evaluate.
            scores = class_scores(self.reference.graph, outputs)
            self.scores[name].append(self.truth.score(scores.argmax(axis=-1), counted, *about))


def keras_classes(design: Design, images: npt.NDArray[np.float32]) -> IntArray:
    """The largest class ``(n,)`` of the Keras model in float for each image."""
    network = open_executor(KERAS, Setup(design.graph, design.keras_model))
    size = network.images_at_once
    logits = [network.start(images[start : start + size])(None) for start in range(0, len(images), size)]
    return class_scores(design.graph, np.concatenate(logits)).argmax(axis=-1).astype(np.int64)


def reference_outputs(reference: IntegerExecutor, codes: IntArray, faults: FaultList | None) -> ReferenceOutputs:
    """Output codes of the reference, of any number of images, and its logits if the RTL ends there."""
    graph, size = reference.graph, reference_batch(reference)
    logits: list[IntArray] = []

    def keep(node: Node, outputs: IntArray) -> None:
        if node.name == graph.in_rtl.output.name:
            logits.append(outputs)

    observe = None if graph.in_rtl is graph else keep
    final = np.concatenate(
        [reference.run(codes[start : start + size], faults, observe) for start in range(0, len(codes), size)]
    )
    return ReferenceOutputs(np.concatenate(logits) if logits else final, final)
