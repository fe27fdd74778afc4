"""Images in memory, with their labels: the embedded digits and a user's own ``.npz``."""

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError

DIGITS = "digits"
SPLITS = ("train", "test")
DIGITS_TEST = 500
_DIGITS_SEED = 2024

Float32 = npt.NDArray[np.float32]
Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """Images, and their labels if they are known.

    Attributes:
        name: what to call it in a report.
        images: float32, (N, H, W, C), or (N, features) for a dense network.
        labels: int64, (N,), or None.
    """

    name: str
    images: Float32
    labels: Int64 | None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def head(self, count: int) -> "Dataset":
        """Return the first `count` images; HwflowError if there are fewer, or if `count` is not positive."""
        if not 0 < count <= len(self):
            raise HwflowError(f"{self.name} has {len(self)} images: cannot take the first {count}")
        labels = None if self.labels is None else self.labels[:count]
        return Dataset(self.name, self.images[:count], labels)


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


def load_data(spec: str, split: str = "test") -> Dataset:
    """Return the embedded digits or the arrays of an ``.npz`` file.

    Args:
        spec: ``digits``, or the path of an ``.npz`` with an array ``x`` (N, ...) of numbers and, if labels
            are known, an array ``y`` (N,) of whole numbers.
        split: which part of ``digits``; an ``.npz`` is one part and is returned whole.

    Raises:
        HwflowError: no such file or split, not an ``.npz``, an array is missing, empty, not numeric, holds
            NaN or infinity, or the two lengths differ.
    """
    return load_digits(split) if spec == DIGITS else _load_npz(Path(spec))


def check_shape(images: npt.NDArray[np.generic], expected: Sequence[int]) -> None:
    """Raise HwflowError unless `images` is a batch (N, *expected) of at least one image."""
    if tuple(images.shape[1:]) != tuple(expected) or not len(images):
        raise HwflowError(
            f"the data has shape {_shape_text(images.shape)}, the model takes {_shape_text(['N', *expected])}"
        )


def _load_npz(path: Path) -> Dataset:
    if not path.is_file():
        raise HwflowError(f"{path}: no such data file; give {DIGITS!r} or the path of an .npz")
    try:
        # Opened here, because NumPy leaves a damaged archive open.
        with path.open("rb") as file:
            archive = np.load(file, allow_pickle=False)
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise HwflowError(f"{path}: a single array, not an .npz; save it with numpy.savez")
            x, y = (archive[key] if key in archive.files else None for key in "xy")
            found = ", ".join(archive.files) or "none"
    except HwflowError:
        raise
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise HwflowError(f"{path}: not a readable .npz") from error
    if x is None:
        raise HwflowError(f"{path}: no array 'x'; the arrays in it: {found}")
    images = _checked_images(path, x)
    return Dataset(path.stem, images, None if y is None else _checked_labels(path, y, len(images)))


def _checked_images(path: Path, x: npt.NDArray[np.generic]) -> Float32:
    if x.dtype.kind not in "fiub":
        raise HwflowError(f"{path}: 'x' must hold real numbers, not {x.dtype}")
    if x.ndim < 2 or not x.size:
        raise HwflowError(f"{path}: 'x' must be (images, ...), not empty; its shape is {_shape_text(x.shape)}")
    with np.errstate(over="ignore"):
        images = x.astype(np.float32)
    if not np.isfinite(images).all():
        raise HwflowError(f"{path}: 'x' holds NaN or infinite values, or values too large for float32")
    return images


def _checked_labels(path: Path, y: npt.NDArray[np.generic], count: int) -> Int64:
    if y.shape != (count,):
        shape = _shape_text(y.shape)
        raise HwflowError(f"{path}: 'y' must hold one label an image, ({count},); its shape is {shape}")
    if y.dtype.kind not in "iu":
        raise HwflowError(f"{path}: 'y' must hold class numbers (integers), not {y.dtype}")
    labels = y.astype(np.int64)
    if (labels < 0).any():
        raise HwflowError(f"{path}: 'y' holds a negative class number")
    return labels


def _shape_text(shape: Sequence[object]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"
