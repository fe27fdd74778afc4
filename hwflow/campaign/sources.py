"""The networks and images that a campaign or a study names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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
from hwflow.models import model_paths

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


def open_model(
    spec: ModelSpec,
    data: str,
    images: int | None = None,
    labels: str | None = None,
    preprocessing: str | None = None,
    design: Design | None = None,
) -> tuple[Any, Dataset]:
    """A trained Keras network, and labelled images that fit it, in memory.

    Args:
        spec: the network.
        data: see `hwflow.data.open_data`.
        images: only so many: the first of an array, or evenly spread over a folder; None for all.
        labels: of a flat folder of images.
        preprocessing: of a folder's images; None for what networks for images of that size mostly take.
        design: the network that was hardened is taken from it, where the spec names one.

    Raises:
        HwflowError: no such network or data, missing or foreign weights, fewer images than asked for, no
            labels, or images and labels that do not fit the network.
    """
    from hwflow.frontends.packed import rewritten
    from hwflow.models import load_model

    found = some(open_data(data, labels=labels, preprocessing=preprocessing), images)  # before the slow part
    require_labels(found)
    if design is None:
        model = rewritten(load_model(spec.model, spec.weights, spec.classes, spec.image_size))
    else:
        model = design.keras_model()
    shape, classes = tuple(model.input_shape[1:]), known_classes(tuple(model.output_shape[1:]), spec.name)
    dataset = _loaded(found if preprocessing is not None else suited(found, shape))
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
    from hwflow.models import EMBEDDED

    if calibration is None:
        if spec.model not in EMBEDDED:
            raise HwflowError(f"{spec.name}: activations in fixed point need images; name them as 'calibration'")
        calibration = DIGITS
    found = suited(open_images(calibration, "train"), tuple(shape))
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
