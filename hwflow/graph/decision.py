"""What class the outputs of a network tell: the largest, or of a single output whether it exceeds a threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.graph.functions import function
from hwflow.graph.graph import Graph
from hwflow.graph.nodes import Flatten, Lookup, Reshape


def classes(graph: Graph) -> int:
    """How many classes a network tells apart, see :func:`known_classes`."""
    return known_classes(graph.output.shape, graph.name)


def known_classes(shape: tuple[int, ...], name: str) -> int:
    """How many classes outputs of a shape tell apart: two of a single output.

    Raises:
        HwflowError: the outputs of the network ``name`` are not one vector.
    """
    if len(shape) != 1:
        raise HwflowError(
            f"{name}: outputs of the shape {shape} tell no class of an image; end the network in one vector"
        )
    return max(2, shape[0])


def probability(name: str) -> bool:
    """Whether an activation, named as in :mod:`hwflow.graph.functions`, gives a probability: from 0 to 1."""
    of = function(name)
    return (of.low, of.high) == (0.0, 1.0)


def threshold(graph: Graph) -> float | None:
    """The true value above which a single output tells class 1: 0.5 of a probability, else 0; ``None`` of more."""
    if graph.output.shape != (1,):
        return None
    node = graph.output
    while isinstance(node, Reshape | Flatten):
        (node,) = graph.inputs_of(node)
    if not isinstance(node, Lookup):
        return 0.0
    return 0.5 if probability(node.function) else 0.0


def scaled_threshold(graph: Graph) -> float | None:
    """The same as a value of a scaled graph's output."""
    true = threshold(graph)
    return None if true is None else true * float(np.max(graph.output.scale))


def code_threshold(graph: Graph) -> float | None:
    """The same as a code, which need not be whole, of a typed graph's output."""
    scaled = scaled_threshold(graph)
    return None if scaled is None else scaled / graph.output.resolved.lsb


def class_scores(graph: Graph, outputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Outputs ``(n, classes)`` of which the first largest tells the class.

    Args:
        graph: the network; typed where ``outputs`` are codes.
        outputs: ``(n, *output shape)``, codes in an integer type, or true values.
    """
    limit = code_threshold(graph) if outputs.dtype.kind in "iu" else threshold(graph)
    if limit is None:
        return outputs
    return np.stack([np.full(len(outputs), limit), outputs[:, 0].astype(np.float64)], axis=-1)
