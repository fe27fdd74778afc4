"""What Yosys makes of RTL: resources of every instance of a top level."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hwflow.cost.area import Area, area_of_cells
from hwflow.errors import HwflowError

YOSYS = "yosys"
TOP = ""
"""Stands for what is in the top level itself, outside of the instances."""
_COMMANDS = {
    "xcup": "synth_xilinx -family xcup -noiopad -flatten",
    "xcu": "synth_xilinx -family xcu -noiopad -flatten",
    "xc7": "synth_xilinx -family xc7 -noiopad -flatten",
    "ecp5": "synth_ecp5 -noflatten",
}
FAMILIES = tuple(_COMMANDS)


def synthesise(
    sources: Iterable[Path], top: str, leaves: Sequence[str], work: Path, family: str = "xcup", yosys: str = YOSYS
) -> dict[str, Area]:
    """The resources of every instance of a leaf module in a top level, each optimised by itself.

    Instances of the same parameters are synthesised once.

    Args:
        sources: SystemVerilog files.
        top: name of the top module.
        leaves: names of the leaf modules that it instantiates; what they instantiate belongs to them.
        work: folder with the memory images.
        family: ``xcup``, ``xcu``, ``xc7`` or ``ecp5``.
        yosys: the program.

    Returns:
        Resources by instance, and those of the top level's own logic by ``TOP``.

    Raises:
        HwflowError: there is no Yosys, or it fails.
    """
    program = shutil.which(yosys)
    if program is None:
        raise HwflowError(f"{yosys} is not on the PATH; install Yosys, or leave out the synthesis")
    files = " ".join(f'"{path.resolve()}"' for path in sources)
    with tempfile.TemporaryDirectory(prefix="hwflow-yosys-") as made:
        statistics, structure = Path(made) / "stat.json", Path(made) / "top.json"
        # A leaf's name stands in its parametrised module's, whole or after the parameters' hash. What is kept are
        # the top level's instances: a leaf in another leaf is part of that.
        instances = " ".join(
            f"{top}/t:{name}" for leaf in leaves for name in (leaf, f"$paramod*\\{leaf}", f"$paramod\\{leaf}\\*")
        )
        script = "\n".join([
            f"read_verilog -sv {files}",
            f"hierarchy -check -top {top}",
            f"setattr -set keep_hierarchy 1 {instances}",
            *_flattened(family),
            f"{_COMMANDS[family]} -top {top}",
            f"tee -q -o {statistics} stat -json",
            f"json -o {structure} {top}",
        ])  # fmt: skip
        (Path(made) / "run.ys").write_text(script + "\n")
        done = subprocess.run(
            [program, "-q", "-s", str(Path(made) / "run.ys")], cwd=work, capture_output=True, text=True
        )
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2]
            raise HwflowError(f"{yosys} ended with {done.returncode}: {said}")
        modules = modules_of(statistics.read_text())
        cells: dict[str, Any] = json.loads(structure.read_text())["modules"][top]["cells"]
    return _areas(top, {name.removeprefix("\\"): module for name, module in modules.items()}, cells)


def modules_of(statistics: str) -> dict[str, Any]:
    """The modules, by name, in what ``stat -json`` writes; below them Yosys 0.23 puts a tree that is no JSON."""
    _, key, rest = statistics.partition('"modules":')
    modules: dict[str, Any] = json.JSONDecoder().raw_decode(rest.lstrip())[0] if key else {}
    return modules


def _flattened(family: str) -> list[str]:
    """Before a synthesis that would keep every module by itself: what leaves instantiate becomes part of them."""
    return ["proc", "flatten"] if family == "ecp5" else []


def _areas(top: str, modules: dict[str, Any], cells: dict[str, Any]) -> dict[str, Area]:
    own: dict[str, int] = {}
    areas = {}
    for name, cell in cells.items():
        kind = cell["type"].removeprefix("\\")
        if kind in modules:
            areas[name] = area_of_cells(modules[kind]["num_cells_by_type"])
        else:
            own[kind] = own.get(kind, 0) + 1
    return {**areas, TOP: area_of_cells(own)}
