"""Weight memories that store words of a code: what the C++ calls it, its words as an array, how lanes share them.

Layers some of whose weights are kept are read so even where their code is the plain one: hls4ml's own kernels have no
place between memory and product at which the kept weights could come in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from hls4ml.backends.fpga.fpga_types import APTypeConverter, HLSTypeConverter, StaticWeightVariableConverter
from hls4ml.model.types import IntegerPrecisionType, WeightVariable

from hwflow.codes import Plain, Secded, StorageCode, Table, WordCode, Words
from hwflow.codes.layout import Layout
from hwflow.errors import HwflowError
from hwflow.firmware.words import CPP_BLOCKS, cpp_table, word_definitions, word_type
from hwflow.graph import Graph, WeightLayer
from hwflow.memory import layer_layout, layer_storage, stored_words

HEADER = "nnet_utils/nnet_stored.h"
WORDS_HEADER = "nnet_utils/hwflow_words.h"
"""For codes of words that hold labels of weights."""
CODES_HEADERS = ("hwflow_stored.h", "hwflow_words.h")
"""Beside them, with a C++ type for every code and for every block code."""

CPP_CODES: Mapping[type[StorageCode], Callable[[Any, str], str]] = {
    Plain: lambda code, _: f"hwflow::plain<{code.type}>",
    Secded: lambda code, _: f"hwflow::secded<{code.type}, hwflow::on_double::{code.on_double}>",
    Table: lambda code, table: f"hwflow::table<{code.type}, {table}>",
    WordCode: word_type,
}
"""C++ type of every code, from the code and the name of its table; the plain one is for layers with kept weights, the
words of others are hls4ml's own weights."""

DEFINITIONS: Mapping[type[StorageCode], Callable[[Any, str], str]] = {
    Table: lambda code, table: cpp_table(table, code.decoder, code.bits, code.bits),
    WordCode: word_definitions,
}
"""Of the codes whose type needs C++ before it, from the code and the name of its table."""

ATTRIBUTE = "hwflow_stored"
"""Attribute of an hls4ml layer: its :class:`Stored`."""

CONFIG = """struct stored{suffix} : config{suffix} {{
    typedef {stored.decoder} code_t;
    static const unsigned row_words = {stored.layout.row_words};
    static const unsigned lane_rows = {lanes.rows};
    static const unsigned lane_words = {lanes.words};
    static const unsigned word_parts = {lanes.parts};
{keep}{kernel}}};
"""

NOTHING_KEPT = "    static void keep(unsigned, code_t::weight_t[]) {}\n"

KEEP = """    static void keep(unsigned word, code_t::weight_t weights[code_t::weights_per_word]) {{
        #pragma HLS INLINE
        switch (word) {{
{cases}
        }}
    }}
"""

KERNEL = """    template<class data_T, class res_T, class CONFIG_T>
    using kernel = nnet::StoredKernel<data_T, res_T, CONFIG_T>;
"""


@dataclass(frozen=True)
class Stored:
    """A memory of weights in words of a code.

    Attributes:
        name: of the code.
        code: for the type of the weights.
        layout: how the weights are divided into words.
        table: what the C++ calls the table, or the labels, of the code, if it has one.
        kept: word, place in it and code of every weight that does not come from the memory.
    """

    name: str
    code: StorageCode
    layout: Layout
    table: str
    kept: tuple[tuple[int, int, int], ...] = ()

    @property
    def decoder(self) -> str:
        """The C++ type of the code."""
        return CPP_CODES[type(self.code)](self.code, self.table)

    @property
    def definitions(self) -> str:
        """C++ that the type of the code needs before it."""
        define = DEFINITIONS.get(type(self.code))
        return "" if define is None else define(self.code, self.table)

    @property
    def keep(self) -> str:
        """C++ that puts kept weights in the place of those of a word."""
        if not self.kept:
            return NOTHING_KEPT
        bits = self.code.type.width
        words: dict[int, list[str]] = {}
        for word, place, value in self.kept:
            value &= (1 << bits) - 1
            words.setdefault(word, []).append(f"weights[{place}].range({bits - 1}, 0) = {value:#x};")
        return KEEP.format(
            cases="\n".join(f"        case {word}: {' '.join(lines)} break;" for word, lines in words.items())
        )

    @property
    def headers(self) -> list[str]:
        """What a layer's C++ includes to read such a memory."""
        return [HEADER, WORDS_HEADER] if isinstance(self.code, WordCode) else [HEADER]


class StoredWords(WeightVariable):
    """An array of stored words in place of an array of weights.

    Attributes:
        stored: the memory.
        words: its words ``(n, bytes of a word)``, see :mod:`hwflow.codes.words`.
    """

    def __init__(self, weights: Any, stored: Stored, words: Words) -> None:
        # hls4ml takes its length from an array of numbers
        precision = IntegerPrecisionType(stored.code.bits, signed=False)
        super().__init__(weights.name, weights.type.name, precision, np.zeros(len(words)))
        self.stored = stored
        self.words = words


@dataclass(frozen=True)
class Lanes:
    """How the words of a memory are shared between lanes that each read one word a cycle.

    Attributes:
        rows: outputs that a lane reads, one after the other.
        words: words of an output that a lane reads.
        parts: cycles that a word takes, each with a part of its weights.
    """

    rows: int
    words: int
    parts: int


def choose_lanes(layout: Layout, reuse: int) -> Lanes:
    """The fewest lanes, and multipliers in each, that divide a memory evenly and need at most ``reuse`` cycles."""
    words = _largest_divisor(layout.row_words, reuse)
    rows = _largest_divisor(layout.rows, reuse // words) if words == layout.row_words else 1
    return Lanes(rows, words, _largest_divisor(layout.per_word, reuse // (rows * words)))


def mark_stored(layer: Any, node: WeightLayer) -> None:
    """Tell an hls4ml layer the code that its weights are stored in, unless hls4ml can read them.

    Raises:
        HwflowError: a code without a decoder in C++.
    """
    code = layer_storage(node)
    if not isinstance(code, Plain) or node.kept is not None:
        if type(code) not in CPP_CODES or (isinstance(code, WordCode) and type(code.block) not in CPP_BLOCKS):
            raise HwflowError(f"{node.name}: the firmware has no decoder of storage code {node.storage.name!r}")
        table = f"table_{layer.get_weights('weight').name}"
        layer.set_attr(ATTRIBUTE, Stored(node.storage.name, code, layer_layout(node), table, _kept(node)))


def is_stored(layer: Any) -> bool:
    """Whether an hls4ml layer's weights are stored in words of a code."""
    return layer.get_attr(ATTRIBUTE) is not None


def stored_headers(layer: Any) -> list[str]:
    """What the C++ of a layer with stored words includes; nothing for other layers."""
    return layer.get_attr(ATTRIBUTE).headers if is_stored(layer) else []


def store_words(graph: Graph, model: Any) -> None:
    """Put the words that the memories store where hls4ml's layers, after its passes, have their weights."""
    for node in graph.weight_layers:
        layer = model.graph[node.name]
        if is_stored(layer):
            words = StoredWords(layer.get_weights("weight"), layer.get_attr(ATTRIBUTE), stored_words(node))
            StaticWeightVariableConverter(HLSTypeConverter(APTypeConverter())).convert(words)
            layer.set_attr("weight", words)
            layer.set_attr("weight_t", words.type)


def stored_config(layer: Any, suffix: str, kernel: str = "", turns: int = 1) -> str:
    """The C++ configuration of a layer's stored words, which extends hls4ml's own, ``config<suffix>``.

    Args:
        layer: an hls4ml layer.
        suffix: of the struct's name.
        kernel: C++ that names the kernel of the layer's products, if it takes one.
        turns: parts of the memory that are read one after the other, whatever the reuse factor is.
    """
    stored = layer.get_attr(ATTRIBUTE)
    part = replace(stored.layout, rows=stored.layout.rows // turns)
    lanes = choose_lanes(part, layer.model.config.get_reuse_factor(layer) // turns)
    return str(
        stored.definitions + CONFIG.format(suffix=suffix, stored=stored, lanes=lanes, keep=stored.keep, kernel=kernel)
    )


def _kept(node: WeightLayer) -> tuple[tuple[int, int, int], ...]:
    if node.kept is None:
        return ()
    columns = (*layer_layout(node).place(node.kept.index), node.stored_at(node.kept.index))
    return tuple(zip(*(column.tolist() for column in columns), strict=True))


def _largest_divisor(number: int, limit: int) -> int:
    return next(divisor for divisor in range(min(number, max(limit, 1)), 0, -1) if number % divisor == 0)
