"""NumPy archives, made in memory: on a full disk, one that is written piece by piece fails piece by piece."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


def npz_bytes(arrays: Mapping[str, npt.NDArray[Any]], compressed: bool = True) -> bytes:
    """The content of an ``.npz`` of these arrays by name; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    # numpy.savez takes names as keywords and so has no array called "file".
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asanyarray(array), allow_pickle=False)
    return buffer.getvalue()
