"""Weights that make up for the rounding of others, so that few bits a weight suffice.

A layer's outputs matter, not its weights: what rounding one weight adds to the outputs of the calibration images, the
weights that are not yet rounded take back as far as the inputs are correlated (E. Frantar, S. Ashkboos, T. Hoefler and
D. Alistarh, "GPTQ: accurate post-training quantization for generative pre-trained transformers", ICLR 2023), and the
bias takes the mean of what is left (M. Nagel, M. van Baalen, T. Blankevoort and M. Welling, "Data-free quantization
through weight equalization and bias correction", ICCV 2019).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hwflow.codes.protection import Stored
from hwflow.fixed import Codes
from hwflow.graph import Conv2D, FloatArray, Node
from hwflow.graph.windows import patches

BLOCK = 512
"""Inputs of a layer whose correlation counts: those further apart are rounded as if they were independent."""
MOST_VECTORS = 1 << 14
"""Input vectors of a layer, drawn at random from the calibration images."""
_DAMPING = 0.01  # of the mean variance, added to every variance
_ROUNDING = 1e-4  # of the mean square, more than what sums in float32 may make of a variance of zero

Round = Callable[[FloatArray, int], Codes]
"""Codes ``(rows,)`` of real weights ``(rows,)``, in steps of their type, of one input."""


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
        # At random: every n-th one may always be the same column of an image.
        count = max(1, round(share * MOST_VECTORS))
        chosen = np.random.default_rng(self._count).permutation(len(vectors))[:count]
        some: npt.NDArray[np.float32] = vectors[np.sort(chosen)].astype(np.float32)
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


def rounded(stored: Stored, weights: FloatArray, moments: Moments | None) -> Codes:
    """Codes ``(rows, n_in)`` of a layer's real weights: each alone, or with the others in mind where a code is fitted.

    Args:
        stored: how they are stored.
        weights: on the scale of their type.
        moments: of the inputs, if they are to count.
    """
    if stored.fitted is None or moments is None:
        return stored.round(weights)
    return compensated(weights / stored.type.lsb, moments, stored.round_column)


def compensated(weights: FloatArray, moments: Moments, round_: Round) -> Codes:
    """Codes of weights, each rounded with the errors of those before it in mind.

    Args:
        weights: real ``(rows, n_in)``, in steps of their type.
        moments: of the inputs.
        round_: rounds the weights of one input.
    """
    codes = np.empty(weights.shape, dtype=np.int64)
    for inputs, covariance in moments.blocks:
        # Inputs that vary most come first: the errors of the others are what is left at the end.
        order = np.argsort(-np.diag(covariance), kind="stable")
        left = weights[:, inputs][:, order].astype(np.float64)
        power = np.diag(covariance).mean() + np.square(moments.mean[inputs]).mean()
        factor = _inverse_factor(covariance[np.ix_(order, order)], _ROUNDING * float(power))
        columns = np.arange(inputs.start, inputs.stop)[order]
        for i, column in enumerate(columns.tolist()):
            codes[:, column] = round_(left[:, i], column)
            error = (left[:, i] - codes[:, column]) / factor[i, i]
            left[:, i + 1 :] -= np.outer(error, factor[i, i + 1 :])
    return codes


def mean_error(weights: FloatArray, codes: Codes, moments: Moments) -> FloatArray:
    """What rounding takes from every output ``(rows,)`` on average, in steps of the weights' type."""
    error: FloatArray = (weights - codes) @ moments.mean
    return error


def _inverse_factor(covariance: FloatArray, least: float) -> FloatArray:
    """The upper Cholesky factor of the inverse of a covariance that is made regular, by ``least`` or more."""
    damping = max(_DAMPING * float(np.diag(covariance).mean()), least) or 1.0
    inverse = np.linalg.inv(covariance + damping * np.eye(len(covariance)))
    return np.linalg.cholesky((inverse + inverse.T) / 2).T


def output_error(weights: FloatArray, clean: Codes | FloatArray, read: Codes | FloatArray, moments: Moments) -> float:
    """Mean square error of a layer's outputs, relative to their variance, whose bias has taken the mean of rounding.

    Args:
        weights: real ``(rows, n_in)``, in steps of their type.
        clean: the codes that they became.
        read: the codes that the memory gives.
        moments: of the inputs.
    """
    error = float(np.square((clean - read) @ moments.mean).sum())
    error += _output_power(weights - read, moments)
    signal = _output_power(weights, moments)
    return error / signal if signal > 0 else 0.0


def _output_power(weights: FloatArray, moments: Moments) -> float:
    """Sum of the variances of all outputs of weights ``(rows, n_in)``."""
    parts = ((weights[:, inputs], covariance) for inputs, covariance in moments.blocks)
    return float(sum(((part @ covariance) * part).sum() for part, covariance in parts))
