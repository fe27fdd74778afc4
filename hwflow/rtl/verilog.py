"""What there is to know of the Verilog that Vitis HLS writes: modules, their ports, instances and initialised memories.

It reads the plain style that the tool writes, one declaration a statement, and no Verilog beyond that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hwflow.errors import HwflowError
from hwflow.sim.hexfile import read_hex

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|\(\*.*?\*\)", re.DOTALL)
_MODULE = re.compile(r"\bmodule\s+(\w+)(.*?)\bendmodule\b", re.DOTALL)
_PARAMETER = re.compile(r"\bparameter\s+(\w+)\s*=\s*(?:\d+'d)?(\d+)\s*[;,)]")
_RANGE = r"\[\s*(\w+)\s*(-\s*1)?\s*:\s*0\s*\]"
_PORT = re.compile(rf"\b(input|output)\b\s*(?:wire|reg|logic)?\s*(?:{_RANGE})?\s*(\w+)\s*(?=[;,)])")
_ARRAY = re.compile(rf"\breg\s*{_RANGE}\s*(\w+)\s*\[\s*0\s*:\s*(\w+)\s*(-\s*1)?\s*\]\s*;")
_IMAGE = re.compile(r'\$readmemh\s*\(\s*"([^"]*)"\s*,\s*(\w+)')
_VALUE = re.compile(r"\b(\w+)\s*\[\s*(\d+)\s*\]\s*=\s*(?:\d+)?'([bhd])([0-9a-fA-F_]+)\s*;")
_INSTANCE = re.compile(r"(?<![\w.$])([A-Za-z_]\w*)\s*(?:#\s*\((?:[^()]|\([^()]*\))*\))?\s*([A-Za-z_]\w*)\s*\(")
_BASES = {"b": 2, "d": 10, "h": 16}


@dataclass(frozen=True)
class InitialisedMemory:
    """An array of registers with words of its own from the start.

    Attributes:
        module, array: where it is.
        width: bits of a word.
        words: of every address.
    """

    module: str
    array: str
    width: int
    words: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.module}.{self.array} ({len(self.words)} words of {self.width} bits)"


@dataclass(frozen=True)
class Module:
    """A module of a file.

    Attributes:
        name: its name.
        body: its text without comments and attributes, from after its name to ``endmodule``.
        file: where it is.
    """

    name: str
    body: str
    file: Path

    @cached_property
    def ports(self) -> Mapping[str, tuple[str, int]]:
        """``input`` or ``output``, and bits, by name; ports of a width that cannot be told are left out."""
        found = {}
        for direction, bound, less, name in _PORT.findall(self.body):
            bits = 1 if not bound else self._size(bound, less)
            if bits is not None:
                found[name] = (direction, bits)
        return found

    def instances(self, names: Mapping[str, Module]) -> Iterator[tuple[str, str]]:
        """Module and name of every instance of one of ``names``."""
        for module, name in _INSTANCE.findall(self.body):
            if module in names:
                yield module, name

    def memories(self) -> Iterator[InitialisedMemory]:
        """Its initialised memories.

        Raises:
            HwflowError: the file of one cannot be read, or does not fill it.
        """
        images = {array: file for file, array in _IMAGE.findall(self.body)}
        values: dict[str, dict[int, int]] = {}
        for array, address, base, digits in _VALUE.findall(self.body):
            values.setdefault(array, {})[int(address)] = int(digits.replace("_", ""), _BASES[base])
        for bound, less, array, last, less_last in _ARRAY.findall(self.body):
            width, depth = self._size(bound, less), self._size(last, less_last)
            if width is None or depth is None or (array not in images and array not in values):
                continue
            words = self._image(images[array]) if array in images else [values[array].get(i) for i in range(depth)]
            if len(words) != depth or None in words:
                raise HwflowError(f"{self.file}: {array} has {depth} words, not all of which are given a value")
            yield InitialisedMemory(self.name, array, width, tuple(word for word in words if word is not None))

    def _image(self, name: str) -> list[int]:
        path = Path(name) if Path(name).is_absolute() else self.file.parent / name
        try:
            return read_hex(path)
        except OSError as error:
            raise HwflowError(f"{self.file}: {path} cannot be read, which it fills a memory from") from error

    def _size(self, bound: str, less: str) -> int | None:
        """Of a range from a bound, or one less than it, to 0."""
        number = self._parameters.get(bound, int(bound) if bound.isdecimal() else None)
        return None if number is None else number + (0 if less else 1)

    @cached_property
    def _parameters(self) -> Mapping[str, int]:
        return {name: int(value) for name, value in _PARAMETER.findall(self.body)}


def read_modules(folder: Path) -> dict[str, Module]:
    """The modules of a folder's Verilog files, by name.

    Raises:
        HwflowError: there are none.
    """
    modules = {}
    for file in sorted(folder.glob("*.v")):
        for name, body in _MODULE.findall(_COMMENT.sub(" ", file.read_text(encoding="utf-8", errors="replace"))):
            modules[name] = Module(name, body, file)
    if not modules:
        raise HwflowError(f"{folder}: no Verilog files (*.v) with modules in it")
    return modules


def instance_paths(modules: Mapping[str, Module], top: str, wanted: str) -> list[str]:
    """Names from the top module, with dots, to every instance of a module below it."""
    if top == wanted:
        return [""]
    return [
        f"{name}.{path}" if path else name
        for module, name in modules[top].instances(modules)
        for path in instance_paths(modules, module, wanted)
    ]
