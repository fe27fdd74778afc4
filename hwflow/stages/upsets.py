"""Upsets of a design's registers in RTL simulation, one a run, with their outcomes."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwflow.data import DataLike, Preprocessing
from hwflow.data.proportion import CONFIDENCE, wilson
from hwflow.doctor import require_simulator
from hwflow.errors import HwflowError
from hwflow.executors import encode
from hwflow.folders.design import Design, open_design
from hwflow.graph.decision import code_threshold
from hwflow.progress import Step, silent
from hwflow.reference import IntegerExecutor
from hwflow.rtl.executor import Simulator
from hwflow.rtl.simulator import Build, bench_capacity, run_upsets
from hwflow.show import Shown
from hwflow.sim.design import RtlDesign
from hwflow.sim.registers import refuse_unknown
from hwflow.sim.state import OUTCOMES, Outcome, Register, StateUpset, Trial, Upsets
from hwflow.stages.generate import project_for
from hwflow.stages.inputs import fitting, open_for

STATE = "state"
"""Names every register."""


@dataclass(frozen=True)
class Share:
    """How often something came about.

    Attributes:
        hits, count: so many times of so many.
        low, high: Wilson's 95 % interval of the proportion, percent.
    """

    hits: int
    count: int
    low: float
    high: float

    @classmethod
    def of(cls, hits: int, count: int) -> Share:
        """With its interval; of nothing, anything is possible."""
        low, high = wilson(hits, count) if count else (0.0, 1.0)
        return cls(hits, count, 100 * low, 100 * high)

    @property
    def percent(self) -> float | None:
        """The proportion; ``None`` of nothing."""
        return 100 * self.hits / self.count if self.count else None


@dataclass(frozen=True, repr=False)
class StateUpsets(Shown):
    """Result of :func:`simulate_upsets`.

    Attributes:
        data: name of the data set.
        simulator: in which it was measured.
        registers: those that could be upset.
        images: that runs took theirs from.
        measured: the runs.
    """

    data: str
    simulator: str
    registers: tuple[Register, ...]
    images: int
    measured: Upsets

    def facts(self) -> dict[str, object]:
        """How often an upset had which outcome."""
        return {"data": self.data, "upsets": len(self.trials)} | {
            outcome: f"{share.percent or 0:.1f} %" for outcome, share in self.outcomes.items()
        }

    def rows(self) -> list[dict[str, Any]]:
        """As :meth:`cells`."""
        return self.cells()

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The runs."""
        return self.measured.trials

    @property
    def outcomes(self) -> Mapping[str, Share]:
        """By its worst image, how often an upset had which outcome."""
        counts = Counter(each.outcome.worst for each in self.trials)
        return {outcome: Share.of(counts[outcome], len(self.trials)) for outcome in OUTCOMES}

    @property
    def recovered(self) -> Share:
        """Of the upsets that were not masked, after how many a later image and all after it were right."""
        wrong = [each.outcome for each in self.trials if each.outcome.worst != OUTCOMES[0]]
        return Share.of(sum(each.recovered for each in wrong), len(wrong))

    def cells(self) -> list[dict[str, Any]]:
        """For every cell and kind of register its bits, upsets, outcomes, and how often it recovered."""
        bits: Counter[tuple[str, str]] = Counter()
        for register in self.registers:
            bits[register.cell, register.kind] += register.total_bits
        outcomes: dict[tuple[str, str], list[Outcome]] = {key: [] for key in bits}
        for trial in self.trials:
            outcomes[trial.upset.register.cell, trial.upset.register.kind].append(trial.outcome)
        return [
            {
                "cell": key[0],
                "kind": key[1],
                "bits": bits[key],
                "upsets": len(mine),
                **{outcome: sum(each.worst == outcome for each in mine) for outcome in OUTCOMES},
                "recovered": sum(each.recovered for each in mine),
            }
            for key, mine in sorted(outcomes.items())
        ]

    def check(self) -> None:
        """Nothing is refused: whatever an upset leads to is a result."""

    def to_json(self) -> dict[str, Any]:
        """As the command writes it."""
        return {
            "data": self.data,
            "simulator": self.simulator,
            "registers": len(self.registers),
            "bits": sum(each.total_bits for each in self.registers),
            "images": self.images,
            "images_a_run": self.measured.per_run,
            "run_cycles": self.measured.run_cycles,
            "first_cycle": self.measured.first,
            "last_cycle": self.measured.last,
            "confidence": CONFIDENCE,
            "outcomes": {name: _share(share) for name, share in self.outcomes.items()},
            "recovered": _share(self.recovered),
            "cells": self.cells(),
            "upsets": [
                {
                    "register": each.upset.register.path,
                    "word": each.upset.word,
                    "bit": each.upset.bit,
                    "cycle": each.upset.cycle,
                    "images": list(each.images),
                    "outcomes": list(each.outcome.images),
                    "recovered": each.outcome.recovered,
                    "where": each.outcome.where,
                }
                for each in self.trials
            ],
        }


def simulate_upsets(
    design: Design | str | Path,
    data: DataLike,
    *,
    upset: Sequence[str] = (STATE,),
    labels: str | Path | None = None,
    preprocessing: str | Preprocessing | None = None,
    images: int | None = 50,
    rounds: int = 100,
    simulator: Simulator = "verilator",
    project: str | Path | None = None,
    seed: int = 0,
    step: Step = silent,
) -> StateUpsets:
    """Flip one bit of a register a run, and class what the images of the run come to.

    Every run draws as many images as fill the design and three more, and one bit of all registers, which flips between
    the end of the first image and the end of the second. See :func:`hwflow.sim.state.measure`.

    Args:
        design: a design or its folder.
        data: images, as for :func:`hwflow.stages.simulate.simulate`.
        upset: ``state``, for every register, or patterns of paths from the top module, with ``*`` and ``?``.
        labels: of a flat folder of images, where they say which images are meant.
        preprocessing: of a folder's images.
        images: only so many images.
        rounds: runs, each with one upset.
        simulator: ``verilator`` or ``icarus``; both give the same.
        project: a generated project; by default a temporary one.
        seed: of all draws.
        step: called with the name of each step.

    Raises:
        HwflowError: a pattern that no register matches, images that do not fit, a tool that is missing, or RTL that
            differs from the reference without any upset.
    """
    if rounds < 1:
        raise HwflowError(f"rounds={rounds} must be at least 1")
    if STATE in upset and set(upset) != {STATE}:
        raise HwflowError(f"upset={STATE} names every register: leave out the patterns, or leave it out")
    require_simulator(simulator)
    design = open_design(design)
    dataset = fitting(open_for(design, data, labels, preprocessing, images), images, design.graph)
    patterns = None if STATE in upset else list(upset)
    with project_for(design, project, ("rtl",), step) as made:
        assert made is not None
        build = Build(simulator, RtlDesign.load(made.part("rtl").resolve()), registers=True)
        refuse_unknown(patterns or (), build.design.folder)
        step("reference")
        codes = encode(design.graph, dataset.images)
        clean = IntegerExecutor(design.graph.in_rtl).run(codes)
        step(f"building the {simulator} simulation")
        build.build()
        step(f"{rounds} upsets in {simulator}")
        with tempfile.TemporaryDirectory(prefix="hwflow-sim-") as folder:
            work = Path(folder)
            np.save(work / "images.npy", codes)
            np.save(work / "clean.npy", clean)
            job = {
                "patterns": patterns,
                "rounds": rounds,
                "seed": seed,
                "most": bench_capacity(build.design),
                "threshold": code_threshold(design.graph.logits),
            }
            (work / "job.json").write_text(json.dumps(job))
            result = run_upsets(build, work)
    return StateUpsets(
        dataset.name,
        simulator,
        tuple(Register(**each) for each in result["registers"]),
        len(codes),
        Upsets(
            result["per_run"],
            result["run_cycles"],
            result["first"],
            result["last"],
            tuple(_trial(each) for each in result["trials"]),
        ),
    )


def _trial(entry: Mapping[str, Any]) -> Trial:
    upset, outcome = entry["upset"], entry["outcome"]
    return Trial(
        StateUpset(**{**upset, "register": Register(**upset["register"])}),
        tuple(entry["images"]),
        Outcome(tuple(outcome["images"]), outcome["where"]),
    )


def _share(share: Share) -> dict[str, Any]:
    return {"upsets": share.hits, "of": share.count, "percent": share.percent, "low": share.low, "high": share.high}
