"""Builds and runs simulations with cocotb's runner, quietly, their output in log files."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from cocotb_tools.runner import Icarus, Runner, Verilator

from hwflow import resources
from hwflow.doctor import SIMULATOR_PROGRAMS, find_program, require_simulator
from hwflow.errors import HwflowError

TIMESCALE = ("1ns", "1ps")
BUILD_LOG = "build.log"
RUN_LOG = "simulation.log"
STREAM_TEST = "stream_images"
"""The test of the bench without which there are no outputs to judge."""


class _Bench(Runner):
    """Lets the simulator's Python import the bench, and keeps what a compiler that is killed leaves behind."""

    def _set_env_build(self) -> None:
        super()._set_env_build()
        # Icarus removes its temporary files only when it ends by itself.
        self.env["TMPDIR"] = str(self.build_dir)

    def _set_env_test(self) -> None:
        super()._set_env_test()
        self.env["PYTHONPATH"] = os.pathsep.join([str(resources.folder("sim") / "bench"), self.env["PYTHONPATH"]])


class _BenchIcarus(_Bench, Icarus):
    pass


class _BenchVerilator(_Bench, Verilator):
    """Only those signals are public that the sources mark so; all public is several times slower."""

    def _build_command(self) -> list[Any]:
        verilate, make = super()._build_command()
        # The Verilator package leaves the option that uses a precompiled header out of its make rules.
        make = [*make, "CFG_CXXFLAGS_PCH_I=-include"]
        return [[word for word in verilate if word != "--public-flat-rw"], make]


RUNNERS: Mapping[str, type[Runner]] = {"verilator": _BenchVerilator, "icarus": _BenchIcarus}
BUILD_ARGS: Mapping[str, Sequence[str]] = {
    "verilator": ("-Wno-fatal", "--quiet", "-O3", "--x-assign", "fast", "-CFLAGS", "-O2"),
    "icarus": (),
}


def build(
    simulator: str,
    sources: Sequence[Path],
    top: str,
    parameters: Mapping[str, int],
    defines: Mapping[str, str],
    build_dir: Path,
) -> None:
    """Build ``top`` into ``build_dir``; nothing is done again that is up to date.

    Raises:
        HwflowError: the simulator is missing, or the build fails; the line of its log that tells why is quoted.
    """
    require_simulator(simulator)
    build_dir.mkdir(parents=True, exist_ok=True)
    log = build_dir / BUILD_LOG
    try:
        _runner(simulator).build(
            sources=list(sources),
            hdl_toplevel=top,
            parameters=parameters,
            defines=defines,
            build_args=list(BUILD_ARGS[simulator]),
            build_dir=build_dir,
            timescale=TIMESCALE,
            log_file=log,
        )
    except (RuntimeError, SystemExit) as error:
        raise HwflowError(f"{simulator} could not build {top}: {_reason(log)}") from error


@dataclass(frozen=True)
class Report:
    """What the cocotb tests of the bench said.

    Attributes:
        xunit: the report that cocotb wrote, XML.
        failures: messages of the failed tests, by the name of the test.
    """

    xunit: str
    failures: Mapping[str, str]


def run(simulator: str, top: str, build_dir: Path, work: Path) -> Report:
    """Run the cocotb bench on a build, in the folder ``work``.

    Returns:
        What its tests said. A test that judges the outputs may have failed.

    Raises:
        HwflowError: the simulation itself fails; the test's message or the last line of the log that tells why
            is quoted.
    """
    require_simulator(simulator)
    runner = _runner(simulator)
    results = work / "results.xml"
    # Where it finds itself in a pytest run, the runner exits if any test failed; the report tells which.
    with suppress(RuntimeError, SystemExit, OSError):
        runner.test(
            test_module="network_bench",
            hdl_toplevel=top,
            hdl_toplevel_lang="verilog",
            build_dir=build_dir,
            test_dir=work,
            results_xml=str(results),
            log_file=work / RUN_LOG,
            timescale=TIMESCALE,
            extra_env={
                # cocotb rewrites the assertions of every module imported after it, numpy's too, unless told.
                "COCOTB_REWRITE_ASSERTION_FILES": "network_bench.py",
                # The log is gone when the report is read.
                "COCOTB_RESULTS_ATTACHMENTS": "",
            },
        )
    try:
        xunit = results.read_text(encoding="utf-8")
        cases = {case.get("name", ""): case for case in ElementTree.fromstring(xunit).iter("testcase")}
    except (OSError, ElementTree.ParseError) as error:
        raise HwflowError(f"{simulator} failed: {_reason(work / RUN_LOG)}") from error
    failures = {name: message for name, case in cases.items() if (message := _failure(case)) is not None}
    if STREAM_TEST not in cases or STREAM_TEST in failures:
        raise HwflowError(f"{simulator} failed: {failures.get(STREAM_TEST) or _reason(work / RUN_LOG)}")
    return Report(xunit, failures)


def merged_reports(reports: Mapping[str, str]) -> bytes:
    """Reports of several runs as one, XML in UTF-8; the test suite of each run has the run's name.

    Args:
        reports: xunit reports by name of the run.
    """
    merged = ElementTree.Element("testsuites", name="hwflow simulate")
    for name, report in reports.items():
        for suite in ElementTree.fromstring(report).iter("testsuite"):
            # XML has no control characters, which the name of a file may hold.
            suite.set("name", name.encode("unicode_escape").decode("ascii"))
            merged.append(suite)
    return ElementTree.tostring(merged, encoding="utf-8", xml_declaration=True)


def _failure(case: ElementTree.Element) -> str | None:
    """What a test case of an xunit report failed of."""
    cause = next((cause for kind in ("failure", "error") if (cause := case.find(kind)) is not None), None)
    return None if cause is None else cause.get("message", "").partition("\n")[0]


def _runner(simulator: str) -> Runner:
    """cocotb's runner, which looks for the simulator on this process's PATH."""
    program = find_program(SIMULATOR_PROGRAMS[simulator][0])
    assert program is not None
    folder = str(Path(program).parent)
    path = os.environ.get("PATH", "").split(os.pathsep)
    if folder not in path:
        os.environ["PATH"] = os.pathsep.join([folder, *path])
    runner = RUNNERS[simulator]()
    # It warns of a build that is up to date; without any handler, Python prints that on the terminal.
    if not runner.log.handlers:
        runner.log.addHandler(logging.NullHandler())
    return runner


def _reason(log: Path) -> str:
    """The line of a simulator's log that says what went wrong."""
    try:
        lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    except OSError:
        lines = []
    telling = [line for line in lines if re.search(r"error|fatal", line, re.IGNORECASE)]
    return (telling or lines or ["it did not start"])[-1]
