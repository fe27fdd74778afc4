"""A file whose errors come late: for libraries that do not survive them."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any


class Late(io.RawIOBase):
    """A file that takes everything, and tells afterwards whether it could be written.

    HDF5 ends the process where a disk is full.

    Args:
        file: opened for reading and writing.
    """

    def __init__(self, file: io.BufferedRandom) -> None:
        self._file = file
        self._error: OSError | None = None

    def check(self) -> None:
        """Say what could not be written.

        Raises:
            OSError: the first error.
        """
        self._tried(self._file.flush, None)
        if self._error is not None:
            raise self._error

    def seekable(self) -> bool:
        """It can be sought in."""
        return True

    def readable(self) -> bool:
        """It can be read."""
        return True

    def writable(self) -> bool:
        """It can be written."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a place, and tell which."""
        return int(self._tried(lambda: self._file.seek(offset, whence), offset))

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, and tell how far."""
        return int(self._tried(lambda: self._file.readinto(buffer), len(buffer)))

    def write(self, data: Any) -> int:
        """Write all of ``data``."""
        return int(self._tried(lambda: self._file.write(data), len(data)))

    def truncate(self, size: int | None = None) -> int:
        """Cut the file off."""
        return int(self._tried(lambda: self._file.truncate(size), size or 0))

    def _tried(self, operation: Callable[[], Any], instead: Any) -> Any:
        """What an operation gives; after an error what is given ``instead``."""
        if self._error is not None:
            return instead
        try:
            return operation()
        except OSError as error:
            self._error = error
            return instead
