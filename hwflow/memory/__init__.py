"""The memories of a design: what is stored where, in the coordinates that fault lists use."""

from hwflow.memory.outcomes import WordCounts, count_words
from hwflow.memory.stored import (
    Touched,
    check_faults,
    layer_bias_type,
    layer_layout,
    layer_storage,
    memories,
    memory_of,
    stored_words,
    touched,
)

__all__ = [
    "Touched",
    "WordCounts",
    "check_faults",
    "count_words",
    "layer_bias_type",
    "layer_layout",
    "layer_storage",
    "memories",
    "memory_of",
    "stored_words",
    "touched",
]
