"""Layers that the graph has no nodes of, as nodes that it has: zero padding, global pooling, dot products,
concatenation along any axis, rows as images."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from hwflow.frontends.broadcasting import broadcast
from hwflow.graph import (
    Affine,
    AveragePool2D,
    Concatenate,
    Constant,
    Conv2D,
    DepthwiseConv2D,
    Flatten,
    GlobalAveragePool2D,
    Input,
    LeakyReLU,
    Lookup,
    MaxPool2D,
    Merge,
    Move,
    Multiply,
    Node,
    ReLU,
    Rescale,
    Reshape,
    Softmax,
    Subtract,
    Window,
    ZeroPad2D,
)
from hwflow.graph.functions import function
from hwflow.graph.naming import Unique
from hwflow.graph.shapes import output_shape


@dataclass(frozen=True, kw_only=True, eq=False)
class GlobalPool(Node):
    """The mean or the maximum of every channel, as hls4ml has it: a vector, or an image of one pixel."""

    average: bool


ELEMENTWISE = (ReLU, LeakyReLU, Lookup, Affine, Rescale, Softmax, Merge, Concatenate)
"""Nodes whose output has the shape of their inputs, but for its channels."""


def whole_images(nodes: Sequence[Node]) -> list[Node]:
    """Global pooling as nodes that every executor has: a mean, or a maximum with a window as large as the image.

    Merges whose inputs differ in shape read them repeated.
    """
    names = Unique(node.name for node in nodes)
    stands: dict[str, str] = {}
    found: dict[str, Node] = {}

    def put(node: Node) -> None:
        found[node.name] = node

    for node in nodes:
        node = replace(node, inputs=tuple(stands.get(name, name) for name in node.inputs))
        sources = [found[name] for name in node.inputs]
        if isinstance(node, Merge):
            repeated, node = broadcast(node, sources, names)
            found |= {each.name: each for each in repeated}
        elif isinstance(node, ELEMENTWISE):
            # hls4ml gives what reads an image of one pixel a vector's shape.
            node = replace(node, shape=output_shape(node, sources))
        if not isinstance(node, GlobalPool):
            put(node)
            continue
        *sides, channels = sources[0].shape
        kernel = (1, sides[0]) if len(sides) == 1 else (sides[0], sides[1])
        window = Window(kernel=kernel, strides=kernel)
        pool: Node = GlobalAveragePool2D(name=node.name, inputs=node.inputs, shape=(channels,))
        if not node.average:
            shape = (*(1 for _ in sides), channels)
            pool = MaxPool2D(name=node.name, inputs=node.inputs, shape=shape, window=window)
        put(pool)
        if pool.shape != node.shape:
            kind = Flatten if len(node.shape) == 1 else Reshape
            stands[node.name] = names(f"{node.name}_shaped")
            put(kind(name=stands[node.name], inputs=(node.name,), shape=node.shape))
    return list(found.values())


@dataclass(frozen=True, kw_only=True, eq=False)
class DotProduct(Node):
    """The sum of the products of two vectors' elements."""

    arity: ClassVar[int] = 2


def dot_products(nodes: Sequence[Node]) -> list[Node]:
    """Dot products as nodes that every executor has: products, their mean, and a product with their number."""
    names = Unique(node.name for node in nodes)
    found: dict[str, Node] = {}
    for node in nodes:
        if isinstance(node, DotProduct):
            count = found[node.inputs[0]].shape[0]
            products = Multiply(name=names(f"{node.name}_products"), inputs=node.inputs, shape=(count,))
            row = Reshape(name=names(f"{node.name}_row"), inputs=(products.name,), shape=(1, count, 1))
            mean = GlobalAveragePool2D(name=names(f"{node.name}_mean"), inputs=(row.name,), shape=(1,))
            found |= {each.name: each for each in (products, row, mean)}
            node = Rescale(name=node.name, inputs=(mean.name,), shape=(1,), factor=Constant(np.array([float(count)])))
        found[node.name] = node
    return list(found.values())


@dataclass(frozen=True, kw_only=True, eq=False)
class Concatenation(Node):
    """Two tensors, one after the other along an axis before that of the channels."""

    axis: int

    arity: ClassVar[int] = 2


def along_channels(nodes: Sequence[Node]) -> list[Node]:
    """Concatenation along any axis as one of channels, between reshapes that move no data."""
    names = Unique(node.name for node in nodes)
    stands: dict[str, str] = {}
    found: dict[str, Node] = {}
    for node in nodes:
        node = replace(node, inputs=tuple(stands.get(name, name) for name in node.inputs))
        if isinstance(node, Concatenation):
            *before, last = _concatenated(node, [found[name] for name in node.inputs], names)
            found |= {each.name: each for each in before}
            stands[node.name] = last.name
            node = last
        found[node.name] = node
    return list(found.values())


def _concatenated(node: Concatenation, sources: Sequence[Node], names: Callable[[str], str]) -> list[Node]:
    """Everything from the axis on is one axis of channels, everything before it one of pixels."""
    pixels = math.prod(node.shape[: node.axis])
    parts: list[Node] = []
    for source, suffix in zip(sources, ("first", "second"), strict=True):
        channels = math.prod(source.shape) // pixels
        name = names(f"{node.name}_{suffix}")
        if pixels == 1:
            parts.append(Flatten(name=name, inputs=(source.name,), shape=(channels,)))
        else:
            parts.append(Reshape(name=name, inputs=(source.name,), shape=(1, pixels, channels)))
    shape = (*parts[0].shape[:-1], sum(part.shape[-1] for part in parts))
    joined = Concatenate(name=node.name, inputs=tuple(part.name for part in parts), shape=shape)
    return [*parts, joined, Reshape(name=names(f"{node.name}_shaped"), inputs=(node.name,), shape=node.shape)]


def fold_padding(nodes: Sequence[Node]) -> list[Node]:
    """Zero padding as part of the windows that read it; it stays a node where something else does."""
    by_name: dict[str, Node] = {}
    for node in nodes:
        by_name[node.name] = _with_padding(node, by_name)
    used = {name for node in by_name.values() for name in node.inputs} | {nodes[-1].name}
    return [node for node in by_name.values() if not isinstance(node, ZeroPad2D) or node.name in used]


def _with_padding(node: Node, by_name: Mapping[str, Node]) -> Node:
    """A node that reads what its zero padding reads, if it can take that in."""
    pad = by_name.get(node.inputs[0]) if len(node.inputs) == 1 else None
    if not isinstance(pad, ZeroPad2D):
        return node
    if isinstance(node, ZeroPad2D):
        return replace(node, inputs=pad.inputs, padding=_both(pad.padding, node.padding))
    if isinstance(node, AveragePool2D) and not node.counts_padding:
        return node  # zeros of a layer count, those of its own do not
    may_win = isinstance(node, MaxPool2D) and not _never_negative(by_name[pad.inputs[0]], by_name)
    if not isinstance(node, Conv2D | DepthwiseConv2D | MaxPool2D | AveragePool2D) or may_win:
        return node
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
    if isinstance(node, Subtract):
        return False
    if isinstance(node, Lookup):
        return function(node.function).low >= 0
    if isinstance(node, LeakyReLU):
        return node.never_negative
    if isinstance(node, MaxPool2D | AveragePool2D | GlobalAveragePool2D | Concatenate | Merge | Move):
        return all(_never_negative(by_name[name], by_name) for name in node.inputs)
    return False
