"""Reads :mod:`hwflow.graph` off hls4ml's ModelGraph, after its front end has fused batch norms."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwflow.errors import HwflowError
from hwflow.fixed import FixedType
from hwflow.graph import (
    Add,
    Affine,
    Average,
    AveragePool2D,
    Concatenate,
    Constant,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePool2D,
    Graph,
    Input,
    Maximum,
    MaxPool2D,
    Merge,
    Minimum,
    Multiply,
    Node,
    ReLU,
    Rescale,
    Reshape,
    Softmax,
    Subtract,
    Window,
)

Layer = Any
"""An hls4ml layer; hls4ml carries no types."""


def read_graph(model: Any, linear: bool = False) -> Graph:
    """The untyped graph of a ModelGraph.

    Args:
        model: hls4ml's ModelGraph after its ``convert`` flow.
        linear: linear activations, which hls4ml leaves where they change the type, become products with 1.

    Returns:
        One node per layer, of the same name; QKeras quantisers of activations become requested types.

    Raises:
        HwflowError: a layer or an attribute that no executor computes right, by the layer's name.
    """
    if len(model.outputs) != 1 or len(model.inputs) != 1:
        raise HwflowError(
            f"the network has {len(model.inputs)} inputs and {len(model.outputs)} outputs; one of each is supported"
        )
    nodes = [_cast(layer) if linear and _is_linear(layer) else _node(layer) for layer in model.get_layers()]
    return Graph(tuple(lift_rows(fold_padding(nodes))), _name(model))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Padding(Node):
    """Zeros around an image: pixels (top, bottom, left, right). It lives until the windows after it take it in."""

    padding: tuple[int, int, int, int]


def fold_padding(nodes: Sequence[Node]) -> list[Node]:
    """Zero padding as part of the windows that read it.

    Raises:
        HwflowError: something else reads it, or a maximum that a padded zero could change.
    """
    by_name: dict[str, Node] = {}
    for node in nodes:
        sources = [by_name[name] for name in node.inputs if name in by_name]
        by_name[node.name] = _with_padding(node, sources, by_name)
    folded = [node for node in by_name.values() if not isinstance(node, _Padding)]
    if isinstance(nodes[-1], _Padding):
        raise HwflowError(f"{nodes[-1].name}: zero padding at the end of a network is not supported")
    return folded


def _with_padding(node: Node, sources: list[Node], by_name: Mapping[str, Node]) -> Node:
    pads = [source for source in sources if isinstance(source, _Padding)]
    if not pads:
        return node
    pad = pads[0]
    if isinstance(node, _Padding):
        return replace(node, inputs=pad.inputs, padding=_both(pad.padding, node.padding))
    if not isinstance(node, Conv2D | MaxPool2D | AveragePool2D):
        raise HwflowError(
            f"{pad.name}: zero padding before {node.name} is not supported, only before a convolution or a pooling"
        )
    if isinstance(node, MaxPool2D) and not _never_negative(by_name[pad.inputs[0]], by_name):
        raise HwflowError(
            f"{pad.name}: zero padding before the max pooling {node.name} is supported after a ReLU only, "
            "where a zero is never larger than the maximum"
        )
    window = replace(node.window, padding=_both(pad.padding, node.window.padding))
    return replace(node, inputs=pad.inputs, window=window)


def lift_rows(nodes: Sequence[Node]) -> list[Node]:
    """Tensors ``(rows, channels)`` as images one pixel high, which every executor runs as they are.

    Only the network's input and output keep their shape; a node that moves no data stands after and before them.
    """
    if len(nodes) == 1 or not any(len(node.shape) == 2 for node in nodes):
        return list(nodes)
    lifted: list[Node] = []
    stands: dict[str, str] = {}
    names = {node.name for node in nodes}

    def reshape(source: Node, suffix: str, shape: tuple[int, ...]) -> Reshape:
        name = f"{source.name}_{suffix}"
        while name in names:
            name += "_"
        names.add(name)
        return Reshape(name=name, inputs=(source.name,), shape=shape)

    for node in nodes:
        node = replace(node, inputs=tuple(stands.get(name, name) for name in node.inputs))
        if len(node.shape) != 2:
            lifted.append(node)
        elif isinstance(node, Input):
            image = reshape(node, "image", (1, *node.shape))
            lifted += [node, image]
            stands[node.name] = image.name
        else:
            lifted.append(replace(node, shape=(1, *node.shape)))
    last, shape = lifted[-1], nodes[-1].shape
    return [*lifted, reshape(last, "rows", shape)] if last.shape != shape else lifted


def _both(first: tuple[int, int, int, int], second: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    top, bottom, left, right = (a + b for a, b in zip(first, second, strict=True))
    return top, bottom, left, right


def _never_negative(node: Node, by_name: Mapping[str, Node]) -> bool:
    if isinstance(node, ReLU | Softmax):
        return True
    if isinstance(node, MaxPool2D | AveragePool2D | GlobalAveragePool2D | Flatten | Concatenate | Merge | _Padding):
        if isinstance(node, Subtract):
            return False
        return all(_never_negative(by_name[name], by_name) for name in node.inputs)
    return False


def _is_linear(layer: Layer) -> bool:
    return layer.class_name in ("Activation", "QActivation") and str(layer.get_attr("activation")).lower() == "linear"


def _cast(layer: Layer) -> Node:
    return Rescale(**_common(layer), factor=Constant(np.ones(1)))


def _node(layer: Layer) -> Node:
    reader = READERS.get(layer.class_name) or READERS.get(type(layer).__name__)
    if reader is None:
        raise HwflowError(f"{layer.name}: {layer.class_name} layers are not supported")
    return reader(layer)


def _common(layer: Layer) -> dict[str, Any]:
    shape = tuple(int(size) for size in layer.get_output_variable().shape)
    inputs = tuple(layer.get_input_node(name).name for name in layer.inputs)
    return {"name": layer.name, "inputs": inputs, "shape": shape}


def _input(layer: Layer) -> Node:
    return Input(name=layer.name, shape=tuple(int(size) for size in layer.get_output_variable().shape))


def _conv2d(layer: Layer) -> Node:
    if layer.get_attr("dilation_height", 1) != 1 or layer.get_attr("dilation_width", 1) != 1:
        raise HwflowError(f"{layer.name}: dilated convolutions are not supported by hls4ml")
    weight = np.asarray(layer.get_weights("weight").data, dtype=np.float64)
    if weight.shape[2] != layer.get_attr("n_chan"):
        raise HwflowError(f"{layer.name}: grouped convolutions are not supported by hls4ml")
    return Conv2D(**_common(layer), **_weights(layer, weight), window=_window(layer, "filt"))


def _pointwise1d(layer: Layer) -> Node:
    """A dense layer on the last axis of ``(rows, channels)``, which hls4ml makes a convolution of."""
    weight = np.asarray(layer.get_weights("weight").data, dtype=np.float64)
    sizes = tuple(int(layer.get_attr(name)) for name in ("filt_width", "stride_width", "pad_left", "pad_right"))
    if sizes != (1, 1, 0, 0) or weight.shape[:2] != (1, layer.get_attr("n_chan")):
        raise HwflowError(f"{layer.name}: one-dimensional convolutions are not supported")
    return Conv2D(**_common(layer), **_weights(layer, weight[None]), window=Window(kernel=(1, 1)))


def _dense(layer: Layer) -> Node:
    weight = np.asarray(layer.get_weights("weight").data, dtype=np.float64)
    return Dense(**_common(layer), **_weights(layer, weight))


def _batch_norm(layer: Layer) -> Node:
    common = _common(layer)
    channels = common["shape"][-1]
    weight, bias = (np.asarray(layer.get_weights(name).data, dtype=np.float64) for name in ("scale", "bias"))
    if weight.size not in (1, channels):
        raise HwflowError(f"{layer.name}: batch normalisation of another axis than the channels is not supported")
    weight, bias = (np.broadcast_to(values.reshape(-1), (channels,)) for values in (weight, bias))
    return Affine(**common, weight=Constant(weight.reshape(1, -1).copy()), bias=Constant(bias.copy()))


def _zero_padding(layer: Layer) -> Node:
    top, bottom, left, right = (int(layer.get_attr(f"pad_{side}")) for side in ("top", "bottom", "left", "right"))
    return _Padding(**_common(layer), padding=(top, bottom, left, right))


def _weights(layer: Layer, weight: np.ndarray) -> dict[str, Any]:
    bias = np.asarray(layer.get_weights("bias").data, dtype=np.float64)
    quantizer = layer.get_attr("weight_quantizer")
    if quantizer is not None and not hasattr(quantizer.hls_type, "integer"):
        raise HwflowError(f"{layer.name}: its weight quantiser {quantizer.hls_type} is not fixed point")
    return {"weight": Constant(weight), "bias": Constant(np.broadcast_to(bias, weight.shape[-1:]).copy())}


def _activation(layer: Layer) -> Node:
    kind = str(layer.get_attr("activation")).lower()
    if kind in ("relu", "quantized_relu"):
        limit = layer.get_attr("hwflow_limit")
        return ReLU(
            **_common(layer),
            type=_requested(layer),
            limit=None if limit is None else Constant(np.array([float(limit)])),
        )
    if kind == "softmax":
        common = _common(layer)
        if len(common["shape"]) != 1:
            raise HwflowError(f"{layer.name}: softmax of a tensor {common['shape']} is not supported, only of a vector")
        return Softmax(**common)
    raise HwflowError(f"{layer.name}: the activation {kind!r} is not supported")


def _requested(layer: Layer) -> FixedType | None:
    """The type of a QKeras activation quantiser."""
    if (requested := layer.get_attr("hwflow_type")) is not None:
        return FixedType.parse(requested)
    quantizer = layer.get_attr("activation_quantizer")
    precision = None if quantizer is None else layer.get_output_variable().type.precision
    return None if precision is None else FixedType.parse(str(precision))


def _pool2d(layer: Layer) -> Node:
    window = _window(layer, "pool")
    if layer.get_attr("pool_op") == "Max":
        return MaxPool2D(**_common(layer), window=window)
    if any(window.padding):
        raise HwflowError(f"{layer.name}: average pooling with padding is not supported; pad the input or use 'valid'")
    return AveragePool2D(**_common(layer), window=window)


def _global_pool2d(layer: Layer) -> Node:
    common = _common(layer)
    if layer.get_attr("pool_op") != "Average":
        raise HwflowError(f"{layer.name}: global max pooling is not supported; use MaxPooling2D over the whole image")
    if math.prod(common["shape"]) != common["shape"][-1]:
        raise HwflowError(f"{layer.name}: keepdims=True is not supported")
    return GlobalAveragePool2D(**common)


def _merge(layer: Layer) -> Node:
    operation = str(layer.get_attr("op")).lower()
    common = _common(layer)
    if operation.startswith("concat"):
        if int(layer.get_attr("axis")) not in (-1, len(common["shape"])):
            raise HwflowError(
                f"{layer.name}: concatenation along axis {layer.get_attr('axis')} is not supported, only of channels"
            )
        return Concatenate(**common)
    if operation not in MERGES:
        raise HwflowError(f"{layer.name}: {layer.class_name} ({operation}) is not supported")
    return MERGES[operation](**common)


def _reshape(layer: Layer) -> Node:
    common = _common(layer)
    if len(common["shape"]) != 1:
        raise HwflowError(f"{layer.name}: reshaping to {common['shape']} is not supported, only flattening is")
    return Flatten(**common)


def _window(layer: Layer, prefix: str) -> Window:
    def pair(name: str) -> tuple[int, int]:
        return int(layer.get_attr(f"{name}_height")), int(layer.get_attr(f"{name}_width"))

    top, bottom, left, right = (int(layer.get_attr(f"pad_{side}")) for side in ("top", "bottom", "left", "right"))
    return Window(kernel=pair(prefix), strides=pair("stride"), padding=(top, bottom, left, right))


MERGES: Mapping[str, type[Merge]] = {
    "add": Add,
    "subtract": Subtract,
    "average": Average,
    "maximum": Maximum,
    "minimum": Minimum,
    "multiply": Multiply,
}
"""By hls4ml's names of the operations."""

READERS: Mapping[str, Callable[[Layer], Node]] = {
    "InputLayer": _input,
    "Input": _input,
    "Conv2D": _conv2d,
    "QConv2D": _conv2d,
    "Conv1D": _pointwise1d,
    "Dense": _dense,
    "QDense": _dense,
    "Activation": _activation,
    "Softmax": _activation,
    "QActivation": _activation,
    "ReLU": _activation,
    "Pooling2D": _pool2d,
    "GlobalPooling2D": _global_pool2d,
    "Merge": _merge,
    "Concatenate": _merge,
    "BatchNormalization": _batch_norm,
    "ZeroPadding2D": _zero_padding,
    "Reshape": _reshape,
    "Flatten": _reshape,
}


def _name(model: Any) -> str:
    """The name of the Keras model, if that is what it was made from."""
    config = model.config.config
    return str(config.get("ModelName") or getattr(config.get("KerasModel"), "name", None) or "network")
