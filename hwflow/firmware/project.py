"""A written Vitis project and the ``hwflow.json`` in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from hwflow.errors import HwflowError
from hwflow.files.folders import FILES, FolderKind, files_in, read_json, write_json

FIRMWARE = FolderKind("firmware project", "hwflow.json", "hwflow-firmware", ("csim/*", "tb_data/*.log"))
VERSION = 1

IOType = Literal["io_stream", "io_parallel"]
"""hls4ml's interface styles."""


@dataclass(frozen=True)
class ProjectMemory:
    """Where a memory of the design is found in the C++.

    Attributes:
        symbol: name of the array, and of its file ``firmware/weights/<symbol>.txt``.
        type: C++ type of an element, which is one weight, or one word of a code.
        size: number of elements.
        layout: axes of the weights, the outermost first; it is the order in which the memory stores them.
        code: name of the storage code, if its words are not the weights themselves.
        decoder: C++ type of the code, in ``firmware/nnet_utils``, ``hwflow_stored.h`` or ``hwflow_words.h``; the tables
            and constants of one that has any are in ``firmware/parameters.h``.
        word_bits: width of a stored word.
        weights_per_word: weights of a word, the first in the lowest bits, if it holds the weights' own.
        rows: parts of equal size that each begin a new word; what is left of their last words holds zeros.
    """

    symbol: str
    type: str
    size: int
    layout: tuple[str, ...]
    code: str | None = None
    decoder: str | None = None
    word_bits: int | None = None
    weights_per_word: int | None = None
    rows: int | None = None


@dataclass(frozen=True)
class FirmwareProject:
    """A Vitis project that hwflow wrote.

    Attributes:
        path: its folder.
        name: of the top function and of the source files.
        hwflow: version of hwflow that wrote it.
        graph: digest of the hardened graph.
        io_type: ``io_stream`` or ``io_parallel``.
        part: the FPGA part.
        clock_period: in ns.
        bram_ports: whether weights are external block RAM ports.
        reuse: reuse factor by layer.
        memories: by the names that fault lists use, ``<layer>.weight`` and ``<layer>.bias``.
        notes: what was chosen differently from what was asked, one line each.
    """

    path: Path
    name: str
    hwflow: str
    graph: str
    io_type: str
    part: str
    clock_period: float
    bram_ports: bool
    reuse: Mapping[str, int]
    memories: Mapping[str, ProjectMemory]
    notes: tuple[str, ...] = field(default=())

    def write(self, folder: Path) -> None:
        """Write ``hwflow.json`` into ``folder``, whose other files are there."""
        data = {key: value for key, value in asdict(self).items() if key != "path"}
        data["memories"] = {
            name: {key: value for key, value in memory.items() if value is not None}
            for name, memory in data["memories"].items()
        }
        write_json(
            folder / FIRMWARE.manifest,
            {"format": FIRMWARE.format, "version": VERSION} | data | {FILES: files_in(folder)},
        )


def open_project(path: str | Path) -> FirmwareProject:
    """The project in a folder.

    Raises:
        HwflowError: there is none, or its ``hwflow.json`` is missing, corrupt or of another format.
    """
    folder = Path(path)
    file = folder / FIRMWARE.manifest
    if not file.is_file():
        raise HwflowError(f"{folder}: no firmware project of hwflow (no {file.name}); write one with hwflow generate")
    try:
        data = read_json(file)
        if (data.pop("format"), data.pop("version")) != (FIRMWARE.format, VERSION):
            raise HwflowError(f"{file}: written by another version of hwflow; generate the project again")
        data.pop(FILES)
        memories = {
            name: ProjectMemory(**(memory | {"layout": tuple(memory["layout"])}))
            for name, memory in data.pop("memories").items()
        }
        return FirmwareProject(path=folder, memories=memories, notes=tuple(data.pop("notes")), **data)
    except (KeyError, TypeError, AttributeError) as error:
        raise HwflowError(f"{file}: corrupt ({type(error).__name__}: {error}); generate the project again") from error
