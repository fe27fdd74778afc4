"""Image files on a disk, with labels from their folders or from a list, streamed in batches."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from hwflow.data.arrays import Dataset, Float32
from hwflow.data.labels import Int64
from hwflow.data.preprocessing import IMAGENET, Preprocessing
from hwflow.errors import HwflowError

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An image that could not be decoded.

    Attributes:
        path: of the file.
        reason: one line from the decoder.
    """

    path: Path
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Consecutive images of a set.

    Attributes:
        images: float32, (N, H, W, C); those that could be decoded.
        labels: int64, (N,), or None.
        paths: their files.
        unreadable: the files that were tried for this batch and could not be decoded.
    """

    images: Float32
    labels: Int64 | None
    paths: tuple[Path, ...]
    unreadable: tuple[Unreadable, ...] = ()

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)


@dataclass(frozen=True, slots=True, eq=False)
class ImageSet:
    """Image files, and their labels if they are known; an image is decoded when its turn comes.

    Attributes:
        name: what to call it in a report.
        files: in the order in which they are read.
        labels: int64, one a file, or None.
        classes: their names, by label; () if they have none.
        preprocessing: applied to every image.
    """

    name: str
    files: tuple[Path, ...]
    labels: Int64 | None
    classes: tuple[str, ...] = ()
    preprocessing: Preprocessing = IMAGENET

    unlabelled: ClassVar[str] = "give a list, or put each class into a folder of its own"

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self.files)

    def first(self, count: int) -> "ImageSet":
        """Return the set of the first `count` files; HwflowError if there are fewer, or if `count` is below 1."""
        if not 0 < count <= len(self):
            raise HwflowError(f"{self.name} has {len(self)} images: cannot take the first {count}")
        labels = None if self.labels is None else self.labels[:count]
        return ImageSet(self.name, self.files[:count], labels, self.classes, self.preprocessing)

    def spread(self, count: int) -> "ImageSet":
        """Return `count` files at equal distances, so of all classes where a class is a folder; errors as `first`."""
        if not 0 < count <= len(self):
            raise HwflowError(f"{self.name} has {len(self)} images: cannot take {count}")
        chosen = np.arange(count) * len(self) // count
        labels = None if self.labels is None else self.labels[chosen]
        files = tuple(self.files[index] for index in chosen)
        return ImageSet(self.name, files, labels, self.classes, self.preprocessing)

    def batches(self, size: int) -> Iterator[Batch]:
        """Yield batches of up to `size` files; memory is that of one batch.

        A file that cannot be decoded is not in `images` but in `unreadable` of its batch, which may so
        become smaller than `size`, and even empty.

        Raises:
            HwflowError: `size` is below 1; or two images of a batch differ in size and nothing crops them.
        """
        if size < 1:
            raise HwflowError(f"a batch has at least one image, not {size}")
        for start in range(0, len(self), size):
            yield self._batch(range(start, min(start + size, len(self))))

    def load(self) -> Dataset:
        """Return all images in memory, for a set as small as calibration needs.

        Raises:
            HwflowError: an image cannot be decoded, or sizes differ; the first such file is named.
        """
        batch = self._batch(range(len(self)))
        if batch.unreadable:
            raise HwflowError(unreadable_text(batch.unreadable, len(self)))
        return Dataset(self.name, batch.images, batch.labels)

    def _batch(self, indices: Sequence[int]) -> Batch:
        images: list[Float32] = []
        kept: list[int] = []
        unreadable: list[Unreadable] = []
        for index in indices:
            image = self._decode(self.files[index])
            if isinstance(image, Unreadable):
                unreadable.append(image)
                continue
            if images and image.shape != images[0].shape:
                raise HwflowError(
                    f"{self.files[index]}: {_size(image)} pixels, but {self.files[kept[0]]} has {_size(images[0])}; "
                    f"resize and crop them to one size"
                )
            images.append(image)
            kept.append(index)
        stacked = np.stack(images) if images else np.zeros((0, 0, 0, len(self.preprocessing.channels)), np.float32)
        labels = None if self.labels is None else self.labels[kept]
        return Batch(stacked, labels, tuple(self.files[index] for index in kept), tuple(unreadable))

    def _decode(self, path: Path) -> Float32 | Unreadable:
        from PIL import Image

        try:
            with warnings.catch_warnings():
                # Of odd metadata and of very large pictures; both decode all the same.
                warnings.simplefilter("ignore")
                with Image.open(path) as picture:
                    return self.preprocessing(picture)
        # Pillow's decoders raise these, depending on the format and on what is broken.
        except (OSError, ValueError, SyntaxError, EOFError, IndexError, Image.DecompressionBombError) as error:
            lines = str(error).replace(str(path), path.name).splitlines()
            return Unreadable(path, lines[0] if lines else type(error).__name__)


def unreadable_text(unreadable: Sequence[Unreadable], total: int) -> str:
    """Return one line that counts the `unreadable` among `total` images, and names the first."""
    first = unreadable[0]
    return f"{len(unreadable)} of {total} images cannot be decoded; the first is {first.path} ({first.reason})"


def image_folder(path: str | Path, preprocessing: Preprocessing = IMAGENET) -> ImageSet:
    """Return the images of a folder that holds one folder a class; labels count the sorted folder names from 0.

    Files that are not named like images are no part of the set; hidden ones neither.

    Args:
        path: the folder of classes. A class may have folders of its own.
        preprocessing: applied to every image.

    Raises:
        HwflowError: no such folder, no class folders in it, or one without images.
    """
    path = _checked_folder(path)
    classes = subfolders(path)
    if not classes:
        raise HwflowError(f"{path}: no folders in it; put the images of each class into a folder of its own")
    files: list[Path] = []
    labels: list[int] = []
    for label, folder in enumerate(classes):
        found = sorted(entry for entry in folder.rglob("*") if _is_image(entry))
        if not found:
            raise HwflowError(f"{folder}: no images in this class folder")
        files += found
        labels += [label] * len(found)
    names = tuple(folder.name for folder in classes)
    return ImageSet(path.name, tuple(files), np.array(labels, np.int64), names, preprocessing)


def flat_folder(path: str | Path) -> tuple[Path, ...]:
    """Return the images of a folder, sorted by name.

    Raises:
        HwflowError: no such folder, or no images in it.
    """
    files = _flat(_checked_folder(path))
    if not files:
        raise HwflowError(f"{path}: no images in this folder ({', '.join(SUFFIXES)})")
    return files


def any_folder(path: str | Path, prefer_flat: bool) -> tuple[Path, ...]:
    """Return the images of the folders in a folder, sorted by path, or those that lie in it.

    Args:
        path: of the folder.
        prefer_flat: those that lie in it, where there are both.

    Raises:
        HwflowError: no such folder, or no images in it.
    """
    path = _checked_folder(path)
    below = tuple(entry for folder in subfolders(path) for entry in sorted(folder.rglob("*")) if _is_image(entry))
    return (_flat(path) or below if prefer_flat else below) or flat_folder(path)


def subfolders(path: Path) -> list[Path]:
    """Return the folders in a folder, sorted by name; hidden ones do not count."""
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _flat(path: Path) -> tuple[Path, ...]:
    return tuple(sorted(entry for entry in path.iterdir() if _is_image(entry)))


def _checked_folder(path: str | Path) -> Path:
    path = Path(path)
    if not path.is_dir():
        raise HwflowError(f"{path}: no such folder of images")
    return path


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()


def _size(image: Float32) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
