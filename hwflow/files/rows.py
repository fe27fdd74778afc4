"""Arrays of many rows, of which a few at a time are used: in memory or on disk."""

from __future__ import annotations

import copy
import math
import tempfile
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError


class Rows(Protocol):
    """What can be asked for some of its rows: an array, or :class:`StoredRows`."""

    @property
    def shape(self) -> tuple[int, ...]:
        """``(rows, ...)``."""
        ...

    def __len__(self) -> int:
        """How many rows."""
        ...

    def __getitem__(self, rows: slice, /) -> npt.NDArray[Any]:
        """Some of them."""
        ...


class StoredRows:
    """Rows in a temporary file, which goes with the last that has it.

    Args:
        parts: ``(n, *shape)`` each, all of one shape and type.

    Attributes:
        shape: ``(rows, *shape)``; ``(0,)`` without parts.
        dtype: of the rows.

    Raises:
        HwflowError: there is no room for them.
    """

    def __init__(self, parts: Iterable[npt.NDArray[Any]]) -> None:
        self.shape: tuple[int, ...] = (0,)
        self.dtype = np.dtype(np.float32)
        try:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115
            for part in parts:
                self._add(part)
            self._file.flush()
        except OSError as error:
            raise HwflowError(f"temporary files cannot be written: {error.strerror}; set TMPDIR") from error

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice, /) -> npt.NDArray[Any]:
        start, stop, step = rows.indices(len(self))
        assert step == 1
        values = np.empty((max(0, stop - start), *self.shape[1:]), dtype=self.dtype)
        self._file.seek(start * math.prod(self.shape[1:]) * self.dtype.itemsize)
        read = self._file.readinto(_bytes(values))
        assert read == values.nbytes
        return values

    def _add(self, part: npt.NDArray[Any]) -> None:
        assert not len(self) or (part.shape[1:], part.dtype) == (self.shape[1:], self.dtype)
        self.shape, self.dtype = (len(self) + len(part), *part.shape[1:]), part.dtype
        self._file.write(_bytes(np.ascontiguousarray(part)))

    def first(self, count: int) -> StoredRows:
        """The first ``count`` of the rows, in the same file."""
        assert count <= len(self)
        part = copy.copy(self)
        part.shape = (count, *self.shape[1:])
        return part


def _bytes(values: npt.NDArray[Any]) -> memoryview:
    """The memory of a contiguous array."""
    return values.reshape(-1).view(np.uint8).data
