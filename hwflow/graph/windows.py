"""Sliding windows over batches of channels-last images, as views."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.graph import Window


def windows(images: npt.NDArray[Any], window: Window, pad_value: float = 0) -> npt.NDArray[Any]:
    """All windows of ``images (n, height, width, channels)``.

    Returns:
        ``(n, rows, columns, kernel_h, kernel_w, channels)``, a view of the padded images.
    """
    images = padded(images, window.padding, pad_value)
    sliding: Any = np.lib.stride_tricks.sliding_window_view
    view = sliding(images, window.kernel, axis=(1, 2))
    view = view[:, :: window.strides[0], :: window.strides[1]]
    return np.moveaxis(view, 3, 5)


def padded(images: npt.NDArray[Any], padding: tuple[int, int, int, int], pad_value: float = 0) -> npt.NDArray[Any]:
    """``images (n, height, width, channels)`` with a border: top, bottom, left, right."""
    if not any(padding):
        return images
    top, bottom, left, right = padding
    count, height, width, channels = images.shape
    # np.pad would put NumPy's integers among Python's
    whole = np.full((count, top + height + bottom, left + width + right, channels), pad_value, dtype=images.dtype)
    whole[:, top : top + height, left : left + width] = images
    return whole


def pixels_inside(window: Window, height: int, width: int) -> npt.NDArray[np.int64]:
    """How many pixels of a ``height`` x ``width`` image every window covers: ``(rows, columns, 1)``."""
    counts = windows(np.ones((1, height, width, 1), dtype=np.int64), window).sum(axis=(3, 4))
    return np.asarray(counts[0])


def depthwise(images: npt.NDArray[Any], weights: npt.NDArray[Any], window: Window) -> npt.NDArray[Any]:
    """Sums of products of every channel by itself.

    Args:
        images: ``(n, height, width, channels)``.
        weights: ``(kernel_h, kernel_w, 1, out)``; output o reads channel ``o // (out / channels)``.
        window: over the images.

    Returns:
        ``(n, rows, columns, out)``.
    """
    multiplier = weights.shape[-1] // images.shape[-1]
    view = windows(np.repeat(images, multiplier, axis=-1) if multiplier > 1 else images, window)
    sums: npt.NDArray[Any] = view[:, :, :, 0, 0] * weights[0, 0, 0]
    for row, column in list(np.ndindex(*window.kernel))[1:]:
        sums += view[:, :, :, row, column] * weights[row, column, 0]
    return sums


def patches(images: npt.NDArray[Any], window: Window) -> npt.NDArray[Any]:
    """The im2col matrix ``(n, rows, columns, kernel_h * kernel_w * channels)``."""
    if window.kernel == (1, 1) and not any(window.padding):
        return images[:, :: window.strides[0], :: window.strides[1]]
    view = windows(images, window)
    return np.ascontiguousarray(view).reshape(*view.shape[:3], -1)
