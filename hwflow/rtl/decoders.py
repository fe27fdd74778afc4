"""The decoders of storage codes in the RTL: their parameters and their latencies."""

from __future__ import annotations

from collections.abc import Sequence

from hwflow.codes import Plain, Secded, Table, WordCode
from hwflow.codes.bch import Bch
from hwflow.codes.flips import Flips
from hwflow.cost.packing import Packing
from hwflow.errors import HwflowError
from hwflow.graph import WeightLayer
from hwflow.memory import layer_storage

SECDED, TABLE, WORD = 1, 2, 3
"""``CODE`` of ``hwflow_weights``; 0 is plain."""
FLIPS = 1
"""``BLOCK`` of ``hwflow_decode_word``; 0 is BCH."""
ON_DOUBLE_CODES = {"null": 0, "pass": 1}

READ = 3
"""Cycles from ``next_i`` of ``hwflow_weights`` to the stored words."""

Parameter = int | str
"""An integer, or SystemVerilog text."""


def code_parameters(node: WeightLayer, layout: Packing) -> tuple[dict[str, Parameter], int]:
    """The parameters of ``hwflow_weights`` for a layer's storage code, and its latency in cycles without outliers.

    Args:
        node: the layer.
        layout: the packing of its weight memory.

    Raises:
        HwflowError: the RTL has no decoder of the code.
    """
    match layer_storage(node):
        case Plain():
            return {}, READ
        case Secded(on_double=policy):
            return {"CODE": SECDED, "ON_DOUBLE": ON_DOUBLE_CODES[policy]}, READ + (2 if layout.turns == 1 else 3)
        case Table():
            return {"CODE": TABLE}, READ + 1
        case WordCode(block=Bch() | Flips()) as code:
            words, latency = word_parameters(code), word_latency(code, layout.turns, layout.fewest_turns)
            return {"CODE": WORD, "STORED_W": words.pop("WORD_W"), **words}, READ + latency
    raise HwflowError(f"{node.name}: the RTL has no decoder of storage code {node.storage.name!r}")


def word_parameters(code: WordCode) -> dict[str, Parameter]:
    """The parameters of ``hwflow_decode_word`` but for the type of a weight, the tables and how words are used."""
    shape = code.shape
    return {
        "WORD_W": shape.bits,
        "WEIGHTS": len(shape.labels),
        "LABEL_W": shape.data_bits + shape.raw_bits,
        "DATA_W": shape.data_bits,
        **_block_parameters(code),
    }


def word_latency(code: WordCode, beats: int = 1, cycles: int = 1) -> int:
    """Cycles of ``hwflow_decode_word`` from a word's first beat to the weights of that beat.

    Args:
        code: the storage code.
        beats: of a word: ``WEIGHTS / LANES``.
        cycles: from a word to the next one, at least: ``CYCLES``.
    """
    of_beat = 1 if beats > 1 else 0
    match code.block:
        case Bch() as block:
            return bch_latency(block, cycles) + of_beat + 1
        case Flips(margins=margins):
            return len(margins) + 3 + of_beat + 1
    raise _no_block(code)


def bch_latency(block: Bch, cycles: int) -> int:
    """Cycles of the decoder of a BCH code that takes a word every ``cycles`` cycles.

    That of a word a cycle is ``hwflow_decode_bch``, the others are ``hwflow_decode_bch_folded``.
    """
    if cycles == 1:
        return 2 * block.t + 5
    steps = block.t - 1
    step = min(max(cycles // max(steps, 1), 1), block.t + 1)
    return 2 * cycles + 2 + steps * step


def flips_parameters(block: Flips) -> dict[str, Parameter]:
    """The parameters of ``hwflow_decode_flips`` that say which code it is, but for its size.

    Raises:
        HwflowError: data bits of different numbers of checks.
    """
    each = len(block.rows[0])
    if any(len(row) != each for row in block.rows):
        raise HwflowError("the RTL decodes sparse parities only where every data bit stands in as many of them")
    checks = [check for row in block.rows for check in row]
    return {
        "EACH": each,
        "PASSES": len(block.margins),
        "THRESHOLDS": _vector(block.thresholds[:, 0].tolist(), 8),
        "ROWS": _vector(checks, 16),
    }


def _block_parameters(code: WordCode) -> dict[str, Parameter]:
    match code.block:
        case Bch() as block:
            return {"BCH_M": block.m, "BCH_T": block.t, "BCH_EXTENDED": int(block.extended)}
        case Flips() as block:
            return {"BLOCK": FLIPS, **{f"FLIPS_{key}": value for key, value in flips_parameters(block).items()}}
    raise _no_block(code)


def _no_block(code: WordCode) -> HwflowError:
    return HwflowError(f"the RTL has no decoder of words of {type(code.block).__name__}")


def _vector(fields: Sequence[int], width: int) -> str:
    """A literal of fields side by side, the first in the least significant bits."""
    digits = width // 4
    return f"{width * len(fields)}'h{''.join(f'{value:0{digits}x}' for value in reversed(fields))}"
