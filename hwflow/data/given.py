"""Data that a program holds: arrays, pairs of arrays, and iterables of batches such as ``tf.data`` and PyTorch loaders.

Libraries are told apart by what their objects have, so that none need be installed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.data.arrays import Dataset, checked_images
from hwflow.data.folders import ImageSet
from hwflow.errors import HwflowError

Data = Dataset | ImageSet

DataLike = str | Path | Data | npt.ArrayLike | tuple[Any, Any] | Iterable[Any]
"""Data as a function takes them: what a command names (``digits``, an ``.npz``, a folder of images); a :class:`Dataset`
or an image set; an array of images; a pair ``(images, labels)``; or an iterable of batches, each of which is an array
or such a pair: ``tf.data.Dataset``, ``torch.utils.data.DataLoader``, a generator."""

_IMAGES = "images"
_FORMS = "give a name or path, an array, a pair (images, labels), a hwflow.Dataset, or an iterable of batches"


def as_data(given: DataLike, images: int | None = None, name: str = _IMAGES) -> str | Path | Data:
    """Return data as the stages take them: names, paths and data sets as they are, all else as a :class:`Dataset`.

    Tensors of PyTorch have their channels in the second axis; here they come last, as the design has them. An iterable
    is read into memory, no further than it is needed.

    Args:
        given: the data.
        images: how many are wanted; an iterable is read until it has given so many.
        name: what to call them in a report.

    Raises:
        HwflowError: it is nothing of :data:`DataLike`, an iterable without an end, or images that are no numbers.
    """
    if isinstance(given, str | Path | Dataset | ImageSet):
        return given
    if _is_array(given):
        return _dataset(name, given, None)
    if isinstance(given, tuple):
        return _dataset(name, *_pair(given))
    if isinstance(given, Iterable) and not isinstance(given, Mapping | bytes | bytearray):
        return _gathered(name, iter(given), given, images)
    raise HwflowError(f"data of type {type(given).__name__} are not understood: {_FORMS}")


def _is_array(value: object) -> bool:
    """Whether a value is an array or a tensor, or a list of numbers, not an iterable of batches."""
    if isinstance(value, list):
        while isinstance(value, list) and value:
            value = value[0]
        return isinstance(value, int | float)
    return hasattr(value, "__array__") and hasattr(value, "shape")


def _pair(given: tuple[Any, ...]) -> tuple[Any, Any]:
    if len(given) != 2 or not all(map(_is_array, given)):
        raise HwflowError(f"a tuple of data is a pair (images, labels) of arrays, not {len(given)} values: {_FORMS}")
    return given[0], given[1]


def _dataset(name: str, images: Any, labels: Any) -> Dataset:
    x = checked_images(name, _array(images))
    return Dataset(name, x, None if labels is None else _array(labels), "there are none; give (x, y)")


def _array(value: Any) -> npt.NDArray[Any]:
    """A value as an array; tensors of PyTorch with their channels last."""
    if type(value).__module__.split(".")[0] != "torch":
        return np.asarray(value)
    array = value.detach().cpu().numpy()
    return np.ascontiguousarray(np.moveaxis(array, 1, -1)) if array.ndim > 2 else np.asarray(array)


def _gathered(name: str, batches: Iterator[Any], given: Any, images: int | None) -> Dataset:
    """All batches of an iterable, or as many as hold the images that are wanted."""
    if images is None and _is_endless(given):
        raise HwflowError("the data repeat without an end: say how many images to take (images=), or drop repeat()")
    xs: list[npt.NDArray[Any]] = []
    ys: list[npt.NDArray[Any]] = []
    count = 0
    for batch in batches:
        x, y = _pair(tuple(batch)) if isinstance(batch, tuple | list) and not _is_array(batch) else (batch, None)
        if not _is_array(x):
            raise HwflowError(f"a batch of type {type(batch).__name__} is not understood: {_FORMS}")
        xs.append(checked_images(name, _array(x)))
        if y is not None:
            ys.append(_array(y))
            if len(ys[-1].shape) == 0:
                raise HwflowError("the data give single images: put them in batches, as with .batch(32)")
        if len(ys) not in (0, len(xs)):
            raise HwflowError("some batches have labels, others have none: give all of them, or none, as pairs (x, y)")
        count += len(xs[-1])
        if images is not None and count >= images:
            break
    if not xs:
        raise HwflowError("the data hold no batch; a generator can be used once only")
    if len({x.shape[1:] for x in xs}) > 1:
        shapes = " and ".join(sorted({str(x.shape[1:]) for x in xs}))
        raise HwflowError(f"batches hold images of different shapes, {shapes}: give batches, not images")
    return _dataset(name, np.concatenate(xs), np.concatenate(ys) if ys else None)


def _is_endless(given: Any) -> bool:
    """Whether a ``tf.data.Dataset`` repeats for ever."""
    cardinality = getattr(given, "cardinality", None)
    return callable(cardinality) and int(cardinality()) == -1
