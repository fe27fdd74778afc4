"""What the inputs of a node say about its output, and what its constants must fit."""

from __future__ import annotations

import math

import numpy as np

from hwflow.codes import layout, storage_code
from hwflow.codes.registry import family_of, read_back
from hwflow.errors import HwflowError
from hwflow.graph.functions import function
from hwflow.graph.layers import Affine, Conv2D, Dense, DepthwiseConv2D, WeightLayer
from hwflow.graph.node import Input, Node
from hwflow.graph.nodes import (
    AveragePool2D,
    Concatenate,
    Crop2D,
    Flatten,
    GlobalAveragePool2D,
    LeakyReLU,
    Lookup,
    MaxPool2D,
    Merge,
    Permute,
    Rescale,
    Reshape,
    UpSample2D,
    ZeroPad2D,
)


def check_outliers(node: Node) -> None:
    """Refuse rests that do not belong to cells of a layer's memory, or lie on another grid."""
    if not isinstance(node, WeightLayer) or node.outliers is None:
        return
    if isinstance(node, Affine):
        raise HwflowError(f"{node.name}: it has outliers, which an affine layer cannot have")
    index, rest, weight = node.outliers.index, node.outliers.rest, node.weight
    cells = index.ndim == 1 and (np.diff(index, prepend=-1, append=weight.values.size) > 0).all()
    grids = rest.type is not None and weight.type is not None and rest.type.fraction == weight.type.fraction
    if not cells or not grids or rest.values.shape != index.shape or not rest.values.all():
        raise HwflowError(f"{node.name}: its outliers do not fit its {weight.values.size} weights of {weight.type}")


def check_kept(node: Node) -> None:
    """Refuse kept weights that a layer does not have, or that stand in another order than the memory's."""
    if not isinstance(node, WeightLayer) or node.kept is None:
        return
    index, weight = node.kept.index, node.weight
    if weight.type is None:
        raise HwflowError(f"{node.name}: weights without a type cannot be kept; harden the graph first")
    if index.ndim != 1 or not len(index) or (np.diff(index, prepend=-1, append=weight.size) <= 0).any():
        raise HwflowError(f"{node.name}: the weights that are kept do not fit its {weight.size} weights")


def check_storage(node: Node) -> None:
    """Refuse a storage code that there is not, and weights that its tables lack: they would be read as others."""
    if not isinstance(node, WeightLayer) or node.weight.type is None:
        return
    code = storage_code(node.storage, node.weight.type)
    if family_of(node.storage.name)[0].lossless:
        return
    held = layout.ordered(node.weight.codes, node.channelwise).reshape(node.rows, -1)
    if not np.array_equal(read_back(code, held), held):
        raise HwflowError(f"{node.name}: its weights are not among those that its storage code {node.storage.name} has")


def check_table(node: Node) -> None:
    """Refuse a function that there is not, and a table that has not an entry for every index."""
    if not isinstance(node, Lookup):
        return
    try:
        function(node.function)
    except HwflowError as error:
        raise HwflowError(f"{node.name}: {error}") from error
    size = None if node.index is None else (1 << node.index.width,)
    if (None if node.table is None else node.table.shape) != size or not node.input_scale > 0:
        raise HwflowError(f"{node.name}: its table of {node.function} does not fit its index {node.index}")


def output_shape(node: Node, sources: list[Node]) -> tuple[int, ...]:
    """The output shape that ``node``'s inputs imply."""
    if isinstance(node, Input):
        return node.shape
    shape = sources[0].shape
    if isinstance(node, Merge) and sources[1].shape != shape:
        raise HwflowError(f"{node.name}: {node.op} needs tensors of one shape, not of {shape} and {sources[1].shape}")
    if isinstance(node, Conv2D | DepthwiseConv2D | MaxPool2D | AveragePool2D):
        if len(shape) != 3:
            raise HwflowError(f"{node.name}: {node.op} needs (height, width, channels), not {shape}")
        rows, columns = node.window.output_size(shape[0], shape[1])
        if rows < 1 or columns < 1:
            raise HwflowError(f"{node.name}: its {node.window.kernel} window does not fit into {shape}")
        channels = shape[2]
        needs_pixels = isinstance(node, MaxPool2D) or (isinstance(node, AveragePool2D) and node.divisor is None)
        if needs_pixels and not node.window.touches(shape[0], shape[1]):
            what = "maximum" if isinstance(node, MaxPool2D) else "mean"
            raise HwflowError(
                f"{node.name}: a window lies wholly in the padding {node.window.padding}, it has no {what}"
            )
        if isinstance(node, Conv2D | DepthwiseConv2D):
            inputs = 1 if isinstance(node, DepthwiseConv2D) else channels
            fits = node.weight.shape[:3] == (*node.window.kernel, inputs)
            if not fits or (isinstance(node, DepthwiseConv2D) and node.n_out != channels * node.multiplier):
                raise HwflowError(
                    f"{node.name}: weights of shape {node.weight.shape} do not fit {channels} channels "
                    f"and a {node.window.kernel} kernel"
                )
            channels = node.n_out
        return (rows, columns, channels)
    if isinstance(node, Affine) and node.weight.values.shape != (1, shape[-1]):
        raise HwflowError(f"{node.name}: weights of shape {node.weight.values.shape} do not fit {shape[-1]} channels")
    if isinstance(node, Concatenate):
        if sources[1].shape[:-1] != shape[:-1]:
            raise HwflowError(f"{node.name}: it joins the channels of shapes {shape} and {sources[1].shape}")
        return (*shape[:-1], shape[-1] + sources[1].shape[-1])
    if isinstance(node, Dense):
        if len(shape) != 1 or node.weight.values.shape[0] != shape[0]:
            raise HwflowError(f"{node.name}: weights of shape {node.weight.values.shape} do not fit an input {shape}")
        return (node.n_out,)
    if isinstance(node, GlobalAveragePool2D):
        return (shape[-1],)
    if isinstance(node, Flatten):
        return (math.prod(shape),)
    if isinstance(node, ZeroPad2D | Crop2D | UpSample2D | Permute):
        return _moved_shape(node, shape)
    if isinstance(node, Reshape):
        if math.prod(shape) != math.prod(node.shape):
            raise HwflowError(f"{node.name}: it makes {node.shape} of {shape}, which has another number of elements")
        return node.shape
    if isinstance(node, Rescale) and node.factor.values.shape not in ((1,), (shape[-1],)):
        raise HwflowError(f"{node.name}: {node.factor.values.shape} factors do not fit {shape[-1]} channels")
    if isinstance(node, LeakyReLU) and node.slope.values.shape not in ((1,), (shape[-1],)):
        raise HwflowError(f"{node.name}: {node.slope.values.shape} slopes do not fit {shape[-1]} channels")
    return shape


def _moved_shape(node: ZeroPad2D | Crop2D | UpSample2D | Permute, shape: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) != 3:
        raise HwflowError(f"{node.name}: {node.op} needs (height, width, channels), not {shape}")
    height, width, channels = shape
    match node:
        case Permute():
            if sorted(node.axes) != [0, 1, 2]:
                raise HwflowError(f"{node.name}: {node.axes} is no order of three axes")
            return tuple(shape[axis] for axis in node.axes)
        case UpSample2D():
            if min(node.factors) < 1:
                raise HwflowError(f"{node.name}: its factors {node.factors} are not positive")
            return (height * node.factors[0], width * node.factors[1], channels)
        case ZeroPad2D():
            (top, bottom, left, right), sign = node.padding, 1
        case Crop2D():
            (top, bottom, left, right), sign = node.cropping, -1
    height, width = height + sign * (top + bottom), width + sign * (left + right)
    if min(top, bottom, left, right) < 0 or height < 1 or width < 1:
        raise HwflowError(f"{node.name}: {node.op} by {(top, bottom, left, right)} does not fit {shape}")
    return (height, width, channels)
