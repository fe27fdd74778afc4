"""A Keras model with some layers replaced by models that compute the same."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import Any

import numpy as np

from hwflow.errors import HwflowError
from hwflow.frontends._tf import keras, listed
from hwflow.frontends.keras_versions import is_network, nodes

KerasModel = Any
KerasLayer = Any
KerasTensor = Any

TOLERANCE = 1e-4
"""Largest difference of a replaced layer from the layer, in parts of its range; both compute in float32."""


def replaced(
    model: KerasModel, wanted: Callable[[KerasLayer], bool], replacement: Callable[[KerasLayer], KerasModel]
) -> KerasModel:
    """``model`` itself if it has no layer that is ``wanted``, else the same with the ``replacement`` of each of them.

    Args:
        model: a Keras model, perhaps with models in it.
        wanted: whether a layer is replaced.
        replacement: a model that takes and gives what the layer does.
    """
    if not any(wanted(layer) for layer in layers_of(model)):
        return model
    tensors: dict[int, KerasTensor] = {}
    made: dict[int, KerasLayer] = {}
    for node in chain.from_iterable(nodes(model)):
        if node.is_input:
            tensors |= {id(tensor): tensor for tensor in node.outputs}
            continue
        given = _nested(node.args, tensors)
        if id(node.layer) not in made:
            made[id(node.layer)] = _made(node.layer, wanted, replacement)
        outputs = made[id(node.layer)](*given, **node.kwargs)
        for old, new in zip(node.outputs, listed(outputs), strict=True):
            tensors[id(old)] = new
    found = [tensors[id(tensor)] for tensor in model.outputs]
    return keras().Model(model.inputs, found, name=model.name)


def compare(layer: KerasLayer, model: KerasModel, shape: tuple[int, ...], how: str) -> None:
    """Refuse a model that computes something else than the layer that it stands for.

    Args:
        layer: what is replaced.
        model: by what.
        shape: of the input, without the batch axis.
        how: what was done with the layer, as the user reads it.

    Raises:
        HwflowError: they differ on random inputs.
    """
    images = np.random.default_rng(0).uniform(-1, 1, (4, *shape)).astype(np.float32)
    right, ours = (np.asarray(each(images, training=False)) for each in (layer, model))
    largest = float(np.abs(ours - right).max(initial=0.0))
    if not largest <= TOLERANCE * max(1.0, float(np.abs(right).max(initial=0.0))):
        raise HwflowError(f"{layer.name}: is off by {largest:.3g} once {how}, so that it would be another layer")


def _made(
    layer: KerasLayer, wanted: Callable[[KerasLayer], bool], replacement: Callable[[KerasLayer], KerasModel]
) -> KerasLayer:
    if is_network(layer):
        return replaced(layer, wanted, replacement)
    return replacement(layer) if wanted(layer) else layer


def _nested(values: Any, tensors: dict[int, KerasTensor]) -> Any:
    """Arguments with the tensors that stand for them."""
    if isinstance(values, list | tuple):
        return type(values)(_nested(value, tensors) for value in values)
    return tensors.get(id(values), values)


def layers_of(model: KerasModel) -> list[KerasLayer]:
    """The layers of a model and of the models in it."""
    found = []
    for layer in getattr(model, "layers", ()):
        found += layers_of(layer) if is_network(layer) else [layer]
    return found
