"""Pooling: io_parallel's loops over a window, io_stream's trees, and the global kinds of both."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwflow.emulation.exact import Exact, limited, tree_sum
from hwflow.emulation.node import Node
from hwflow.fixed import Codes, FixedType
from hwflow.graph import Window
from hwflow.graph.windows import windows

Function = Callable[..., Codes]


def pooling(node: Node) -> Function:
    """``nnet::pooling1d_cl`` and ``nnet::pooling2d_cl``."""
    two = node.attribute("in_height") is not None

    def pair(key: str) -> tuple[int, int]:
        return (node.int(f"{key}_height"), node.int(f"{key}_width")) if two else (1, node.int(f"{key}_width"))

    kernel, strides, channels = pair("pool"), pair("stride"), node.int("n_filt")
    image = (*(pair("in") if two else (1, node.int("n_in"))), channels)
    padding = [node.int(f"pad_{side}", 0) for side in ("top", "bottom", "left", "right")]
    if node.stream and any(padding):
        raise node.refusal("the C simulation of pooling with padding in io_stream stops; use 'valid'")
    if node.stream and two and kernel != strides:
        raise node.refusal("the C simulation of 2D pooling in io_stream stops unless the stride is the pool's size")
    largest = node.text("pool_op") == "max"
    data, accum = node.inputs[0].type, node.type("accum_t")
    inside = _expand(np.ones((1, *image), dtype=np.int64), kernel, strides, padding, 0)
    count_pad = node.text("count_pad", "false") in ("true", "1")
    counts = np.full(inside.shape[:3], kernel[0] * kernel[1]) if count_pad else inside.sum(axis=4)[..., 0]
    counts = np.maximum(counts, 1)[..., None]
    if node.stream:
        reduce = _tree(data, accum, largest)
    else:
        reduce = _largest(data) if largest else _average(data, accum, counts)
    source = data if largest and not node.stream else accum
    filler = _lowest_bit_pattern(data) if largest else 0
    result, via = node.output.type, accum

    def apply(codes: Codes) -> Codes:
        windows = _expand(codes.reshape(-1, *image), kernel, strides, padding, filler)
        pooled = Exact.of(reduce(windows), source).to(via)
        return Exact.of(pooled, via).to(result).reshape(len(codes), -1)

    return apply


def global_pooling(node: Node) -> Function:
    """``nnet::global_pooling1d_cl`` and ``nnet::global_pooling2d_cl``."""
    channels = node.int("n_filt")
    data, accum, result = node.inputs[0].type, node.type("accum_t"), node.output.type
    largest = node.text("pool_op") == "max"
    if node.stream and node.inputs[0].word != channels:
        raise node.refusal("global pooling over a stream of several pixels a word is not emulated")
    pixels = node.inputs[0].size // channels
    if node.stream:
        reduce = _running(data, accum, largest)
    else:
        reduce = _largest(data) if largest else _average(data, accum, pixels)

    def apply(codes: Codes) -> Codes:
        reduced = reduce(codes.reshape(len(codes), pixels, channels).transpose(0, 2, 1))
        if largest:
            kept = reduced if node.stream else Exact.of(reduced, data).to(accum)
            return Exact.of(kept, accum).to(result)
        if not node.stream:
            return Exact.of(reduced, accum).to(result)
        return Exact.of(reduced, accum).over(pixels).to(result)

    return apply


def _largest(data: FixedType) -> Function:
    return lambda windows: windows.max(axis=-1)


def _average(data: FixedType, accum: FixedType, counts: Codes | int) -> Function:
    """A running sum in ``accum_t``, divided there."""

    def reduce(windows: Codes) -> Codes:
        total = np.zeros(windows.shape[:-1], dtype=np.int64)
        for index in range(windows.shape[-1]):
            total = (Exact.of(total, accum) + Exact.of(windows[..., index], data)).to(accum)
        return Exact.of(total, accum).over(counts).to(accum)

    return reduce


def _tree(data: FixedType, accum: FixedType, largest: bool) -> Function:
    """Everything in ``accum_t`` from the start; sums as a tree."""

    def reduce(windows: Codes) -> Codes:
        window = Exact.of(windows, data).to(accum)
        if largest:
            return window.max(axis=-1)
        return Exact.of(tree_sum(window, accum), accum).over(window.shape[-1]).to(accum)

    return reduce


def _running(data: FixedType, accum: FixedType, largest: bool) -> Function:
    """One pixel after the other, in ``accum_t``."""

    def reduce(pixels: Codes) -> Codes:
        window = Exact.of(pixels, data).to(accum)
        if largest:
            return window.max(axis=-1)
        total = np.zeros(window.shape[:-1], dtype=np.int64)
        for index in range(window.shape[-1]):
            total = limited(total + window[..., index], accum)
        return total

    return reduce


def _lowest_bit_pattern(type: FixedType) -> int:
    """The padding of max pooling: only the top bit set, which is the lowest code of signed types alone."""
    return -(1 << (type.width - 1)) if type.signed else 1 << (type.width - 1)


def _expand(images: Codes, kernel: tuple[int, int], strides: tuple[int, int], padding: list[int], filler: int) -> Codes:
    """Windows ``(n, rows, columns, channels, kernel elements)`` of images ``(n, height, width, channels)``."""
    top, bottom, left, right = padding
    window = Window(kernel=kernel, strides=strides, padding=(top, bottom, left, right))
    view = np.moveaxis(windows(images, window, filler), 5, 3)
    return view.reshape(*view.shape[:4], -1)
