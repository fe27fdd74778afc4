"""How many cycles a design takes, and how full its FIFOs are: a model of the netlist, beat by beat.

Streams are channels, cells are processes (``cycles.cpp``). A beat moves in the first cycle in which it is offered and
accepted; what a cell offers and accepts follows from its function and its :class:`~hwflow.rtl.timing.Timing`. Nothing
is computed for cycles in which nothing moves, so that a ResNet50 of 224x224 pixels takes seconds an image.

The model differs from the RTL where a cell that waits stops everything in it, bubbles too: here beats close up.
``tests/exact/test_rtl_cycles.py`` holds cycles and occupancies against the RTL.
"""

from __future__ import annotations

import ctypes
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from hwflow.errors import HwflowError
from hwflow.reference.kernels.library import Build, compile_and_load, compiler_name
from hwflow.rtl.structure import Instance, Netlist
from hwflow.rtl.timing import timing

SOURCE = "cycles.cpp"
HEADERS = ("cycles_process.h", "cycles_cells.h", "cycles_moves.h")
FIFO = "hwflow_fifo"
WINDOW = "hwflow_window"
IMAGES = 3
"""Images that are run through at least: the first fills the design, the last two give the cycles."""
MOST_IMAGES = 64
UNBOUNDED = 0
"""Depth of a FIFO that is never full."""
SIDE_CELLS = {"hwflow_weights"}
"""Cells without streams."""

_KINDS = (
    "source", "sink", "pipe", "fork", "add", "concat", "matrix", "pool", "window", "widen", "narrow", "fifo",
    "border", "repeat", "permute",
)  # fmt: skip
_FIELDS = 20
_SIZES = ("CHANNELS", "IN_H", "IN_W_PX", "K_H", "K_W", "STRIDE_H", "STRIDE_W", "PAD_T", "PAD_L", "BUF_ROWS")
_DEPTH = 3
_BUF_ROWS = 3 + _SIZES.index("BUF_ROWS")

_BORDER = ("BEATS", "IN_H", "IN_W_PX", *(f"{kind}_{side}" for kind in ("CROP", "PAD") for side in "TBLR"))


@dataclass(frozen=True)
class Flow:
    """How images went through a design.

    Attributes:
        finished: cycle in which each image's last beat left; the first beat of the first image is offered in cycle 0.
            What stands at the ports of the top level adds latency.
        most: of every FIFO by instance, the most beats that were inside at once, one that comes in included.
        rows: of every window by instance, the rows of its line buffer with which all came in as it did.
    """

    finished: tuple[int, ...]
    most: Mapping[str, int]
    rows: Mapping[str, int]

    @property
    def cycles_per_image(self) -> float:
        """Cycles from one image's end to the next one's, without the first image."""
        return (self.finished[-1] - self.finished[1]) / (len(self.finished) - 2)


@dataclass(frozen=True)
class Pace:
    """How fast a design is, clock cycles.

    Attributes:
        one_image: from the first beat of an image to its last result, with no other image inside.
        image_to_image: from an image's end to the next one's, where images follow one another.
    """

    one_image: int
    image_to_image: float


class CycleModel:
    """A design that images can be run through.

    Args:
        netlist: the design.

    Raises:
        HwflowError: there is no C++ compiler.
    """

    def __init__(self, netlist: Netlist) -> None:
        built = library()
        if built.library is None:
            raise HwflowError(f"the cycle model cannot be built: {built.note}; install g++ or set CXX")
        self._run = built.library.hwflow_cycles
        self._run.restype = ctypes.c_int64
        self._netlist = netlist
        self._cells = [cell for cell in netlist.instances if cell.module not in SIDE_CELLS]
        self._channels = {stream.name: number for number, stream in enumerate(netlist.streams)}
        ports = max(max(len(cell.inputs), len(cell.outputs)) for cell in self._cells)
        self._kinds = np.zeros(len(self._cells), np.int32)
        self._fields = np.zeros((len(self._cells), _FIELDS), np.int64)
        self._inputs = np.full((len(self._cells), ports), -1, np.int32)
        self._outputs = np.full((len(self._cells), ports), -1, np.int32)
        for row, cell in enumerate(self._cells):
            kind, fields = _process(cell)
            self._kinds[row] = _KINDS.index(kind)
            self._fields[row, : len(fields)] = fields
            self._inputs[row, : len(cell.inputs)] = [self._channels[stream.name] for stream in cell.inputs.values()]
            self._outputs[row, : len(cell.outputs)] = [self._channels[stream.name] for stream in cell.outputs]
        self._fifos, self._windows = (
            {cell.name: row for row, cell in enumerate(self._cells) if cell.module == module}
            for module in (FIFO, WINDOW)
        )

    def run(
        self,
        images: int,
        depths: Mapping[str, int] | None = None,
        period: float = 0,
        rows: Mapping[str, int] | None = None,
    ) -> Flow:
        """Run images through the design.

        Args:
            images: how many, at least 3.
            depths: of FIFOs, by instance, instead of the netlist's.
            period: cycles over which the beats of an image come evenly; 0 where they come as they are taken.
            rows: of line buffers, by instance of their windows, instead of the netlist's.

        Raises:
            HwflowError: the design deadlocks.
        """
        fields = self._fields.copy()
        for name, depth in (depths or {}).items():
            fields[self._fifos[name], _DEPTH] = depth
        for name, count in (rows or {}).items():
            fields[self._windows[name], _BUF_ROWS] = count
        finished, most = np.zeros(images, np.int64), np.zeros(len(self._cells), np.int64)
        entry, out = self._netlist.input, self._netlist.output
        done = self._run(
            *(
                ctypes.c_int32(number)
                for number in (*self._inputs.shape[:1], len(self._channels), self._inputs.shape[1])
            ),
            *(array.ctypes for array in (self._kinds, fields, self._inputs, self._outputs)),
            *(ctypes.c_int32(self._channels[stream.name]) for stream in (entry, out)),
            *(ctypes.c_int64(number) for number in (entry.beats, out.beats, images)),
            ctypes.c_double(period),
            *(array.ctypes for array in (finished, most)),
        )
        if done < images:
            raise HwflowError(f"the design stops after {done} of {images} images: a FIFO is too small")
        inside = ({name: int(most[row]) for name, row in rows.items()} for rows in (self._fifos, self._windows))
        return Flow(tuple(finished.tolist()), *inside)


def pace(netlist: Netlist) -> Pace | None:
    """How fast a design with its FIFOs is; None if the model cannot be compiled."""
    if library().library is None:
        return None
    model = CycleModel(netlist)
    flow = model.run(IMAGES)
    images = enough_images(flow)
    cycles = (flow if images == IMAGES else model.run(images)).cycles_per_image
    return Pace(flow.finished[0] + 1, cycles)


def enough_images(flow: Flow) -> int:
    """Images that fill a design whose first ones went through so."""
    inside = math.ceil(flow.finished[0] / flow.cycles_per_image)
    return IMAGES if inside < IMAGES else min(inside + 2, MOST_IMAGES)


@cache
def library() -> Build:
    """The compiled model, or why there is none."""
    compiler = shutil.which(compiler_name())
    if compiler is None:
        return Build(None, f"no C++ compiler ({compiler_name()} is not on the PATH)")
    folder = resources.files(__package__)
    files = {name: (folder / name).read_bytes() for name in (SOURCE, *HEADERS)}
    return compile_and_load(compiler, "portable C++", (), SOURCE, files)


def _process(cell: Instance) -> tuple[str, list[int]]:
    """Kind and fields of a cell's process."""
    values = {name: value for name, value in cell.parameters.items() if isinstance(value, int)}
    match cell.module:
        case "hwflow_fork":
            return "fork", []
        case "hwflow_width":
            narrow, wide = sorted((values["LANES_IN"], values["LANES_OUT"]))
            return ("widen" if values["LANES_IN"] < values["LANES_OUT"] else "narrow"), [0, 0, 0, wide // narrow]
    held = timing(cell.module, cell.parameters)
    fields = [held.latency, held.capacity, held.freed]
    match cell.module:
        case "hwflow_fifo":
            return "fifo", [*fields, values["DEPTH"]]
        case "hwflow_relu" | "hwflow_slice" | "hwflow_rescale" | "hwflow_leaky" | "hwflow_lookup" | "hwflow_affine":
            return "pipe", fields
        case "hwflow_add" | "hwflow_multiply":
            return "add", fields
        case "hwflow_concat":
            return "concat", [*fields, values["A_BEATS"], values["B_BEATS"]]
        case "hwflow_border":
            return "border", [*fields, *(values[name] for name in _BORDER)]
        case "hwflow_repeat":
            return "repeat", [*fields, values["BEATS"], values["IN_W_PX"], values["ROWS"], values["COLUMNS"]]
        case "hwflow_permute":
            return "permute", [*fields, values["SIZE_0"] * values["SIZE_1"] * values["SIZE_2"]]
        case "hwflow_mvu":
            return "matrix", [*fields, values["N_IN"] // values["SIMD"], values["N_OUT"] // values["PE"]]
        case "hwflow_pool":
            beats = values["CHANNELS"] // values["LANES"]
            return "pool", [*fields, values["POSITIONS"] * beats, beats]
        case "hwflow_depthwise":
            beats = values["CHANNELS"] // values["PE"]
            return "pool", [*fields, values["POSITIONS"] * beats, beats]
        case "hwflow_window":
            sizes = [values[name] for name in _SIZES]
            sizes[0] //= values["LANES"]
            rows = values["IN_H"] + values["PAD_T"] + values["PAD_B"] - values["K_H"]
            columns = values["IN_W_PX"] + values["PAD_L"] + values["PAD_R"] - values["K_W"]
            outputs = [rows // values["STRIDE_H"] + 1, columns // values["STRIDE_W"] + 1]
            return "window", [*fields, *sizes, *outputs, held.readable, values.get("POSITIONS", 1)]
    raise HwflowError(f"{cell.name}: the cycle model has no {cell.module}")
