"""A user's own cocotb tests on the RTL of a design."""

from __future__ import annotations

import ast
import importlib.util
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwflow.errors import HwflowError
from hwflow.folders.design import Design, open_design
from hwflow.progress import Step, silent
from hwflow.rtl.executor import Simulator
from hwflow.rtl.simulator import RESULTS_XML, Build, failure, merged_reports
from hwflow.sim.design import RtlDesign
from hwflow.stages.dut import BEHAVIOURAL, Dut, simulated_project

WAVES = {"verilator": "waves.vcd", "icarus": "waves.fst"}
"""Verilator's FST writer needs a header of lz4, which few machines have."""


@dataclass(frozen=True)
class TestRun:
    """What a user's tests said.

    Attributes:
        test: the file.
        verdicts: message of each failed test by name, ``None`` of one that passed.
        report: cocotb's, XML.
        waves: file of the waves, if they were asked for.
        dut: what they got.
    """

    __test__ = False  # pytest takes it for a test otherwise

    test: Path
    verdicts: Mapping[str, str | None]
    report: str
    waves: Path | None
    dut: Dut = "bench"

    @property
    def notes(self) -> tuple[str, ...]:
        """What the tests ran on, if it was not the design's RTL."""
        return (BEHAVIOURAL,) if self.dut == "firmware" else ()

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the tests that failed."""
        return tuple(name for name, message in self.verdicts.items() if message is not None)

    def to_json(self) -> dict[str, Any]:
        """As the command writes it."""
        return {
            "test": str(self.test),
            "dut": self.dut,
            "behavioural": self.dut == "firmware",
            "tests": dict(self.verdicts),
            "waves": None if self.waves is None else str(self.waves),
            "notes": list(self.notes),
        }

    def xunit(self) -> bytes:
        """cocotb's report, XML in UTF-8."""
        return merged_reports({self.test.name: self.report})

    def check(self) -> None:
        """Raise if a test failed.

        Raises:
            HwflowError: with the names.
        """
        if self.failed:
            raise HwflowError(
                f"{self.test}: {len(self.failed)} of {len(self.verdicts)} tests failed: {', '.join(self.failed)}"
            )


def run_test(
    design: Design | str | Path,
    test: str | Path,
    *,
    simulator: Simulator = "verilator",
    dut: Dut = "bench",
    waves: str | Path | None = None,
    registers: bool = False,
    project: str | Path | None = None,
    seed: int = 0,
    step: Step = silent,
) -> TestRun:
    """Run the cocotb tests of a Python file on the RTL of a design.

    The tests see the simulator's Python with this one's modules, and those in the folder of the file. What cocotb and
    the simulator print, tracebacks included, goes to the terminal. The working folder is a temporary one:
    ``Path(__file__).with_name("images.npy")`` is a file beside the tests.

    Args:
        design: a design or its folder.
        test: the file; see :mod:`hwflow.sim` for what helps in it.
        simulator: ``verilator`` or ``icarus``.
        dut: what the tests get: ``bench``, the design between a source and a sink that need no Python; ``top``, the
            design's top module alone, whose ports they drive themselves; or ``firmware``, the bench with hls4ml's C++
            in the place of the design's layers, which is behavioural and for Verilator alone.
        waves: folder for the waves, a VCD or FST file; it is made if need be.
        registers: Verilator shows every register to the tests, which makes it slower; Icarus always does.
        project: a generated project; by default a temporary one.
        seed: of cocotb's random numbers.
        step: called with the name of each step.

    Raises:
        HwflowError: no such file, no tests in it, a file that Python cannot import, or a tool that is missing; what
            can be known before the RTL is built is said then.
    """
    test = Path(test).resolve()
    if test.suffix != ".py" or not test.is_file():
        raise HwflowError(f"{test}: there is no such Python file to take tests from")
    if not test.stem.isidentifier():
        raise HwflowError(f"{test}: Python cannot import a file of this name; use letters, digits and underscores")
    check_source(test)
    if dut == "firmware" and registers:
        raise HwflowError("--dut firmware has none of the design's registers; leave out --registers")
    file = None
    if waves is not None:
        file = Path(waves).resolve() / WAVES[simulator]
        file.parent.mkdir(parents=True, exist_ok=True)
    firmware = dut == "firmware"
    with simulated_project(open_design(design), project, simulator, firmware=firmware, step=step) as (_, rtl):
        found = RtlDesign.load(rtl.resolve())
        build = Build(simulator, found, "top" if dut == "top" else "bench", waves is not None, registers)
        step(f"building the {simulator} simulation")
        build.build()
        step(f"{test.name} in {simulator}")
        with tempfile.TemporaryDirectory(prefix="hwflow-sim-") as folder:
            work = Path(folder)
            cases = build.run(test.stem, work, log=None, rewrite=test.name, waves=file, seed=seed, path=(test.parent,))
            if cases is None:
                raise HwflowError(
                    f"{test}: no test was run to its end, or there are none in it; what cocotb printed says why"
                )
            report = (work / RESULTS_XML).read_text(encoding="utf-8")
    return TestRun(test, {name: failure(case) for name, case in cases.items()}, report, file, dut)


def check_source(test: Path) -> None:
    """Refuse, before anything is built, what Python cannot compile, and imports of modules that are not there."""
    try:
        tree = ast.parse(test.read_bytes(), str(test))
    except (SyntaxError, ValueError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
        raise HwflowError(f"{test}{line}: Python cannot read this ({error.args[0]})") from error
    for statement in tree.body:
        names = [alias.name for alias in statement.names] if isinstance(statement, ast.Import) else []
        if isinstance(statement, ast.ImportFrom) and statement.module and not statement.level:
            names = [statement.module]
        for name in (name.partition(".")[0] for name in names):
            if not _is_there(name, test.parent):
                raise HwflowError(f"{test}, line {statement.lineno}: there is no module {name!r}")


def _is_there(name: str, folder: Path) -> bool:
    beside = (folder / name).is_dir() or any(folder.glob(f"{name}.*"))
    return beside or name in sys.builtin_module_names or importlib.util.find_spec(name) is not None
