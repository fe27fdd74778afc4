"""NumPy archives, made in memory: on a full disk, one that is written piece by piece fails piece by piece."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


def npz_bytes(arrays: Mapping[str, npt.NDArray[Any]], compressed: bool = True, narrow: bool = False) -> bytes:
    """The content of an ``.npz``; equal arrays give equal bytes.

    Args:
        arrays: by name; taken one after the other.
        compressed: by zlib.
        narrow: integers in the smallest type that holds them. It halves the time of a large network: zlib would find
            the zeros, but one byte at a time.
    """
    buffer = io.BytesIO()
    # numpy.savez takes names as keywords and so has no array called "file".
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                array = _narrow(np.asanyarray(array)) if narrow else np.asanyarray(array)
                np.lib.format.write_array(member, array, allow_pickle=False)
    return buffer.getvalue()


def _narrow(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Integers in the smallest type that holds them; real values as they are."""
    if array.dtype.kind != "i" or not array.size:
        return array
    return array.astype(np.min_scalar_type(min(int(array.min()), -1 - int(array.max()))))
