"""Calibration: the range of every tensor, from images run through the float64 executor."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from hwflow.errors import HwflowError
from hwflow.files.rows import Rows
from hwflow.fixed import FixedType
from hwflow.graph import FloatArray, Graph, Node
from hwflow.hardening.moments import LayerMoments, observed
from hwflow.reference.real import RealExecutor, check_calibration

BATCH_ELEMENTS = 1 << 23
"""float64 elements of the largest patch matrix of a batch: 64 MiB."""
MAX_BATCH = 64


@dataclass(frozen=True)
class Calibration:
    """What was observed of stored values, by node name.

    Attributes:
        images: number of images run.
        ranges: lowest and highest value of every tensor; of one that was zero throughout, 0 and its largest scale.
        moments: of the inputs of the layers for which they were asked for.
    """

    images: int
    ranges: Mapping[str, tuple[float, float]]
    moments: Mapping[str, LayerMoments] = field(default_factory=dict)

    def integer_bits(self, name: str, signed: bool, guard: int) -> int:
        """Integer bits (with the sign where signed) that hold the tensor's range, and ``guard`` more."""
        low, high = self.ranges[name]
        largest = max(abs(low), abs(high)) if signed else max(high, 0.0)
        return magnitude_bits(largest) + guard + int(signed)


def magnitude_bits(largest: float) -> int:
    """The least k with ``largest < 2^k``; 0 for 0."""
    return math.frexp(largest)[1] if largest > 0 else 0


def calibrate(graph: Graph, images: Rows, moments_of: Collection[str] = ()) -> Calibration:
    """Run real images ``(n, *input shape)`` through ``graph`` and note every tensor's range.

    Args:
        graph: the network.
        images: real images.
        moments_of: weight layers whose inputs' moments are noted, by name.

    Raises:
        HwflowError: no images, images of another shape, or values that are not finite.
    """
    check_calibration(graph, images)
    low: dict[str, float] = {node.name: math.inf for node in graph}
    high: dict[str, float] = {node.name: -math.inf for node in graph}

    sums = {layer.name: observed(layer) for layer in graph.weight_layers if layer.name in moments_of}

    def observe(node: Node, sources: list[FloatArray], values: FloatArray) -> None:
        low[node.name] = min(low[node.name], float(values.min()))
        high[node.name] = max(high[node.name], float(values.max()))
        if node.name in sums:
            sums[node.name].add(node, sources[0], len(sources[0]) / len(images))

    executor = RealExecutor(graph)
    size = _batch_size(graph)
    for start in range(0, len(images), size):
        executor.run(np.asarray(images[start : start + size], dtype=np.float64), observe)
    for node in graph:
        if not (math.isfinite(low[node.name]) and math.isfinite(high[node.name])):
            raise HwflowError(
                f"{node.name}: calibration gives values that are not finite; check the model and the images"
            )
    ranges = {node.name: (low[node.name], high[node.name]) for node in graph}
    # No image moved these from zero: they get the room of a true value of one, and not that of nothing.
    silent = (node for node in graph if ranges[node.name] == (0.0, 0.0))
    ranges |= {node.name: (0.0, float(np.max(node.scale))) for node in silent}
    return Calibration(len(images), ranges, {name: each.moments() for name, each in sums.items()})


def sum_bits(type_: FixedType, count: int) -> int:
    """Integer bits of an exact sum of ``count`` values of ``type_``, sign included."""
    return type_.integer + (not type_.signed) + (count - 1).bit_length()


def _batch_size(graph: Graph) -> int:
    """Images run at once: few enough that no layer's patches take much memory."""
    largest = max((layer.vectors * layer.n_in for layer in graph.weight_layers), default=1)
    return max(1, min(MAX_BATCH, BATCH_ELEMENTS // largest))
