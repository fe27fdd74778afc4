"""RTL simulation of a design, compared with the reference code by code."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hwflow import doctor
from hwflow.data import Data, Preprocessing
from hwflow.design import Design, Step, open_design, silent
from hwflow.errors import HwflowError
from hwflow.evaluation import draw_rounds, open_faults
from hwflow.executors import encode, images_at_once, run_batches
from hwflow.faults import FaultList
from hwflow.generation import Project, generate, load_project
from hwflow.graph import Graph, IntArray, Node
from hwflow.input_range import InputRange, calibrated_range, input_range
from hwflow.inputs import fitting, open_for
from hwflow.reference import IntegerExecutor

Simulator = Literal["verilator", "icarus"]


@dataclass(frozen=True)
class Comparison:
    """An executor against the reference, on the same images under the same faults.

    Attributes:
        executor: what was compared: ``verilator``, ``icarus`` or ``csim``.
        faults: name of the fault list, or ``none``.
        flips: bits flipped.
        images: images compared.
        output_codes: output codes compared.
        differing_codes: how many of them differ; 0 is bit-exact.
        cycles_per_image: clock cycles from one image's end to the next one's; RTL only.
    """

    executor: str
    faults: str
    flips: int
    images: int
    output_codes: int
    differing_codes: int
    cycles_per_image: float | None = None

    def row(self) -> tuple[object, ...]:
        """The cells of a table."""
        cycles = None if self.cycles_per_image is None else round(self.cycles_per_image)
        return (*tuple(asdict(self).values())[:-1], cycles)


@dataclass(frozen=True)
class Simulation:
    """Result of :func:`simulate`.

    Attributes:
        data: name of the data set.
        comparisons: one for every executor.
        inputs: input values that saturate, and those outside the calibrated range.
    """

    data: str
    comparisons: tuple[Comparison, ...]
    inputs: InputRange

    @property
    def differing_codes(self) -> int:
        """Output codes that differ from the reference, in all comparisons together."""
        return sum(each.differing_codes for each in self.comparisons)

    def to_json(self) -> dict[str, Any]:
        """The result as JSON data."""
        return {
            "data": self.data,
            "differing_codes": self.differing_codes,
            "comparisons": [asdict(each) for each in self.comparisons],
            "inputs": self.inputs.to_json(),
        }

    def check(self) -> None:
        """Refuse a result that is not bit-exact.

        Raises:
            HwflowError: codes differ.
        """
        check_exact(self.comparisons)


def simulate(
    design: Design | str | Path,
    data: str | Path | Data,
    *,
    labels: str | Path | None = None,
    preprocessing: str | Preprocessing | None = None,
    images: int | None = 50,
    ber: float | None = None,
    faults: FaultList | str | Path | None = None,
    faulty_biases: bool = False,
    simulator: Simulator = "verilator",
    csim: bool = False,
    upset_cycle: int | None = None,
    project: str | Path | None = None,
    seed: int = 0,
    step: Step = silent,
) -> Simulation:
    """Run images through the RTL and compare every output code with the reference.

    Args:
        design: a design or its folder.
        data: images: ``digits``, an ``.npz``, a folder of images, or a data set; labels are not needed.
        labels: of a flat folder of images, where they say which images are meant.
        preprocessing: of a folder's images; by default that of the design's calibration.
        images: only so many images: the first of an array, evenly spread over a folder.
        ber: flip every stored bit with this probability; the same list as round 0 of ``evaluate``.
        faults: a fault list, or its file, instead of ``ber``.
        faulty_biases: biases are in fault-prone memory too.
        simulator: ``verilator`` or ``icarus``.
        csim: compare the C++ firmware too.
        upset_cycle: flip the bits at this clock cycle instead of before the run. Images finished by then
            are compared with the clean reference and later ones with the faulted reference; those that
            were inside the design at that moment are left out.
        project: a generated project; by default a temporary one.
        seed: seed of the draw.
        step: called with the name of each step.

    Returns:
        What was compared; differing codes are a result and raise nothing.

    Raises:
        HwflowError: options that exclude each other, data that do not fit, or a tool that is missing.
    """
    if ber is not None and faults is not None:
        raise HwflowError("give a bit error rate or a fault list, not both")
    if upset_cycle is not None and ber is None and faults is None:
        raise HwflowError("an upset cycle needs faults: give a bit error rate or a fault list")
    if upset_cycle is not None and csim:
        raise HwflowError("C simulation has no clock cycles; leave out csim or the upset cycle")
    doctor.require_simulator(simulator)
    if csim:
        doctor.require("g++")
    design = open_design(design)
    dataset = fitting(open_for(design, data, labels, preprocessing), images, design.graph)
    fault_list = None if faults is None else open_faults(faults)
    name = "none" if faults is None else fault_list_name(faults)
    if ber is not None:
        fault_list, name = draw_rounds(design, ber, 1, seed, faulty_biases)[0], f"BER {ber:g}"
    codes = encode(design.graph, dataset.images)
    with open_project(design, project, csim, step) as made:
        comparisons = [compare_rtl(design, made, simulator, codes, name, fault_list, upset_cycle, step)]
        if csim:
            comparisons.append(compare_csim(design, made, codes, name, fault_list, step))
    inputs = input_range(design.graph, dataset.images, calibrated_range(design))
    return Simulation(dataset.name, tuple(comparisons), inputs)


def compare_rtl(
    design: Design,
    project: Project,
    simulator: Simulator,
    codes: IntArray,
    name: str,
    faults: FaultList | None,
    upset_cycle: int | None = None,
    step: Step = silent,
) -> Comparison:
    """Run input codes ``(n, *input shape)`` through the RTL and compare with the reference, at the logits."""
    from hwflow.rtl import RtlExecutor
    from hwflow.rtl.executor import upset_sides

    graph = design.graph
    step(f"reference ({name})")
    expected = logit_codes(graph, codes, faults)
    rtl = RtlExecutor(project.part("rtl"), graph, simulator)
    step(f"building the {simulator} simulation")
    rtl.build()
    step(f"{simulator} ({name})")
    outputs = rtl.run(codes, faults, upset_cycle)
    assert rtl.statistics is not None
    compared = np.ones(len(codes), dtype=bool)
    if upset_cycle is not None:
        begun, finished = np.array(rtl.statistics.begun), np.array(rtl.statistics.finished)
        before, after = upset_sides(begun, finished, upset_cycle)
        if not after.any():
            raise HwflowError(
                f"--upset-cycle {upset_cycle}: of {len(codes)} images, {before.sum()} had left the design by then and "
                f"{len(codes) - before.sum()} were inside; choose an earlier cycle or more --images"
            )
        expected[before] = logit_codes(graph, codes[before], None)
        compared = before | after
        name = f"{name} at cycle {upset_cycle}"
    return Comparison(
        executor=simulator,
        faults=name,
        flips=0 if faults is None else len(faults),
        images=int(compared.sum()),
        output_codes=int(expected[compared].size),
        differing_codes=int(np.count_nonzero(outputs[compared] != expected[compared])),
        cycles_per_image=rtl.cycles_per_image,
    )


def compare_csim(
    design: Design,
    project: Project,
    codes: IntArray,
    name: str,
    faults: FaultList | None,
    step: Step = silent,
) -> Comparison:
    """Run input codes ``(n, *input shape)`` through the C++ firmware and compare with the reference."""
    from hwflow.firmware import CsimExecutor

    step(f"reference ({name})")
    expected = run_batches(IntegerExecutor(design.graph), design.graph, codes, faults)
    step(f"C simulation ({name})")
    outputs = CsimExecutor(project.part("firmware"), design.graph).run(codes, faults)
    return Comparison(
        executor="csim",
        faults=name,
        flips=0 if faults is None else len(faults),
        images=len(codes),
        output_codes=int(expected.size),
        differing_codes=int(np.count_nonzero(outputs != expected)),
    )


def logit_codes(graph: Graph, codes: IntArray, faults: FaultList | None) -> IntArray:
    """Output codes of the reference at the logits, before a softmax if there is one."""
    reference = IntegerExecutor(graph)
    if graph.logits is graph:
        return run_batches(reference, graph, codes, faults)
    size = images_at_once(reference, graph)
    logits = [np.zeros((0, *graph.logits.output.shape), dtype=np.int64)]

    def keep(node: Node, outputs: IntArray) -> None:
        if node.name == graph.logits.output.name:
            logits.append(outputs)

    for start in range(0, len(codes), size):
        reference.run(codes[start : start + size], faults, keep)
    return np.concatenate(logits)


@contextmanager
def open_project(design: Design, project: str | Path | None, firmware: bool, step: Step) -> Iterator[Project]:
    """The given project, or a temporary one that lasts as long as the block."""
    if project is not None:
        yield load_project(project, design)
        return
    with tempfile.TemporaryDirectory(prefix="hwflow-", ignore_cleanup_errors=True) as folder:
        yield generate(design, Path(folder) / "project", firmware=firmware, step=step)


def fault_list_name(faults: FaultList | str | Path) -> str:
    """What to call a fault list in a table."""
    return "fault list" if isinstance(faults, FaultList) else Path(faults).name


def check_exact(comparisons: tuple[Comparison, ...]) -> None:
    """Refuse comparisons that are not bit-exact.

    Raises:
        HwflowError: codes differ.
    """
    for each in comparisons:
        if each.differing_codes:
            raise HwflowError(
                f"{each.executor} under faults {each.faults!r}: {each.differing_codes} of {each.output_codes} "
                "output codes differ from the reference"
            )
