"""Sparse outliers: which weights do not count for a layer's constant, and what they exceed the memory by."""

from __future__ import annotations

import numpy as np

from hwflow.codes.layout import index_of
from hwflow.errors import HwflowError
from hwflow.fixed import FixedType
from hwflow.graph import Affine, Constant, FloatArray, Outliers, WeightLayer

REST_BITS = 32
"""Widest rest: sums of products with it stay far inside the 53 bits that every executor computes exactly."""


def most_outliers(layer: WeightLayer, fraction: float) -> int:
    """How many weights of a layer may be outliers: floor(fraction x n); an affine layer has none."""
    return 0 if isinstance(layer, Affine) else int(fraction * layer.weight.size)


def without_largest(weights: FloatArray, count: int) -> FloatArray:
    """``weights`` of any shape with the ``count`` largest magnitudes as zeros.

    Equal magnitudes that cannot all be among them stay, and all stay where the others are zero.
    """
    if not count:
        return weights
    magnitudes = np.abs(weights)
    place = magnitudes.size - 1 - count
    limit = np.partition(magnitudes, place, axis=None)[place]
    return np.where(magnitudes > limit, 0.0, weights) if limit > 0 else weights


def signed_width(codes: FloatArray) -> int:
    """Bits that the largest of whole numbers takes in two's complement, its sign included."""
    low, high = int(codes.min(initial=0)), int(codes.max(initial=0))
    return max(high, -1 - low).bit_length() + 1


def find_outliers(layer: WeightLayer, type_: FixedType, count: int) -> Outliers | None:
    """What the scaled weights of a layer exceed a type by; of more than ``count``, what the largest exceed it by.

    Args:
        layer: with scaled real weights.
        type_: type of the weight memory; what it holds of such a weight is its lowest or highest code.
        count: how many outliers there may be.

    Returns:
        The outliers, their rests in the narrowest signed type with the LSB of ``type_``; ``None`` if all
        weights fit.

    Raises:
        HwflowError: a rest of more than ``REST_BITS`` bits.
    """
    if not count:
        return None
    n_in, n_out = layer.n_in, layer.n_out
    values = layer.weight.values.reshape(-1)
    low, high = (type_.min_code - 0.5) * type_.lsb, (type_.max_code + 0.5) * type_.lsb
    places = np.flatnonzero((values <= low) | (values >= high))
    codes = np.rint(values[places] / type_.lsb)
    rests = codes - np.clip(codes, type_.min_code, type_.max_code)
    # A half rounds to even, and so may fit.
    chosen = np.flatnonzero(rests)
    chosen = chosen[np.argsort(-np.abs(rests[chosen]), kind="stable")[:count]]
    if not len(chosen):
        return None
    if np.abs(rests[chosen]).max() >= 1 << (REST_BITS - 1):
        raise HwflowError(
            f"{layer.name}: what an outlier exceeds {type_} by needs more than {REST_BITS} bits; "
            "lower the fraction of outliers"
        )
    source, output = np.divmod(places[chosen], n_out)
    index = places[chosen] if layer.channelwise else index_of(output, source, n_in)
    order = np.argsort(index)
    rest = rests[chosen][order]
    width = signed_width(rest)
    return Outliers(index[order], Constant.from_codes(rest.astype(np.int64), FixedType(width, width - type_.fraction)))
