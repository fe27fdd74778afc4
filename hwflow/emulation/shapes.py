"""Layers that move elements or join tensors: padding, cropping, resizing, transposing, merging."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from hwflow.emulation.exact import Exact, where
from hwflow.emulation.node import Node
from hwflow.fixed import Codes, FixedType
from hwflow.graph.windows import padded

Function = Callable[..., Codes]

_SIDES = ("top", "bottom", "left", "right")


def zero_padding(node: Node) -> Function:
    """``nnet::zeropad1d_cl`` and ``nnet::zeropad2d_cl``."""
    image, (top, bottom, left, right) = _image(node), [node.int(f"pad_{side}", 0) for side in _SIDES]

    def apply(codes: Codes) -> Codes:
        cast = Exact.of(codes, node.inputs[0].type).to(node.output.type)
        return padded(cast.reshape(-1, *image), (top, bottom, left, right)).reshape(len(codes), -1)

    return apply


def cropping(node: Node) -> Function:
    """``nnet::cropping1d_cl`` and ``nnet::cropping2d_cl``."""
    image, (top, bottom, left, right) = _image(node), [node.int(f"crop_{side}", 0) for side in _SIDES]

    def apply(codes: Codes) -> Codes:
        cast = Exact.of(codes, node.inputs[0].type).to(node.output.type).reshape(-1, *image)
        return cast[:, top : image[0] - bottom, left : image[1] - right].reshape(len(codes), -1)

    return apply


def resize_nearest(node: Node) -> Function:
    """``nnet::resize_nearest``; upsampling by repetition in io_stream."""
    image = (node.int("in_height", 1), node.int("in_width"), node.int("n_chan"))
    size = (node.int("out_height", 1), node.int("out_width"))
    if node.inputs[0].type != node.output.type:
        raise node.refusal("hls4ml resizes in one type only; its input and output types differ")
    if any(new % old for new, old in zip(size, image, strict=False)):
        raise node.refusal(f"resizing from {image[:2]} to {size} is not emulated, only whole factors are")

    def apply(codes: Codes) -> Codes:
        pixels = codes.reshape(-1, *image).repeat(size[0] // image[0], axis=1).repeat(size[1] // image[1], axis=2)
        return pixels.reshape(len(codes), -1)

    return apply


def transpose(node: Node) -> Function:
    """``nnet::transpose``."""
    shape, axes = node.inputs[0].shape, [int(axis) for axis in node.attribute("perm")]

    def apply(codes: Codes) -> Codes:
        cast = Exact.of(codes, node.inputs[0].type).to(node.output.type)
        return cast.reshape(-1, *shape).transpose(0, *(axis + 1 for axis in axes)).reshape(len(codes), -1)

    return apply


def copy(node: Node) -> Function:
    """``nnet::clone_stream`` and ``nnet::repack_stream``."""
    return lambda codes: Exact.of(codes, node.inputs[0].type).to(node.output.type)


def broadcast(node: Node) -> Function:
    """``nnet::broadcast_stream``: of one pixel over an image, or of one channel over several."""
    given, wanted = node.inputs[0].shape, node.output.shape
    pixel = given[:2] == (1, 1) and given[2] == wanted[2]
    channel = given[2] == 1 and given[:2] == wanted[:2]
    if not (pixel or channel) or node.inputs[0].word != given[2] or node.output.word != wanted[2]:
        raise node.refusal(f"the C simulation stops: hls4ml does not broadcast {given} to {wanted}")

    def apply(codes: Codes) -> Codes:
        cast = Exact.of(codes, node.inputs[0].type).to(node.output.type)
        return np.broadcast_to(cast.reshape(-1, *given), (len(codes), *wanted)).reshape(len(codes), -1)

    return apply


def embedding(node: Node) -> Function:
    """``nnet::embedding``: rows of a table."""
    data, entries = node.inputs[0].type, node.weights("embeddings")
    if data.fraction:
        raise node.refusal(f"its input is {data}, and must be an integer type such as uint<16>")
    rows = Exact.of(entries.codes, entries.type).to(node.output.type).reshape(-1, node.int("n_out"))

    def apply(codes: Codes) -> Codes:
        if codes.min() < 0 or codes.max() >= len(rows):
            raise node.refusal(f"takes numbers from 0 to {len(rows) - 1}; hls4ml reads past its table")
        return rows[codes].reshape(len(codes), -1)

    return apply


def merge(operation: Callable[[Exact, Exact, FixedType], Codes], node: Node) -> Function:
    """Element by element; io_parallel repeats the shorter input."""
    first, second = node.inputs
    size = max(first.size, second.size)
    if node.stream and not first.word == second.word == node.output.word:
        raise node.refusal("the C simulation stops: its two streams have words of different lengths")
    if node.output.size != size:
        raise node.refusal(f"hls4ml does not broadcast {first.shape} with {second.shape} as Keras does")
    ones, twos = (np.arange(size) % each.size for each in (first, second))
    target = node.output.type

    def apply(one: Codes, two: Codes) -> Codes:
        return operation(Exact.of(one[:, ones], first.type), Exact.of(two[:, twos], second.type), target)

    return apply


def dot(node: Node) -> Function:
    """``nnet::dot1d``: products in ``accum_t``, one sum."""
    if node.stream:
        raise node.refusal("hls4ml has no dot product in io_stream, and its C++ does not compile")
    accum = node.type("accum_t")

    def apply(one: Codes, two: Codes) -> Codes:
        products = (Exact.of(one, node.inputs[0].type) * Exact.of(two, node.inputs[1].type)).to(accum)
        total = Exact.of(np.zeros(len(one), dtype=np.int64), accum)
        for index in range(products.shape[1]):
            total = Exact.of((total + Exact.of(products[:, index], accum)).to(accum), accum)
        return total.to(node.output.type)[:, None]

    return apply


def concatenate(node: Node) -> Function:
    """``nnet::concatenate1d``, ``2d`` and ``3d``: one cast an element."""
    first, second = node.inputs
    axis = node.int("axis")
    axis = axis if axis > 0 else len(first.shape) + 1 + axis
    if not 1 <= axis <= len(first.shape):
        raise node.refusal(f"concatenation along axis {node.int('axis')} is not emulated")

    def apply(one: Codes, two: Codes) -> Codes:
        parts = [
            Exact.of(codes, signal.type).to(node.output.type).reshape(-1, *signal.shape)
            for codes, signal in ((one, first), (two, second))
        ]
        return np.concatenate(parts, axis=axis).reshape(len(one), -1)

    return apply


def _image(node: Node) -> tuple[int, int, int]:
    return node.int("in_height", 1), node.int("in_width"), node.int("n_chan")


def _average(one: Exact, two: Exact, target: FixedType) -> Codes:
    total = one + two
    return Exact(total.codes, total.fraction + 1, total.width).to(target)


SHAPES: Mapping[str, Callable[[Node], Function]] = {
    "zeropad1d_cl": zero_padding,
    "zeropad2d_cl": zero_padding,
    "cropping1d_cl": cropping,
    "cropping2d_cl": cropping,
    "resize_nearest": resize_nearest,
    "transpose": transpose,
    "clone_stream": copy,
    "repack_stream": copy,
    "broadcast_stream": broadcast,
    "embedding": embedding,
    "add": partial(merge, lambda one, two, target: (one + two).to(target)),
    "subtract": partial(merge, lambda one, two, target: (one - two).to(target)),
    "multiply": partial(merge, lambda one, two, target: (one * two).to(target)),
    "average": partial(merge, _average),
    "maximum": partial(merge, lambda one, two, target: where(one > two, one.to(target), two.to(target))),
    "minimum": partial(merge, lambda one, two, target: where(two > one, one.to(target), two.to(target))),
    "dot1d": dot,
    "concatenate1d": concatenate,
    "concatenate2d": concatenate,
    "concatenate3d": concatenate,
}
