"""What a simulation runs: a design's RTL, or in its place the firmware's C++ between the same block RAMs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from hwflow import doctor
from hwflow.folders.design import Design
from hwflow.folders.project import Project
from hwflow.progress import Step, silent
from hwflow.rtl.behavioural import behavioural_project, check_behavioural
from hwflow.rtl.executor import Simulator
from hwflow.stages.generate import project_for

Dut = Literal["bench", "top", "firmware"]
BEHAVIOURAL = "behavioural: hls4ml's C++ between the block RAMs, whose clock cycles say nothing of hardware"
"""Said wherever a result is of ``firmware``."""


@contextmanager
def simulated_project(
    design: Design,
    project: str | Path | None,
    simulator: Simulator,
    *,
    firmware: bool = False,
    csim: bool = False,
    step: Step = silent,
) -> Iterator[tuple[Project, Path]]:
    """The given project, or a temporary one, and the folder that is simulated as its RTL, as long as the block.

    Args:
        design: the design.
        project: a generated project; by default a temporary one.
        simulator: ``verilator`` or ``icarus``.
        firmware: the folder is a shell around the firmware, see :mod:`hwflow.rtl.behavioural`.
        csim: the project's firmware is needed too.
        step: called with the name of each step.

    Raises:
        HwflowError: a tool that is missing, a project of another design, or a part that cannot be made of the design.
    """
    doctor.require_simulator(simulator)
    if firmware:
        check_behavioural(design.graph, simulator)
    if firmware or csim:
        doctor.require("g++")
    with project_for(design, project, ("rtl", "firmware") if firmware or csim else ("rtl",), step) as made:
        assert made is not None
        if not firmware:
            yield made, made.part("rtl")
            return
        step("compiling the firmware")
        with behavioural_project(made.part("rtl"), made.part("firmware"), design.graph) as shell:
            yield made, shell
