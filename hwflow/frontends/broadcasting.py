"""Merges of tensors of different shapes, as in squeeze-and-excitation: the smaller one is repeated."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from hwflow.errors import HwflowError
from hwflow.graph import Flatten, Merge, Node, Reshape, UpSample2D

Shape = tuple[int, ...]


def broadcast(node: Merge, sources: Sequence[Node], names: Callable[[str], str]) -> tuple[list[Node], Merge]:
    """What repeats the tensors that a merge reads, and the merge of what it then reads, in their common shape.

    Axes of one element are repeated, and axes that a tensor lacks come first, as in Keras and NumPy.

    Args:
        node: a merge.
        sources: the two tensors.
        names: a name that no node has, from one that may be.

    Raises:
        HwflowError: the shapes have nothing in common.
    """
    try:
        shape = np.broadcast_shapes(*(source.shape for source in sources))
    except ValueError as error:
        shapes = " and ".join(str(source.shape) for source in sources)
        raise HwflowError(f"{node.name}: {node.op} of tensors of shapes {shapes} is not possible") from error
    made: list[Node] = []
    inputs = []
    for source, place in zip(sources, ("first", "second"), strict=True):
        repeated = _repeated(source, shape, f"{node.name}_{place}", names)
        made += repeated
        inputs.append(repeated[-1].name if repeated else source.name)
    return made, replace(node, inputs=tuple(inputs), shape=shape)


def _repeated(source: Node, shape: Shape, prefix: str, names: Callable[[str], str]) -> list[Node]:
    """The nodes after ``source`` that give it ``shape``, with names that begin with ``prefix``."""
    made: list[Node] = []

    def put(kind: Callable[..., Node], what: str, new: Shape, **sizes: object) -> None:
        before = (made or [source])[-1]
        if before.shape != new:
            made.append(kind(name=names(f"{prefix}_{what}"), inputs=(before.name,), shape=new, **sizes))

    *sides, channels = (1,) * (len(shape) - len(source.shape)) + source.shape
    if channels != shape[-1]:
        # An element a pixel becomes a row of pixels, each of which is repeated.
        pixels, channels = math.prod(sides), shape[-1]
        put(Reshape, "column", (1, pixels, 1))
        put(UpSample2D, "channels", (1, pixels * channels, 1), factors=(1, channels))
    kind = Flatten if len(shape) == 1 else Reshape
    put(kind, "shaped", (*sides, channels))
    factors = tuple(new // old for new, old in zip(shape, sides, strict=False))
    put(UpSample2D, "pixels", shape, factors=(1,) * (2 - len(factors)) + factors)
    return made
