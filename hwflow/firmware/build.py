"""hls4ml's description of a graph, so that a project can be written without the Keras model."""

from __future__ import annotations

import math
from typing import Any

from hwflow.errors import HwflowError
from hwflow.firmware.shapes import describe_shape, is_free
from hwflow.graph import (
    Affine,
    AveragePool2D,
    Concatenate,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    GlobalAveragePool2D,
    Graph,
    Input,
    LeakyReLU,
    Lookup,
    MaxPool2D,
    Merge,
    Node,
    ReLU,
    Rescale,
    Softmax,
    Window,
)


def layer_list(graph: Graph) -> list[dict[str, Any]]:
    """The layers as hls4ml's front ends describe them, without inserted :class:`Rescale` nodes and free reshapes."""
    sources: dict[str, str] = {}
    layers = []
    for node in graph:
        if isinstance(node, Rescale) or is_free(node, graph):
            sources[node.name] = sources[node.inputs[0]]
            continue
        sources[node.name] = node.name
        layer = {
            "name": node.name,
            "inputs": [sources[name] for name in node.inputs],
            "outputs": [node.name],
            "data_format": "channels_last",
        }
        layers.append(layer | _describe(node, graph))
    return layers


def image_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Rows ``(rows, channels)`` as an image ``(1, rows, channels)``: hls4ml is given images and vectors only."""
    return (1, *shape) if len(shape) == 2 else shape


def _describe(node: Node, graph: Graph) -> dict[str, Any]:
    shape = graph.inputs_of(node)[0].shape if node.inputs else ()
    if (moved := describe_shape(node, shape)) is not None:
        return moved
    match node:
        case Input():
            return {"class_name": "InputLayer", "input_shape": list(image_shape(node.shape))}
        case Conv2D():
            entry = {"class_name": "Conv2D", "n_chan": shape[2], "n_filt": node.n_out}
            return entry | _sizes(shape, node) | _window(node.window, "filt") | _weights(node)
        case DepthwiseConv2D():
            entry = {"class_name": "DepthwiseConv2D", "n_chan": shape[2], "n_filt": node.n_out}
            data = {"depthwise_data": node.weight.values, "bias_data": node.bias.values}
            return (
                entry
                | {"depth_multiplier": node.multiplier}
                | _sizes(shape, node)
                | _window(node.window, "filt")
                | data
            )
        case Dense():
            return {"class_name": "Dense", "n_in": node.n_in, "n_out": node.n_out} | _weights(node)
        case Affine():
            data = {"scale_data": node.weight.values[0], "bias_data": node.bias.values}
            return {"class_name": "BatchNormalization", "n_in": math.prod(shape), "n_filt": shape[-1]} | data
        case ReLU():
            return {"class_name": "Activation", "activation": "relu"}
        case Lookup() | LeakyReLU():
            return {"class_name": "Activation", "activation": "sigmoid"}  # hwflow's own layer replaces it
        case Softmax():
            return {"class_name": "Softmax", "activation": "softmax", "axis": -1}
        case MaxPool2D() | AveragePool2D():
            kind = "MaxPooling2D" if isinstance(node, MaxPool2D) else "AveragePooling2D"
            return {"class_name": kind, "n_filt": shape[2]} | _sizes(shape, node) | _window(node.window, "pool")
        case GlobalAveragePool2D():
            size = {"in_height": shape[0], "in_width": shape[1], "n_filt": shape[2]}
            return {"class_name": "GlobalAveragePooling2D"} | size
        case Flatten():
            return {"class_name": "Reshape", "target_shape": list(node.shape)}
        case Merge():
            return {"class_name": "Merge", "op": node.op.lower()}
        case Concatenate():
            return {"class_name": "Concatenate", "op": f"concatenate{len(shape)}d", "axis": -1}
    raise HwflowError(f"{node.name}: {node.op} has no hls4ml layer")


def _sizes(shape: tuple[int, ...], node: Node) -> dict[str, int]:
    return {
        "in_height": shape[0],
        "in_width": shape[1],
        "out_height": node.shape[0],
        "out_width": node.shape[1],
    }


def _window(window: Window, prefix: str) -> dict[str, int]:
    top, bottom, left, right = window.padding
    return {
        f"{prefix}_height": window.kernel[0],
        f"{prefix}_width": window.kernel[1],
        "stride_height": window.strides[0],
        "stride_width": window.strides[1],
        "pad_top": top,
        "pad_bottom": bottom,
        "pad_left": left,
        "pad_right": right,
    }


def _weights(node: Conv2D | Dense) -> dict[str, Any]:
    return {"weight_data": node.weight.values, "bias_data": node.bias.values}
