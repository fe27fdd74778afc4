"""Scalar quantisers for weights that are read through a noisy channel.

A channel is a matrix ``[stored, read]`` of probabilities: what a stored label may be read as. Labels and the values of
what is read are optimised in turn (N. Farvardin and V. Vaishampayan, "On the performance and complexity of
channel-optimized vector quantizers", IEEE Trans. Inf. Theory 37(1), 1991); without noise this is the quantiser of
S. P. Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory 28(2), 1982.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwflow.fixed import Codes, FixedType

Floats = npt.NDArray[np.float64]

Tables = dict[str, Codes]
"""What a code was fitted with, by name."""

_PARTS = 8  # points of the histogram in a step of the weight type


@dataclass(frozen=True, eq=False)
class Grid:
    """What the weights that share a table are rounded to.

    Attributes:
        codes: ``(n,)`` weight codes, those of lower weights first.
        ends: ``(n - 1,)`` where each gives way to the next one, in steps of the type.
    """

    codes: Codes
    ends: Floats

    def round(self, steps: Floats) -> Codes:
        """Codes of real weights of any shape, in steps of their type."""
        return self.codes[np.searchsorted(self.ends, steps)]


@dataclass(frozen=True, eq=False)
class Fitted:
    """A code fitted to the weights of a layer.

    Attributes:
        tables: that the code decodes with.
        grids: what weights are rounded to; more than one where the weights of a word differ in their tables.
        grid_of: ``(weights_per_word,)`` the grid of every weight of a word.
    """

    tables: Tables
    grids: tuple[Grid, ...]
    grid_of: Codes

    def grid(self, column: int) -> Grid:
        """The grid of a weight of a row."""
        return self.grids[int(self.grid_of[column % len(self.grid_of)])]


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
        labels, ends = envelope(values, channel)
        chosen = labels[np.searchsorted(ends, points)]
        if np.array_equal(chosen, words):
            break
        words = chosen
        weight = np.bincount(words, counts, len(channel)) @ channel
        total = np.bincount(words, counts * points, len(channel)) @ channel
        # A word that nothing is ever read as keeps its value.
        values = np.where(weight > 0, total / np.maximum(weight, np.finfo(float).tiny), values)
    return values


def envelope(values: Floats, channel: Floats) -> tuple[Codes, Floats]:
    """The labels ``(n,)`` with the least expected square error for some weight, and where each gives way to the next.

    The error of a label is a line in the weight, less the weight's square: the lower envelope of the lines says it all.
    """
    mean, square = channel @ values, channel @ np.square(values)
    labels: list[int] = []
    ends: list[float] = []
    for label in np.lexsort((square, mean)).tolist():
        if labels and mean[label] == mean[labels[-1]]:
            continue
        while labels:
            end = float((square[label] - square[labels[-1]]) / (2 * (mean[label] - mean[labels[-1]])))
            if not ends or end > ends[-1]:
                ends.append(end)
                break
            labels.pop()
            ends.pop()
        labels.append(label)
    return np.array(labels), np.array(ends)


def grid(clean: Codes, read: Codes, channel: Floats) -> Grid:
    """What weights are rounded to, by the weight code of every label and of whatever it may be read as."""
    labels, ends = envelope(read.astype(np.float64), channel)
    return Grid(clean[labels], ends)


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


def companded(points: Floats, counts: Codes, labels: int) -> Floats:
    """Values in ascending order, as dense as the cube root of the weights is: optimal for many labels.

    Source: P. F. Panter and W. Dite, "Quantization distortion in pulse-count modulation with nonuniform spacing of
    levels", Proc. IRE 39(1), 1951.
    """
    if not len(points):
        return np.zeros(labels)
    density = np.cumsum(np.cbrt(counts))
    return np.interp((np.arange(labels) + 0.5) / labels * density[-1], density, points)
