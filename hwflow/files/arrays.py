"""Arrays and JSON from files that somebody else wrote: what a file declares is checked before memory is taken.

Nothing is unpickled. A file of F bytes may expand to 64 MiB + 100 F, more than any real weights or images do;
an archive that declares more is refused before it is read, and an array may declare no more than its member holds.
"""

from __future__ import annotations

import json
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError

READ_ERRORS = (
    OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError,
    RuntimeError, MemoryError, SyntaxError, TypeError, tokenize.TokenError,
)  # fmt: skip
"""What reading a damaged array or archive may raise."""
LARGEST_JSON = 64 * 2**20
_EXPANSION = 100
_HEADROOM = 64 * 2**20
_ENDING = ".npy"


def first_line(error: BaseException) -> str:
    """The first line of an error's text, for a one-line message."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def expansion_limit(size: int) -> int:
    """Bytes that a file of ``size`` bytes may expand to."""
    return _HEADROOM + _EXPANSION * size


def check_expansion(declared: int, size: int) -> None:
    """Refuse content that expands too much.

    Raises:
        ValueError: a file of ``size`` bytes declares more than it may.
    """
    if declared > expansion_limit(size):
        raise ValueError(f"it declares {declared} bytes in a file of {size}")


def open_archive(file: IO[bytes], paths: bool = True) -> zipfile.ZipFile:
    """A zip archive, whose members are known to fit in memory, and are neither links nor outside of it.

    Args:
        file: opened for reading.
        paths: members are files; those of an ``.npz`` are arrays, whose names are any texts and never become paths.

    Raises:
        ValueError: it declares too much, or has a member that no program of ours writes.
        OSError, zipfile.BadZipFile: it is no archive.
    """
    size = file.seek(0, 2)
    archive = zipfile.ZipFile(file)
    members = archive.infolist()
    check_expansion(sum(member.file_size for member in members), size)
    for member in members:
        parts = member.filename.replace("\\", "/").split("/")
        outside = paths and (".." in parts or not parts[0])
        if outside or (member.external_attr >> 16) & 0o170000 == 0o120000:
            raise ValueError(f"its member {ascii(member.filename)[:60]} is a link or lies outside the archive")
    if len({member.filename for member in members}) != len(members):
        raise ValueError("it has two members of one name")
    return archive


@contextmanager
def open_npz(path: str | Path) -> Iterator[zipfile.ZipFile]:
    """An ``.npz`` as an archive; what reading it in the block raises is refused by the file's name, too.

    Raises:
        HwflowError: the file is missing, damaged, no ``.npz``, declares more than it holds, or holds Python objects.
    """
    try:
        with Path(path).open("rb") as file:
            if file.read(len(np.lib.format.MAGIC_PREFIX)) == np.lib.format.MAGIC_PREFIX:
                raise HwflowError(f"{path}: a single array, not an .npz; save it with numpy.savez")
            with open_archive(file, paths=False) as archive:
                yield archive
    except HwflowError:
        raise
    except READ_ERRORS as error:
        raise HwflowError(f"{path}: not a readable .npz ({first_line(error)})") from error


def read_npz(path: str | Path) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an ``.npz`` by name; errors as :func:`open_npz`."""
    with open_npz(path) as archive:
        return {name: read_member(archive, member) for name, member in members(archive).items()}


def read_npy(path: str | Path) -> npt.NDArray[Any]:
    """The array of an ``.npy``.

    Raises:
        HwflowError: the file is missing, damaged, no ``.npy``, declares more than it holds, or holds Python objects.
    """
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(0)
            return _array(file, size)
    except READ_ERRORS as error:
        raise HwflowError(f"{path}: not a readable .npy ({first_line(error)})") from error


def members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The arrays of an opened ``.npz`` by name, not read yet."""
    return {member.filename.removesuffix(_ENDING): member for member in archive.infolist()}


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> npt.NDArray[Any]:
    """One array of an opened ``.npz``.

    Raises:
        ValueError: it is damaged, declares more than it holds, or holds Python objects.
    """
    try:
        with archive.open(member) as file:
            return _array(file, member.file_size)
    except READ_ERRORS as error:
        raise ValueError(f"{ascii(member.filename)[:60]}: {first_line(error)}") from error


def _array(file: IO[bytes], size: int) -> npt.NDArray[Any]:
    """An array of a file of ``size`` bytes; the header is read twice, first to see what it declares."""
    version = np.lib.format.read_magic(file)
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        raise ValueError(f"its array format is {version}, not 1.0 or 2.0")
    shape, _, dtype = readers[version](file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, not numbers")
    declared = math.prod(shape) * dtype.itemsize
    if declared > size - file.tell() or (not dtype.itemsize and math.prod(shape)):
        raise ValueError(f"it declares {declared} bytes and holds {max(0, size - file.tell())}")
    file.seek(0)
    array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    return array


def parse_json(content: bytes | str) -> Any:
    """JSON of bounded size and depth.

    Raises:
        ValueError: it is no JSON, larger than 64 MiB, nested too deep, or a number has thousands of digits.
    """
    if len(content) > LARGEST_JSON:
        raise ValueError(f"more than {LARGEST_JSON} bytes of JSON")
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
