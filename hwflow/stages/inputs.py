"""Images for a design: opened, preprocessed as it expects, and refused before any long work if they do not fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy.typing as npt

from hwflow.data import (
    Data,
    DataLike,
    Dataset,
    ImageSet,
    Preprocessing,
    Unreadable,
    as_data,
    check_shape,
    open_data,
    preset,
    require_labels,
    some,
    suited,
    unreadable_text,
)
from hwflow.errors import HwflowError
from hwflow.folders.design import Design
from hwflow.graph import Graph
from hwflow.graph.decision import classes


def open_for(
    design: Design,
    data: DataLike,
    labels: str | Path | None = None,
    preprocessing: str | Preprocessing | None = None,
    images: int | None = None,
) -> Data:
    """The data for a design; images of a folder are preprocessed as for its calibration unless told otherwise.

    Args:
        design: the design.
        data: see :data:`hwflow.data.DataLike`.
        labels: of a flat folder of images.
        preprocessing: of a folder's images.
        images: how many are wanted, at least; an iterable is read no further.

    Raises:
        HwflowError: as in :func:`hwflow.data.open_data` and :func:`hwflow.data.as_data`.
    """
    data = as_data(data, images)
    if not isinstance(data, str | Path):
        if labels is not None or preprocessing is not None:
            raise HwflowError(
                "labels and preprocessing are for a folder of images that is opened here, not for data in memory"
            )
        return data
    if preprocessing is not None:
        return open_data(data, "test", labels, preprocessing)
    opened = suited(open_data(data, "test", labels), design.graph.input.shape)
    recorded = design.manifest["calibration"].get("preprocessing")
    if recorded is None or not isinstance(opened, ImageSet):
        return opened
    return replace(opened, preprocessing=preset(recorded))


def labelled(data: str | Path | Data, images: int | None, graph: Graph) -> Data:
    """So many images of a labelled data set that fits the network; see :func:`hwflow.data.some`.

    Raises:
        HwflowError: no labels, labels that the network does not have, or another shape.
    """
    data = open_data(data) if isinstance(data, str | Path) else data
    if isinstance(data, Dataset):
        check_images(data.name, data.images, graph)
    largest, known = require_labels(data).max(), classes(graph)
    if largest >= known:
        raise HwflowError(f"{data.name}: has class {largest}, but the network knows 0 to {known - 1}")
    if isinstance(data, ImageSet):
        if data.classes and len(data.classes) != known:
            raise HwflowError(
                f"{data.name}: {len(data.classes)} class folders, but the network knows {known} classes, so that "
                "labels would be shifted; give a list of labels"
            )
        _check_first_image(data, graph)
    return some(data, images)


def fitting(data: str | Path | Data, images: int | None, graph: Graph) -> Dataset:
    """So many images of a data set whose shape fits the network, in memory; see :func:`hwflow.data.some`.

    Raises:
        HwflowError: there are fewer, they have another shape, or one cannot be decoded.
    """
    data = open_data(data) if isinstance(data, str | Path) else data
    if isinstance(data, ImageSet):
        _check_first_image(data, graph)
        dataset = some(data, images)
        data = dataset.load() if isinstance(dataset, ImageSet) else dataset
        check_images(data.name, data.images, graph)
        return data
    check_images(data.name, data.images, graph)
    return data if images is None else data.head(images)


def check_images(name: str, images: npt.NDArray[Any], graph: Graph) -> None:
    """Refuse images of another shape, or none at all; ``name`` says whose they are.

    Raises:
        HwflowError: they do not fit the network's input.
    """
    try:
        check_shape(images, graph.input.shape)
    except HwflowError as error:
        raise HwflowError(f"{name}: {error}") from error


def _check_first_image(data: ImageSet, graph: Graph) -> None:
    """Refuse images of another shape before any long work."""
    unreadable: tuple[Unreadable, ...] = ()
    for batch in data.batches(1):
        unreadable += batch.unreadable
        if len(batch):
            check_images(str(batch.paths[0]), batch.images, graph)
            return
    raise HwflowError(f"{data.name}: {unreadable_text(unreadable, len(data))}")
