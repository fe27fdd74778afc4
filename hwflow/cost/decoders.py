"""What the decoders of storage codes cost in hardware, as they were synthesised."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

TABLE = "decoders.csv"
"""Beside this module; written by ``benchmarks/decoders.py``."""
_NUMBERS = ("weights", "luts", "flip_flops", "latency")


@dataclass(frozen=True)
class DecoderCost:
    """A decoder that takes a word a cycle, for weights of 8 bits.

    Attributes:
        code: name of the storage code.
        weights: of a word.
        luts, flip_flops: of an UltraScale+ part, as Yosys counts them.
        latency: cycles from the stored word to its weights.
    """

    code: str
    weights: int
    luts: int
    flip_flops: int
    latency: int

    @property
    def luts_a_weight(self) -> float:
        """LUTs for one weight a cycle."""
        return self.luts / self.weights


def decoder_cost(code: str) -> DecoderCost | None:
    """What the decoder of a code costs, by name; None if it was not synthesised."""
    return _costs().get(code)


@cache
def _costs() -> dict[str, DecoderCost]:
    text = (files("hwflow.cost") / TABLE).read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    found = [DecoderCost(row["code"], *(int(row[key]) for key in _NUMBERS)) for row in rows]
    return {each.code: each for each in found}
