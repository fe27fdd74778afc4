"""Data as a command names it: the embedded digits, an ``.npz``, or a folder of images."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from hwflow.data.arrays import DIGITS, Dataset, load_data
from hwflow.data.folders import Batch, ImageSet, any_folder, flat_folder, image_folder, subfolders
from hwflow.data.given import Data
from hwflow.data.imagenet import imagenet, labelled_folder
from hwflow.data.labels import Int64
from hwflow.data.preprocessing import CAFFE, CIFAR, IMAGENET, PIXELS, UNCHANGED, UNIT, Preprocessing
from hwflow.errors import HwflowError
from hwflow.files.outputs import as_path

PRESETS: Mapping[str, Preprocessing] = {
    "imagenet": IMAGENET,
    "cifar": CIFAR,
    "caffe": CAFFE,
    "unchanged": UNCHANGED,
    "unit": UNIT,
    "pixels": PIXELS,
}
"""Preprocessing by the name that the commands give it."""
LABELS = "labels.txt"
"""A list of labels that is found without being named, in the folder of its images."""
SMALL = 64  # pixels; networks for such images take them at their own size


def open_data(
    spec: str | Path,
    split: str = "test",
    labels: str | Path | None = None,
    preprocessing: str | Preprocessing | None = None,
) -> Data:
    """Return the data that `spec` names.

    Args:
        spec: ``digits``; an ``.npz``, see `load_data`; or a folder of images: one folder a class, or flat.
        split: which part of ``digits``.
        labels: of a flat folder: a list for `labelled_folder`, or ImageNet's unpacked devkit. By default
            ``labels.txt`` in the folder; without that, the images have no labels.
        preprocessing: of a folder's images, a name in `PRESETS` or one's own; by default ``imagenet``.

    Raises:
        HwflowError: no such data or preprocessing, options that only a folder of images has, or as in
            `load_data`, `image_folder`, `labelled_folder` and `imagenet`.
    """
    chosen = preset(preprocessing) if preprocessing is not None else IMAGENET
    path = Path(spec)
    if spec == DIGITS or not path.is_dir():
        if labels is not None or preprocessing is not None:
            raise HwflowError(f"{spec}: labels and preprocessing are for a folder of images, which this is not")
        return _arrays(spec, split, labels=True)
    if labels is not None:
        if not Path(labels).exists():
            raise HwflowError(f"{labels}: no such list of labels, and no devkit")
        open_labelled = imagenet if Path(labels).is_dir() else labelled_folder
        return open_labelled(path, labels, preprocessing=chosen)
    if (path / LABELS).is_file():
        return labelled_folder(path, path / LABELS, preprocessing=chosen)
    if subfolders(path):
        return image_folder(path, chosen)
    return ImageSet(path.name, flat_folder(path), None, preprocessing=chosen)


def open_images(spec: str | Path, split: str = "test", preprocessing: str | Preprocessing | None = None) -> Data:
    """Return the images of the data that `spec` names; labels, and whatever is wrong with them, are not looked at.

    Args:
        spec: as in `open_data`; a list of labels selects no images here.
        split: which part of ``digits``.
        preprocessing: of a folder's images, a name in `PRESETS` or one's own; by default ``imagenet``.

    Raises:
        HwflowError: no such data or preprocessing, or no images in it, or as in `load_data`.
    """
    chosen = preset(preprocessing) if preprocessing is not None else IMAGENET
    path = Path(spec)
    if spec == DIGITS or not path.is_dir():
        if preprocessing is not None:
            raise HwflowError(f"{spec}: preprocessing is for a folder of images, which this is not")
        return _arrays(spec, split, labels=False)
    files = any_folder(path, prefer_flat=(path / LABELS).is_file())
    return ImageSet(path.name, files, None, preprocessing=chosen)


def load_images(
    folder: str | Path,
    preprocessing: str | Preprocessing,
    images: int | None = None,
    labels: str | Path | None = None,
) -> Dataset:
    """Return the images of a folder as arrays, as a network takes them; those that cannot be decoded are left out.

    Args:
        folder: one folder a class, or flat.
        preprocessing: what the network was trained with, a name in `PRESETS` or one's own.
        images: how many, evenly spread over the folder; by default all.
        labels: of a flat folder, see `open_data`.

    Raises:
        HwflowError: no such folder or preprocessing, fewer images, images of several shapes, or as in `open_data`.
    """
    found = some(open_data(folder, labels=labels, preprocessing=preprocessing), images)
    parts = [each for each in batches(found, 256) if len(each.images)]
    if not parts:
        raise HwflowError(f"{folder}: none of the images can be decoded")
    known = [each.labels for each in parts if each.labels is not None]
    arrays = np.concatenate([each.images for each in parts])
    return Dataset(found.name, arrays, np.concatenate(known) if known else None)


def require_labels(data: Data) -> Int64:
    """Return the labels of `data`, (N,); HwflowError that says why there are none, if so."""
    if data.labels is None:
        raise HwflowError(f"{data.name}: accuracy needs labels: {data.unlabelled}")
    return data.labels


def _arrays(spec: str | Path, split: str, labels: bool) -> Dataset:
    if spec != DIGITS and not Path(spec).exists():
        raise HwflowError(f"{spec}: no such data; give {DIGITS!r}, an .npz, or a folder of images")
    return load_data(str(spec), split, labels)


def preset(preprocessing: str | Preprocessing) -> Preprocessing:
    """Return a preprocessing by name; HwflowError if there is none of that name."""
    if isinstance(preprocessing, Preprocessing):
        return preprocessing
    if preprocessing not in PRESETS:
        raise HwflowError(f"preprocessing {preprocessing!r} is unknown; choose one of {', '.join(PRESETS)}")
    return PRESETS[preprocessing]


def preset_name(preprocessing: Preprocessing) -> str:
    """Return the first name of a preprocessing in `PRESETS`, or what it consists of."""
    return next((name for name, known in PRESETS.items() if known == preprocessing), str(preprocessing))


def usual_preset(shape: Sequence[int]) -> str:
    """Return the preset that networks for images of `shape` (height, width, channels) mostly take."""
    return "cifar" if max(shape[:2]) <= SMALL else "imagenet"


def suited(data: Data, shape: Sequence[int]) -> Data:
    """Return `data`, images of a folder with the preset of `usual_preset`."""
    return replace(data, preprocessing=preset(usual_preset(shape))) if isinstance(data, ImageSet) else data


def some(data: Data, count: int | None) -> Data:
    """Return `count` images: the first of an array, evenly spread over a folder; None for all.

    Raises:
        HwflowError: there are fewer, or `count` is below 1.
    """
    if count is None:
        return data
    return data.spread(count) if isinstance(data, ImageSet) else data.head(count)


def drawn(data: Data, count: int, seed: int) -> Data:
    """Return `count` images drawn at random and in order, without labels; all if there are no more."""
    if count >= len(data):
        return replace(data, labels=None)
    chosen = np.sort(np.random.default_rng(seed).choice(len(data), count, replace=False))
    if isinstance(data, ImageSet):
        return replace(data, files=tuple(data.files[index] for index in chosen), labels=None)
    return Dataset(data.name, data.images[chosen], None)


def batches(data: Data, size: int) -> Iterator[Batch]:
    """Yield batches of up to `size` images; of a folder, only one batch is in memory.

    Raises:
        HwflowError: as in `ImageSet.batches`.
    """
    if isinstance(data, ImageSet):
        yield from data.batches(size)
        return
    for start in range(0, len(data), size):
        part = slice(start, start + size)
        yield Batch(data.images[part], None if data.labels is None else data.labels[part], ())


def data_path(data: object) -> Path | None:
    """The file or folder that images are read from; None for those known by name or in memory."""
    return None if isinstance(data, str) and data == DIGITS else as_path(data)
