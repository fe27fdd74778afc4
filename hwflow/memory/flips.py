"""What a flip of each stored bit changes of the weights, one bit at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from hwflow.codes.words import word_bytes
from hwflow.graph import FloatArray, IntArray, WeightLayer
from hwflow.memory.stored import held, layer_layout, layer_storage

_WORDS = 1 << 14
"""Words that are decoded at once, for every one of their bits."""


def single_flips(layer: WeightLayer) -> Iterator[tuple[IntArray, int, IntArray, IntArray]]:
    """Every stored bit of a layer's weight memory, and what its flip makes of the weights of its word.

    Yields:
        Numbers of words ``(m,)``, a bit, the weights ``(m, k)`` that the words hold, by index and -1 for none, and the
        difference ``(m, k)`` of their codes.
    """
    code = layer_storage(layer)
    for start in range(0, layer_layout(layer).words, _WORDS):
        words = np.arange(start, min(start + _WORDS, layer_layout(layer).words))
        index, clean = held(layer, "weight", words)
        stored = code.encode(clean)
        for bit in range(code.bits):
            mask = np.zeros(word_bytes(code.bits), dtype=np.uint8)
            mask[bit // 8] = 1 << bit % 8
            yield words, bit, index, np.where(index >= 0, code.decode(stored ^ mask) - clean, 0)


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
