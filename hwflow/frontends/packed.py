"""A Keras model with several inputs or outputs as one with a single vector of each.

The hardware has one stream in and one out. What goes through them are the elements of all inputs, row-major, one
input after the other in the model's order, and those of all outputs.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.frontends._tf import keras
from hwflow.frontends.distributed import gathered
from hwflow.frontends.spread import spread
from hwflow.frontends.unrolled import unrolled
from hwflow.graph.naming import Unique

KerasModel = Any
INPUTS, OUTPUTS = "inputs", "outputs"
"""Names of the single input and the single output."""


def rewritten(model: KerasModel) -> KerasModel:
    """``model`` with one input and one output, and of layers that every executor runs.

    Layers that are distributed over time steps take all of them at once, recurrent layers are unrolled, and
    convolutions of groups or with dilation are made of plain ones.

    Raises:
        HwflowError: as :func:`hwflow.frontends.distributed.gathered`, :func:`hwflow.frontends.unrolled.unrolled`,
            :func:`hwflow.frontends.spread.spread` and :func:`packed`.
    """
    return packed(spread(unrolled(gathered(model))))


def packed(model: KerasModel) -> KerasModel:
    """``model`` itself if it has one input and one output, else the model around it that has.

    Raises:
        HwflowError: an input without a fixed size.
    """
    inputs, outputs = getattr(model, "inputs", None), getattr(model, "outputs", None)
    if not inputs or not outputs or (len(inputs) == 1 and len(outputs) == 1):
        return model
    library = keras()
    names = Unique(layer.name for layer in model.layers)
    input_names = [tensor.name.split(":")[0] for tensor in inputs]
    if len(inputs) > 1:
        shapes = [tuple(tensor.shape[1:]) for tensor in inputs]
        for tensor, shape in zip(inputs, shapes, strict=True):
            if None in shape:
                raise HwflowError(f"{tensor.name}: the input has the shape {shape}; give the model a fixed size")
        vector = library.Input((sum(map(math.prod, shapes)),), name=names(INPUTS))
        parts = _split(library, vector, input_names, shapes)
    else:
        vector = parts = library.Input(tuple(inputs[0].shape[1:]), name=input_names[0])
    found = model(parts)
    if len(outputs) > 1:
        flat = [
            each if len(each.shape) == 2 else library.layers.Flatten(name=names(f"{OUTPUTS}_{number}"))(each)
            for number, each in enumerate(found)
        ]
        found = library.layers.Concatenate(name=names(OUTPUTS))(flat)
    return library.Model(vector, found, name=model.name)


def pack(arrays: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    """Values ``(n, ...)`` of all inputs in the model's order as one array ``(n, elements)``."""
    return np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)


def _split(library: Any, vector: Any, names: list[str], shapes: list[tuple[int, ...]]) -> list[Any]:
    """The elements of each input, cut out of the vector of all."""
    total, start, parts = int(vector.shape[1]), 0, []
    column = library.layers.Reshape((total, 1), name=f"{INPUTS}_column")(vector)
    for name, shape in zip(names, shapes, strict=True):
        size = math.prod(shape)
        cut = library.layers.Cropping1D((start, total - start - size), name=f"{name}_part")(column)
        parts.append(library.layers.Reshape(shape, name=f"{name}_values")(cut))
        start += size
    return parts
