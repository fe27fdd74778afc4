"""Clock rate and size of the RTL cells, and of whole designs, on an ECP5: Yosys (synth_ecp5) and nextpnr, one run each.

Between the two, registers are moved into multipliers and block RAMs (:mod:`hwflow.cost.ecp5`).

Prints a Markdown table. Paths from inputs and to outputs do not count (``--out-of-context``). With ``--synthesis`` the
tools count only, and place nothing.
"""

import argparse
import json
import math
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hwflow.cost.ecp5 import pack_file

RTL = Path(__file__).resolve().parents[1] / "hls_templates" / "rtl"
DEVICES = ("25k", "45k", "85k")
TOO_LARGE = "no BELs remaining"
"""What nextpnr says of a device that the design does not fit."""
COUNTS = ("LUT4", "TRELLIS_FF", "TRELLIS_DPR16X4", "DP16KD", "MULT18X18D")

OUT = {"OUT_W": 8, "OUT_FRAC": 5, "ROUNDING": 2, "OVERFLOW": 1}
LANES = {"LANES": 8}
CELLS: tuple[tuple[str, Mapping[str, int]], ...] = (
    ("mvu", {"PE": 2, "SIMD": 16, "N_IN": 144, "N_OUT": 64, "X_W": 8, "ACC_W": 26, **OUT}),
    ("mvu", {"PE": 8, "SIMD": 16, "N_IN": 144, "N_OUT": 64, "X_W": 8, "ACC_W": 26, **OUT}),
    ("weights", {"PE": 2, "SIMD": 16, "N_IN": 144, "N_OUT": 64}),
    ("affine", {"PE": 8, "X_W": 8, "ACC_W": 26, **OUT}),
    ("depthwise", {"PE": 8, "CHANNELS": 64, "X_W": 8, "ACC_W": 26, **OUT}),
    ("window", {"LANES": 16, "CHANNELS": 32, "IN_H": 16, "IN_W_PX": 16, **{f"PAD_{side}": 1 for side in "TBLR"}}),
    (
        "window",
        {**LANES, "CHANNELS": 8, "POSITIONS": 9, "IN_H": 32, "IN_W_PX": 32, **{f"PAD_{side}": 1 for side in "TBLR"}},
    ),
    ("pool", {"MODE": 0, **LANES, "CHANNELS": 64, "POSITIONS": 9, "IN_W": 8, "OUT_W": 8}),
    ("pool", {"MODE": 1, **LANES, "CHANNELS": 64, "POSITIONS": 49, "IN_W": 8, "ACC_SHIFT": 6, "OUT_W": 8}),
    ("fifo", {"WIDTH": 64, "DEPTH": 24}),
    ("fifo", {"WIDTH": 64, "DEPTH": 1000}),
    ("relu", {**LANES, "OUT_W": 8, "OUT_FRAC": 4}),
    ("add", {**LANES, "A_W": 8, "B_W": 8, "OUT_W": 8, "OUT_FRAC": 4}),
    ("rescale", {**LANES, "CHANNELS": 64}),
    ("multiply", {**LANES, "A_W": 8, "A_FRAC": 4, "B_W": 8, "B_FRAC": 4, "OUT_W": 8, "OUT_FRAC": 4}),
    ("leaky", {**LANES, "CHANNELS": 64, "IN_W": 8, "OUT_W": 8, "UNIFORM": 1}),
    ("lookup", {**LANES, "OUT_W": 8}),
    ("border", {**LANES, "BEATS": 8, "IN_H": 32, "IN_W_PX": 32}),
    ("repeat", {**LANES, "BEATS": 8, "IN_W_PX": 32}),
    ("permute", {**LANES, "SIZE_0": 32, "SIZE_1": 32, "SIZE_2": 8, "STRIDE_0": 8, "STRIDE_1": 256, "STRIDE_2": 1}),
    ("slice", {"WIDTH": 64}),
    ("width", {"W": 8, "LANES_IN": 1, "LANES_OUT": 8}),
    ("width", {"W": 8, "LANES_IN": 8, "LANES_OUT": 1}),
    ("concat", {**LANES, "A_BEATS": 8, "B_BEATS": 8, "A_W": 8, "B_W": 8, "OUT_W": 8, "OUT_FRAC": 4}),
)
"""Cells and parameters, 8-bit weights and inputs."""
PART = "lfe5u-85f"
"""What the networks are generated for: its multipliers take no pairs of products."""
NETWORKS: Mapping[str, tuple[int, int | None]] = {"digits_cnn": (16, None), "resnet20": (8, 600_000)}
"""Bits of activations and cycles an image, or the default reuse factors, so that the largest device has room."""


@dataclass(frozen=True)
class Placement:
    """What nextpnr is asked for, beside the defaults of the tables.

    Attributes:
        tools: what the tools' names begin with, ``yowasp-`` for those of wheels.
        routes: place and route; else there are counts only.
        freq: MHz that it aims at.
        seed: of the placement.
        router: its name.
    """

    tools: str = ""
    routes: bool = True
    freq: int = 200
    seed: int = 1
    router: str = "router1"


@dataclass(frozen=True)
class Placed:
    """A placed and routed design.

    Attributes:
        device: the smallest that it fits.
        fmax: MHz.
        counts: cells by type, those outside of multipliers and block RAMs.
        path: source and sink of the longest path.
    """

    device: str
    fmax: float
    counts: Mapping[str, int]
    path: str


def place(
    sources: list[Path],
    top: str,
    parameters: Mapping[str, int],
    memories: Path | None,
    placement: Placement,
) -> Placed:
    """Synthesise, place and route a module.

    Args:
        sources: SystemVerilog files.
        top: the module.
        parameters: its parameters that are not the default.
        memories: a folder of ``*.mem`` files that it reads.
        placement: the tools, and what they are asked for.

    Raises:
        RuntimeError: a tool fails.
    """
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix="fmax-") as name:
        work = Path(name)
        for file in [*sources, *(memories.glob("*.mem") if memories else ())]:
            shutil.copy(file, work)
        values = " ".join(f"-set {key} {value}" for key, value in parameters.items())
        script = [
            f"read_verilog -sv {' '.join(file.name for file in sources)}",
            *([f"chparam {values} {top}"] if values else []),
            f"synth_ecp5 -top {top} -json design.json",
            "tee -o stat.txt stat",
        ]
        _run([f"{placement.tools}yosys", "-q", "-p", "; ".join(script)], work)
        stat = (work / "stat.txt").read_text()
        counts = {cell: sum(map(int, re.findall(rf"(\d+)\s+{cell}$", stat, re.MULTILINE)[-1:])) for cell in COUNTS}
        counts["TRELLIS_FF"] -= pack_file(work / "design.json").flip_flops
        if not placement.routes:
            return Placed("", math.nan, counts, "")
        for device in DEVICES:
            options = ["--speed", "8", "--out-of-context", "--freq", str(placement.freq), "--timing-allow-fail"]
            options += ["--seed", str(placement.seed), "--router", placement.router]
            command = [
                f"{placement.tools}nextpnr-ecp5",
                f"--{device}",
                *options,
                "--json",
                "design.json",
                "--report",
                "r.json",
            ]
            try:
                _run(command, work)
            except RuntimeError as error:
                if TOO_LARGE in str(error) and device != DEVICES[-1]:
                    continue
                raise
            report = json.loads((work / "r.json").read_text())
            break
    path = report["critical_paths"][0]["path"]
    ends = (path[0]["from"]["cell"], path[-1]["to"]["cell"])
    return Placed(device, max(clock["achieved"] for clock in report["fmax"].values()), counts, " to ".join(ends))


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stdout[-1500:]}")


def write_network(name: str, folder: Path) -> Path:
    """Write the RTL of one of ``NETWORKS`` below a folder: the embedded one, or one with random weights."""
    import numpy as np

    from hwflow.data import DIGITS
    from hwflow.frontends._tf import keras
    from hwflow.hardening import HardenOptions
    from hwflow.models import NETWORKS as PORTS
    from hwflow.models import load_model
    from hwflow.stages.generate import generate
    from hwflow.stages.harden import harden

    bits, cycles = NETWORKS[name]
    keras().utils.set_random_seed(1)
    model, calibration = PORTS[name]() if name in PORTS else load_model(name), DIGITS
    if name in PORTS:
        calibration = str(folder / "images.npz")
        np.savez(calibration, x=np.random.default_rng(1).normal(size=(4, *model.input_shape[1:])).astype(np.float32))
    design = harden(model, folder / "design", HardenOptions(activation_bits=bits), calibration=calibration)
    return generate(design, folder / "project", target_cycles=cycles, firmware=False, part=PART).path / "rtl"


def row(title: str, placed: Placed) -> str:
    """A line of the table."""
    counts = " | ".join(str(placed.counts[cell]) for cell in COUNTS)
    return f"| {title} | {placed.device} | {placed.fmax:.0f} | {counts} | `{placed.path}` |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", nargs="*", help="only these cells, without hwflow_; default all, unless networks")
    parser.add_argument("--networks", nargs="*", default=(), choices=NETWORKS, help="top levels of these networks")
    parser.add_argument("--project", type=Path, help="folder that hwflow generate --backend rtl wrote: its top level")
    parser.add_argument("--synthesis", action="store_true", help="count only, with Yosys")
    parser.add_argument("--tools", default="", help="what the names of yosys and nextpnr-ecp5 begin with: yowasp-")
    parser.add_argument("--freq", type=int, default=Placement.freq, help="MHz that nextpnr aims at (%(default)s)")
    parser.add_argument("--seed", type=int, default=Placement.seed, help="of the placement (%(default)s)")
    parser.add_argument("--router", default=Placement.router, help="of nextpnr (%(default)s); router2 for full devices")
    options = parser.parse_args()
    placement = Placement(options.tools, not options.synthesis, options.freq, options.seed, options.router)
    print(f"| | device | MHz | {' | '.join(COUNTS)} | longest path |")
    print("|---" * (len(COUNTS) + 4) + "|")
    leaves = sorted(RTL.glob("*.sv"))
    for cell, parameters in CELLS:
        if cell in (options.cells or ()) or (options.cells is None and not options.networks and not options.project):
            title = f"`{cell}` " + " ".join(f"{key} {value}" for key, value in parameters.items())
            placed = place(leaves, f"hwflow_{cell}", parameters, None, placement)
            print(row(title, placed), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        projects = [options.project] if options.project else []
        for name in options.networks:
            (Path(folder) / name).mkdir()
            projects.append(write_network(name, Path(folder) / name))
        for project in projects:
            top = json.loads((project / "rtl.json").read_text())["top"]
            sources = sorted(project.glob("*.sv"))
            print(row(top, place(sources, top, {}, project, placement)), flush=True)


if __name__ == "__main__":
    main()
