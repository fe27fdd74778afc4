"""The ImageNet 2012 validation set, and flat folders with a list of labels.

A class index is the position of its WordNet id among the 1000 sorted ones, as torchvision's networks count.
The devkit counts otherwise: its ground truth holds ILSVRC2012_ID, which ``meta.mat`` relates to WordNet ids.
"""

import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from hwflow.data.folders import ImageSet, flat_folder, image_folder
from hwflow.data.labels import Int64
from hwflow.data.preprocessing import IMAGENET, Preprocessing
from hwflow.errors import HwflowError

CLASSES = 1000
GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
META = "meta.mat"

_NUMBER = re.compile(r"ILSVRC2012_val_(\d{8})$")
_WORDNET_ID = re.compile(r"n\d{8}$")


def imagenet(images: str | Path, labels: str | Path | None = None, preprocessing: Preprocessing = IMAGENET) -> ImageSet:
    """Return the validation images, or some of them.

    Args:
        images: without `labels`, a folder with one folder a class, of all 1000; else the flat folder of
            ``ILSVRC2012_val_*.JPEG``.
        labels: the unpacked devkit's folder, or a list for `labelled_folder` with indices below 1000.
        preprocessing: applied to every image.

    Raises:
        HwflowError: a folder or file is missing, empty or malformed, a label is out of range, or a folder of
            classes lacks classes, by which labels would shift.
    """
    if labels is None:
        found = image_folder(images, preprocessing)
        if len(found.classes) != CLASSES:
            raise HwflowError(f"{images}: {len(found.classes)} class folders, not {CLASSES}; give a list of labels")
        return found
    if not Path(labels).is_dir():
        return labelled_folder(images, labels, CLASSES, preprocessing)
    files = flat_folder(images)
    truth, names = read_devkit(Path(labels))
    return ImageSet(Path(images).name, files, truth[_numbers(files, len(truth))], names, preprocessing)


def labelled_folder(
    images: str | Path, labels: str | Path, classes: int | None = None, preprocessing: Preprocessing = IMAGENET
) -> ImageSet:
    """Return the images that a list names, in its order.

    Args:
        images: the flat folder of them. Others in it are no part of the set.
        labels: a text file; a line is a file name and a class index from 0, with a space, tab or comma between.
        classes: indices are below this; None does not check.
        preprocessing: applied to every image.

    Raises:
        HwflowError: a folder or file is missing or empty, or a line is malformed, out of range, a repetition, or
            names a file that is not there: the file and the line are named.
    """
    folder, path = Path(images), Path(labels)
    present = {file.name: file for file in flat_folder(folder)}
    chosen: dict[Path, int] = {}
    for number, line in enumerate(_read_text(path).splitlines(), 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        name, _, index = line.replace(",", " ").replace("\t", " ").strip().rpartition(" ")
        if not name.strip() or not re.fullmatch(r"-?[0-9]{1,9}", index):
            raise HwflowError(f"{where}: expected a file name and a class index, not {line.strip()[:80]!r}")
        file, label = present.get(name.strip()), int(index)
        if label < 0 or (classes is not None and label >= classes):
            raise HwflowError(f"{where}: label {label} is out of range 0 to {'' if classes is None else classes - 1}")
        if file is None:
            raise HwflowError(f"{where}: no image {name.strip()!r} in {folder}")
        if file in chosen:
            raise HwflowError(f"{where}: {name.strip()!r} stands in the list twice")
        chosen[file] = label
    if not chosen:
        raise HwflowError(f"{path}: no labels in it")
    return ImageSet(folder.name, tuple(chosen), np.array(list(chosen.values()), np.int64), (), preprocessing)


def read_devkit(devkit: Path) -> tuple[Int64, tuple[str, ...]]:
    """Return class indices of the validation images in order, and WordNet ids by class index.

    Args:
        devkit: the unpacked ``ILSVRC2012_devkit_t12``, or its ``data`` folder.

    Raises:
        HwflowError: a file is missing or is not the devkit's, or a label is out of range.
    """
    folder = devkit / "data" if (devkit / "data").is_dir() else devkit
    for name in (META, GROUND_TRUTH):
        if not (folder / name).is_file():
            raise HwflowError(f"{devkit}: no {name} in this devkit; unpack ILSVRC2012_devkit_t12.tar.gz there")
    wordnet = _read_meta(folder / META)
    classes = tuple(sorted(wordnet.values()))
    index = {identity: classes.index(wordnet_id) for identity, wordnet_id in wordnet.items()}
    labels = []
    path = folder / GROUND_TRUTH
    for number, line in enumerate(_read_text(path).split(), 1):
        if not re.fullmatch("[0-9]{1,9}", line) or int(line) not in index:
            raise HwflowError(f"{path}, line {number}: label {line[:20]!r} is out of range 1 to {len(index)}")
        labels.append(index[int(line)])
    return np.array(labels, np.int64), classes


def _read_meta(path: Path) -> dict[int, str]:
    """Return the WordNet id of every ILSVRC2012_ID that is a class, not a group of classes."""
    from scipy import io

    try:
        synsets: Any = io.loadmat(path, squeeze_me=True, variable_names=["synsets"])["synsets"]
        rows = zip(synsets["ILSVRC2012_ID"], synsets["WNID"], synsets["num_children"], strict=True)
        wordnet = {int(identity): str(name) for identity, name, children in rows if int(children) == 0}
    # SciPy's parser of foreign bytes raises whatever it stumbles over.
    except (
        io.matlab.MatReadError, OSError, ValueError, KeyError, TypeError, IndexError, EOFError, NotImplementedError,
        zlib.error,
    ) as error:  # fmt: skip
        raise HwflowError(f"{path}: not the devkit's table of classes") from error
    if not wordnet or not all(map(_WORDNET_ID.match, wordnet.values())) or len(set(wordnet.values())) != len(wordnet):
        raise HwflowError(f"{path}: not the devkit's table of classes")
    return wordnet


def _numbers(files: tuple[Path, ...], count: int) -> Int64:
    """Return the position of each image in the ground truth, from the number in its name."""
    numbers = []
    for file in files:
        match = _NUMBER.match(file.stem)
        if match is None or not 1 <= int(match[1]) <= count:
            raise HwflowError(f"{file}: not one of the {count} validation images, ILSVRC2012_val_<number>.JPEG")
        numbers.append(int(match[1]) - 1)
    return np.array(numbers, np.int64)


def _read_text(path: Path) -> str:
    if not path.is_file():
        raise HwflowError(f"{path}: no such list of labels")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise HwflowError(f"{path}: not a text file") from error
