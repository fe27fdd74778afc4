"""Weights that make up for the rounding of others, so that few bits a weight suffice.

A layer's outputs matter, not its weights: what rounding one weight adds to the outputs of the calibration images, the
weights that are not yet rounded take back as far as the inputs are correlated (E. Frantar, S. Ashkboos, T. Hoefler and
D. Alistarh, "GPTQ: accurate post-training quantization for generative pre-trained transformers", ICLR 2023), and the
bias takes the mean of what is left (M. Nagel, M. van Baalen, T. Blankevoort and M. Welling, "Data-free quantization
through weight equalization and bias correction", ICCV 2019).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwflow.codes.protection import Stored
from hwflow.fixed import Codes
from hwflow.graph import FloatArray
from hwflow.hardening.moments import ChannelMoments, LayerMoments, Moments

_DAMPING = 0.01  # of the mean variance, added to every variance
_ROUNDING = 1e-4  # of the mean square, more than what sums in float32 may make of a variance of zero

Round = Callable[[FloatArray, int], Codes]
"""Codes ``(rows,)`` of real weights ``(rows,)``, in steps of their type, of one input."""


def rounded(stored: Stored, weights: FloatArray, moments: LayerMoments | None) -> Codes:
    """Codes of a layer's real weights: each alone, or with the others in mind where a code is fitted.

    Args:
        stored: how they are stored.
        weights: ``(rows, columns)`` of the memory, on the scale of their type.
        moments: of the inputs, if they are to count.
    """
    if stored.fitted is None or moments is None:
        return stored.round(weights)
    steps = weights / stored.type.lsb
    if isinstance(moments, ChannelMoments):
        return compensated_channels(steps, moments, stored.round_row)
    return compensated(steps, moments, stored.round_column)


def compensated(weights: FloatArray, moments: Moments, round_: Round) -> Codes:
    """Codes of weights, each rounded with the errors of those before it in mind.

    Args:
        weights: real ``(n_out, n_in)``, in steps of their type.
        moments: of the inputs.
        round_: rounds the weights of one input.
    """
    codes = np.empty(weights.shape, dtype=np.int64)
    for inputs, covariance in moments.blocks:
        # Inputs that vary most come first: the errors of the others are what is left at the end.
        order = np.argsort(-np.diag(covariance), kind="stable")
        left = weights[:, inputs][:, order].astype(np.float64)
        power = np.diag(covariance).mean() + np.square(moments.mean[inputs]).mean()
        factor = _inverse_factor(covariance[np.ix_(order, order)], _ROUNDING * power)
        columns = np.arange(inputs.start, inputs.stop)[order]
        for i, column in enumerate(columns.tolist()):
            codes[:, column] = round_(left[:, i], column)
            error = (left[:, i] - codes[:, column]) / factor[i, i]
            left[:, i + 1 :] -= np.outer(error, factor[i, i + 1 :])
    return codes


def compensated_channels(weights: FloatArray, moments: ChannelMoments, round_: Callable[[FloatArray], Codes]) -> Codes:
    """The same of a layer that works channel by channel, all outputs at once.

    Args:
        weights: real ``(n_in, n_out)``, in steps of their type.
        moments: of the inputs.
        round_: rounds one weight of every output, ``(n_out,)``.
    """
    variances = np.diagonal(moments.covariances, axis1=1, axis2=2)
    order = np.argsort(-variances, axis=1, kind="stable")
    outputs = np.arange(len(order))
    power = variances.mean(axis=1) + np.square(moments.mean).mean(axis=0)
    covariances = moments.covariances[outputs[:, None, None], order[:, :, None], order[:, None, :]]
    factors = _inverse_factor(covariances, _ROUNDING * power)
    left = np.take_along_axis(weights.T, order, axis=1).astype(np.float64)
    codes = np.empty(weights.shape, dtype=np.int64)
    for i in range(order.shape[1]):
        found = round_(left[:, i])
        codes[order[:, i], outputs] = found
        error = (left[:, i] - found) / factors[:, i, i]
        left[:, i + 1 :] -= error[:, None] * factors[:, i, i + 1 :]
    return codes


def mean_error(weights: FloatArray, codes: Codes, moments: LayerMoments) -> FloatArray:
    """What rounding takes from every output ``(n_out,)`` on average, in steps of the weights' type."""
    return moments.means(weights - codes)


def _inverse_factor(covariances: FloatArray, least: FloatArray) -> FloatArray:
    """The upper Cholesky factors of the inverses of covariances that are made regular, by ``least`` or more.

    Args:
        covariances: ``(..., n, n)``.
        least: ``(...)``.
    """
    n = covariances.shape[-1]
    damping = np.maximum(_DAMPING * np.diagonal(covariances, axis1=-2, axis2=-1).mean(axis=-1), least)
    damping = np.where(damping > 0, damping, 1.0)
    inverse = np.linalg.inv(covariances + damping[..., None, None] * np.eye(n))
    return np.swapaxes(np.linalg.cholesky((inverse + np.swapaxes(inverse, -1, -2)) / 2), -1, -2)


def output_error(
    weights: FloatArray, clean: Codes | FloatArray, read: Codes | FloatArray, moments: LayerMoments
) -> float:
    """Mean square error of a layer's outputs, relative to their variance, whose bias has taken the mean of rounding.

    Args:
        weights: real ``(rows, columns)`` of the memory, in steps of their type.
        clean: the codes that they became.
        read: the codes that the memory gives.
        moments: of the inputs.
    """
    error = float(np.square(moments.means(np.asarray(clean - read))).sum())
    error += moments.power(weights - read)
    signal = moments.power(weights)
    return error / signal if signal > 0 else 0.0
