"""NumPy archives, made in memory: on a full disk, one that is written piece by piece fails piece by piece."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


def npz_bytes(arrays: Mapping[str, npt.NDArray[Any]], compressed: bool = True) -> bytes:
    """The content of an ``.npz`` of these arrays by name."""
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()
