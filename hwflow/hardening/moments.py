"""What the inputs of a layer are like: means and covariances, added up over calibration images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwflow.fixed import Codes
from hwflow.graph import Conv2D, DepthwiseConv2D, FloatArray, Node, WeightLayer, Window
from hwflow.graph.windows import patches, windows

BLOCK = 512
"""Inputs of a layer whose correlation counts: those further apart are rounded as if they were independent."""
MOST_VECTORS = 1 << 14
"""Input vectors of a layer, drawn at random from the calibration images."""
MOST_WINDOWS = 1 << 12
"""The same of a layer that works channel by channel, whose vectors are short."""
_CHANNELS = 64  # at a time, which bounds the memory that windows take


@dataclass(frozen=True, eq=False)
class Moments:
    """What the inputs of a layer are like.

    Attributes:
        mean: ``(n_in,)``.
        covariances: ``(b, b)`` of every ``BLOCK`` inputs in turn.
    """

    mean: FloatArray
    covariances: tuple[FloatArray, ...]

    @property
    def blocks(self) -> Iterator[tuple[slice, FloatArray]]:
        """The inputs of each block, and their covariance."""
        start = 0
        for covariance in self.covariances:
            yield slice(start, start + len(covariance)), covariance
            start += len(covariance)

    def means(self, weights: Codes | FloatArray) -> FloatArray:
        """Means ``(n_out,)`` of the sums that weights ``(n_out, n_in)`` make of the inputs."""
        means: FloatArray = weights @ self.mean
        return means

    def power(self, weights: FloatArray) -> float:
        """Sum of the variances of the same sums."""
        parts = ((weights[:, inputs], covariance) for inputs, covariance in self.blocks)
        return float(sum(((part @ covariance) * part).sum() for part, covariance in parts))


@dataclass(frozen=True, eq=False)
class ChannelMoments:
    """The same of a layer that works channel by channel.

    Attributes:
        mean: ``(n_in, n_out)``, of what every output reads.
        covariances: ``(n_out, n_in, n_in)``.
    """

    mean: FloatArray
    covariances: FloatArray

    def means(self, weights: Codes | FloatArray) -> FloatArray:
        """Means ``(n_out,)`` of the sums that weights ``(n_in, n_out)`` make of the inputs."""
        means: FloatArray = (weights * self.mean).sum(axis=0)
        return means

    def power(self, weights: FloatArray) -> float:
        """Sum of the variances of the same sums."""
        return float(np.einsum("io,oij,jo->", weights, self.covariances, weights, optimize=True))


LayerMoments = Moments | ChannelMoments


class Observed:
    """Adds up the moments of a layer's inputs, batch by batch.

    Args:
        n_in: inputs of the layer.
    """

    def __init__(self, n_in: int) -> None:
        self._count = 0
        self._sum = np.zeros(n_in)
        blocks = [min(BLOCK, n_in - start) for start in range(0, n_in, BLOCK)]
        self._products = [np.zeros((size, size)) for size in blocks]

    def add(self, node: Node, inputs: FloatArray, share: float) -> None:
        """Take a batch of inputs of a convolution or a dense layer, ``share`` of all images."""
        vectors = patches(inputs, node.window) if isinstance(node, Conv2D) else inputs
        vectors = vectors.reshape(-1, vectors.shape[-1])
        chosen = _drawn(self._count, len(vectors), round(share * MOST_VECTORS))
        some: npt.NDArray[np.float32] = vectors[chosen].astype(np.float32)
        self._count += len(some)
        self._sum += some.sum(axis=0, dtype=np.float64)
        for i, product in enumerate(self._products):
            part = some[:, i * BLOCK : (i + 1) * BLOCK]
            product += part.T @ part

    def moments(self) -> Moments:
        """The moments of what was added."""
        mean = self._sum / self._count
        parts = [mean[i * BLOCK : (i + 1) * BLOCK] for i in range(len(self._products))]
        covariances = [
            product / self._count - np.outer(part, part) for product, part in zip(self._products, parts, strict=True)
        ]
        return Moments(mean, tuple(covariances))


class ObservedChannels:
    """The same of a layer that works channel by channel.

    Args:
        layer: a depthwise convolution, or a layer that is affine channel by channel.
    """

    def __init__(self, layer: WeightLayer) -> None:
        self._window = layer.window if isinstance(layer, DepthwiseConv2D) else Window(kernel=(1, 1))
        self._each = layer.multiplier if isinstance(layer, DepthwiseConv2D) else 1
        channels = layer.n_out // self._each
        self._count = 0
        self._sum = np.zeros((channels, layer.n_in))
        self._products = np.zeros((channels, layer.n_in, layer.n_in))

    def add(self, _node: Node, inputs: FloatArray, share: float) -> None:
        """Take a batch of inputs ``(n, ..., channels)``, ``share`` of all images."""
        channels = inputs.shape[-1]
        images = inputs if inputs.ndim == 4 else inputs.reshape(len(inputs), -1, 1, channels)
        view = windows(images, self._window)
        chosen = _drawn(self._count, int(np.prod(view.shape[:3])), round(share * MOST_WINDOWS))
        places = np.unravel_index(chosen, view.shape[:3])
        self._count += len(chosen)
        for start in range(0, channels, _CHANNELS):
            part = slice(start, min(start + _CHANNELS, channels))
            some = view[..., part][places].reshape(len(chosen), -1, part.stop - start).transpose(2, 1, 0)
            some = np.ascontiguousarray(some, dtype=np.float32)  # (channels, n_in, vectors)
            self._sum[part] += some.sum(axis=2, dtype=np.float64)
            self._products[part] += some @ some.transpose(0, 2, 1)

    def moments(self) -> ChannelMoments:
        """The moments of what was added."""
        mean = self._sum / self._count
        covariances = self._products / self._count - mean[:, :, None] * mean[:, None, :]
        return ChannelMoments(np.repeat(mean, self._each, axis=0).T, np.repeat(covariances, self._each, axis=0))


def observed(layer: WeightLayer) -> Observed | ObservedChannels:
    """What adds up the moments of a layer."""
    return ObservedChannels(layer) if layer.channelwise else Observed(layer.n_in)


def _drawn(seed: int, count: int, most: int) -> npt.NDArray[np.int64]:
    """So many of ``count`` vectors, one at least, at random: every n-th one may always be of the same column."""
    return np.sort(np.random.default_rng(seed).permutation(count)[: max(1, most)])
