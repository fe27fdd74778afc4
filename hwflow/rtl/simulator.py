"""Builds and runs simulations with cocotb's runner, quietly, their output in log files."""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from xml.etree import ElementTree

from cocotb_tools.runner import Icarus, Runner, Verilator

from hwflow import resources
from hwflow.doctor import SIMULATOR_PROGRAMS, find_program, require_simulator
from hwflow.errors import HwflowError
from hwflow.files.cache import cache_folder
from hwflow.rtl import objcache
from hwflow.sim.design import PROJECT_VARIABLE, RtlDesign
from hwflow.sim.registers import assigned_registers

TIMESCALE = ("1ns", "1ps")
BUILD_LOG = "build.log"
RUN_LOG = "simulation.log"
RESULTS_XML = "results.xml"
UPSETS = "upsets.json"
"""What :mod:`hwflow.sim.state_bench` writes."""
Dut = Literal["bench", "top"]
STREAM_TEST = "stream_images"
"""The test of the bench without which there are no outputs to judge."""


class _Quiet(Runner):
    """Keeps what a compiler that is killed leaves behind in the build folder, and looks for tests in given folders."""

    search: Sequence[Path] = ()

    def _set_env_build(self) -> None:
        super()._set_env_build()
        # Icarus removes its temporary files only when it ends by itself.
        self.env["TMPDIR"] = str(self.build_dir)

    def _set_env_test(self) -> None:
        super()._set_env_test()
        self.env["PYTHONPATH"] = os.pathsep.join([*map(str, self.search), self.env["PYTHONPATH"]])


class _Icarus(_Quiet, Icarus):
    pass


class _Verilator(_Quiet, Verilator):
    """Only those signals are public that the sources mark so; all public is several times slower.

    Attributes:
        main: main program in the place of cocotb's.
    """

    main: Path | None = None

    def _build_command(self) -> list[Any]:
        verilate, make = super()._build_command()
        verilate = [word for word in verilate if word != "--public-flat-rw"]
        if self.main is not None:
            verilate = [str(self.main) if word.endswith(COCOTB_MAIN) else word for word in verilate]
        return [verilate, [*make, *make_variables()]]


OPTIMISATION: Mapping[str, str] = {"OPT_FAST": "-O2", "OPT_SLOW": "-O0", "OPT_GLOBAL": "-O2"}
"""Of Verilator's C++: what runs in every cycle, what runs once, and Verilator's own."""


def make_variables() -> list[str]:
    """What the makefile of Verilator's package lacks, and how to compile.

    Code that runs once, most of it to set the memories up, is not optimised: it would take longer than it saves.
    """
    variables = {
        "CFG_CXXFLAGS_PCH_I": "-include",
        "CFG_CXXFLAGS_COROUTINES": "-fcoroutines",
        **OPTIMISATION,
    }
    folder = cache_folder()
    if folder is not None and "OBJCACHE" not in os.environ:
        variables["OBJCACHE"] = shlex.join([sys.executable, "-ISE", objcache.__file__, str(folder)])
    return [f"{name}={value}" for name, value in variables.items()]


RUNNERS: Mapping[str, type[_Quiet]] = {"verilator": _Verilator, "icarus": _Icarus}
BUILD_ARGS: Mapping[str, Sequence[str]] = {
    "verilator": ("-Wno-fatal", "--quiet", "-O3", "--x-assign", "fast"),
    "icarus": (),
}
READ = ("*.mem", "*.dat", "*.so", "weights")
"""What a simulation reads in its working folder, of the design's: memory images, and a library and its weights."""
COCOTB_MAIN = "/verilator.cpp"
BENCH = "hwflow_bench"
CAPACITY_BEATS = 1 << 20
"""Beats that the source and the sink hold: what bounds the images of one simulation."""


def bench_capacity(design: RtlDesign) -> int:
    """Images that one simulation takes."""
    return max(1, CAPACITY_BEATS // max(design.input.beats, design.output.beats))


@dataclass(frozen=True)
class Build:
    """A simulation of a design, kept in the design's folder ``build``.

    Attributes:
        simulator: ``verilator`` or ``icarus``.
        design: what is simulated.
        dut: ``bench``, or ``top`` for the design's top module alone, whose ports a test then drives.
        waves: whether it can write waves, which makes it slower.
        registers: whether Verilator shows every register, which makes it slower; Icarus always does.
    """

    simulator: str
    design: RtlDesign
    dut: Dut = "bench"
    waves: bool = False
    registers: bool = False

    @property
    def folder(self) -> Path:
        """Where it is."""
        variant = ("-top" if self.dut == "top" else "") + ("-waves" if self.waves else "")
        variant += "-registers" if self.registers else ""
        return self.design.folder / "build" / (self.simulator + variant)

    @property
    def top(self) -> str:
        """Name of the module that cocotb sees."""
        return BENCH if self.dut == "bench" else self.design.top

    def build(self) -> None:
        """Build it; nothing is done again that is up to date.

        Raises:
            HwflowError: the simulator is missing, or the build fails; the line of its log that tells why is quoted.
        """
        require_simulator(self.simulator)
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / BUILD_LOG
        sim = resources.folder("sim")
        bench = [sim / f"{name}.sv" for name in ("hwflow_pause", "hwflow_source", "hwflow_sink", BENCH)]
        sources = [file for pattern in ("*.v", "*.sv") for file in sorted(self.design.folder.glob(pattern))]
        arguments = list(BUILD_ARGS[self.simulator])
        defines: dict[str, object] = {"HWFLOW_TOP": self.design.top}
        runner = _runner(self.simulator)
        if isinstance(runner, _Verilator):
            # cocotb's main program writes waves, and takes the clock from Python or from the bench.
            if self.dut == "bench" and not self.waves:
                runner.main = sim / "hwflow_main.cpp"
                defines["HWFLOW_CLOCK_PORT"] = 1
            arguments.append("--timing" if runner.main is None else "--no-timing")
            visible = self.folder / "visible.vlt"
            if not visible.exists() or visible.read_text() != self._visible():
                visible.write_text(self._visible())
            arguments.append(str(visible))
            if code := sorted(map(str, self.design.folder.glob("*.cpp"))):
                arguments += [*code, "-LDFLAGS", "-ldl"]
        try:
            runner.build(
                sources=[*sources, *(bench if self.dut == "bench" else [])],
                hdl_toplevel=self.top,
                parameters=self.parameters if self.dut == "bench" else {},
                defines=defines,
                build_args=arguments,
                build_dir=self.folder,
                timescale=TIMESCALE,
                waves=self.waves,
                log_file=log,
            )
        except (RuntimeError, SystemExit) as error:
            raise HwflowError(f"{self.simulator} could not build {self.top}: {_reason(log)}") from error

    def run(
        self,
        test_module: str,
        work: Path,
        *,
        log: Path | None,
        rewrite: str = "",
        waves: Path | None = None,
        seed: int | None = None,
        path: Sequence[Path] = (),
    ) -> Mapping[str, ElementTree.Element] | None:
        """Run the cocotb tests of a module in the folder ``work``; cocotb's report is then ``results.xml`` there.

        Args:
            test_module: what the simulator's Python imports.
            work: working folder; it gets links to what is read there.
            log: file for what the simulator and cocotb print; by default that goes to the terminal.
            rewrite: pattern of the names of the files whose assertions are to explain themselves.
            waves: file for the waves.
            seed: of cocotb's random numbers.
            path: folders in which modules are looked for first.

        Returns:
            The test cases of the report by name; ``None`` if the simulator died before it could write one.
        """
        require_simulator(self.simulator)
        runner = _runner(self.simulator)
        runner.search = path
        for file in (file for pattern in READ for file in self.design.folder.glob(pattern)):
            (work / file.name).unlink(missing_ok=True)
            (work / file.name).symlink_to(file)
        results = work / RESULTS_XML
        results.unlink(missing_ok=True)
        verilator = self.simulator == "verilator"
        # Where it finds itself in a pytest run, the runner exits if any test failed; the report tells which.
        with suppress(RuntimeError, SystemExit, OSError):
            runner.test(
                test_module=test_module,
                hdl_toplevel=self.top,
                hdl_toplevel_lang="verilog",
                build_dir=self.folder,
                test_dir=work,
                results_xml=str(results),
                log_file=log,
                timescale=TIMESCALE,
                waves=waves is not None,
                seed=seed,
                test_args=["--trace-file", str(waves)] if waves is not None and verilator else [],
                plusargs=[f"+dumpfile_path={waves}"] if waves is not None and not verilator else [],
                extra_env={
                    PROJECT_VARIABLE: str(self.design.folder),
                    # cocotb rewrites the assertions of every module imported after it, numpy's too, unless told.
                    "COCOTB_REWRITE_ASSERTION_FILES": rewrite,
                    # For that cocotb sets pytest up, whose plugins it has no use for.
                    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                    # The log is gone when the report is read.
                    "COCOTB_RESULTS_ATTACHMENTS": "",
                },
            )
        try:
            return {case.get("name", ""): case for case in ElementTree.parse(results).iter("testcase")}
        except (OSError, ElementTree.ParseError):
            return None

    @property
    def parameters(self) -> dict[str, int]:
        """Of the bench."""
        capacity = bench_capacity(self.design)
        parameters: dict[str, int] = {}
        for name, port in (("IN", self.design.input), ("OUT", self.design.output)):
            parameters |= {f"{name}_BITS": port.bus_bits, f"{name}_BEATS": port.beats}
            parameters[f"{name}_DEPTH"] = port.beats * capacity
        return parameters

    def _visible(self) -> str:
        """What tests may see: with the top module alone its ports and streams, else how its streams stand."""
        names = ["*"] if self.dut == "top" else ["*_tvalid", "*_tready"]
        kind = "public_flat_rw" if self.dut == "top" else "public_flat_rd"
        lines = [f'{kind} -module "{self.design.top}" -var "{name}"' for name in names]
        for module, arrays in self.design.visible.items():
            lines += [f'public_flat_rw -module "{module}" -var "{array}"' for array in arrays]
        if self.registers:
            for file in sorted(self.design.folder.glob("*.sv")):
                names = sorted(assigned_registers(file.read_text()))
                lines += [f'public_flat_rw -module "{file.stem}" -var "{name}"' for name in names]
        return "\n".join(["`verilator_config", *lines, ""])


@dataclass(frozen=True)
class Report:
    """What the cocotb tests of the bench said.

    Attributes:
        xunit: the report that cocotb wrote, XML.
        failures: messages of the failed tests, by the name of the test.
    """

    xunit: str
    failures: Mapping[str, str]


def run_bench(build: Build, work: Path) -> Report:
    """Run the tests of :mod:`hwflow.sim.bench` on a build, in the folder ``work``.

    Returns:
        What its tests said. A test that judges the outputs may have failed.

    Raises:
        HwflowError: the simulation itself fails; the test's message or the last line of the log that tells why
            is quoted.
    """
    log = work / RUN_LOG
    cases = build.run("hwflow.sim.bench", work, log=log, rewrite="bench.py")
    if cases is None:
        raise HwflowError(f"{build.simulator} failed: {_reason(log)}")
    failures = {name: message for name, case in cases.items() if (message := failure(case)) is not None}
    if STREAM_TEST not in cases or STREAM_TEST in failures:
        raise HwflowError(f"{build.simulator} failed: {failures.get(STREAM_TEST) or _reason(log)}")
    return Report((work / RESULTS_XML).read_text(encoding="utf-8"), failures)


def run_upsets(build: Build, work: Path) -> dict[str, Any]:
    """Run :mod:`hwflow.sim.state_bench` on a build, in the folder ``work``; returns what it wrote.

    Raises:
        HwflowError: what it says, or the last line of the log that tells why it wrote nothing.
    """
    log = work / RUN_LOG
    build.run("hwflow.sim.state_bench", work, log=log)
    if not (work / UPSETS).exists():
        raise HwflowError(f"{build.simulator} failed: {_reason(log)}")
    result: dict[str, Any] = json.loads((work / UPSETS).read_text())
    if "error" in result:
        raise HwflowError(result["error"])
    return result


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


def failure(case: ElementTree.Element) -> str | None:
    """What a test case of an xunit report failed of."""
    cause = next((cause for kind in ("failure", "error") if (cause := case.find(kind)) is not None), None)
    return None if cause is None else cause.get("message", "").partition("\n")[0]


def _runner(simulator: str) -> _Quiet:
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
