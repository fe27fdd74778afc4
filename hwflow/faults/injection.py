"""Flipping the bits of an array of stored words."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.faults.faultlist import Masks, Words


def inject(stored: npt.NDArray[Any], faults_for_memory: tuple[Words, Masks]) -> None:
    """Flip bits of stored words, in place; the same call again flips them back.

    Costs as much as there are faults, whatever the size of the memory. Only raw bits are exclusive-ored:
    where a word has fewer bits than the array's type, reading it as a signed number is up to the caller.

    Args:
        stored: the memory's words in order, any integer type and any shape, contiguous.
        faults_for_memory: `FaultList.masks` of that memory.

    Raises:
        HwflowError: `stored` is no contiguous integer array, has fewer words, or narrower ones.
    """
    words, masks = faults_for_memory
    if stored.dtype.kind not in "iu" or not stored.flags.c_contiguous:
        raise HwflowError(f"stored words must be a contiguous array of integers, not of {stored.dtype}")
    if words.size == 0:
        return
    if words.min() < 0 or words.max() >= stored.size:
        raise HwflowError(f"a fault is in word {words.max()}, but the memory has {stored.size} words")
    width = 8 * stored.dtype.itemsize
    if int(masks.max()) >> width:
        raise HwflowError(f"a fault is in bit {int(masks.max()).bit_length() - 1}, but words have {width} bits")
    flat = stored.reshape(-1).view(f"u{stored.dtype.itemsize}")
    flat[words] ^= masks.astype(flat.dtype)
