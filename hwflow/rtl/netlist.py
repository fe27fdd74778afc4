"""From the typed graph to a netlist: which leaf modules, with which parameters, joined by which streams."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from hwflow.errors import HwflowError
from hwflow.fixed import FixedType
from hwflow.graph import (
    Affine,
    Average,
    AveragePool2D,
    Concatenate,
    DepthwiseConv2D,
    Flatten,
    GlobalAveragePool2D,
    Graph,
    Input,
    LeakyReLU,
    Lookup,
    Maximum,
    MaxPool2D,
    Merge,
    Minimum,
    Move,
    Multiply,
    Node,
    ReLU,
    Rescale,
    Reshape,
    Softmax,
    Subtract,
    WeightLayer,
)
from hwflow.graph.naming import identifier
from hwflow.rtl.cells import input_lanes, output_parameters, type_parameters
from hwflow.rtl.decoders import Parameter
from hwflow.rtl.depth import FifoDepths
from hwflow.rtl.moves import move_cell, scatters_channels, waiting_beats
from hwflow.rtl.slices import with_slices
from hwflow.rtl.softmax import SoftmaxCells
from hwflow.rtl.structure import ConstantUnit, Loadable, Netlist, Rom, Stream
from hwflow.rtl.timing import AVERAGE, MAXIMUM
from hwflow.rtl.weight_cells import WeightCells

MERGE_OPS: Mapping[type[Merge], Mapping[str, Parameter]] = {Subtract: {"OP": 1}, Maximum: {"OP": 2}, Minimum: {"OP": 3}}
"""What ``hwflow_add`` does instead of adding."""


def build_netlist(graph: Graph, reuse: Mapping[str, int], loadable: Loadable | None = None) -> Netlist:
    """The dataflow design of a typed graph, or of that part of it which the RTL has.

    Args:
        graph: a typed graph.
        reuse: reuse factor of every weight layer.
        loadable: whether rests, tables and constants can be written, and into how much room.

    Raises:
        HwflowError: an operation that the RTL lacks, an invalid reuse factor, or outliers that the room does not hold.
    """
    if not graph.is_typed:
        raise HwflowError("RTL is made from hardened graphs only; harden the network first")
    return _Builder(graph.in_rtl, reuse, loadable).build()


class _Builder(WeightCells, SoftmaxCells):
    def __init__(self, graph: Graph, reuse: Mapping[str, int], loadable: Loadable | None) -> None:
        super().__init__(graph, reuse, loadable)
        self.depths = FifoDepths(graph)
        self.constants: list[ConstantUnit] = []
        self.available: dict[str, list[Stream]] = {}

    def build(self) -> Netlist:
        for node in self.graph:
            sources = [self.available[name].pop(0) for name in node.inputs]
            self._publish(node, self._node(node, sources))
        output = self.available[self.graph.output.name][0]
        entry = self.streams[0]
        name = identifier(self.graph.name)
        loadable = self.loadable is not None
        cells = (self.streams, self.signals, self.instances, self.units, self.constants)
        netlist = Netlist(name, entry, output, *cells, loadable, self.roms)
        return with_slices(netlist, self.unique)

    def _publish(self, node: Node, stream: Stream) -> None:
        """Offer a tensor to its readers, through a fork where there are several."""
        readers = len(self.graph.consumers[node.name])
        self.available[node.name] = [stream] if readers < 2 else self._fork(node, stream, readers)

    def _node(self, node: Node, sources: list[Stream]) -> Stream:
        match node:
            case Input():
                return self._tensor(node, node.resolved, input_lanes(node))
            case Affine():
                return self._affine(node, sources[0])
            case DepthwiseConv2D():
                return self._depthwise(node, sources[0])
            case WeightLayer():
                return self._weight_layer(node, sources[0])
            case ReLU():
                limit = {} if node.limit is None else {"LIMIT": int(node.limit.codes[0])}
                port = self._constants(node, 1, int(bool(limit)), node.resolved.width)
                return self._elementwise("relu", node, sources[0], limit, port)
            case LeakyReLU():
                return self._leaky(node, sources[0])
            case Lookup():
                return self._lookup(node, sources[0])
            case Reshape() | Flatten():
                channels = node.shape[-1]
                lanes = math.gcd(sources[0].lanes, channels)
                return replace(self._to_lanes(node, sources[0], lanes), channels=channels)
            case Move():
                return self._move(node, sources[0])
            case Rescale():
                return self._rescale(node, sources[0])
            case Merge():
                return self._merge(node, sources)
            case Concatenate():
                return self._concatenate(node, sources)
            case MaxPool2D() | AveragePool2D():
                return self._pool(node, sources[0])
            case GlobalAveragePool2D():
                source = self.graph.inputs_of(node)[0]
                return self._pooled(node, sources[0], math.prod(source.shape[:-1]), node.accum)
            case Softmax():
                return self._softmax(node, sources[0])
        raise HwflowError(f"{node.name}: the RTL has no {node.op}")

    def _move(self, node: Move, source: Stream) -> Stream:
        if scatters_channels(node):
            source = self._to_lanes(node, source, 1)
        else:
            source = self._keeping_pace(node, source, math.prod(node.shape))
        shape = self.graph.inputs_of(node)[0].shape
        if waiting := waiting_beats(node, shape, source):
            source = self._fifo(node, source, waiting, "row")
        module, parameters = move_cell(node, shape, source)
        out = self._tensor(node, node.resolved, source.lanes)
        self._instance(module, node, parameters, {"s": source}, out)
        return out

    def _constants(self, node: Node, lanes: int, words: int, bits: int) -> tuple[dict[str, str], dict[str, Parameter]]:
        """The second port of so many words of constants, and the parameter that says whether it is served."""
        wire = self._name("w", node, "")
        if self.loadable is None or not words:
            return self._second_port(wire, "mb", False), {}
        self.constants.append(ConstantUnit(node.name, wire, lanes, words, bits))
        return self._second_port(wire, "mb", True), {"LOADABLE": 1}

    def _elementwise(
        self,
        module: str,
        node: Node,
        source: Stream,
        extra: Mapping[str, Parameter],
        constants: tuple[dict[str, str], dict[str, Parameter]],
    ) -> Stream:
        signals, loads = constants
        out = self._tensor(node, node.resolved, source.lanes)
        parameters = {
            "LANES": source.lanes,
            **type_parameters("IN", source.type),
            **output_parameters(node.resolved),
            **extra,
            **loads,
        }
        self._instance(module, node, parameters, {"s": source}, out, signals=signals)
        return out

    def _leaky(self, node: LeakyReLU, source: Stream) -> Stream:
        slope, codes = node.slope.type, node.slope.codes.tolist()
        assert slope is not None
        # Slopes as signed codes, wide enough for one.
        bits = max(slope.width + (not slope.signed), slope.fraction + 2)
        word = sum((code & ((1 << bits) - 1)) << (i * bits) for i, code in enumerate(codes))
        parameters: dict[str, Parameter] = {
            "LANES": source.lanes,
            "CHANNELS": source.channels,
            "THRESHOLD": 0 if node.threshold is None else int(node.threshold.codes[0]),
            **type_parameters("IN", source.type),
            **output_parameters(node.resolved),
            "M_W": bits,
            "M_FRAC": slope.fraction,
            "UNIFORM": int(len(codes) == 1),
            "M": f"{bits * len(codes)}'h{word:x}",
        }
        out = self._tensor(node, node.resolved, source.lanes)
        self._instance("leaky", node, parameters, {"s": source}, out)
        return out

    def _lookup(self, node: Lookup, source: Stream) -> Stream:
        index, bits = node.index, node.resolved.width
        assert index is not None
        rom = Rom(node.name, "lookup", f"{self.names[node.name]}_lookup.mem", bits, self.loadable is not None)
        signals, loads = self._constants(node, 1, 1 << index.width, bits)
        out = self._tensor(node, node.resolved, source.lanes)
        return self._table(node, source, out, index, rom, signals, loads)

    def _rescale(self, node: Rescale, source: Stream) -> Stream:
        factor = node.factor.type
        assert factor is not None
        if factor.width == 1 and node.resolved == source.type.shifted(-factor.fraction):
            return replace(source, type=node.resolved)
        codes = node.factor.codes.tolist()
        word = sum(code << (i * factor.width) for i, code in enumerate(codes))
        bits = factor.width * len(codes)
        extra: dict[str, Parameter] = {
            "CHANNELS": source.channels,
            "UNIFORM": int(len(codes) == 1),
            "M_W": factor.width,
            "M_FRAC": factor.fraction,
            "M": f"{bits}'h{word:x}",
        }
        lanes = 1 if len(codes) == 1 else source.lanes
        port = self._constants(node, lanes, len(codes) // lanes, factor.width)
        return self._elementwise("rescale", node, source, extra, port)

    def _merge(self, node: Merge, sources: list[Stream]) -> Stream:
        lanes = max(source.lanes for source in sources)
        a, b = self._buffered(node, sources, lanes)
        out = self._tensor(node, node.resolved, lanes)
        # A mean is the sum of halves.
        halves = int(isinstance(node, Average))
        parameters = {
            "LANES": lanes,
            **type_parameters("A", a.type.shifted(-halves)),
            **type_parameters("B", b.type.shifted(-halves)),
            **output_parameters(node.resolved),
            **MERGE_OPS.get(type(node), {}),
        }
        module = "multiply" if isinstance(node, Multiply) else "add"
        self._instance(module, node, parameters, {"a": a, "b": b}, out)
        return out

    def _concatenate(self, node: Concatenate, sources: list[Stream]) -> Stream:
        # Every beat is of one input only, so the lanes divide the channels of both.
        fitting = [s.lanes for s in sources if all(other.channels % s.lanes == 0 for other in sources)]
        lanes = max(fitting, default=math.gcd(*(source.lanes for source in sources)))
        common = math.gcd(*(source.channels for source in sources))
        lanes = self._enough_lanes(lanes, common, math.prod(node.shape))
        a, b = self._buffered(node, sources, lanes)
        out = self._tensor(node, node.resolved, lanes)
        parameters: dict[str, Parameter] = {
            "LANES": lanes,
            "A_BEATS": a.channels // lanes,
            "B_BEATS": b.channels // lanes,
            **type_parameters("A", a.type),
            **type_parameters("B", b.type),
            **output_parameters(node.resolved),
        }
        self._instance("concat", node, parameters, {"a": a, "b": b}, out)
        return out

    def _buffered(self, node: Merge | Concatenate, sources: list[Stream], lanes: int) -> tuple[Stream, Stream]:
        """Both inputs with ``lanes`` lanes, through FIFOs that keep their paths from blocking each other."""
        streams = [self._to_lanes(node, source, lanes, prefix) for source, prefix in zip(sources, "ab", strict=True)]
        a, b = (
            self._fifo(node, stream, depth * (stream.channels // stream.lanes), prefix)
            for stream, depth, prefix in zip(streams, self.depths.of(node), "ab", strict=True)
        )
        return a, b

    def _pool(self, node: MaxPool2D | AveragePool2D, source: Stream) -> Stream:
        positions = math.prod(node.window.kernel)
        if node.window.kernel == self.graph.inputs_of(node)[0].shape[:2] and not any(node.window.padding):
            return self._pooled(node, source, positions, node.accum if isinstance(node, AveragePool2D) else None)
        source = self._keeping_pace(node, source, math.prod(node.shape) * positions)
        if isinstance(node, AveragePool2D):
            windows = self._window(node, node.window, source, 0)
            if node.divisor is not None:
                return self._pooled(node, windows, positions, node.accum)
            # It has the window's sizes, from which it knows how much of each lies in the image.
            names = ("IN_H", "IN_W_PX", "K_H", "K_W", "STRIDE_H", "STRIDE_W", "PAD_T", "PAD_L")
            sizes = {name: self.instances[-1].parameters[name] for name in names}
            edges: dict[str, Parameter] = {"EDGES": 1, **sizes, "OUT_H": node.shape[0], "OUT_W_PX": node.shape[1]}
            return self._pooled(node, windows, positions, node.accum, edges)
        lowest = source.type.min_code & ((1 << source.type.width) - 1)
        return self._pooled(node, self._window(node, node.window, source, lowest), positions, None)

    def _pooled(
        self,
        node: Node,
        source: Stream,
        positions: int,
        accum: FixedType | None,
        edges: Mapping[str, Parameter] | None = None,
    ) -> Stream:
        """The average of ``positions`` beats of every channel in ``accum``, else their maximum."""
        out = self._tensor(node, node.resolved, source.lanes)
        return self._reduce(node, source, out, positions, MAXIMUM if accum is None else AVERAGE, accum, edges)
