"""Labels in the forms in which people have them, as class numbers."""

from typing import Any

import numpy as np
import numpy.typing as npt

Int64 = npt.NDArray[np.int64]
Labels = npt.NDArray[Any]


def class_numbers(y: Labels, count: int) -> Int64 | str:
    """Return the class number of each image, (count,), or one line that says why `y` does not tell it.

    Args:
        y: class numbers, (count,) or, as Keras' data sets return them, (count, 1), of any integer type, boolean,
            or floats that are whole numbers; or one-hot, (count, classes), a single 1 among zeros in each row.
        count: the number of images.
    """
    y = np.asarray(y)
    if y.dtype.kind not in "biuf":
        return f"'y' must hold class numbers (integers) or one-hot rows, not {y.dtype}"
    if y.ndim < 1 or len(y) != count or (y.ndim != 2 and y.size != count):
        shapes = f"({count},), ({count}, 1), or one-hot ({count}, classes)"
        return f"'y' must hold one label an image: {shapes}; its shape is {y.shape}"
    return _numbers(y.reshape(count)) if y.size == count else _one_hot(y)


def _numbers(y: Labels) -> Int64 | str:
    if y.dtype.kind == "f" and not (np.isfinite(y).all() and (y == np.rint(y)).all()):
        return "'y' must hold class numbers, but not all of its values are whole numbers"
    if (y < 0).any():
        return "'y' holds a negative class number"
    largest = int(y.max(initial=0))
    if largest > np.iinfo(np.int32).max:
        return f"'y' holds {largest}, too large for a class number"
    return y.astype(np.int64)


def _one_hot(y: Labels) -> Int64 | str:
    hot = y == 1
    bad = np.flatnonzero((hot.sum(axis=1) != 1) | ((y != 0) & ~hot).any(axis=1))
    if bad.size:
        return f"'y' of shape {y.shape} must be one-hot, a single 1 among zeros in each row; row {bad[0]} is not"
    return hot.argmax(axis=1).astype(np.int64)
