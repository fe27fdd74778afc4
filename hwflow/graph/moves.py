"""What nodes do that move elements and compute nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.graph.nodes import Crop2D, Flatten, Move, Permute, Reshape, UpSample2D, ZeroPad2D


def move(node: Move, x: npt.NDArray[Any], zero: float = 0) -> npt.NDArray[Any]:
    """The output ``(n, *shape)`` of a node for inputs ``(n, *input shape)`` of any kind, perhaps a view of them.

    Args:
        node: what moves.
        x: values, codes, or whatever else an element has one of.
        zero: what a padded zero is there.

    Raises:
        HwflowError: an operation that it does not know.
    """
    match node:
        case Flatten() | Reshape():
            return x.reshape(len(x), *node.shape)
        case ZeroPad2D():
            top, bottom, left, right = node.padding
            return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=zero)
        case Crop2D():
            top, bottom, left, right = node.cropping
            return x[:, top : x.shape[1] - bottom, left : x.shape[2] - right]
        case UpSample2D():
            rows, columns = node.factors
            return x.repeat(rows, axis=1).repeat(columns, axis=2)
        case Permute():
            return x.transpose(0, *(axis + 1 for axis in node.axes))
    raise HwflowError(f"{node.name}: {node.op} is not known to move elements")
