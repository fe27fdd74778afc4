"""Runs the RTL project in a simulator under cocotb."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.faults import FaultList
from hwflow.graph import Graph, IntArray
from hwflow.memory import check_faults
from hwflow.rtl.simulator import Build, bench_capacity, run_bench
from hwflow.sim.design import RtlDesign

BoolArray = npt.NDArray[np.bool_]
Simulator = Literal["verilator", "icarus"]

RESULTS = ("outputs", "begun", "finished")
"""Arrays that the bench writes, ``.npy`` files."""


@dataclass(frozen=True)
class Expectation:
    """What the bench holds the outputs against.

    Attributes:
        codes: what the RTL must give under the faults of the run, ``(n, *output shape)``.
        clean: the same without faults, where an upset strikes in mid-run.
        labels: ``(n,)``, if they are known.
        keras: ``(n,)``, the largest class of the float network, if the network classifies.
        max_loss: percentage points of top-1 that may be lost against the float network; without labels, percent
            of the images whose largest class may differ.
        min_accuracy: top-1 in percent that there must be; only with labels.
        threshold: code above which a single output tells class 1.
    """

    codes: IntArray
    clean: IntArray | None = None
    labels: IntArray | None = None
    keras: IntArray | None = None
    max_loss: float | None = None
    min_accuracy: float | None = None
    threshold: float | None = None

    def write(self, folder: Path) -> dict[str, Any]:
        """Put the codes where the bench looks for them; the rest of what it reads."""
        np.save(folder / "expected.npy", self.codes)
        if self.clean is not None:
            np.save(folder / "expected_clean.npy", self.clean)
        return {
            "labels": None if self.labels is None else self.labels.tolist(),
            "keras": None if self.keras is None else self.keras.tolist(),
            "threshold": self.threshold,
            "limits": {"max_loss": self.max_loss, "min_accuracy": self.min_accuracy},
        }


@dataclass(frozen=True)
class RunStatistics:
    """What a simulation measured.

    Cycles are numbered by their rising clock edges; at edge 0 the first beat of the first image is offered.

    Attributes:
        images: images run.
        begun: first edge at which each image's first beat was offered to the design.
        finished: edge at which each image's last beat came out.
        xunit: cocotb's report, XML.
        failures: what the bench's tests of the outputs say, by name of the test; empty if there were none.
    """

    images: int
    begun: tuple[int, ...]
    finished: tuple[int, ...]
    xunit: str = ""
    failures: Mapping[str, str] = field(default_factory=dict)

    def sides(self, upset_cycle: int) -> tuple[BoolArray, BoolArray]:
        """Which images an upset in mid-run leaves clean, and which it faults wholly; the others it finds inside.

        The upset strikes while the clock is low between the edges ``upset_cycle - 1`` and ``upset_cycle``, and all
        of its words change in no simulated time. An image is clean if its last beat came out at an earlier edge. It
        is faulted if its first beat was offered at edge ``upset_cycle`` for the first time, or later: what meets a
        beat is read from a weight memory at the edge at which the unit takes the beat, and from a bias memory some
        edges later, never ahead of it (a memory is read at every edge, but a word read before that one is not used; a
        window emits
        nothing, padding neither, before it has a pixel of that image), so that even a read at that very edge sees the
        flipped word. When the beat was taken would be too late: a fork at the input hands a beat to the branch that
        is ready, and takes it only when the other is. An image that was offered at edge ``upset_cycle - 1`` may have
        met the old word at that edge, so it was inside.

        Returns:
            Two masks ``(images,)``: clean, and faulted.
        """
        return np.array(self.finished) < upset_cycle, np.array(self.begun) >= upset_cycle

    @property
    def cycles_per_image(self) -> float:
        """Cycles from one image's end to the next one's; for a single image, from its start."""
        if self.images < 2:
            return float(self.finished[-1])
        return (self.finished[-1] - self.finished[0]) / (self.images - 1)


class RtlExecutor:
    """Simulates an RTL project that :func:`hwflow.rtl.generate` wrote.

    Its outputs are those of ``graph.in_rtl``. The simulation is built on first use and kept in the project's
    folder ``build``.

    Args:
        project: the project folder.
        graph: the graph that it was made from.
        simulator: ``verilator`` or ``icarus``.

    Raises:
        HwflowError: no such project, a project of another graph, or a missing simulator.
    """

    def __init__(self, project: Path, graph: Graph, simulator: Simulator = "verilator") -> None:
        if simulator not in get_args(Simulator):
            raise HwflowError(f"simulator {simulator!r} is unknown; choose verilator or icarus")
        self.design = RtlDesign.load(project.resolve())
        if self.design.digest != graph.digest:
            raise HwflowError(f"{project}: made from another design; run hwflow generate again")
        self.graph = graph
        self.simulator = simulator
        self.statistics: RunStatistics | None = None
        self._simulation = Build(simulator, self.design)
        self._built = False

    @property
    def cycles_per_image(self) -> float:
        """Cycles an image in the last run."""
        if self.statistics is None:
            raise HwflowError("cycles are known after a run")
        return self.statistics.cycles_per_image

    @property
    def capacity(self) -> int:
        """Images that one simulation takes."""
        return bench_capacity(self.design)

    def build(self) -> None:
        """Build the simulation, unless this executor has done so."""
        if not self._built:
            self._simulation.build()
            self._built = True

    def run(
        self,
        codes: IntArray,
        faults: FaultList | None = None,
        upset_cycle: int | None = None,
        stall_percent: int = 0,
        seed: int = 1,
        expected: Expectation | None = None,
    ) -> IntArray:
        """Output codes ``(n, *output shape)`` of input codes ``(n, *input shape)``.

        Args:
            codes: codes of the input type.
            faults: upsets of stored words.
            upset_cycle: the faults strike just before this clock edge, where edge 0 is the first that offers a
                beat; by default they are there before the run. See :meth:`RunStatistics.sides`.
            stall_percent: how often source and sink pause, in percent of the cycles.
            seed: seed of these pauses.
            expected: what the bench is to judge the outputs by; its verdicts are in ``statistics`` and raise
                nothing.

        Raises:
            HwflowError: codes of another shape, faults of another design, or a simulation that fails.
        """
        if codes.shape[1:] != self.graph.input.shape:
            raise HwflowError(f"inputs have shape {codes.shape[1:]}, but the network takes {self.graph.input.shape}")
        if faults is not None:
            check_faults(self.graph, faults)
        if len(codes) > self.capacity:
            raise HwflowError(f"{len(codes)} images are more than the {self.capacity} of one simulation; run fewer")
        self.build()
        with tempfile.TemporaryDirectory(prefix="hwflow-sim-") as folder:
            work = Path(folder)
            np.save(work / "images.npy", codes)
            if faults is not None:
                faults.save(work / "faults.json")
            job = {
                "faults": faults is not None,
                "upset_cycle": upset_cycle,
                "stall_percent": stall_percent,
                "seed": seed,
                "check": None if expected is None else expected.write(work),
            }
            (work / "job.json").write_text(json.dumps(job))
            report = run_bench(self._simulation, work)
            outputs, begun, finished = (np.load(work / f"{name}.npy") for name in RESULTS)
        begun, finished = (tuple(each.tolist()) for each in (begun, finished))
        self.statistics = RunStatistics(len(codes), begun, finished, report.xunit, report.failures)
        return outputs
