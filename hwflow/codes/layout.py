"""The storage order: which weight is where in a memory. No other module knows it.

A layer has weights ``(..., out)``; all axes but the last one, row-major, are the inputs of an output's sum of products.
A memory stores the weights output by output: weight ``(output, input)`` has the index ``output * n_in + input``, and an
output's weights are a row. A layer that works channel by channel has them the other way round, at
``input * n_out + output``, as its hardware reads the weights of some channels and one input side by side: a row has
the weights of all outputs and one input. Words that hold several weights never go on into the next row, so that
hardware can read rows side by side: the last word of a row may hold fewer weights than the others, and zeros in their
places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Index = npt.NDArray[np.int64]


def ordered(weights: npt.NDArray[Any], channelwise: bool = False) -> npt.NDArray[Any]:
    """Weights ``(..., out)`` in storage order, ``(n,)``; those of a layer that works channel by channel as they are."""
    return weights.reshape(-1) if channelwise else np.moveaxis(weights, -1, 0).reshape(-1)


def unordered(stored: npt.NDArray[Any], shape: tuple[int, ...], channelwise: bool = False) -> npt.NDArray[Any]:
    """Inverse of :func:`ordered`: weights of the ``shape`` ``(..., out)``, contiguous."""
    if channelwise:
        return stored.reshape(shape)
    return np.ascontiguousarray(np.moveaxis(stored.reshape(shape[-1], *shape[:-1]), 0, -1))


def at(weights: npt.NDArray[Any], index: Index, channelwise: bool = False) -> npt.NDArray[Any]:
    """The weights ``(m,)`` of ``(..., out)`` at some indices; copies no others."""
    if channelwise:
        return weights.reshape(-1)[index]
    output, source = position(index, weights.size // weights.shape[-1])
    return weights.reshape(-1, weights.shape[-1])[source, output]


def position(index: Index, n_in: int) -> tuple[Index, Index]:
    """Output and input of the weights at some indices, where an output has ``n_in`` weights."""
    output, source = np.divmod(index, n_in)
    return output, source


def channelwise_position(index: Index, n_out: int) -> tuple[Index, Index]:
    """The same of a layer with ``n_out`` outputs that works channel by channel."""
    source, output = np.divmod(index, n_out)
    return output, source


def index_of(output: Index, source: Index, n_in: int) -> Index:
    """Inverse of :func:`position`."""
    return output * n_in + source


@dataclass(frozen=True)
class Layout:
    """How the weights of a memory are divided into words.

    Attributes:
        rows: rows of weights; no word goes on from one into the next.
        columns: weights of a row.
        per_word: weights that a word has room for.
    """

    rows: int
    columns: int
    per_word: int

    @property
    def row_words(self) -> int:
        """Words of a row; the last one may have room to spare."""
        return -(-self.columns // self.per_word)

    @property
    def words(self) -> int:
        """Words of the memory."""
        return self.rows * self.row_words

    def place(self, index: Index) -> tuple[Index, Index]:
        """The word of each weight ``(m,)``, and its place in it."""
        row, column = np.divmod(index, self.columns)
        return row * self.row_words + column // self.per_word, column % self.per_word

    def indices(self, words: Index) -> Index:
        """The weights ``(m, per_word)`` of words ``(m,)``, by index; -1 where a word has room to spare."""
        row, word = np.divmod(words, self.row_words)
        column = word[:, None] * self.per_word + np.arange(self.per_word)
        return np.where(column < self.columns, row[:, None] * self.columns + column, -1)
