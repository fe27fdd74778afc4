"""What decoders made of the words that faults hit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hwflow.faults import FaultList
from hwflow.graph import Graph
from hwflow.memory.stored import layer_layout, layer_storage, owner, reached, stored_at


@dataclass(frozen=True)
class WordCounts:
    """Words with flipped bits.

    Attributes:
        corrected: read as the weights that were stored, but for those that the side memory keeps.
        detected: with an error that the decoder knows of and cannot correct (DUE, detected unrecoverable error).
        silent: read as other weights, unnoticed (SDC, silent data corruption); all that an unprotected memory has.
    """

    corrected: int = 0
    detected: int = 0
    silent: int = 0

    def __add__(self, other: WordCounts) -> WordCounts:
        return WordCounts(self.corrected + other.corrected, self.detected + other.detected, self.silent + other.silent)


def count_words(graph: Graph, faults: FaultList) -> WordCounts:
    """What becomes of the words that ``faults`` hits, in all memories.

    Raises:
        HwflowError: faults of another design.
    """
    total = WordCounts()
    for memory in faults.memories:
        layer, kind = owner(graph, memory.name)
        words, masks = faults.masks(memory.name)
        if not len(words):
            continue
        code = layer_storage(layer, kind)
        stored = stored_at(layer, kind, words)
        counts = reached(layer, kind, layer_layout(layer, kind).indices(words))
        read = stored ^ masks
        detected = code.detected(read)
        same = ((code.decode(read) == code.decode(stored)) | ~counts).all(axis=1)
        total += WordCounts(
            int(np.count_nonzero(same & ~detected)),
            int(np.count_nonzero(detected)),
            int(np.count_nonzero(~same & ~detected)),
        )
    return total
