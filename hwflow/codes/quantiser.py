"""Scalar quantisers for weights that are read through a noisy channel.

A channel is a matrix ``[stored, read]`` of probabilities: what a stored label may be read as. Labels and the values of
what is read are optimised in turn (N. Farvardin and V. Vaishampayan, "On the performance and complexity of
channel-optimized vector quantizers", IEEE Trans. Inf. Theory 37(1), 1991); without noise this is the quantiser of
S. P. Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory 28(2), 1982.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from hwflow.fixed import Codes, FixedType

Floats = npt.NDArray[np.float64]

_PARTS = 8  # points of the histogram in a step of the weight type


def in_steps(weights: Floats, type_: FixedType) -> Floats:
    """Real weights in steps of their type, saturated."""
    return np.clip(weights / type_.lsb, type_.min_code, type_.max_code)


def histogram(steps: Floats) -> tuple[Floats, Codes]:
    """Points, and how many weights are at each."""
    points, counts = np.unique(np.rint(steps * _PARTS), return_counts=True)
    return points / _PARTS, counts


def flips(width: int, ber: float) -> Floats:
    """The channel of words of whose bits each flips with a probability of ``ber``."""
    words = np.arange(1 << width)
    differ = np.array([word.bit_count() for word in range(len(words))])[words[:, None] ^ words]
    probability: Floats = np.power(ber, differ) * np.power(1.0 - ber, width - differ)
    return probability


def alternate(points: Floats, counts: Codes, values: Floats, channel: Floats, rounds: int = 40) -> Floats:
    """Values of what is read: labels for points, then values for labels, in turn, until the labels stay."""
    words = np.empty(0, dtype=np.int64)
    for _ in range(rounds):
        chosen = nearest(points, values, channel)
        if np.array_equal(chosen, words):
            break
        words = chosen
        weight = np.bincount(words, counts, len(channel)) @ channel
        total = np.bincount(words, counts * points, len(channel)) @ channel
        # A word that nothing is ever read as keeps its value.
        values = np.where(weight > 0, total / np.maximum(weight, np.finfo(float).tiny), values)
    return values


def nearest(points: Floats, values: Floats, channel: Floats) -> Codes:
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


def encoder(clean: Codes, read: Codes, type_: FixedType, channel: Floats) -> Codes:
    """For every weight code the label of it, or of the nearest; of several the one that noise hurts least.

    Args:
        clean: ``(labels,)`` the weight code of each label that is read as it is stored.
        read: ``(reads,)`` that of whatever may be read.
        type_: of the weights.
        channel: ``(labels, reads)``.
    """
    codes = np.arange(type_.min_code, type_.max_code + 1)[:, None]
    values = read.astype(np.float64)
    expected = channel @ np.square(values) - 2 * codes * (channel @ values) + np.square(codes)
    away = np.abs(clean - codes)
    labels: Codes = np.where(away == away.min(axis=1, keepdims=True), expected, np.inf).argmin(axis=1)
    return labels
