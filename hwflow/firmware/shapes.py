"""Layers that move elements and compute nothing, with their C++ templates in ``nnet_shapes.h``."""

from __future__ import annotations

import math
from typing import Any

from hls4ml.backends.template import FunctionCallTemplate, LayerConfigTemplate
from hls4ml.model.layers import Layer

from hwflow.graph import Crop2D, Graph, Node, Permute, Reshape, UpSample2D, ZeroPad2D


class HwflowRegroup(Layer):
    """The same elements in the same order, as many a beat as the last axis of ``out_shape`` has."""

    function = "regroup"

    def initialize(self) -> None:
        """Called by hls4ml when the node is made."""
        self.add_output_variable(list(self.get_attr("out_shape")))


class HwflowBorder(HwflowRegroup):
    """An image without some pixels at its edges, then with zeros around it."""

    function = "border"


class HwflowRepeat(HwflowRegroup):
    """Every pixel of an image several times."""

    function = "repeat"


class HwflowPermute(HwflowRegroup):
    """An image with its axes in another order."""

    function = "permute"


SHAPE_LAYERS = (HwflowRegroup, HwflowBorder, HwflowRepeat, HwflowPermute)


class ShapeConfigTemplate(LayerConfigTemplate):
    """The configuration struct of a layer of this module: its ``sizes``, whole numbers by name."""

    def __init__(self) -> None:
        super().__init__(SHAPE_LAYERS)

    def format(self, node: Any) -> str:
        """The C++ text."""
        sizes = "".join(
            f"    static const unsigned {name} = {value};\n" for name, value in node.get_attr("sizes").items()
        )
        return f"struct config{node.index} {{\n{sizes}}};\n"


class ShapeFunctionTemplate(FunctionCallTemplate):
    """The call of a layer of this module."""

    def __init__(self) -> None:
        super().__init__(SHAPE_LAYERS, include_header=["nnet_utils/nnet_shapes.h"])
        self.template = "nnet::{function}<{input_t}, {output_t}, {config}>({input}, {output});"

    def format(self, node: Any) -> str:
        """The C++ text."""
        return str(self.template.format(**self._default_function_params(node), function=node.function))


SHAPE_TEMPLATES = (ShapeConfigTemplate, ShapeFunctionTemplate)


def is_free(node: Node, graph: Graph) -> bool:
    """Whether a node is a :class:`Reshape` between rows and an image one pixel high, which hls4ml need not know of."""
    if not isinstance(node, Reshape):
        return False
    shape = graph.inputs_of(node)[0].shape
    longer, shorter = (shape, node.shape) if len(shape) == 3 else (node.shape, shape)
    return shape == node.shape or (len(longer) == 3 and longer == (1, *shorter))


def describe_shape(node: Node, shape: tuple[int, ...]) -> dict[str, Any] | None:
    """hls4ml's description of a node that gives the elements of a tensor of ``shape`` new places.

    ``None`` for any other node, and for what hls4ml has itself.
    """
    match node:
        case Reshape():
            return _layer("HwflowRegroup", node, {"n_in": math.prod(shape)})
        case ZeroPad2D() | Crop2D():
            image = dict(zip(("in_height", "in_width", "n_chan"), shape, strict=True))
            sides = zip(("top", "bottom", "left", "right"), _pads(node), _crops(node), strict=True)
            edges = {f"{kind}_{side}": n for side, pad, crop in sides for kind, n in (("pad", pad), ("crop", crop))}
            return _layer("HwflowBorder", node, image | edges)
        case UpSample2D():
            image = dict(zip(("in_height", "in_width", "n_chan"), shape, strict=True))
            return _layer("HwflowRepeat", node, image | {"rows": node.factors[0], "columns": node.factors[1]})
        case Permute():
            strides = (shape[1] * shape[2], shape[2], 1)
            sizes = {f"size_{axis}": size for axis, size in enumerate(node.shape)}
            return _layer(
                "HwflowPermute", node, sizes | {f"stride_{i}": strides[axis] for i, axis in enumerate(node.axes)}
            )
    return None


def _pads(node: Node) -> tuple[int, int, int, int]:
    return node.padding if isinstance(node, ZeroPad2D) else (0, 0, 0, 0)


def _crops(node: Node) -> tuple[int, int, int, int]:
    return node.cropping if isinstance(node, Crop2D) else (0, 0, 0, 0)


def _layer(kind: str, node: Node, sizes: dict[str, int]) -> dict[str, Any]:
    return {"class_name": kind, "out_shape": list(node.shape), "sizes": sizes}
