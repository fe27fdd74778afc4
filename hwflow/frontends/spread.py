"""A Keras model whose convolutions of groups, or with dilation along rows, are made of plain ones.

Every group is a convolution of its own, over the channels that are cut out for it. A sequence whose rows are taken D
apart is an image of D columns, down which a plain convolution goes: element ``D i + j`` is row i of column j.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from hwflow.errors import HwflowError
from hwflow.frontends._tf import keras, qkeras
from hwflow.frontends.keras_versions import input_shape
from hwflow.frontends.replaced import compare, replaced

KerasModel = Any
KerasLayer = Any
KerasTensor = Any

_GROUPED = ("Conv1D", "Conv2D", "QConv1D", "QConv2D")
_DILATED = {"Conv1D": "Conv2D", "QConv1D": "QConv2D", "DepthwiseConv1D": "DepthwiseConv2D"}


def spread(model: KerasModel) -> KerasModel:
    """``model`` itself if it has no such convolution, else the same of plain ones.

    Raises:
        HwflowError: an option of one that is not supported, by its name.
    """
    return replaced(replaced(model, _is_dilated, _dilated_layer), _is_grouped, _grouped_layer)


def _is_dilated(layer: KerasLayer) -> bool:
    return type(layer).__name__ in _DILATED and tuple(layer.dilation_rate) != (1,)


def _is_grouped(layer: KerasLayer) -> bool:
    return type(layer).__name__ in _GROUPED and layer.groups > 1


def _shape(layer: KerasLayer) -> tuple[int, ...]:
    shape = input_shape(layer)
    if not isinstance(shape, tuple) or None in shape[1:] or layer.data_format != "channels_last":
        raise HwflowError(f"{layer.name}: its input {shape} is not one of a fixed size with the channels last")
    return shape[1:]


def _dilated_layer(layer: KerasLayer) -> KerasModel:
    library, name = keras(), layer.name
    rows, channels = shape = _shape(layer)
    rate, extent = layer.dilation_rate[0], layer.kernel_size[0]
    reach = (extent - 1) * rate
    before, after = {"valid": (0, 0), "causal": (reach, 0), "same": (reach // 2, reach - reach // 2)}[layer.padding]
    length = rows + before + after
    lines = -(-length // rate)
    spare = lines * rate - length
    x = image = library.Input(shape, name=f"{name}_in")
    if before or after or spare:
        x = library.layers.ZeroPadding1D((before, after + spare), name=f"{name}_padded")(x)
    x = library.layers.Reshape((lines, rate, channels), name=f"{name}_columns")(x)
    new = _copy(
        layer, _DILATED[type(layer).__name__], name=f"{name}_down", kernel_size=(extent, 1), strides=(1, 1),
        padding="valid", dilation_rate=(1, 1),
    )  # fmt: skip
    y = new(x)
    y = library.layers.Reshape(((lines - extent + 1) * rate, int(y.shape[-1])), name=f"{name}_rows")(y)
    if spare:
        y = library.layers.Cropping1D((0, spare), name=f"{name}_whole")(y)
    model = library.Model(image, y, name=name)
    kernel, *bias = layer.get_weights()
    new.set_weights([kernel[:, None], *bias])
    compare(layer, model, shape, "folded into columns")
    return model


def _grouped_layer(layer: KerasLayer) -> KerasModel:
    library, name = keras(), layer.name
    *sides, channels = shape = _shape(layer)
    kernel, *bias = layer.get_weights()
    groups, filters, width = layer.groups, layer.filters // layer.groups, channels // layer.groups
    x = image = library.Input(shape, name=f"{name}_in")
    rest = library.layers.Reshape((math.prod(sides), channels, 1), name=f"{name}_channels")(x)
    parts, copies = [], []
    for group in range(groups):
        left = channels - (group + 1) * width
        cut = rest
        if left:  # hls4ml copies a stream at most seven times
            cut = library.layers.Cropping2D(((0, 0), (0, left)), name=f"{name}_cut{group}")(rest)
            rest = library.layers.Cropping2D(((0, 0), (width, 0)), name=f"{name}_rest{group}")(rest)
        part = library.layers.Reshape((*sides, width), name=f"{name}_part{group}")(cut)
        copies.append(_copy(layer, type(layer).__name__, name=f"{name}_group{group}", filters=filters, groups=1))
        parts.append(copies[-1](part))
    model = library.Model(image, library.layers.Concatenate(name=f"{name}_joined")(parts), name=name)
    for group, new in enumerate(copies):
        of_group = slice(group * filters, (group + 1) * filters)
        new.set_weights([np.ascontiguousarray(kernel[..., of_group]), *(values[of_group] for values in bias)])
    compare(layer, model, shape, "split into groups")
    return model


def _copy(layer: KerasLayer, kind: str, **changes: Any) -> KerasLayer:
    """A layer of a class with the configuration of another one, some of it changed."""
    config = {key: value for key, value in layer.get_config().items() if key != "batch_input_shape"}
    of = qkeras() if kind.startswith("Q") else keras().layers
    return getattr(of, kind).from_config(config | changes)
