"""COSQ: a weight is the entry of a table that its stored word points to, and the table is fitted to weights and noise.

A channel-optimised scalar quantiser (N. Farvardin and V. Vaishampayan, "On the performance and complexity of
channel-optimized vector quantizers", IEEE Trans. Inf. Theory 37(1), 1991): words, and the values that they stand for,
are chosen together, so that the expected square error of a weight is least where every stored bit flips with a given
probability. Words whose values are far apart then differ in many bits. It takes no bit more than the weights do, and
the decoder is one look into a table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwflow.codes.blocks import Flags
from hwflow.codes.quantiser import Fitted, Floats, alternate, encoder, flips, grid, histogram, in_steps
from hwflow.codes.words import Words, pack, unpack
from hwflow.errors import HwflowError
from hwflow.fixed import Codes, FixedType

MOST_BITS = 10
"""Of a weight: a table of more entries is no look-up any more."""
_NOISY = 0.2  # where the annealing begins


@dataclass(frozen=True, eq=False)
class Cosq:
    """One weight a word, through a table.

    Attributes:
        type: of a weight.
        decoder: ``(2^width,)`` the weight code that each stored word stands for.
        encoder: ``(2^width,)`` the word that is stored for each weight code, from the lowest on.

    Raises:
        HwflowError: tables that do not belong to weights of this type.
    """

    type: FixedType
    decoder: Codes
    encoder: Codes

    weights_per_word = 1

    def __post_init__(self) -> None:
        """Refuse tables of another type."""
        words = 1 << self.type.width
        for name, low, high in (("decoder", self.type.min_code, self.type.max_code), ("encoder", 0, words - 1)):
            table = getattr(self, name)
            if table.shape != (words,) or table.min() < low or table.max() > high:
                raise HwflowError(f"cosq: its {name} is no table for weights of {self.type}")

    @property
    def bits(self) -> int:
        """Stored bits per word: the width of the weight."""
        return self.type.width

    def encode(self, codes: Codes) -> Words:
        """Stored words of weight codes ``(n, 1)``; exact for those that the table has."""
        return pack(self.encoder[codes - self.type.min_code], self.bits)

    def decode(self, words: Words) -> Codes:
        """Weight codes ``(n, 1)`` of stored words."""
        return self.decoder[unpack(words, self.bits, 1, signed=False)]

    def detected(self, words: Words) -> Flags:
        """Never: every word stands for a weight."""
        return np.zeros(len(words), dtype=np.bool_)


def check(type_: FixedType) -> None:
    """Refuse weights too wide for a table.

    Raises:
        HwflowError: their type has too many codes.
    """
    if type_.width > MOST_BITS:
        raise HwflowError(f"cosq: weights of {type_.width} bits need a table of {1 << type_.width} entries, too many")


def fit(weights: Floats, type_: FixedType, ber: float) -> Fitted:
    """The tables for some weights and a bit error rate.

    Args:
        weights: real values of any shape, on the scale of ``type_``.
        type_: of a weight; the table holds codes of it.
        ber: probability that a stored bit flips, above 0 and at most 0.5.

    Raises:
        HwflowError: weights too wide for a table.
    """
    check(type_)
    steps = in_steps(weights, type_)
    points, counts = histogram(steps)
    # Annealing: at first the noise is high, which orders the words; plain two's complement is what it starts from.
    values = np.concatenate([np.arange(0.0, type_.max_code + 1), np.arange(float(type_.min_code), 0.0)])
    for noise in np.geomspace(max(_NOISY, ber), ber, 8):
        values = alternate(points, counts, values, flips(type_.width, float(noise)))
    channel = flips(type_.width, ber)
    decoder = np.clip(np.rint(values), type_.min_code, type_.max_code).astype(np.int64)
    tables = {"decoder": decoder, "encoder": encoder(decoder, decoder, type_, channel)}
    return Fitted(tables, (grid(decoder, decoder, channel),), np.zeros(1, dtype=np.int64))
