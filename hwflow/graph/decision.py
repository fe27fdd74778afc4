"""What class the outputs of a network tell: the largest, or of a single output whether it exceeds a threshold."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.graph.functions import function
from hwflow.graph.graph import Graph
from hwflow.graph.nodes import Lookup, Reshape


def classes(graph: Graph) -> int:
    """How many classes a network tells apart: two of a single output."""
    return max(2, graph.output.shape[-1])


def threshold(graph: Graph) -> float | None:
    """The true value above which a single output tells class 1: 0.5 of a probability, else 0; ``None`` of more."""
    if graph.output.shape != (1,):
        return None
    node = graph.output
    while isinstance(node, Reshape):
        (node,) = graph.inputs_of(node)
    if not isinstance(node, Lookup):
        return 0.0
    of = function(node.function)
    return 0.5 if (of.low, of.high) == (0.0, 1.0) else 0.0


def code_threshold(graph: Graph) -> float | None:
    """The same as a code, which need not be whole, of a typed graph's output."""
    true = threshold(graph)
    return None if true is None else true * float(np.max(graph.output.scale)) / graph.output.resolved.lsb


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
