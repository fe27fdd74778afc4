"""The graph in floating point: for calibration, and to check scaling against the original network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from hwflow.errors import HwflowError
from hwflow.files.rows import Rows
from hwflow.graph import (
    Add,
    Affine,
    Average,
    AveragePool2D,
    Concatenate,
    Constant,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    FloatArray,
    GlobalAveragePool2D,
    Graph,
    LeakyReLU,
    Lookup,
    Maximum,
    MaxPool2D,
    Minimum,
    Move,
    Multiply,
    Node,
    ReLU,
    Rescale,
    Softmax,
    Subtract,
    WeightLayer,
)
from hwflow.graph.functions import function
from hwflow.graph.moves import move
from hwflow.graph.windows import depthwise, patches, pixels_inside, windows

PATCH_ELEMENTS = 1 << 21
"""Elements of the patches that are multiplied at once, unless one image has more: 16 MiB in float64."""

Observer = Callable[[Node, list[FloatArray], FloatArray], None]


class RealExecutor:
    """Runs a graph, typed or not, on real values; types round nothing.

    Args:
        graph: the network.
        dtype: float64, or float32 to see what a float target computes.
    """

    def __init__(self, graph: Graph, dtype: type[np.floating[Any]] = np.float64) -> None:
        self.graph = graph if dtype is np.float64 else _in_precision(graph, dtype)
        self.dtype = dtype

    def run(self, images: FloatArray, observe: Observer | None = None) -> FloatArray:
        """Outputs ``(n, *output shape)`` of images ``(n, *input shape)``, in stored values.

        Args:
            images: real input values.
            observe: called with every node, its inputs and its output.
        """
        values: dict[str, FloatArray] = {}
        pending = {name: len(readers) for name, readers in self.graph.consumers.items()}
        for node in self.graph:
            sources = [values[name] for name in node.inputs]
            result = evaluate(node, sources) if sources else np.asarray(images, dtype=self.dtype)
            if observe is not None:
                observe(node, sources, result)
            values[node.name] = result
            for name in node.inputs:
                pending[name] -= 1
                if not pending[name]:
                    values.pop(name, None)
        return values[self.graph.output.name]


def _in_precision(graph: Graph, dtype: type[np.floating[Any]]) -> Graph:
    """The graph with constants of another float type, without types, which float64 alone can hold."""

    def converted(constant: Constant) -> Constant:
        return Constant(constant.values.astype(dtype))

    nodes: list[Node] = []
    for node in graph:
        if isinstance(node, WeightLayer):
            effective = Constant(node.effective_values)
            node = replace(node, weight=converted(effective), outliers=None, kept=None, bias=converted(node.bias))
        elif isinstance(node, Rescale):
            node = replace(node, factor=converted(node.factor))
        elif isinstance(node, ReLU) and node.limit is not None:
            node = replace(node, limit=converted(node.limit))
        elif isinstance(node, LeakyReLU):
            threshold = None if node.threshold is None else converted(node.threshold)
            node = replace(node, slope=converted(node.slope), threshold=threshold)
        nodes.append(node)
    return Graph(tuple(nodes), graph.name)


def evaluate(node: Node, sources: list[FloatArray]) -> FloatArray:
    """The real output ``(n, *shape)`` of one node.

    Raises:
        HwflowError: an operation that it does not know.
    """
    x = sources[0]
    match node:
        case Conv2D():
            return _plus(_convolved(x, node), node.bias)
        case DepthwiseConv2D():
            return _plus(depthwise(x, node.effective_values, node.window), node.bias)
        case Dense():
            return _plus(x @ node.effective_values, node.bias)
        case Affine():
            return x * node.weight.values[0] + node.bias.values
        case ReLU():
            return np.maximum(x, 0.0) if node.limit is None else np.clip(x, 0.0, node.limit.values)
        case LeakyReLU():
            threshold = 0.0 if node.threshold is None else node.threshold.values
            return np.where(x > threshold, x, x * node.slope.values)
        case Lookup():
            return function(node.function)(x / np.asarray(node.input_scale, dtype=x.dtype))
        case MaxPool2D():
            return windows(x, node.window, -np.inf).max(axis=(3, 4))
        case AveragePool2D():
            sums = windows(x, node.window).sum(axis=(3, 4))
            return sums / (node.divisor or pixels_inside(node.window, *x.shape[1:3]).astype(x.dtype))
        case GlobalAveragePool2D():
            return x.mean(axis=(1, 2))
        case Move():
            return move(node, x)
        case Add():
            return x + sources[1]
        case Subtract():
            return x - sources[1]
        case Average():
            return (x + sources[1]) / 2
        case Maximum():
            return np.maximum(x, sources[1])
        case Minimum():
            return np.minimum(x, sources[1])
        case Multiply():
            return x * sources[1]
        case Concatenate():
            return np.concatenate(sources, axis=-1)
        case Rescale():
            return x * node.factor.values
        case Softmax():
            exponentials = np.exp(x - x.max(axis=-1, keepdims=True))
            return exponentials / exponentials.sum(axis=-1, keepdims=True)
    raise HwflowError(f"{node.name}: {node.op} has no float64 kernel")


def _convolved(x: FloatArray, node: Conv2D) -> FloatArray:
    """Sums of products ``(n, *shape)``, some images at a time: patches take many times the memory of images."""
    weights = node.effective_values.reshape(-1, node.n_out)
    products = np.empty((len(x), *node.shape), dtype=np.result_type(x, weights))
    size = max(1, PATCH_ELEMENTS // (node.vectors * node.n_in))
    for start in range(0, len(x), size):
        some = slice(start, start + size)
        np.matmul(patches(x[some], node.window), weights, out=products[some])
    return products


def _plus(products: FloatArray, bias: Constant) -> FloatArray:
    """Sums in the memory of ``products``, which are nobody else's."""
    products += bias.values
    return products


def check_calibration(graph: Graph, images: Rows) -> None:
    """Refuse images that a network cannot be calibrated with.

    Raises:
        HwflowError: no images, or images of another shape.
    """
    if images.shape[1:] != graph.input.shape:
        raise HwflowError(
            f"calibration images have shape {images.shape[1:]}, but the network takes {graph.input.shape}"
        )
    if not len(images):
        raise HwflowError("calibration needs at least one image")
