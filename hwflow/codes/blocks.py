"""What a binary block code is to the words that it protects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Bits = npt.NDArray[np.uint8]
"""Zeros and ones, ``(words, bits)``."""
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Residual:
    """What a decoder leaves of a memory's flips, for a few data bits of a word that are next to each other.

    Attributes:
        doubtful: probability that the decoder marks any of them as doubtful.
        flipped: probability that one of them is wrong if so.
        silent: probability that one of them is wrong if not.
    """

    doubtful: float
    flipped: float
    silent: float = 0.0


class BlockCode(Protocol):
    """A systematic binary code: data bits first, then the checks that it adds."""

    @property
    def bits(self) -> int:
        """Length of a codeword."""

    @property
    def data_bits(self) -> int:
        """Data bits of a codeword."""

    def checks(self, data: Bits) -> Bits:
        """Check bits ``(n, bits - data_bits)`` of data ``(n, data_bits)``."""

    def decode(self, received: Bits) -> tuple[Bits, Flags]:
        """Data ``(n, data_bits)`` of any received words ``(n, bits)``, and which bits of it are doubtful.

        A doubtful bit is given as it was received, or as far as the decoder came.
        """

    def residual(self, ber: float, together: int = 1) -> Residual:
        """What is left of so many bits together where every stored bit flips with a probability of ``ber``."""
