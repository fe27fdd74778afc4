"""Tables, block codes and the labels of word codes as C++: what the decoders in ``hls_templates/firmware`` read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from typing import Any

import numpy as np

from hwflow.codes import WordCode
from hwflow.codes.bch import Bch, field
from hwflow.codes.blocks import Bits, BlockCode
from hwflow.codes.flips import Flips
from hwflow.fixed import Codes

VALUES_IN_ROW = 16
"""Of a table in a line of C++."""

PART_BITS = 64
"""Of a part of a word: ``part_t`` in ``hwflow_words.h``."""

TABLE = """struct {name} {{
    static ap_uint<{bits}> code(const ap_uint<{index_bits}> &word) {{
        #pragma HLS INLINE
        static const ap_uint<{bits}> codes[{count}] = {{
{codes}
        }};
        #pragma HLS BIND_STORAGE variable=codes type=rom_np impl=lutram
        return codes[word.to_uint()];
    }}
}};

"""
"""A ROM in LUTs, outside the block RAM that holds the weights, which all lanes read in the same cycle."""

LABELS = """struct {name} {{
    static const unsigned bits = {bits};
    static const unsigned count = {count};
    static hwflow::label at(unsigned i) {{
        #pragma HLS INLINE
        static const hwflow::label labels[{count}] = {{
{labels}
        }};
        return labels[i];
    }}
    static ap_uint<{width}> code(unsigned kind, unsigned label) {{
        #pragma HLS INLINE
        switch (kind) {{
{cases}
        }}
    }}
}};

"""

BCH = """#ifndef HWFLOW_{guard}
#define HWFLOW_{guard}
struct {name} {{
    static const unsigned bits = {code.bits};
    static const unsigned data_bits = {code.data_bits};
    static const unsigned m = {code.m};
    static const unsigned polynomial = 0x{polynomial:x};
    static const unsigned t = {code.t};
    static const bool extended = {extended};
{syndrome}{locator}}};
#endif

"""

PLANES = """    static unsigned long long {name}(unsigned i, unsigned b, unsigned part) {{
        #pragma HLS INLINE
        static const unsigned long long planes[{count}] = {{
{planes}
        }};
        return planes[(i * m + b) * {parts} + part];
    }}
"""

FLIPS = """#ifndef HWFLOW_{guard}
#define HWFLOW_{guard}
struct {name} {{
    static const unsigned bits = {code.bits};
    static const unsigned data_bits = {code.data_bits};
    static const unsigned passes = {passes};
    static const unsigned members = {most};
    static unsigned long long covered(unsigned j, unsigned part) {{
        #pragma HLS INLINE
        static const unsigned long long of[{covered_count}] = {{
{covered}
        }};
        return of[j * {parts} + part];
    }}
    static unsigned member(unsigned j, unsigned k) {{
        #pragma HLS INLINE
        static const unsigned short of[{member_count}] = {{
{members}
        }};
        return of[j * members + k];
    }}
    static unsigned threshold(unsigned pass, unsigned i) {{
        #pragma HLS INLINE
        static const unsigned short of[{threshold_count}] = {{
{thresholds}
        }};
        return of[pass * data_bits + i];
    }}
}};
#endif

"""


def cpp_table(name: str, codes: Codes, bits: int, index_bits: int) -> str:
    """A table in C++: a struct that gives the bits of a weight for a word.

    Args:
        name: of the struct.
        codes: the weight code of every word.
        bits: of a weight.
        index_bits: of a word.
    """
    values = map(str, (codes & ((1 << bits) - 1)).tolist())
    return TABLE.format(name=name, bits=bits, index_bits=index_bits, count=len(codes), codes=_rows(values))


def word_type(code: WordCode, name: str) -> str:
    """The C++ type of a word code whose labels are called ``name``."""
    return f"hwflow::word<{code.type}, {CPP_BLOCKS[type(code.block)][0](code.block)}, {name}>"


def word_definitions(code: WordCode, name: str) -> str:
    """What the C++ type of a word code needs before it: its block code, a table a kind of label, and its labels."""
    shape = code.shape
    raw = shape.block_bits
    labels = []
    for label, kind, first in zip(shape.labels, shape.kind_of.tolist(), shape.data_starts.tolist(), strict=True):
        low = label.bits - label.protected
        labels.append(f"{{{kind}, {first}, {label.protected}, {raw}, {low}}}")
        raw += low
    kinds = [f"{name}_{kind}" for kind in range(len(shape.kinds))]
    cases = [f"case {kind}: return {table}::code(label);" for kind, table in enumerate(kinds[:-1])]
    text = CPP_BLOCKS[type(code.block)][1](code.block)
    for table, label, decoder in zip(kinds, shape.kinds, code.decoders, strict=True):
        text += cpp_table(table, decoder, code.type.width, label.bits + 1)
    return text + LABELS.format(
        name=name,
        bits=shape.bits,
        count=len(labels),
        width=code.type.width,
        labels=_rows(labels, 4),
        cases="\n".join(" " * 8 + case for case in [*cases, f"default: return {kinds[-1]}::code(label);"]),
    )


def _bch_name(code: Bch) -> str:
    return f"bch_{code.bits}_{code.data_bits}"


def _bch_definitions(code: Bch) -> str:
    return BCH.format(
        guard=_bch_name(code).upper(),
        name=_bch_name(code),
        code=code,
        polynomial=code.polynomial,
        extended=str(code.extended).lower(),
        syndrome=_planes(code, "syndrome", range(1, 2 * code.t, 2)),
        locator=_planes(code, "locator", range(-1, -code.t - 1, -1)),
    )


def _planes(code: Bch, name: str, exponents: range) -> str:
    """Every bit of ``alpha^(exponent p)`` for all bits of a codeword side by side; p is in :attr:`Bch.positions`."""
    powers, _ = field(code.m)
    planes = []
    for exponent in exponents:
        elements = powers[exponent * code.positions % ((1 << code.m) - 1)]
        bits = np.zeros((code.m, code.bits), dtype=np.uint8)
        bits[:, : code.cyclic_bits] = elements >> np.arange(code.m)[:, None] & 1
        planes += _parts(bits)
    parts = -(-code.bits // PART_BITS)
    return PLANES.format(name=name, count=len(planes), planes=_rows(planes, 4), parts=parts)


def _flips_name(code: Flips) -> str:
    """With a digest: codes of the same size may have other checks, by another construction, and other passes."""
    digest = sha256(repr((code.rows, code.check_bits, code.margins)).encode()).hexdigest()
    return f"flips_{code.bits}_{code.data_bits}_{digest[:12]}"


def _flips_definitions(code: Flips) -> str:
    checks = [np.flatnonzero(column).tolist() for column in code.matrix.T]
    most = max(map(len, checks))
    members = [member for check in checks for member in (check + [code.data_bits] * most)[:most]]
    covered = _parts(np.concatenate([code.matrix.T, np.eye(code.check_bits)], axis=1).astype(np.uint8))
    thresholds = code.thresholds.reshape(-1).tolist()
    return FLIPS.format(
        guard=_flips_name(code).upper(),
        name=_flips_name(code),
        code=code,
        passes=len(code.margins),
        most=most,
        covered_count=len(covered),
        covered=_rows(covered, 4),
        parts=len(covered) // code.check_bits,
        member_count=len(members),
        members=_rows(map(str, members)),
        threshold_count=len(thresholds),
        thresholds=_rows(map(str, thresholds)),
    )


def _parts(bits: Bits) -> list[str]:
    """The parts of words ``(n, bits)``, one after the other."""
    words = np.zeros((len(bits), -(-bits.shape[1] // PART_BITS) * PART_BITS), dtype=np.uint8)
    words[:, : bits.shape[1]] = bits
    parts = np.packbits(words, axis=1, bitorder="little").view("<u8").reshape(-1)
    return [f"0x{part:016x}ULL" for part in parts.tolist()]


def _rows(values: Iterable[str], in_row: int = VALUES_IN_ROW) -> str:
    values = list(values)
    rows = [values[at : at + in_row] for at in range(0, len(values), in_row)]
    return "\n".join(" " * 12 + ", ".join(row) + "," for row in rows)


CPP_BLOCKS: Mapping[type[BlockCode], tuple[Callable[[Any], str], Callable[[Any], str]]] = {
    Bch: (lambda code: f"hwflow::bch<{_bch_name(code)}>", _bch_definitions),
    Flips: (lambda code: f"hwflow::flips<{_flips_name(code)}>", _flips_definitions),
}
"""Of every block code: its C++ type, and what that needs before it, both from the code. Where several layers need the
same definitions, these guard themselves."""
