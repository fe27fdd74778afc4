"""Reads :mod:`hwflow.graph` off hls4ml's ModelGraph, after its front end has fused batch norms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from hwflow.errors import HwflowError
from hwflow.fixed import FixedType
from hwflow.frontends.handed import constant_of
from hwflow.frontends.lowering import (
    Concatenation,
    DotProduct,
    GlobalPool,
    along_channels,
    dot_products,
    fold_padding,
    lift_rows,
    whole_images,
)
from hwflow.frontends.normalising import LayerNorm, layer_norms
from hwflow.graph import (
    Add,
    Affine,
    Average,
    AveragePool2D,
    Concatenate,
    Constant,
    Conv2D,
    Crop2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    Graph,
    Input,
    LeakyReLU,
    Lookup,
    Maximum,
    MaxPool2D,
    Merge,
    Minimum,
    Multiply,
    Node,
    Permute,
    ReLU,
    Rescale,
    Reshape,
    Softmax,
    Subtract,
    UpSample2D,
    Window,
    ZeroPad2D,
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
    nodes = whole_images(layer_norms(dot_products(nodes)))
    return Graph(tuple(lift_rows(fold_padding(along_channels(nodes)))), _name(model))


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
    weight = constant_of(layer.get_weights("weight").data)
    if weight.shape[2] != layer.get_attr("n_chan"):
        raise HwflowError(f"{layer.name}: grouped convolutions are not supported by hls4ml")
    return Conv2D(**_common(layer), **_weights(layer, weight), window=_window(layer, "filt"))


def _depthwise(layer: Layer) -> Node:
    """Weights ``(kernel_h, kernel_w, 1, out)``, as hwflow's front end hands them through, or hls4ml's own.

    Of one along the rows of ``(rows, channels)`` they have no ``kernel_h``.
    """
    weight = np.asarray(layer.get_weights("weight").data, dtype=np.float64)
    rows = layer.class_name == "DepthwiseConv1D"
    window = _window1d(layer, "filt") if rows else _window(layer, "filt")
    weight = weight.reshape(*window.kernel, 1, -1)
    if weight.shape[-1] != int(layer.get_attr("n_filt")):
        raise HwflowError(
            f"{layer.name}: hls4ml fuses the batch normalisation after it wrongly; "
            "use 'hwflow harden' and 'hwflow generate'"
        )
    multiplier = weight.shape[-1] // int(layer.get_attr("n_chan"))
    return DepthwiseConv2D(**_common(layer), **_weights(layer, Constant(weight)), window=window, multiplier=multiplier)


def _conv1d(layer: Layer) -> Node:
    """A convolution along the rows of ``(rows, channels)``; a dense layer on the last axis is one of one row."""
    if layer.get_attr("dilation_width", 1) != 1:
        raise HwflowError(f"{layer.name}: dilated convolutions are not supported by hls4ml")
    weight = np.asarray(layer.get_weights("weight").data, dtype=np.float64)
    if weight.shape[1] != layer.get_attr("n_chan"):
        raise HwflowError(f"{layer.name}: grouped convolutions are not supported by hls4ml")
    return Conv2D(**_common(layer), **_weights(layer, Constant(weight[None])), window=_window1d(layer, "filt"))


def _dense(layer: Layer) -> Node:
    return Dense(**_common(layer), **_weights(layer, constant_of(layer.get_weights("weight").data)))


def _batch_norm(layer: Layer) -> Node:
    common = _common(layer)
    channels = common["shape"][-1]
    weight, bias = (np.asarray(layer.get_weights(name).data, dtype=np.float64) for name in ("scale", "bias"))
    if weight.size not in (1, channels):
        raise HwflowError(f"{layer.name}: batch normalisation of another axis than the channels is not supported")
    weight, bias = (np.broadcast_to(values.reshape(-1), (channels,)) for values in (weight, bias))
    return Affine(**common, weight=Constant(weight.reshape(1, -1).copy()), bias=Constant(bias.copy()))


def _zero_padding(layer: Layer) -> Node:
    top, bottom, left, right = (int(layer.get_attr(f"pad_{side}", 0)) for side in ("top", "bottom", "left", "right"))
    return ZeroPad2D(**_common(layer), padding=(top, bottom, left, right))


def _weights(layer: Layer, weight: Constant) -> dict[str, Any]:
    bias = np.asarray(layer.get_weights("bias").data, dtype=np.float64)
    quantizer = layer.get_attr("weight_quantizer")
    if quantizer is not None and not hasattr(quantizer.hls_type, "integer"):
        raise HwflowError(f"{layer.name}: its weight quantiser {quantizer.hls_type} is not fixed point")
    return {"weight": weight, "bias": Constant(np.broadcast_to(bias, weight.shape[-1:]).copy())}


def _activation(layer: Layer) -> Node:
    if layer.get_attr("hwflow_kind") is not None:
        return _own_activation(layer)
    kind = str(layer.get_attr("activation")).lower()
    if kind in ("relu", "quantized_relu"):
        limit = layer.get_attr("hwflow_limit")
        return ReLU(
            **_common(layer),
            type=_requested(layer),
            limit=None if limit is None else Constant(np.array([float(limit)])),
        )
    if kind == "softmax":
        return Softmax(**_common(layer))
    raise HwflowError(f"{layer.name}: the activation {kind!r} is not supported")


def _own_activation(layer: Layer) -> Node:
    """An activation as hwflow's own walk over a Keras model tells of it."""
    common, type_ = _common(layer), _requested(layer)
    match layer.get_attr("hwflow_kind"):
        case "lookup":
            return Lookup(**common, function=layer.get_attr("hwflow_function"), type=type_)
        case "layer_norm":
            gamma, beta = (np.asarray(layer.get_attr(f"hwflow_{of}"), dtype=np.float64) for of in ("gamma", "beta"))
            return LayerNorm(**common, gamma=gamma, beta=beta, epsilon=float(layer.get_attr("hwflow_epsilon")))
        case "leaky":
            threshold = float(layer.get_attr("hwflow_threshold"))
            slope = np.asarray(layer.get_attr("hwflow_slope"), dtype=np.float64)
            return LeakyReLU(
                **common,
                slope=Constant(slope if (slope != slope[0]).any() else slope[:1]),
                threshold=Constant(np.array([threshold])) if threshold else None,
            )
    return Rescale(**common, factor=Constant(np.ones(1)), type=type_)


def _requested(layer: Layer) -> FixedType | None:
    """The type of a QKeras activation quantiser."""
    if (requested := layer.get_attr("hwflow_type")) is not None:
        return FixedType.parse(requested)
    quantizer = layer.get_attr("activation_quantizer")
    precision = None if quantizer is None else layer.get_output_variable().type.precision
    return None if precision is None else FixedType.parse(str(precision))


def _pool2d(layer: Layer) -> Node:
    return _pool(layer, _window(layer, "pool"))


def _pool1d(layer: Layer) -> Node:
    return _pool(layer, _window1d(layer, "pool"))


def _pool(layer: Layer, window: Window) -> Node:
    if layer.get_attr("pool_op") == "Max":
        return MaxPool2D(**_common(layer), window=window)
    return AveragePool2D(**_common(layer), window=window, counts_padding=not any(window.padding))


def _global_pool(layer: Layer) -> Node:
    common = _common(layer)
    if layer.get_attr("keepdims", False):  # hls4ml's own layers drop it
        ones = 2 if layer.get_attr("in_height") is not None else 1
        common["shape"] = (*(1,) * ones, common["shape"][-1])
    return GlobalPool(**common, average=layer.get_attr("pool_op") == "Average")


def _merge(layer: Layer) -> Node:
    operation = str(layer.get_attr("op")).lower()
    common = _common(layer)
    if operation.startswith("concat"):
        axis, rank = int(layer.get_attr("axis")), len(common["shape"])
        axis = axis - 1 if axis > 0 else axis + rank  # without the batch
        if not 0 <= axis < rank:
            raise HwflowError(f"{layer.name}: concatenation along axis {layer.get_attr('axis')} is not supported")
        return Concatenate(**common) if axis == rank - 1 else Concatenation(**common, axis=axis)
    if operation.startswith("dot") or layer.get_attr("hwflow_dot", False):
        return DotProduct(**common | {"shape": (1,)})
    if operation not in MERGES:
        raise HwflowError(f"{layer.name}: {layer.class_name} ({operation}) is not supported")
    return MERGES[operation](**common)


def _reshape(layer: Layer) -> Node:
    common = _common(layer)
    return Flatten(**common) if len(common["shape"]) == 1 else Reshape(**common)


def _cropping(layer: Layer) -> Node:
    top, bottom, left, right = (int(layer.get_attr(f"crop_{side}", 0)) for side in ("top", "bottom", "left", "right"))
    return Crop2D(**_common(layer), cropping=(top, bottom, left, right))


def _resize(layer: Layer) -> Node:
    if layer.get_attr("algorithm") != "nearest":
        raise HwflowError(f"{layer.name}: {layer.get_attr('algorithm')} interpolation is not supported, only nearest")
    factors = (int(layer.get_attr("height_factor", 1)), int(layer.get_attr("width_factor", 1)))
    return UpSample2D(**_common(layer), factors=factors)


def _transpose(layer: Layer) -> Node:
    axes = tuple(int(axis) for axis in layer.get_attr("perm"))
    if len(axes) not in (2, 3):
        raise HwflowError(f"{layer.name}: a permutation of {len(axes)} axes is not supported, only of two or three")
    if len(axes) == 2:  # of rows, which become an image one pixel high
        axes = (0, axes[0] + 1, axes[1] + 1)
    return Permute(**_common(layer), axes=(axes[0], axes[1], axes[2]))


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


def _window1d(layer: Layer, prefix: str) -> Window:
    """A window one pixel high."""
    left, right = (int(layer.get_attr(f"pad_{side}")) for side in ("left", "right"))
    kernel, stride = int(layer.get_attr(f"{prefix}_width")), int(layer.get_attr("stride_width"))
    return Window(kernel=(1, kernel), strides=(1, stride), padding=(0, 0, left, right))


READERS: Mapping[str, Callable[[Layer], Node]] = {
    "InputLayer": _input,
    "Input": _input,
    "Conv2D": _conv2d,
    "QConv2D": _conv2d,
    "DepthwiseConv2D": _depthwise,
    "DepthwiseConv1D": _depthwise,
    "Conv1D": _conv1d,
    "QConv1D": _conv1d,
    "Dense": _dense,
    "QDense": _dense,
    "Activation": _activation,
    "Softmax": _activation,
    "QActivation": _activation,
    "ReLU": _activation,
    "Pooling2D": _pool2d,
    "Pooling1D": _pool1d,
    "GlobalPooling1D": _global_pool,
    "GlobalPooling2D": _global_pool,
    "Merge": _merge,
    "Concatenate": _merge,
    "Dot": _merge,
    "BatchNormalization": _batch_norm,
    "ZeroPadding1D": _zero_padding,
    "ZeroPadding2D": _zero_padding,
    "Cropping1D": _cropping,
    "Cropping2D": _cropping,
    "Resize": _resize,
    "Transpose": _transpose,
    "Reshape": _reshape,
    "Flatten": _reshape,
}


def _name(model: Any) -> str:
    """The name of the Keras model, if that is what it was made from."""
    config = model.config.config
    return str(config.get("ModelName") or getattr(config.get("KerasModel"), "name", None) or "network")
