"""HDF5 as data: no link leads out of the file, and no array is larger than what is stored of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from hwflow.files.arrays import expansion_limit

_MOST_NAMES = 1_000_000


def child(group: h5py.Group, path: str) -> Any:
    """The group or dataset at a path below ``group``; None if there is none.

    Raises:
        ValueError: the path leads through a link to somewhere else.
    """
    found: Any = group
    for name in path.split("/"):
        if name in ("", "."):  # HDF5 skips both; ".." is a name as any other
            continue
        if not isinstance(found, h5py.Group):
            return None
        link = found.get(name, getlink=True)
        if link is None:
            return None
        if not isinstance(link, h5py.HardLink):
            # No mistake of the caller's in a type: the file's content is refused, as all of it is, by ValueError.
            raise ValueError(f"{ascii(name)[:60]} is a link to somewhere else, not data")  # noqa: TRY004
        found = found[name]
    return found


def subgroup(group: h5py.Group, path: str) -> h5py.Group | None:
    """The group at a path; None if there is none."""
    found = child(group, path)
    return found if isinstance(found, h5py.Group) else None


def dataset(group: h5py.Group, path: str) -> h5py.Dataset | None:
    """The dataset of numbers at a path, which is known to be in the file and to fit in memory; None if there is none.

    Raises:
        ValueError: its numbers are in another file, or it declares more of them than are stored.
    """
    found = child(group, path)
    if not isinstance(found, h5py.Dataset):
        return None
    check_dataset(found)
    return found


def check_dataset(found: h5py.Dataset) -> None:
    """Refuse a dataset that is not wholly in its file.

    Raises:
        ValueError: its numbers are in another file, it holds no numbers, or declares more than are stored.
    """
    name = ascii(found.name)[:60]
    if found.shape is None or found.dtype.kind not in "fiub":
        raise ValueError(f"{name} does not hold numbers")
    if found.is_virtual or found.external:
        raise ValueError(f"{name} has its numbers in another file")
    declared, stored = found.size * found.dtype.itemsize, found.id.get_storage_size()
    filtered = found.id.get_create_plist().get_nfilters() > 0
    if declared > (expansion_limit(stored) if filtered and stored else stored):
        raise ValueError(f"{name} declares {declared} bytes and stores {stored}")


def numbers_stored(group: h5py.Group) -> int:
    """How many numbers all datasets below ``group`` hold; links that lead elsewhere do not count.

    Raises:
        ValueError: as in `check_dataset`.
    """
    return sum(found.size for found in _datasets(group, 0))


def _datasets(group: h5py.Group, depth: int) -> Iterator[h5py.Dataset]:
    if depth > 100:
        raise ValueError("groups are nested too deep")
    for name in group:
        found = child(group, name)
        if isinstance(found, h5py.Group):
            yield from _datasets(found, depth + 1)
        elif isinstance(found, h5py.Dataset):
            check_dataset(found)
            yield found


def read(found: h5py.Dataset) -> npt.NDArray[Any]:
    """All numbers of a checked dataset."""
    array: npt.NDArray[Any] = np.asarray(found[()])
    return array


def attribute(group: h5py.Group, name: str) -> str | None:
    """An attribute that is one text; None if there is none.

    Raises:
        ValueError: it is something else.
    """
    if name not in group.attrs:
        return None
    value = group.attrs[name] if group.attrs.get_id(name).shape == () else None
    if value is None or not isinstance(value, str | bytes):
        raise ValueError(f"its {name} is no text")
    return value if isinstance(value, str) else value.decode("utf-8")


def names(group: h5py.Group, name: str) -> list[str] | None:
    """An attribute that is a list of texts, in as many parts as Keras made of it; None if there is none.

    Raises:
        ValueError: it is something else.
    """
    if name in group.attrs:
        parts = [name]
    else:
        parts = []
        while f"{name}{len(parts)}" in group.attrs:
            parts.append(f"{name}{len(parts)}")
    found: list[str] = []
    for part in parts:
        shape = group.attrs.get_id(part).shape
        if shape is None or len(shape) != 1 or shape[0] > _MOST_NAMES:
            raise ValueError(f"its {part} is no list of texts")
        values = group.attrs[part]
        if not all(isinstance(value, str | bytes) for value in values):
            raise ValueError(f"its {part} is no list of texts")
        found += [value if isinstance(value, str) else value.decode("utf-8") for value in values]
    return found if parts else None
