"""The constants ``c = t / max|W|`` that weights are multiplied by before they are stored (paper, equations 4 to 6)."""

from __future__ import annotations

import math

import numpy as np

from hwflow.graph import Crop2D, FloatArray, Move, Node, Scale, UpSample2D, ZeroPad2D
from hwflow.graph.moves import move
from hwflow.hardening.options import ScalingOptions

CHANNEL_SPREAD = 16.0
"""How much larger than the layer's constant a channel's may be: more would starve the other channels of bits."""


def layer_constant(weights: FloatArray, options: ScalingOptions) -> float:
    """c = t / max|W| (equation 6); 1 for an all-zero layer.

    With ``pow2`` the largest power of two with which all weights fit: it fills the whole range of the format, whose
    lowest value has no positive counterpart, unless t is given.
    """
    low, high = float(np.min(weights, initial=0.0)), float(np.max(weights, initial=0.0))
    largest = max(-low, high)
    if options.scale == "none" or largest == 0.0:
        return 1.0
    if options.scale == "exact":
        return options.target / largest
    least, most = (options.weight_type.min, options.weight_type.max) if options.t is None else (-options.t, options.t)
    return min(power_of_two_below(limit / value) for limit, value in ((least, low), (most, high)) if value)


def channel_constants(weights: FloatArray, options: ScalingOptions) -> FloatArray:
    """c of every output ``(out,)`` of weights ``(..., out)``, at most ``CHANNEL_SPREAD`` times the layer's."""
    layer = layer_constant(weights, options)
    channels = weights.reshape(-1, weights.shape[-1])
    if options.scale == "none" or not channels.any():
        return np.full(weights.shape[-1], layer)
    most = layer * CHANNEL_SPREAD
    return np.array([min(layer_constant(column, options), most) if column.any() else most for column in channels.T])


def as_scale(values: FloatArray | float) -> Scale:
    """One number if all are equal, else one an element."""
    array = np.asarray(values, dtype=np.float64).reshape(-1)
    return float(array[0]) if (array == array[0]).all() else tuple(array.tolist())


def smallest(scale: Scale) -> float:
    """The smallest element of a scale."""
    return scale if isinstance(scale, float) else min(scale)


def moved_scale(node: Move, source: Node) -> Scale | None:
    """S of a node that gives the elements of ``source`` new places; ``None`` if it would not be one an element of the
    last axis."""
    if isinstance(source.scale, float) or isinstance(node, ZeroPad2D | Crop2D | UpSample2D):
        return source.scale
    scales = move(node, np.broadcast_to(source.scale, (1, *source.shape))).reshape(-1, node.shape[-1])
    return as_scale(scales[0]) if (scales == scales[0]).all() else None


def power_of_two_below(value: float) -> float:
    """The largest power of two that does not exceed the positive ``value``."""
    return math.ldexp(1.0, math.frexp(value)[1] - 1)
