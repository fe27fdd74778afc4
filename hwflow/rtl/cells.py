"""What a netlist is put together with: streams, instances, and the cells that many nodes need."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from hwflow.fixed import FixedType, Overflow, Rounding
from hwflow.graph import Graph, Node, Window
from hwflow.graph.naming import Unique, identifiers
from hwflow.rtl.decoders import Parameter
from hwflow.rtl.structure import Instance, Rom, Stream

ROUNDING_CODES = {rounding: code for code, rounding in enumerate(Rounding)}
OVERFLOW_CODES = {overflow: code for code, overflow in enumerate(Overflow)}
INPUT_LANES = 4
"""A pixel of up to this many channels comes in as one beat, one of more channels element by element."""


class Cells:
    """Streams and instances of a design that is being built.

    Args:
        graph: what it computes.
        cycles: of an image, that its layers with weights or its input take.
    """

    def __init__(self, graph: Graph, cycles: int) -> None:
        self.graph = graph
        self.cycles = cycles
        self.streams: list[Stream] = []
        self.signals: dict[str, int] = {}
        self.instances: list[Instance] = []
        self.roms: list[Rom] = []
        self.names = identifiers(node.name for node in graph)
        self.unique = Unique(["s_axis"])

    def _fork(self, node: Node, source: Stream, readers: int, suffix: str = "fork") -> list[Stream]:
        """A stream as often as it is read."""
        prefix = suffix.removesuffix("fork")
        copies = [self._stream(node, source, f"{prefix}copy{i}") for i in range(readers)]
        self._instance("fork", node, {"WIDTH": source.width, "N": readers}, {"s": source}, *copies, suffix=suffix)
        return copies

    def _reduce(
        self,
        node: Node,
        source: Stream,
        out: Stream,
        positions: int,
        mode: int,
        accum: FixedType | None = None,
        edges: Mapping[str, Parameter] | None = None,
        suffix: str = "",
    ) -> Stream:
        """A pool over ``positions`` beats of every channel: the maximum, the average in ``accum``, or the sum."""
        parameters: dict[str, Parameter] = {
            "MODE": mode,
            "LANES": source.lanes,
            "CHANNELS": source.channels,
            "POSITIONS": positions,
            **type_parameters("IN", source.type),
            **output_parameters(out.type),
        }
        if accum is not None:
            parameters |= {"ACC_W": accum.width, "ACC_SHIFT": accum.fraction - source.type.fraction}
        self._instance("pool", node, parameters | dict(edges or {}), {"s": source}, out, suffix=suffix)
        return out

    def _table(
        self,
        node: Node,
        source: Stream,
        out: Stream,
        index: FixedType,
        rom: Rom,
        signals: Mapping[str, str],
        loads: Mapping[str, Parameter],
        suffix: str = "",
    ) -> Stream:
        """Every element through a table that its cast addresses."""
        parameters: dict[str, Parameter] = {
            "LANES": source.lanes,
            **type_parameters("IN", source.type),
            **type_parameters("INDEX", index),
            "ROUNDING": ROUNDING_CODES[index.rounding],
            "OVERFLOW": OVERFLOW_CODES[index.overflow],
            "OUT_W": out.type.width,
            "TABLE_FILE": image(rom.file),
            **loads,
        }
        self.roms.append(rom)
        self._instance("lookup", node, parameters, {"s": source}, out, signals=signals, suffix=suffix)
        return out

    def _second_port(self, wire: str, port: str, served: bool) -> dict[str, str]:
        """The signals of a second port, which the configuration ring serves or nothing does."""
        pins = ("en_i", "we_i", "addr_i", "wdata_i")
        read = f"{wire}_{port}_rdata_o"
        if served:
            return {f"{port}_{pin}": f"{wire}_{port}_{pin}" for pin in pins} | {f"{port}_rdata_o": read}
        self.signals[read] = 1
        return {f"{port}_{pin}": "1'b0" for pin in pins} | {f"{port}_rdata_o": read}

    def _to_lanes(self, node: Node, source: Stream, lanes: int, prefix: str = "") -> Stream:
        """``source`` with another number of lanes, by way of their common divisor where neither divides."""
        if source.lanes == lanes:
            return source
        common = math.gcd(source.lanes, lanes)
        for target in (common, lanes):
            if source.lanes == target:
                continue
            suffix = f"{prefix}lanes{target}"
            elements = source.beats * source.lanes
            out = self._stream(node, replace(source, lanes=target, beats=elements // target), suffix)
            parameters = {"W": source.type.width, "LANES_IN": source.lanes, "LANES_OUT": target}
            self._instance("width", node, parameters, {"s": source}, out, suffix=suffix)
            source = out
        return source

    def _keeping_pace(self, node: Node, source: Stream, elements: int) -> Stream:
        """``source`` with enough lanes for ``elements`` an image to cost no cycles, or all that there are."""
        return self._to_lanes(node, source, self._enough_lanes(source.lanes, source.channels, elements))

    def _enough_lanes(self, lanes: int, channels: int, elements: int) -> int:
        """The fewest multiple of ``lanes`` that divides ``channels`` and costs no cycles, or the most."""
        counts = [count for count in range(lanes, channels + 1, lanes) if channels % count == 0] or [lanes]
        return next((count for count in counts if elements <= count * self.cycles), counts[-1])

    def _fifo(self, node: Node, source: Stream, beats: int, prefix: str) -> Stream:
        """A FIFO of at least so many beats; one of a single beat would take it every other cycle only."""
        depth = max(2, beats)
        out = self._stream(node, source, f"{prefix}fifo")
        self._instance(
            "fifo", node, {"WIDTH": source.width, "DEPTH": depth}, {"s": source}, out, suffix=f"{prefix}fifo"
        )
        return out

    def _window(self, node: Node, window: Window, source: Stream, pad_code: int, positions: int = 1) -> Stream:
        """Windows, a beat for so many positions of the kernel, of all channels if they are several."""
        if window.kernel == (1, 1) and window.strides == (1, 1) and not any(window.padding):
            return source
        height, width, channels = self.graph.inputs_of(node)[0].shape
        top, bottom, left, right = window.padding
        lanes = source.lanes * positions
        beats = math.prod(node.shape[:2]) * math.prod(window.kernel) * channels // lanes
        out = self._stream(node, replace(source, lanes=lanes, beats=beats), "window")
        parameters: dict[str, Parameter] = {
            "W": source.type.width,
            "LANES": source.lanes,
            "CHANNELS": channels,
            **({"POSITIONS": positions} if positions > 1 else {}),
            "IN_H": height,
            "IN_W_PX": width,
            "K_H": window.kernel[0],
            "K_W": window.kernel[1],
            "STRIDE_H": window.strides[0],
            "STRIDE_W": window.strides[1],
            "PAD_T": top,
            "PAD_B": bottom,
            "PAD_L": left,
            "PAD_R": right,
            "PAD_VALUE": f"{source.type.width}'h{pad_code:x}",
            # A row more than the module needs takes in the next image's first row while this one's last rows leave.
            "BUF_ROWS": min(window.kernel[0], height) + min(window.kernel[0], window.strides[0]),
        }
        self._instance("window", node, parameters, {"s": source}, out, suffix="window")
        return out

    def _tensor(self, node: Node, type_: FixedType, lanes: int) -> Stream:
        elements = math.prod(node.shape)
        return self._stream(node, Stream("", type_, lanes, node.shape[-1], elements // lanes))

    def _stream(self, node: Node, like: Stream, suffix: str = "") -> Stream:
        stream = replace(like, name=self._name("s", node, suffix))
        self.streams.append(stream)
        return stream

    def _instance(
        self,
        module: str,
        node: Node,
        parameters: Mapping[str, Parameter],
        inputs: Mapping[str, Stream],
        *outputs: Stream,
        suffix: str = "",
        signals: Mapping[str, str] | None = None,
    ) -> str:
        """Add an instance; its name."""
        name = self._name("u", node, suffix)
        self.instances.append(Instance(f"hwflow_{module}", name, node.name, parameters, inputs, outputs, signals or {}))
        return name

    def _name(self, prefix: str, node: Node, suffix: str) -> str:
        return self.unique("_".join(part for part in (prefix, self.names[node.name], suffix) if part))


def input_lanes(node: Node) -> int:
    """Elements that the input of a design takes in a cycle."""
    return node.shape[-1] if node.shape[-1] <= INPUT_LANES else 1


def image(file: str) -> str:
    """The name of a memory image as the top level hands it on; the macro puts its folder before it."""
    return f'`HWFLOW_MEM("{file}")'


def type_parameters(prefix: str, type_: FixedType) -> dict[str, Parameter]:
    """The parameters that state a type."""
    return {
        f"{prefix}_W": type_.width,
        f"{prefix}_FRAC": type_.fraction,
        f"{prefix}_SIGNED": int(type_.signed),
    }


def output_parameters(type_: FixedType) -> dict[str, Parameter]:
    """The parameters of a cast to a type."""
    return {
        **type_parameters("OUT", type_),
        "ROUNDING": ROUNDING_CODES[type_.rounding],
        "OVERFLOW": OVERFLOW_CODES[type_.overflow],
    }
