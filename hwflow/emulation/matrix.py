"""Dense layers and convolutions: im2col, the header's order, sums of products, one cast to the result."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwflow.emulation.exact import Exact, limited
from hwflow.emulation.exponents import Exponents
from hwflow.emulation.node import BIT, Node, Weights
from hwflow.emulation.products import Order, Products, Sums
from hwflow.fixed import Codes, FixedType, Overflow, Rounding
from hwflow.graph import Window
from hwflow.graph.windows import windows

Function = Callable[..., Codes]

_SIGN = FixedType(2, 2)
_DENSE = ("dense", "lstm_stack", "gru_stack", "bidirectional_stack")
"""Functions that multiply by ``nnet::dense`` in io_parallel, too."""

_PATCHES = 1 << 20
"""Elements of the patches that are expanded at a time."""


def dense(node: Node) -> Function:
    """``nnet::dense``."""
    return _matrix(node, node.int("n_in"), node.int("n_out"))


def convolution(node: Node) -> Function:
    """``nnet::conv_1d_cl``, ``nnet::conv_2d_cl`` and their pointwise kin."""
    if max(node.int("dilation", 1), node.int("dilation_height", 1), node.int("dilation_width", 1)) != 1:
        raise node.refusal("hls4ml computes dilated convolutions wrongly; they are not emulated")
    patches = Patches(node)
    return patches.through(_matrix(node, patches.size, node.int("n_filt")))


def depthwise(node: Node) -> Function:
    """``nnet::depthwise_conv_1d_cl`` and ``nnet::depthwise_conv_2d_cl``."""
    channels = node.int("n_chan")
    if node.int("n_filt") != channels:
        raise node.refusal("hls4ml computes a depth multiplier other than 1 wrongly; it is not emulated")
    if node.text("strategy") != "latency" and not node.stream:
        raise node.refusal("hls4ml has no depthwise convolution with the Resource strategy in io_parallel")
    patches = Patches(node)
    weights, data, accum = node.weights("weight"), node.inputs[0].type, node.type("accum_t")
    if node.is_binary("weight") or node.takes_bits:
        raise node.refusal("one-bit depthwise convolutions are not emulated")
    if weights.codes.size != patches.size:
        raise node.refusal(f"has {weights.codes.size} weights instead of {patches.size}")
    if node.text("strategy") != "latency" and accum.overflow is not Overflow.WRAP:
        raise node.refusal(f"a saturating accumulator ({accum}) is emulated with the Latency strategy only")
    grid = Weights(weights.codes.reshape(-1, channels), weights.type)
    bias = node.weights("bias").values.to(accum)

    def sums(rows: Codes) -> Codes:
        total = np.broadcast_to(bias, (len(rows), channels))
        products = (Exact.of(rows.reshape(-1, *grid.codes.shape), data) * grid.values).to(accum)
        for index in range(len(grid.codes)):
            total = limited(total + products[:, index], accum)
        return Exact.of(total, accum).to(node.output.type)

    return patches.through(sums)


def _matrix(node: Node, inputs: int, outputs: int) -> Function:
    """Rows ``(n, inputs)`` to rows ``(n, outputs)`` of the result's type."""
    data, accum, result = node.inputs[0].type, node.type("accum_t"), node.output.type
    sums = sums_of_products(node, inputs, outputs, data)
    takes_bits = node.takes_bits
    if takes_bits and node.is_binary("weight"):
        return lambda codes: _counted(Exact.of(sums(np.hstack([codes, 1 - codes])), accum), inputs).to(result)

    def rows(codes: Codes) -> Codes:
        return Exact.of(sums(2 * codes - 1 if takes_bits else codes), accum).to(result)

    return rows


def _counted(equal: Exact, inputs: int) -> Exact:
    """The sum of so many products of bits that are -1 or 1, from the count of equal ones: an ``ap_int``."""
    bits = max((inputs - 1).bit_length(), 1) + 2
    type = FixedType(bits, bits, rounding=Rounding.TRN_ZERO)
    return Exact.of((Exact.integer(2) * equal - Exact.integer(inputs)).to(type), type)


def sums_of_products(
    node: Node,
    inputs: int,
    outputs: int,
    data: FixedType,
    names: tuple[str, str] = ("weight", "bias"),
    reuse: str = "reuse_factor",
) -> Sums:
    """``nnet::dense`` without its last cast: rows ``(n, inputs)`` to codes of ``accum_t`` ``(n, outputs)``.

    Where data and weights are bits, a product is 1 if they are equal; rows are then the bits and their complements.

    Args:
        node: the layer.
        inputs: of the matrix.
        outputs: of the matrix.
        data: type of the rows.
        names: of its weights and of its bias.
        reuse: the attribute with its reuse factor.
    """
    strategy = node.text("strategy")
    if strategy not in ("latency", "resource", "resource_unrolled"):
        raise node.refusal(f"the strategy {strategy!r} is not emulated, only Latency and Resource are")
    exponents, accum = node.exponents(names[0]), node.type("accum_t")
    if exponents is not None:
        return _of_exponents(node, exponents, (inputs, outputs), data, names[1], reuse)
    weights = node.weights(names[0])
    if weights.codes.size != inputs * outputs:
        raise node.refusal(f"has {weights.codes.size} weights where {inputs} x {outputs} were expected (groups?)")
    shape = (inputs, outputs) if strategy == "latency" else (outputs, inputs)
    grid = weights.codes.reshape(shape)
    grid, kind = (grid if strategy == "latency" else np.ascontiguousarray(grid.T)), weights.type
    binary = node.is_binary(names[0])
    if binary and strategy == "resource_unrolled":
        raise node.refusal("one-bit weights with the strategy resource_unrolled are not emulated")
    order = np.arange(inputs) if strategy == "latency" else _resource_order(node, inputs, outputs, node.int(reuse))
    if binary and node.takes_bits:
        grid, kind, data = np.vstack([grid, 1 - grid]), BIT, BIT
        order = np.stack([order, order + inputs], axis=1).reshape(-1)
    elif binary:
        grid, kind = 2 * grid - 1, _SIGN
    elif node.is_ternary(names[0]) and not node.takes_bits:
        grid, kind = np.where(grid == -2, 1, grid), _SIGN
    if node.takes_bits and not binary:
        data = _SIGN
    bias = node.weights(names[1]).values.to(accum)
    return Products(data, grid, kind, bias, accum, order).sums()


def _of_exponents(
    node: Node, exponents: Exponents, size: tuple[int, int], data: FixedType, bias: str, reuse: str
) -> Sums:
    """The same of weights that are powers of two."""
    inputs, outputs = size
    if exponents.signs.size != inputs * outputs or node.takes_bits:
        raise node.refusal("such a product with weights that are powers of two is not emulated")
    if node.text("strategy") == "latency":
        grid, order = exponents.reshape(inputs, outputs), np.arange(inputs)
    else:
        grid = exponents.reshape(outputs, inputs).T
        order = _resource_order(node, inputs, outputs, node.int(reuse))
    accum = node.type("accum_t")
    return grid.sums(data, node.weights(bias).values.to(accum), accum, order)


def _resource_order(node: Node, inputs: int, outputs: int, reuse: int) -> Order:
    """The order in which the Resource strategy's loops visit the inputs of an output."""
    if reuse <= inputs and inputs % reuse == 0:
        return np.arange(inputs).reshape(-1, reuse).T.reshape(-1)
    whole = reuse % inputs == 0 and (inputs * outputs) % reuse == 0
    if whole and (node.stream or node.function in _DENSE):
        return np.arange(inputs)
    raise node.refusal(
        f"with a reuse factor of {reuse} the C simulation reads past the end of an array; choose one that divides "
        f"{inputs}"
    )


class Patches:
    """The windows that a convolution multiplies.

    Args:
        node: a layer with hls4ml's convolution attributes.
    """

    def __init__(self, node: Node) -> None:
        def pair(key: str, default: int | None = None) -> tuple[int, int]:
            height = node.int(f"{key}_height", 1) if two else 1
            return height, node.int(f"{key}_width", default)

        two = node.attribute("in_height") is not None
        sides = ("top", "bottom", "left", "right")
        top, bottom, left, right = (node.int(f"pad_{side}", 0) for side in sides)
        self.padding = (top, bottom, left, right)
        if node.stream and any(self.padding):
            raise node.refusal("the C simulation of a padded convolution in io_stream stops")
        self.image, self.kernel = (*pair("in"), node.int("n_chan")), pair("filt")
        self.strides, self.out = pair("stride"), pair("out")
        self.size = self.kernel[0] * self.kernel[1] * self.image[2]
        for axis in (0, 1):
            space = self.image[axis] + self.padding[2 * axis] + self.padding[2 * axis + 1] - self.kernel[axis]
            if space // self.strides[axis] + 1 < self.out[axis]:
                raise node.refusal(f"an output of {self.out} does not fit its input of {self.image[:2]}")

    def through(self, rows: Function) -> Function:
        """A function of whole images from one of rows: a row is a window, in the order height, width, channel."""

        def images(codes: Codes) -> Codes:
            step = max(1, _PATCHES // (self.out[0] * self.out[1] * self.size))
            parts = [rows(self._expand(codes[start : start + step])) for start in range(0, len(codes), step)]
            return np.concatenate(parts).reshape(len(codes), -1)

        return images

    def _expand(self, codes: Codes) -> Codes:
        window = Window(kernel=self.kernel, strides=self.strides, padding=self.padding)
        view = windows(codes.reshape(-1, *self.image), window)[:, : self.out[0], : self.out[1]]
        return view.reshape(-1, self.size)
