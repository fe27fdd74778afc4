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
import numpy.typing as npt

from hwflow.codes.words import Words, pack, unpack
from hwflow.errors import HwflowError
from hwflow.fixed import Codes, FixedType

MOST_BITS = 10
"""Of a weight: a table of more entries is no look-up any more."""
_PARTS = 8  # points of the histogram in a step of the weight type
_ROUNDS = 40  # of the alternation, for each noise
_NOISY = 0.2  # where the annealing begins

Floats = npt.NDArray[np.float64]


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


def check(type_: FixedType) -> None:
    """Refuse weights too wide for a table.

    Raises:
        HwflowError: their type has too many codes.
    """
    if type_.width > MOST_BITS:
        raise HwflowError(f"cosq: weights of {type_.width} bits need a table of {1 << type_.width} entries, too many")


def fit(weights: Floats, type_: FixedType, ber: float) -> tuple[dict[str, Codes], Codes]:
    """The tables for some weights and a bit error rate, and the codes that the weights become.

    Args:
        weights: real values of any shape, on the scale of ``type_``.
        type_: of a weight; the table holds codes of it.
        ber: probability that a stored bit flips, above 0 and at most 0.5.

    Raises:
        HwflowError: weights too wide for a table.
    """
    check(type_)
    steps = np.clip(weights / type_.lsb, type_.min_code, type_.max_code)
    points, counts = np.unique(np.rint(steps * _PARTS), return_counts=True)
    points = points / _PARTS
    # Annealing: at first the noise is high, which orders the words; plain two's complement is what it starts from.
    values = np.concatenate([np.arange(0.0, type_.max_code + 1), np.arange(float(type_.min_code), 0.0)])
    for noise in np.geomspace(max(_NOISY, ber), ber, 8):
        values = _alternate(points, counts, values, _channel(type_.width, float(noise)))
    channel = _channel(type_.width, ber)
    decoder = np.clip(np.rint(values), type_.min_code, type_.max_code).astype(np.int64)
    codes = decoder[_nearest(steps.reshape(-1), decoder.astype(np.float64), channel)].reshape(weights.shape)
    return {"decoder": decoder, "encoder": _encoder(decoder, type_, channel)}, codes


def _channel(width: int, ber: float) -> Floats:
    """Probability ``[stored, read]`` of each word to be read as each other."""
    words = np.arange(1 << width)
    flips = np.array([word.bit_count() for word in range(len(words))])[words[:, None] ^ words]
    probability: Floats = np.power(ber, flips) * np.power(1.0 - ber, width - flips)
    return probability


def _alternate(points: Floats, counts: Codes, values: Floats, channel: Floats) -> Floats:
    """Words for points, then values for words, in turn, until the words stay."""
    words = np.empty(0, dtype=np.int64)
    for _ in range(_ROUNDS):
        chosen = _nearest(points, values, channel)
        if np.array_equal(chosen, words):
            break
        words = chosen
        weight = np.bincount(words, counts, len(values)) @ channel
        total = np.bincount(words, counts * points, len(values)) @ channel
        # A word that nothing is ever read as keeps its value.
        values = np.where(weight > 0, total / np.maximum(weight, np.finfo(float).tiny), values)
    return values


def _nearest(points: Floats, values: Floats, channel: Floats) -> Codes:
    """The word ``(n,)`` with the least expected square error for each point.

    The error of a word is a line in the point, less the point's square: the lower envelope of the lines says it all.
    """
    mean, square = channel @ values, channel @ np.square(values)
    envelope: list[int] = []
    ends: list[float] = []  # where each of its words gives way to the next one
    for word in np.lexsort((square, mean)).tolist():
        if envelope and mean[word] == mean[envelope[-1]]:
            continue
        while envelope:
            end = float((square[word] - square[envelope[-1]]) / (2 * (mean[word] - mean[envelope[-1]])))
            if not ends or end > ends[-1]:
                ends.append(end)
                break
            envelope.pop()
            ends.pop()
        envelope.append(word)
    return np.array(envelope)[np.searchsorted(ends, points)]


def _encoder(decoder: Codes, type_: FixedType, channel: Floats) -> Codes:
    """For every weight code the word of it, or of the nearest; of several the one that noise hurts least."""
    codes = np.arange(type_.min_code, type_.max_code + 1)[:, None]
    values = decoder.astype(np.float64)
    expected = channel @ np.square(values) - 2 * codes * (channel @ values) + np.square(codes)
    away = np.abs(decoder - codes)
    words: Codes = np.where(away == away.min(axis=1, keepdims=True), expected, np.inf).argmin(axis=1)
    return words
