"""Modules as Yosys makes them: as it reads them, or in the cells of an ECP5, for the benches to run on."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from hwflow.cost.ecp5 import pack_file


def _read_by_yosys(
    module: str, sources: Sequence[Path], parameters: Mapping[str, int | str], folder: Path
) -> list[Path]:
    """Verilog of `module` as Yosys understands it, without parameters and hierarchy."""
    output = folder / f"{module}.v"
    steps = ["proc", "flatten", "opt", "memory -nomap", "opt_clean", f"rename -top {module}"]
    _yosys(module, sources, parameters, folder, [f"hierarchy -top {module}", *steps, f"write_verilog -noattr {output}"])
    return [output]


def _mapped_to_ecp5(
    module: str, sources: Sequence[Path], parameters: Mapping[str, int | str], folder: Path
) -> list[Path]:
    """Verilog of `module` in the cells of an ECP5 as they are placed, and models of these cells.

    Raises:
        AssertionError: No register went into a block.
    """
    mapped, packed, output = folder / "mapped.json", folder / "packed.json", folder / f"{module}.v"
    _yosys(module, sources, parameters, folder, [f"synth_ecp5 -top {module} -json {mapped}"])
    assert pack_file(mapped, packed).flip_flops > 0
    subprocess.run(["yosys", "-q", "-p", f"read_json {packed}; write_verilog -noattr {output}"], check=True, cwd=folder)
    library = Path(shutil.which("yosys") or "").resolve().parents[1] / "share" / "yosys" / "ecp5" / "cells_sim.v"
    used = "|".join(("LUT2", "LUT4", "PFUMX", "L6MUX21", "CCU2C", "TRELLIS_FF", "TRELLIS_DPR16X4"))
    cells = folder / "cells.v"
    cells.write_text(
        "\n".join(re.findall(rf"^module (?:{used}) *\(.*?^endmodule", library.read_text(), re.DOTALL | re.M))
    )
    return [output, cells, Path(__file__).with_name("ecp5_blocks.v")]


BY_YOSYS = {"yosys": _read_by_yosys, "ecp5": _mapped_to_ecp5}
"""What makes sources for Icarus of a module, by the simulator that `run_tb` is asked for."""


def _yosys(
    module: str, sources: Sequence[Path], parameters: Mapping[str, int | str], folder: Path, steps: Sequence[str]
) -> None:
    """Run steps on sources whose top module has the parameters as its defaults.

    Yosys takes neither strings nor negative numbers as parameters of its commands.
    """
    folder.mkdir(parents=True, exist_ok=True)
    top = next(path for path in sources if path.stem == module)
    text = top.read_text()
    for name, value in parameters.items():
        default = re.compile(rf"^( *parameter\b.*?\b{name} *= *).*?(,?)( *//.*)?$", re.MULTILINE)
        text, found = default.subn(lambda line, value=value: f"{line[1]}{value}{line[2]}", text)
        assert found == 1, f"{module}: {found} parameters {name}"
    copy = folder / top.name
    copy.write_text(text)
    read = f"read_verilog -sv {' '.join(str(copy if path == top else path) for path in sources)}"
    script = folder / "read.ys"
    script.write_text("\n".join([read, *steps]) + "\n")
    subprocess.run(["yosys", "-q", "-s", str(script)], check=True, cwd=folder)


def run_benches(simulator: str, variable: str, *arguments: str) -> None:
    """Run benches with another simulator than they ask for.

    Args:
        simulator: What takes its place.
        variable: The environment variable that says so.
        arguments: Of pytest.

    Raises:
        AssertionError: One failed.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, env={**os.environ, variable: simulator}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
