"""A Keras model whose layers that are distributed over time steps take all steps at once.

The steps of a sequence of images stand below one another as one tall image, with the rows between them that windows
need; what a window computes across two steps is cut off. So a layer has one memory of weights for all steps, as it has
in Keras, and one unit that works on them one after the other.
"""

from __future__ import annotations

import math
from itertools import chain
from typing import Any

from hwflow.errors import HwflowError
from hwflow.frontends._tf import keras
from hwflow.frontends.keras_layers import ON_LAST_AXIS
from hwflow.frontends.keras_versions import input_shape, is_network, nodes
from hwflow.frontends.replaced import compare, replaced

KerasModel = Any
KerasLayer = Any
KerasTensor = Any

MOST_AXES = 4
"""Of a tensor with its batch axis, on whose last axis a dense layer works as it is."""
_ELEMENTWISE = (*ON_LAST_AXIS, "BatchNormalization", "QBatchNormalization", "Softmax", "Dropout", "GaussianNoise")
_WINDOWS = (
    *("Conv2D", "QConv2D", "DepthwiseConv2D", "QDepthwiseConv2D", "SeparableConv2D", "QSeparableConv2D"),
    *("MaxPooling2D", "AveragePooling2D"),
)
_GLOBAL = {"GlobalMaxPooling2D": "MaxPooling2D", "GlobalAveragePooling2D": "AveragePooling2D"}
_MERGES = ("Add", "Subtract", "Average", "Maximum", "Minimum", "Multiply")


def gathered(model: KerasModel) -> KerasModel:
    """``model`` itself if none of its layers is distributed over time steps, but dense ones and activations of rows,
    else the same with each of them applied to all steps at once.

    Raises:
        HwflowError: a distributed layer, or an option of one, that is not supported, by its name.
    """
    return replaced(model, _is_distributed, _gathered_layer)


def _is_distributed(layer: KerasLayer) -> bool:
    if type(layer).__name__ != "TimeDistributed":
        return False
    shape = input_shape(layer)
    return type(layer.layer).__name__ not in ON_LAST_AXIS or (isinstance(shape, tuple) and len(shape) > MOST_AXES)


def _gathered_layer(layer: KerasLayer) -> KerasModel:
    shape = input_shape(layer)
    if not isinstance(shape, tuple) or None in shape[1:]:
        raise HwflowError(f"{layer.name}: its input is {shape}; it needs one input with a fixed number of time steps")
    x = keras().Input(shape[1:], name=f"{layer.name}_in")
    steps = _Steps(layer.name, shape[1])
    model = keras().Model(x, steps.apply(layer.layer, [x]), name=layer.name)
    for new, old in steps.copies:
        new.set_weights(old.get_weights())
    compare(layer, model, shape[1:], "applied to all time steps at once")
    return model


class _Steps:
    """Applies layers to each of the ``count`` steps of tensors ``(n, count, ...)``."""

    def __init__(self, name: str, count: int) -> None:
        self.layers = keras().layers
        self.name = name
        self.count = count
        self.copies: list[tuple[KerasLayer, KerasLayer]] = []
        self.made = 0

    def apply(self, layer: KerasLayer, inputs: list[KerasTensor]) -> KerasTensor:
        """What a layer, or a model of one input and one output, makes of each step."""
        if is_network(layer):
            return self._model(layer, inputs)
        kind, x = type(layer).__name__, inputs[0]
        if kind in _ELEMENTWISE or kind in _MERGES:
            return self._elementwise(layer, kind, inputs)
        shape = tuple(int(size) for size in x.shape[2:])
        if kind in _WINDOWS and len(shape) == 3:
            return self._window(layer, kind, x, shape)
        if kind in _GLOBAL and len(shape) == 3:
            pool = getattr(self.layers, _GLOBAL[kind])(shape[:2], name=self._named("global"))
            y = pool(self._shaped(x, (self.count * shape[0], *shape[1:])))
            return self._shaped(y, (self.count, *((1, 1) if layer.keepdims else ()), shape[2]))
        if kind == "Flatten":
            return self._shaped(x, (self.count, math.prod(shape)))
        if kind == "Reshape":
            size = math.prod(shape)
            target = [int(each) for each in layer.target_shape]
            known = -math.prod(target) if -1 in target else 1
            return self._shaped(x, (self.count, *(size // known if each == -1 else each for each in target)))
        raise HwflowError(f"{self.name}: {kind} of steps of shape {shape} is not supported in TimeDistributed")

    def _model(self, model: KerasModel, inputs: list[KerasTensor]) -> KerasTensor:
        if len(model.inputs) != 1 or len(model.outputs) != 1:
            raise HwflowError(f"{self.name}: TimeDistributed of a model of several inputs or outputs is not supported")
        tensors = {id(model.inputs[0]): inputs[0]}
        for node in chain.from_iterable(nodes(model)):
            if node.is_input or all(id(tensor) in tensors for tensor in node.outputs):
                continue
            if len(node.outputs) != 1:
                raise HwflowError(f"{self.name}: {node.layer.name} gives several tensors in TimeDistributed")
            tensors[id(node.outputs[0])] = self.apply(node.layer, [tensors[id(each)] for each in node.inputs])
        return tensors[id(model.outputs[0])]

    def _elementwise(self, layer: KerasLayer, kind: str, inputs: list[KerasTensor]) -> KerasTensor:
        shapes = {tuple(int(size) for size in x.shape[2:]) for x in inputs}
        if len(shapes) > 1:
            raise HwflowError(f"{self.name}: {kind} of shapes {sorted(shapes)} is not supported in TimeDistributed")
        *sides, channels = shapes.pop()
        rows = [self._shaped(x, (self.count * math.prod(sides), channels)) for x in inputs]
        changes = {}
        if (axis := getattr(layer, "axis", None)) is not None:
            if list(axis if isinstance(axis, list | tuple) else [axis]) not in ([-1], [len(sides) + 1]):
                raise HwflowError(f"{self.name}: {kind} along axis {axis} is not supported in TimeDistributed")
            changes["axis"] = -1
        y = self._copy(layer, **changes)(rows if kind in _MERGES else rows[0])
        return self._shaped(y, (self.count, *sides, int(y.shape[-1])))

    def _window(self, layer: KerasLayer, kind: str, x: KerasTensor, shape: tuple[int, ...]) -> KerasTensor:
        height, width, channels = shape
        kernel = tuple(layer.pool_size if "Pooling" in kind else layer.kernel_size)
        strides = tuple(layer.strides)
        dilated = any(each != 1 for each in getattr(layer, "dilation_rate", ()))
        if dilated or layer.data_format != "channels_last":
            raise HwflowError(f"{self.name}: a dilated {kind}, or one of channels first, is not supported")
        rows = _padding(height, kernel[0], strides[0]) if layer.padding == "same" else (0, 0)
        columns = _padding(width, kernel[1], strides[1]) if layer.padding == "same" else (0, 0)
        if "Pooling" in kind and any((*rows, *columns)):
            raise HwflowError(f"{self.name}: padding of {kind} in TimeDistributed is not supported; pad the input")
        # Windows begin at the same rows of every step if its rows are a multiple of the stride.
        padded = height + sum(rows)
        period = -(-padded // strides[0]) * strides[0]
        results = (padded - kernel[0]) // strides[0] + 1
        tall = self._padded(x, shape, rows[0], period - height - rows[0])
        after = max(kernel[0] - strides[0], 0)
        if after or any(columns):
            pad = self.layers.ZeroPadding2D(((0, after), columns), name=self._named("edges"))
            tall = pad(tall)
        y = self._copy(layer, padding="valid")(tall)
        found, width, channels = period // strides[0], int(y.shape[2]), int(y.shape[3])
        if found > results:
            y = self._shaped(y, (self.count, found * width, channels))
            cut = ((0, 0), (0, (found - results) * width))
            y = self.layers.Cropping2D(cut, name=self._named("whole"))(y)
        return self._shaped(y, (self.count, results, width, channels))

    def _padded(self, x: KerasTensor, shape: tuple[int, ...], above: int, below: int) -> KerasTensor:
        """The steps below one another, each with rows of zeros above and below."""
        height, width, channels = shape
        if above or below:
            x = self._shaped(x, (self.count, height * width, channels))
            zeros = ((0, 0), (above * width, below * width))
            x = self.layers.ZeroPadding2D(zeros, name=self._named("rows"))(x)
        return self._shaped(x, (self.count * (height + above + below), width, channels))

    def _copy(self, layer: KerasLayer, **changes: Any) -> KerasLayer:
        """The layer under a name of its own, which gets its weights once it has been called."""
        config = {key: value for key, value in layer.get_config().items() if key != "batch_input_shape"}
        new = type(layer).from_config(config | {"name": self._named(layer.name)} | changes)
        self.copies.append((new, layer))
        return new

    def _shaped(self, x: KerasTensor, shape: tuple[int, ...]) -> KerasTensor:
        if tuple(x.shape[1:]) == shape:
            return x
        return self.layers.Reshape(shape, name=self._named("shape"))(x)

    def _named(self, what: str) -> str:
        self.made += 1
        return f"{self.name}_{what}_{self.made}"


def _padding(length: int, extent: int, stride: int) -> tuple[int, int]:
    """Zeros before and after, as Keras' ``same`` has them."""
    total = max((-(-length // stride) - 1) * stride + extent - length, 0)
    return total // 2, total - total // 2
