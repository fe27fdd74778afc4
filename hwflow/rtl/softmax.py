"""Softmax, put together of cells that other nodes have.

The elements of a vector come one by one. The largest is found by a pool, repeated and subtracted; a table gives the
exponentials, which a second pool sums up; a table gives the reciprocal of the sum, and a product the probability. What
waits for the largest, and for the sum, waits in FIFOs, so that a vector is taken while those before it are divided: an
element moves every cycle.
"""

from __future__ import annotations

from dataclasses import replace

from hwflow.errors import HwflowError
from hwflow.fixed import FixedType
from hwflow.graph import Softmax
from hwflow.graph.graph import MOST_INDEX_BITS
from hwflow.rtl.cells import Cells, output_parameters, type_parameters
from hwflow.rtl.decoders import Parameter
from hwflow.rtl.structure import Rom, Stream
from hwflow.rtl.timing import MAXIMUM, SUM

UNDER_WAY = 32
"""Beats that come while a vector's last element becomes its largest, or its sum's reciprocal."""


class SoftmaxCells(Cells):
    """The cells of softmaxes."""

    def _softmax(self, node: Softmax, source: Stream) -> Stream:
        exp, inverse = self._softmax_tables(node)
        x = self._to_lanes(node, source, 1)
        largest, waiting = self._with_reduced(node, x, MAXIMUM, x.type, "max")
        # Of max - x every bit is kept.
        difference = FixedType(x.type.width + 1, x.type.integer + 1)
        away = self._merged(node, "add", {"OP": 1}, largest, waiting, difference, "minus")
        assert node.norm is not None and node.inv_input is not None and node.accum is not None
        assert node.exp_table is not None and node.inv_table is not None
        power = self._constant_table(node, away, node.exp_table, node.norm, exp)
        total, waiting = self._with_reduced(
            node, power, SUM, node.accum, "sum", (node.inv_input, node.inv_table, inverse)
        )
        return self._merged(node, "multiply", {}, waiting, total, node.resolved, "")

    def _softmax_tables(self, node: Softmax) -> tuple[Rom, Rom]:
        """The tables, if a ``hwflow_lookup`` can have them, and the sum is exact."""
        norm, total, entry, accum = node.norm, node.inv_input, node.exp_table, node.accum
        assert norm is not None and total is not None and entry is not None and accum is not None
        assert node.inv_table is not None
        sizes = ((norm, node.exp_size), (total, node.inv_size))
        if any(1 << type_.width != size for type_, size in sizes) or total.width > MOST_INDEX_BITS:
            raise HwflowError(
                f"{node.name}: the RTL has no softmax with tables of {node.exp_size} exponentials and {node.inv_size} "
                f"reciprocals, only of all codes of types up to {MOST_INDEX_BITS} bits wide; leave it out, or have "
                "fewer classes"
            )
        growth = (node.shape[-1] - 1).bit_length()
        if entry.signed or accum.signed or accum.fraction != entry.fraction or accum.width < entry.width + growth:
            raise HwflowError(
                f"{node.name}: a sum of {node.shape[-1]} {entry} does not fit {accum}, as the RTL needs it"
            )
        name = self.names[node.name]
        tables = (("exp", entry), ("inverse", node.inv_table))
        exp, inverse = (Rom(node.name, kind, f"{name}_{kind}.mem", type_.width) for kind, type_ in tables)
        return exp, inverse

    def _with_reduced(
        self,
        node: Softmax,
        source: Stream,
        mode: int,
        type_: FixedType,
        kind: str,
        table: tuple[FixedType, FixedType, Rom] | None = None,
    ) -> tuple[Stream, Stream]:
        """What a vector is reduced to, once for each of its elements, and the vector itself, which waits for that."""
        count = node.shape[-1]
        to_pool, to_wait = self._fork(node, source, 2, f"{kind}_fork")
        one = self._stream(node, Stream("", type_, 1, 1, source.beats // count), kind)
        reduced = self._reduce(node, replace(to_pool, channels=1), one, count, mode, suffix=kind)
        if table is not None:
            index, entry, rom = table
            reduced = self._constant_table(node, reduced, entry, index, rom)
        reduced = self._fifo(node, reduced, 2, f"{kind}_")
        sizes: dict[str, Parameter] = {"BEATS": 1, "IN_W_PX": 1, "ROWS": 1, "COLUMNS": count}
        parameters: dict[str, Parameter] = {"W": reduced.type.width, "LANES": 1, **sizes}
        repeated = self._stream(node, replace(reduced, channels=count, beats=source.beats), f"{kind}_repeat")
        self._instance("repeat", node, parameters, {"s": reduced}, repeated, suffix=f"{kind}_repeat")
        return repeated, self._fifo(node, to_wait, 2 * count + UNDER_WAY, f"{kind}_wait")

    def _constant_table(self, node: Softmax, source: Stream, type_: FixedType, index: FixedType, rom: Rom) -> Stream:
        out = self._stream(node, replace(source, type=type_), rom.kind)
        signals = self._second_port(self._name("w", node, rom.kind), "mb", False)
        return self._table(node, source, out, index, rom, signals, {}, rom.kind)

    def _merged(
        self,
        node: Softmax,
        module: str,
        extra: dict[str, Parameter],
        a: Stream,
        b: Stream,
        type_: FixedType,
        suffix: str,
    ) -> Stream:
        """Two streams of one element a beat, merged exactly and cast."""
        out = self._stream(node, Stream("", type_, 1, node.shape[-1], a.beats), suffix)
        operands = type_parameters("A", a.type) | type_parameters("B", b.type)
        parameters: dict[str, Parameter] = {"LANES": 1, **operands, **output_parameters(type_), **extra}
        self._instance(module, node, parameters, {"a": a, "b": b}, out, suffix=suffix)
        return out
