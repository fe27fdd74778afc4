"""Layer normalisation as nodes that every executor has."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hwflow.graph import (
    Affine,
    AveragePool2D,
    Constant,
    FloatArray,
    Lookup,
    Multiply,
    Node,
    Reshape,
    Subtract,
    UpSample2D,
    Window,
)
from hwflow.graph.functions import text_of
from hwflow.graph.naming import Unique


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerNorm(Node):
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, mean and variance over the last axis.

    Attributes:
        gamma, beta: ``(channels,)``.
        epsilon: positive.
    """

    gamma: FloatArray
    beta: FloatArray
    epsilon: float


def layer_norms(nodes: Sequence[Node]) -> list[Node]:
    """Layer normalisation as means, a table of reciprocal roots, differences and products, and an affine layer."""
    names = Unique(node.name for node in nodes)
    found: dict[str, Node] = {}
    for node in nodes:
        made = _parts(node, names) if isinstance(node, LayerNorm) else [node]
        found |= {each.name: each for each in made}
    return list(found.values())


def _parts(node: LayerNorm, names: Callable[[str], str]) -> list[Node]:
    """Every vector is a row of pixels of one channel; its mean and its scale are a pixel each, repeated."""
    channels = node.shape[-1]
    vectors = math.prod(node.shape[:-1])
    rows, pixels = (vectors, channels, 1), (vectors, 1, 1)
    window = Window(kernel=(1, channels), strides=(1, channels))
    made: list[Node] = []

    def put(kind: Callable[..., Node], what: str, shape: tuple[int, ...], *inputs: Node | str, **sizes: object) -> Node:
        sources = tuple(each if isinstance(each, str) else each.name for each in inputs)
        made.append(kind(name=names(f"{node.name}_{what}"), inputs=sources, shape=shape, **sizes))
        return made[-1]

    x = put(Reshape, "rows", rows, *node.inputs)
    mean = put(AveragePool2D, "mean", pixels, x, window=window)
    centred = put(Subtract, "centred", rows, x, put(UpSample2D, "means", rows, mean, factors=(1, channels)))
    squares = put(Multiply, "squares", rows, centred, centred)
    variance = put(AveragePool2D, "variance", pixels, squares, window=window)
    scale = put(Lookup, "scale", pixels, variance, function=text_of("rsqrt", node.epsilon))
    normal = put(Multiply, "normal", rows, centred, put(UpSample2D, "scales", rows, scale, factors=(1, channels)))
    whole = put(Reshape, "whole", node.shape, normal)
    weight, bias = Constant(node.gamma.reshape(1, -1)), Constant(node.beta)
    return [*made, Affine(name=node.name, inputs=(whole.name,), shape=node.shape, weight=weight, bias=bias)]
