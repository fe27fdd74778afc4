"""RTL simulation of a design, compared with the reference code by code and with the Keras model by accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

from hwflow import doctor
from hwflow.data import Data, DataLike, Dataset, Preprocessing
from hwflow.errors import HwflowError
from hwflow.faults import FaultList
from hwflow.folders.design import Design, open_design
from hwflow.progress import Step, silent
from hwflow.rtl.executor import Simulator
from hwflow.rtl.simulator import merged_reports
from hwflow.rtl.vitis import open_vitis, vitis_project
from hwflow.show import Shown
from hwflow.stages.classification import ExecutorAccuracy, Limits
from hwflow.stages.comparator import compare
from hwflow.stages.comparison import Compared, Comparison, Condition
from hwflow.stages.dut import BEHAVIOURAL, simulated_project
from hwflow.stages.evaluate import draw_rounds, open_faults
from hwflow.stages.input_range import InputRange, calibrated_range, input_range
from hwflow.stages.inputs import fitting, labelled, open_for


@dataclass(frozen=True, repr=False)
class Simulation(Shown):
    """Result of :func:`simulate`.

    Attributes:
        data: name of the data set.
        compared: codes that differ, and accuracies.
        limits: what accuracy must be kept.
        inputs: input values that saturate, and those outside the calibrated range.
        notes: what the accuracies lack and why.
        dut: ``bench``, the RTL, or ``firmware``, hls4ml's C++ in its place.
    """

    data: str
    compared: Compared
    limits: Limits
    inputs: InputRange
    notes: tuple[str, ...] = ()
    dut: Literal["bench", "firmware"] = "bench"

    def facts(self) -> dict[str, object]:
        """The codes that differ, and the accuracies."""
        return {
            "data": self.data,
            "dut": self.dut,
            "output_codes": sum(each.output_codes for each in self.comparisons),
            "differing_codes": self.differing_codes,
        }

    def rows(self) -> list[dict[str, Any]]:
        """A row for every executor under every fault list."""
        return [asdict(each) for each in self.comparisons]

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """One for every executor, fault-free and under every fault list."""
        return self.compared.comparisons

    @property
    def accuracy(self) -> Mapping[str, ExecutorAccuracy]:
        """By executor, see :class:`hwflow.stages.comparison.Compared`; empty if the network does not classify."""
        return self.compared.accuracy

    @property
    def differing_codes(self) -> int:
        """Output codes that differ from the reference, in all comparisons together."""
        return self.compared.differing_codes

    def to_json(self) -> dict[str, Any]:
        """The result as JSON data."""
        return {
            "data": self.data,
            "dut": self.dut,
            "behavioural": self.dut == "firmware",
            **self.compared.to_json(),
            "limits": {"max_loss": self.limits.max_loss, "min_accuracy": self.limits.min_accuracy},
            "notes": list(self.notes),
            "inputs": self.inputs.to_json(),
        }

    def xunit(self) -> bytes:
        """What cocotb's tests of the outputs said, as one XML report with a test suite for every fault list."""
        return merged_reports(self.compared.reports)

    def check(self) -> None:
        """Refuse a result that is not bit-exact, or that misses a limit.

        Raises:
            HwflowError: codes differ, or a figure is outside its limit; the worst is named.
        """
        self.compared.check(self.limits)


def simulate(
    design: Design | str | Path,
    data: DataLike,
    *,
    labels: str | Path | None = None,
    preprocessing: str | Preprocessing | None = None,
    images: int | None = 50,
    ber: float | None = None,
    rounds: int | None = None,
    faults: FaultList | str | Path | None = None,
    faulty_biases: bool = False,
    simulator: Simulator = "verilator",
    dut: Literal["bench", "firmware"] = "bench",
    csim: bool = False,
    upset_cycle: int | None = None,
    max_loss: float | None = None,
    min_accuracy: float | None = None,
    project: str | Path | None = None,
    rtl: str | Path | None = None,
    seed: int = 0,
    step: Step = silent,
) -> Simulation:
    """Run images through the RTL, fault-free and under fault lists.

    Every output code is compared with the reference, and the largest classes with the labels and with the Keras
    model in float. The RTL of a network that ends in a softmax of more than 511 classes is compared at its logits.

    Args:
        design: a design or its folder.
        data: images: ``digits``, an ``.npz``, a folder of images, or a data set. Without labels that fit there is
            no top-1, only the agreement with the Keras model.
        labels: of a flat folder of images, where they say which images are meant.
        preprocessing: of a folder's images; by default that of the design's calibration.
        images: only so many images: the first of an array, evenly spread over a folder.
        ber: flip every stored bit with this probability.
        rounds: number of such draws, by default 1; round r is the same list as in ``evaluate``.
        faults: a fault list, or its file, instead of ``ber``.
        faulty_biases: biases are in fault-prone memory too.
        simulator: ``verilator`` or ``icarus``.
        dut: ``bench`` is the RTL; ``firmware`` is behavioural: hls4ml's C++ over DPI between the same block RAMs, in
            Verilator alone.
        csim: run the C++ firmware too.
        upset_cycle: flip the bits just before this clock edge (at edge 0 the first beat of the first image is
            offered) instead of before the run. Images that had left the design by then are compared with the
            clean reference, and those that had not begun with the faulted one; those inside are left out.
        max_loss: percentage points of top-1 that the reference, the RTL and the firmware may lose against the
            Keras model in float, fault-free and under every fault list; without labels, the percentage of the
            images whose largest class may be another.
        min_accuracy: top-1 in percent that each of them must have.
        project: a generated project; by default a temporary one.
        rtl: instead, a folder of the Verilog that Vitis HLS made of the design's firmware, see
            :func:`hwflow.rtl.vitis.open_vitis`. Faults in bits that it left out are dropped.
        seed: seed of the draw.
        step: called with the name of each step.

    Returns:
        What was compared; differing codes and missed limits are a result and raise nothing until
        :meth:`Simulation.check`.

    Raises:
        HwflowError: options that exclude each other, data that do not fit, or a tool that is missing.
    """
    if dut not in ("bench", "firmware"):
        raise HwflowError(f"dut {dut!r}: images run through bench or firmware; top is for tests of one's own")
    limits = Limits(max_loss, min_accuracy)
    _check_options(ber, rounds, faults, faulty_biases, csim, upset_cycle)
    if rtl is not None and (project is not None or csim or faulty_biases or upset_cycle is not None or dut != "bench"):
        raise HwflowError(
            "Vitis' Verilog is compared alone, with weights upset beforehand; leave out the other options"
        )
    doctor.require_simulator(simulator)
    design = open_design(design)
    source = open_for(design, data, labels, preprocessing, images)
    dataset, unlabelled = _with_labels_that_fit(design, source, images, labels is not None, limits)
    conditions = _conditions(design, ber, rounds or 1, faults, faulty_biases, upset_cycle, seed)
    inputs = input_range(design.graph, dataset.images, calibrated_range(design))
    run = partial(compare, design, data=dataset, simulator=simulator, limits=limits, step=step)
    if rtl is not None:
        vitis = open_vitis(rtl, design.graph)
        there = [
            each if each.faults is None else replace(each, faults=vitis.present(each.faults)) for each in conditions
        ]
        with vitis_project(vitis, design.graph) as folder:
            compared = run(folder, conditions=there)
        return Simulation(dataset.name, compared, limits, inputs, (*unlabelled, *vitis.notes()))
    firmware = dut == "firmware"
    with simulated_project(design, project, simulator, firmware=firmware, csim=csim, step=step) as (made, folder):
        compared = run(folder, conditions=conditions, firmware=made.part("firmware") if csim else None)
    notes = (*unlabelled, BEHAVIOURAL) if firmware else unlabelled
    return Simulation(dataset.name, compared, limits, inputs, notes, dut)


def _check_options(
    ber: float | None,
    rounds: int | None,
    faults: object,
    faulty_biases: bool,
    csim: bool,
    upset_cycle: int | None,
) -> None:
    if ber is not None and faults is not None:
        raise HwflowError("give a bit error rate or a fault list, not both")
    if ber is None and (rounds is not None or faulty_biases):
        given = "rounds are" if rounds is not None else "faulty biases are"
        raise HwflowError(f"{given} for faults that are drawn: give a bit error rate")
    if rounds is not None and rounds < 1:
        raise HwflowError(f"rounds={rounds} must be at least 1")
    if upset_cycle is not None and ber is None and faults is None:
        raise HwflowError("an upset cycle needs faults: give a bit error rate or a fault list")
    if upset_cycle is not None and upset_cycle < 0:
        raise HwflowError(f"upset_cycle={upset_cycle} must not be negative")
    if upset_cycle is not None and csim:
        raise HwflowError("C simulation has no clock cycles; leave out csim or the upset cycle")


def _with_labels_that_fit(
    design: Design, source: Data, images: int | None, asked: bool, limits: Limits
) -> tuple[Dataset, tuple[str, ...]]:
    """The images, without labels if they have none that the network knows; then a note says why.

    Raises:
        HwflowError: images that do not fit; or labels that do not, where they are asked for or a limit needs them.
    """
    graph = design.graph
    dataset = fitting(source, images, graph)
    classifies = len(graph.output.shape) == 1
    if not classifies:
        reason = f"the output has shape {graph.output.shape}, not one value a class"
        if limits != Limits():
            raise HwflowError(f"a limit on the accuracy needs a network that classifies: {reason}")
        return replace(dataset, labels=None), (f"accuracy is not measured: {reason}",)
    try:
        labelled(source, images, graph)
    except HwflowError as error:
        if asked or limits.min_accuracy is not None:
            raise
        return replace(dataset, labels=None), (f"top-1 is not measured: {error}",)
    return dataset, ()


def _conditions(
    design: Design,
    ber: float | None,
    rounds: int,
    faults: FaultList | str | Path | None,
    faulty_biases: bool,
    upset_cycle: int | None,
    seed: int,
) -> list[Condition]:
    """No faults, and every fault list by its name."""
    named: list[tuple[str, FaultList]] = []
    if ber is not None:
        lists = draw_rounds(design, ber, rounds, seed, faulty_biases)
        named = [(f"BER {ber:g}" + (f", round {r}" if rounds > 1 else ""), each) for r, each in enumerate(lists)]
    elif faults is not None:
        named = [
            ("fault list" if isinstance(faults, FaultList) else Path(faults).name, open_faults(design.graph, faults))
        ]
    at = "" if upset_cycle is None else f" at cycle {upset_cycle}"
    return [Condition(), *(Condition(name + at, each, upset_cycle) for name, each in named)]
