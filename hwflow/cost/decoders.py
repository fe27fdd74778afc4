"""What the decoders of storage codes cost in hardware, as they were synthesised."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

WEIGHT_BITS = 8
"""Of the weights that decoders were synthesised for."""
TABLE = "decoders.csv"
"""Beside this module; written by ``benchmarks/decoders.py``."""
MULTIPLIER, DSP = "multiplier", "multiplier-dsp"
"""Rows of the table to compare with: a signed product of 8 by 16 bits a cycle, made of LUTs, and in a DSP48E2."""


@dataclass(frozen=True)
class DecoderCost:
    """A decoder of weights of 8 bits, or a multiplier of them.

    Attributes:
        code: name of the storage code.
        weights: of a word.
        cycles: that a word lasts; more than 1 where fewer weights are used a cycle than a word has.
        luts, flip_flops, block_ram, dsp: of an UltraScale+ part, as Yosys counts them; ``block_ram`` in RAMB36, two
            RAMB18 as one.
        latency: cycles from the stored word to its weights.
        fmax: MHz on an ECP5 of speed grade 8, between registers; None if it was not placed there.
        folded: decoders of the same code whose words last longer.
    """

    code: str
    weights: int
    cycles: int
    luts: int
    flip_flops: int
    block_ram: float
    dsp: int
    latency: int
    fmax: int | None
    folded: tuple[DecoderCost, ...] = ()

    @property
    def luts_a_weight(self) -> float:
        """LUTs for one weight a cycle, where all weights of a word are used at once."""
        return self.luts * self.cycles / self.weights

    def serving(self, weights: int) -> tuple[int, DecoderCost]:
        """How many decoders give so many weights a cycle, and which one that is.

        One whose words last longer does where they may; below a word a cycle it takes one decoder still.
        """
        fit = [each for each in (self, *self.folded) if each.cycles == 1 or each.cycles * weights <= self.weights]
        return -(-weights // self.weights), min(fit, key=lambda each: each.luts)

    def luts_for(self, weights: int) -> int:
        """LUTs for so many weights a cycle."""
        count, decoder = self.serving(weights)
        return count * decoder.luts


def decoder_cost(code: str, bits: int = WEIGHT_BITS) -> DecoderCost | None:
    """What the decoder of a code costs that takes a word a cycle; None if it was not synthesised.

    Args:
        code: its name.
        bits: of a weight. What is stored plainly has no decoder for weights of any width.
    """
    return None if code in (MULTIPLIER, DSP) or (code != "plain" and bits != WEIGHT_BITS) else costs().get(code)


@cache
def costs() -> dict[str, DecoderCost]:
    """All rows of the table by name, folded decoders with those that take a word a cycle."""
    text = (files("hwflow.cost") / TABLE).read_text(encoding="utf-8")
    found: dict[str, list[DecoderCost]] = {}
    for row in csv.DictReader(text.splitlines()):
        cost = DecoderCost(
            code=row["code"],
            weights=int(row["weights"]),
            cycles=int(row["cycles"]),
            luts=int(row["luts"]),
            flip_flops=int(row["flip_flops"]),
            block_ram=float(row["block_ram"]),
            dsp=int(row["dsp"]),
            latency=int(row["latency"]),
            fmax=int(row["fmax"]) if row["fmax"] else None,
        )
        found.setdefault(cost.code, []).append(cost)
    ordered = {code: sorted(rows, key=lambda row: row.cycles) for code, rows in found.items()}
    return {code: replace(first, folded=tuple(others)) for code, (first, *others) in ordered.items()}
