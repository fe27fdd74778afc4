"""The networks and images that a campaign or a study names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.campaign.spec import CampaignSpec, ModelSpec
from hwflow.data import (
    DIGITS,
    Data,
    Dataset,
    ImageSet,
    check_shape,
    data_path,
    open_data,
    open_images,
    preset,
    require_labels,
    some,
    suited,
)
from hwflow.errors import HwflowError
from hwflow.folders.design import Design
from hwflow.graph.decision import known_classes
from hwflow.models import EMBEDDED, check_model, model_paths

CALIBRATION_IMAGES = 256


def inputs_of(spec: CampaignSpec) -> dict[str, object]:
    """The files and folders that a campaign reads, by what they are."""
    found: dict[str, object] = {
        "data": data_path(spec.data),
        "labels": spec.labels,
        "calibration data": data_path(spec.calibration),
    }
    for model in spec.models:
        found[f"design {model.name}"] = model.design
        if model.design is not None:
            continue
        found |= {f"{what} of {model.name}": path for what, path in model_paths(model.model).items()}
        found[f"state dict of {model.name}"] = model.weights
    return found


def open_labelled(spec: CampaignSpec) -> Data:
    """The labelled images of a campaign; nothing of it takes TensorFlow, and networks are looked for before.

    Raises:
        HwflowError: no such network, data or calibration data, fewer images than asked for, or no labels.
    """
    for each in spec.models:
        if each.design is None:
            check_model(each.model, each.weights, each.classes, each.image_size)
            if spec.executor == "reference":
                check_calibration(each, spec.calibration)
    found = some(open_data(spec.data, labels=spec.labels, preprocessing=spec.preprocessing), spec.images)
    require_labels(found)
    return found


def check_calibration(spec: ModelSpec, calibration: str | None) -> str:
    """What names the calibration images of a network; a place where nothing is, is refused."""
    if calibration is None:
        if spec.model not in EMBEDDED:
            raise HwflowError(f"{spec.name}: activation types need images: --calibration, or calibration of a campaign")
        return DIGITS
    if calibration != DIGITS and not Path(calibration).exists():
        open_images(calibration)  # says why not
    return calibration


def open_model(
    spec: ModelSpec, data: Data, preprocessing: str | None = None, design: Design | None = None
) -> tuple[Any, Dataset]:
    """A trained Keras network, and labelled images that fit it, in memory.

    Args:
        spec: the network.
        data: labelled images, see :func:`open_labelled`.
        preprocessing: of a folder's images; None for what networks for images of that size mostly take.
        design: the network that was hardened is taken from it, where the spec names one.

    Raises:
        HwflowError: no such network, missing or foreign weights, or images and labels that do not fit the network.
    """
    from hwflow.frontends.packed import rewritten
    from hwflow.models import load_model

    if design is None:
        model = rewritten(load_model(spec.model, spec.weights, spec.classes, spec.image_size))
    else:
        model = design.keras_model()
    shape, classes = tuple(model.input_shape[1:]), known_classes(tuple(model.output_shape[1:]), spec.name)
    dataset = _loaded(data if preprocessing is not None else suited(data, shape))
    _check_fits(dataset, shape)
    assert dataset.labels is not None
    if (largest := int(np.max(dataset.labels))) >= classes:
        raise HwflowError(f"{dataset.name}: has class {largest}, but {spec.name} knows 0 to {classes - 1}")
    return model, dataset


def calibration_images(
    spec: ModelSpec, calibration: str | None, shape: Sequence[int], preprocessing: str | None = None
) -> npt.NDArray[np.float32]:
    """Images ``(n, *shape)`` that the reference executor's activation types come from.

    Args:
        spec: the network.
        calibration: see `hwflow.data.open_images`; None for the training digits.
        shape: (height, width, channels) of an image.
        preprocessing: of a folder's images, as in `open_model`.

    Raises:
        HwflowError: none are named for a network that is not embedded, or they do not fit.
    """
    found = suited(open_images(check_calibration(spec, calibration), "train"), tuple(shape))
    if preprocessing is not None and isinstance(found, ImageSet):
        found = replace(found, preprocessing=preset(preprocessing))
    dataset = _loaded(some(found, min(CALIBRATION_IMAGES, len(found))))
    _check_fits(dataset, shape)
    return dataset.images


def _loaded(data: Data) -> Dataset:
    return data.load() if isinstance(data, ImageSet) else data


def _check_fits(dataset: Dataset, shape: Sequence[int]) -> None:
    try:
        check_shape(dataset.images, shape)
    except HwflowError as error:
        raise HwflowError(f"{dataset.name}: {error}") from error
