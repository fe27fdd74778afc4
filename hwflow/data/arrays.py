"""Images in memory, with their labels: the embedded digits and a user's own ``.npz``."""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwflow.data.labels import Int64, class_numbers
from hwflow.errors import HwflowError
from hwflow.files.arrays import members, open_npz, read_member
from hwflow.files.rows import Rows

DIGITS = "digits"
SPLITS = ("train", "test")
DIGITS_TEST = 500
_DIGITS_SEED = 2024

Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Images, and their labels if they are known.

    Attributes:
        name: what to call it in a report.
        images: float32, (N, H, W, C), or (N, features) for a dense network.
        labels: int64, (N,), or None. What `class_numbers` understands may be given; what it does not is None here,
            for only accuracy needs labels, and `unlabelled` says why.
        unlabelled: why there are no labels.
    """

    name: str
    images: Float32
    labels: Int64 | None
    unlabelled: str = "it has none; add an array 'y' to the .npz"

    def __post_init__(self) -> None:
        """Bring labels of another form into (N,)."""
        if self.labels is None:
            return
        found = class_numbers(self.labels, len(self.images))
        object.__setattr__(self, "labels", found if isinstance(found, np.ndarray) else None)
        if isinstance(found, str):
            object.__setattr__(self, "unlabelled", found)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def head(self, count: int) -> "Dataset":
        """Return the first `count` images; HwflowError if there are fewer, or if `count` is not positive."""
        if not 0 < count <= len(self):
            raise HwflowError(f"{self.name} has {len(self)} images: cannot take the first {count}")
        labels = None if self.labels is None else self.labels[:count]
        return Dataset(self.name, self.images[:count], labels, self.unlabelled)


def load_digits(split: str = "test") -> Dataset:
    """Return scikit-learn's digits: 1297 images to train on or 500 to test on.

    The split is one fixed shuffle. scikit-learn keeps the digits by writer, so that cutting the
    unshuffled list would instead test on writers never seen.

    Args:
        split: ``train`` or ``test``.

    Returns:
        images (N, 8, 8, 1) in [0, 1], multiples of 1/16; labels 0 to 9.

    Raises:
        HwflowError: there is no such split.
    """
    from sklearn import datasets

    if split not in SPLITS:
        raise HwflowError(f"digits has no split {split!r}: choose one of {', '.join(SPLITS)}")
    pixels, labels = datasets.load_digits(return_X_y=True)
    order = np.random.default_rng(_DIGITS_SEED).permutation(len(pixels))
    chosen = order[:DIGITS_TEST] if split == "test" else order[DIGITS_TEST:]
    images = (pixels[chosen] / 16.0).astype(np.float32).reshape(-1, 8, 8, 1)
    return Dataset(DIGITS, images, labels[chosen].astype(np.int64))


def load_data(spec: str, split: str = "test", labels: bool = True) -> Dataset:
    """Return the embedded digits or the arrays of an ``.npz`` file.

    Args:
        spec: ``digits``, or the path of an ``.npz`` with an array ``x`` (N, ...) of numbers and, if labels
            are known, an array ``y`` as `class_numbers` takes it.
        split: which part of ``digits``; an ``.npz`` is one part and is returned whole.
        labels: whether labels are looked at; calibration does not.

    Raises:
        HwflowError: no such file or split, not an ``.npz``, or ``x`` is missing, empty, not numeric, or holds
            NaN or infinity. Labels that cannot be used are no error here, see `Dataset.unlabelled`.
    """
    if spec != DIGITS:
        return _load_npz(Path(spec), labels)
    return load_digits(split) if labels else replace(load_digits(split), labels=None)


def check_shape(images: Rows, expected: Sequence[int]) -> None:
    """Raise HwflowError unless `images` is a batch (N, *expected) of at least one image."""
    if tuple(images.shape[1:]) != tuple(expected) or not len(images):
        raise HwflowError(
            f"the data has shape {_shape_text(images.shape)}, the model takes {_shape_text(['N', *expected])}"
        )


def _load_npz(path: Path, with_labels: bool) -> Dataset:
    if not path.is_file():
        raise HwflowError(f"{path}: no such data file; give {DIGITS!r} or the path of an .npz")
    with open_npz(path) as archive:
        stored = members(archive)
        x = read_member(archive, stored["x"]) if "x" in stored else None
        found = ", ".join(stored) or "none"
        labels = _labels(archive, len(x)) if with_labels and x is not None and x.ndim else None
    if x is None:
        raise HwflowError(f"{path}: no array 'x'; the arrays in it: {found}")
    images = checked_images(f"{path}: 'x'", x)
    if isinstance(labels, str):
        return Dataset(path.stem, images, None, f"{path}: {labels}")
    return Dataset(path.stem, images, labels)


def _labels(archive: zipfile.ZipFile, count: int) -> Int64 | str | None:
    """Return the labels in the array ``y`` of an archive, None if there is none, or why it cannot be used."""
    stored = members(archive)
    if "y" not in stored:
        return None
    try:
        return class_numbers(read_member(archive, stored["y"]), count)
    except ValueError:
        return "'y' cannot be read: it is damaged, or holds Python objects; save whole numbers"


def checked_images(name: str, x: npt.NDArray[np.generic]) -> Float32:
    """Return images as float32; HwflowError unless they are numbers, (N, ...) and finite. `name` says what they are."""
    if x.dtype.kind not in "fiub":
        raise HwflowError(f"{name} must hold real numbers, not {x.dtype}")
    if x.ndim < 2 or not x.size:
        raise HwflowError(f"{name} must be (images, ...), not empty; its shape is {_shape_text(x.shape)}")
    with np.errstate(over="ignore"):
        images = x.astype(np.float32)
    if not np.isfinite(images).all():
        raise HwflowError(f"{name} hold NaN or infinite values, or values too large for float32")
    return images


def _shape_text(shape: Sequence[object]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
