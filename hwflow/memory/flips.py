"""What a flip of each stored bit changes of the weights, one bit at a time, and what flips do to each weight."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from hwflow.codes.words import word_bytes
from hwflow.graph import FloatArray, IntArray, WeightLayer
from hwflow.memory.stored import held, layer_layout, layer_storage, reached

MOST_FLIPS = 8
_WORDS = 1 << 14
"""Words that are decoded at once, for every one of their bits."""


def single_flips(layer: WeightLayer) -> Iterator[tuple[IntArray, int, IntArray, IntArray]]:
    """Every stored bit of a layer's weight memory, and what its flip makes of the weights of its word.

    Yields:
        Numbers of words ``(m,)``, a bit, the weights ``(m, k)`` that the words hold, by index and -1 for none, and the
        difference ``(m, k)`` of their codes.
    """
    return _flips(layer, 1)


def flip_power(layer: WeightLayer, power: Callable[[IntArray, IntArray], FloatArray]) -> FloatArray:
    """What each stored bit's flip adds, summed over the weights that it changes.

    Args:
        layer: a typed layer.
        power: of weights ``(n,)``, by index, and the differences ``(n,)`` of their codes.

    Returns:
        ``(words, bits)``.
    """
    found = np.zeros((layer_layout(layer).words, layer_storage(layer).bits))
    for words, bit, index, change in single_flips(layer):
        changed = change != 0
        values = np.zeros(change.shape)
        values[changed] = power(index[changed], change[changed])
        found[words, bit] = values.sum(axis=1)
    return found


def weight_power(layer: WeightLayer, power: Callable[[IntArray, IntArray], FloatArray], ber: float) -> FloatArray:
    """What flips at a small bit error rate add, by the weight that they change, in the mean.

    Counted are words with the fewest flips that their code leaves something of: one without a code, two with SECDED. Of
    all places that several flips may have, neighbouring bits stand for the others.

    Args:
        layer: a typed layer.
        power: of weights ``(n,)``, by index, and the differences ``(n,)`` of their codes.
        ber: the bit error rate.

    Returns:
        ``(weights,)`` in storage order; all 0 where a code leaves nothing of ``MOST_FLIPS`` flips.
    """
    found = np.zeros(layer.weight.size)
    bits = layer_storage(layer).bits
    for count in range(1, min(MOST_FLIPS, bits) + 1):
        for _, _, index, change in _flips(layer, count):
            changed = change != 0
            np.add.at(found, index[changed], power(index[changed], change[changed]))
        if found.any():
            return found * (math.comb(bits, count) / -(-bits // count) * ber**count)
    return found


def _flips(layer: WeightLayer, count: int) -> Iterator[tuple[IntArray, int, IntArray, IntArray]]:
    """As :func:`single_flips`, of every ``count`` neighbouring bits, the first of which is yielded."""
    code = layer_storage(layer)
    for start in range(0, layer_layout(layer).words, _WORDS):
        words = np.arange(start, min(start + _WORDS, layer_layout(layer).words))
        index, clean = held(layer, "weight", words)
        stored, counts = code.encode(clean), reached(layer, "weight", index)
        for bit in range(0, code.bits, count):
            mask = np.zeros(word_bytes(code.bits), dtype=np.uint8)
            for place in range(bit, bit + count):
                mask[place % code.bits // 8] |= 1 << place % code.bits % 8
            yield words, bit, index, np.where(counts, code.decode(stored ^ mask) - clean, 0)
