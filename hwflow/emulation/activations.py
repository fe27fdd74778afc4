"""Activations, element by element, as in ``nnet_activation.h`` and ``nnet_activation_stream.h``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from hwflow.emulation.exact import Exact, where
from hwflow.emulation.node import BIT, Node, Signal, Weights
from hwflow.emulation.tables import centred, clamped, negative, scaled_index
from hwflow.fixed import Codes, FixedType

Function = Callable[..., Codes]

_SELU_SCALE = 1.0507009873554804934193349852946
_ZERO, _ONE = Exact.integer(0), Exact.integer(1)


def linear(node: Node) -> Function:
    """A cast."""
    source, target = _ends(node)
    return lambda codes: Exact.of(codes, source.type).to(target.type)


def relu(node: Node) -> Function:
    """``x > 0 ? x : 0``."""
    source, target = _ends(node)
    return lambda codes: where(codes > 0, Exact.of(codes, source.type).to(target.type), 0)


def relu_max(most: int, node: Node) -> Function:
    """ReLU with a ceiling."""
    if node.stream:
        raise node.refusal(f"hls4ml has no {node.function} in io_stream, and its C++ does not compile")
    source, target = _ends(node)
    top = Exact.integer(most)

    def apply(codes: Codes) -> Codes:
        x = Exact.of(codes, source.type)
        return where(codes < 0, 0, where(x > top, top.to(target.type), x.to(target.type)))

    return apply


def leaky_relu(node: Node) -> Function:
    """``x > 0 ? x : alpha x``."""
    source, target = _ends(node)
    alpha = _parameter(node)

    def apply(codes: Codes) -> Codes:
        x = Exact.of(codes, source.type)
        return where(codes > 0, x.to(target.type), (alpha * x).to(target.type))

    return apply


def prelu(node: Node) -> Function:
    """Leaky ReLU with one alpha an element."""
    source, target = _ends(node)
    alpha = node.weights("param").values
    if alpha.codes.size != source.size:
        raise node.refusal(f"has {alpha.codes.size} slopes for {source.size} elements; hls4ml reads past their end")

    def apply(codes: Codes) -> Codes:
        x = Exact.of(codes, source.type)
        return where(codes > 0, x.to(target.type), (alpha * x).to(target.type))

    return apply


def thresholded_relu(node: Node) -> Function:
    """``x > theta ? x : 0``."""
    source, target = _ends(node)
    theta = _parameter(node)

    def apply(codes: Codes) -> Codes:
        x = Exact.of(codes, source.type)
        return where(x > theta, x.to(target.type), 0)

    return apply


def lookup(function: str, reach: int, node: Node) -> Function:
    """Sigmoid, tanh, softplus, softsign: a table over ``[-reach, reach)``."""
    source, target = _ends(node)
    return looked_up(function, reach, node, source.type, target.type)


def looked_up(function: str, reach: int, node: Node, source: FixedType, target: FixedType) -> Function:
    """The same from codes of one type to codes of another."""
    size, type = node.int("table_size"), node.type("table_t")
    table = Exact.of(centred(function, size, float(reach), type), type).to(target)

    def apply(codes: Codes) -> Codes:
        index = scaled_index(Exact.of(codes, source), size, 2 * reach) + reach * size // (2 * reach)
        return table[clamped(index, size)]

    return apply


def elu(node: Node) -> Function:
    """``x >= 0 ? x : alpha table(x)``."""
    source, target = _ends(node)
    size, type = _negative_size(node, source.type), node.type("table_t")
    table = (_parameter(node) * Exact.of(negative("elu", size, type), type)).to(target.type)

    def apply(codes: Codes) -> Codes:
        x = Exact.of(codes, source.type)
        return where(codes >= 0, x.to(target.type), table[_below(x, size)])

    return apply


def selu(node: Node) -> Function:
    """SELU: a constant times x, or a table."""
    source, target = _ends(node)
    size, type = _negative_size(node, source.type), node.type("table_t")
    table = Exact.of(negative("selu", size, type), type).to(target.type)
    constant = source.type if node.stream else FixedType(16, 1, signed=False)
    scale = Exact.of(constant.encode(_SELU_SCALE), constant)

    def apply(codes: Codes) -> Codes:
        x = Exact.of(codes, source.type)
        return where(codes >= 0, (scale * x).to(target.type), table[_below(x, size)])

    return apply


def hard_sigmoid(node: Node) -> Function:
    """``clip(slope x + shift, 0, 1)``."""
    target = node.output.type
    line = _line(node)
    return lambda codes: line(codes).to(target)


def hard_tanh(node: Node) -> Function:
    """``2 clip(slope x + shift, 0, 1) - 1``."""
    target = node.output.type
    line = _line(node)
    return lambda codes: (Exact.integer(2) * line(codes) - _ONE).to(target)


def binary_tanh(node: Node) -> Function:
    """-1 or 1, which ``ap_uint<1>`` holds as 0 or 1."""
    _, target = _ends(node)
    low, high = (_ZERO, _ONE) if target.type == BIT else (Exact.integer(-1), _ONE)
    return lambda codes: where(codes >= 0, high.to(target.type), low.to(target.type))


def ternary_tanh(node: Node) -> Function:
    """-1, 0 or 1; io_parallel compares twice the input, in the input's type."""
    source, target = _ends(node)
    minus, low, high = (Exact.integer(value) for value in (-1, -1, 1))

    def apply(codes: Codes) -> Codes:
        x = Exact.of(codes, source.type)
        if not node.stream:
            x = Exact.of((Exact.integer(2) * x).to(source.type), source.type)
        middle = x > (low if not node.stream else minus)
        return where(x > high, high.to(target.type), where(middle, _ZERO.to(target.type), minus.to(target.type)))

    return apply


def batch_norm(node: Node) -> Function:
    """``scale x + bias``, exact, then one cast: BatchNormalization and ApplyAlpha."""
    source, target = _ends(node)
    index = _channel(node, source)
    exponents, bias = node.exponents("scale"), node.weights("bias")
    if exponents is not None:
        powers = exponents[_checked(node, index, len(exponents.signs), bias)]
        offset = Exact.of(bias.codes[index], bias.type)
        return lambda codes: (powers.times(codes, source.type) + offset).to(target.type)
    scale = node.weights("scale")
    if node.is_binary("scale") or node.is_ternary("scale") or node.takes_bits:
        raise node.refusal("normalisation with one- or two-bit operands is not emulated")
    factor = Exact.of(scale.codes[_checked(node, index, scale.codes.size, bias)], scale.type)
    offset = Exact.of(bias.codes[index], bias.type)
    return lambda codes: (Exact.of(codes, source.type) * factor + offset).to(target.type)


def normalize_binary_tanh(node: Node) -> Function:
    """A threshold a channel, to 0 or 1."""
    source, _ = _ends(node)
    threshold = node.weights("threshold").values.to(source.type)[_channel(node, source)]
    return lambda codes: (codes >= threshold).astype(np.int64)


def normalize_ternary_tanh(node: Node) -> Function:
    """Two thresholds a channel, to -1, 0 or 1."""
    source, _ = _ends(node)
    index = _channel(node, source)
    high, low = (node.weights(f"threshold_{side}").values.to(source.type)[index] for side in ("hi", "lo"))
    return lambda codes: where(codes > high, 1, where(codes <= low, -1, 0))


def _ends(node: Node) -> tuple[Signal, Signal]:
    """The input and the output of a layer that works element by element."""
    source, target = node.inputs[0], node.output
    if source.word != target.word:
        raise node.refusal(
            f"its stream has {source.word} elements a word at the input and {target.word} at the output, which hls4ml "
            "confuses; put a layer with weights before it"
        )
    return source, target


def _channel(node: Node, source: Signal) -> Codes:
    """For every element, which scale it takes."""
    index = np.arange(source.size)
    filters = node.int("n_filt", -1)
    return index if filters == -1 else (index % source.word) % filters


def _checked(node: Node, index: Codes, scales: int, bias: Weights) -> Codes:
    """Indices of scales and biases, if there are so many."""
    if index.max() >= min(scales, bias.codes.size):
        raise node.refusal(f"has {scales} scales for {len(index)} elements; hls4ml reads past their end")
    return index


def _parameter(node: Node) -> Exact:
    type, value = node.type("param_t"), node.attribute("activ_param")
    return Exact.of(type.encode(1.0 if value is None else float(value)), type)


def _negative_size(node: Node, source: FixedType) -> int:
    """Entries of a table of negative inputs, whose index hls4ml keeps in an int and only limits from above."""
    size = node.int("table_size")
    if source.signed and (size << max(source.integer - 1, 0)) // 8 >= 1 << 31:
        raise node.refusal(f"hls4ml reads before its table of {size} entries, as inputs of {source} overflow its index")
    return size


def _below(x: Exact, size: int) -> Codes:
    return clamped(scaled_index(x, size, -8), size)


def _line(node: Node) -> Callable[[Codes], Exact]:
    source, _ = _ends(node)
    slope, shift = (
        Exact.of(type.encode(float(node.attribute(key))), type)
        for key, type in (("slope", node.type("slope_t")), ("shift", node.type("shift_t")))
    )

    def apply(codes: Codes) -> Exact:
        line = slope * Exact.of(codes, source.type) + shift
        one = 1 << line.fraction if line.fraction >= 0 else 0
        most = min(one, (1 << (line.width - 1)) - 1)
        return Exact(np.clip(line.codes, 0, most), line.fraction, line.width)

    return apply


ACTIVATIONS: Mapping[str, Callable[[Node], Function]] = {
    "linear": linear,
    "relu": relu,
    "relu6": partial(relu_max, 6),
    "relu1": partial(relu_max, 1),
    "leaky_relu": leaky_relu,
    "prelu": prelu,
    "thresholded_relu": thresholded_relu,
    "sigmoid": partial(lookup, "sigmoid", 8),
    "tanh": partial(lookup, "tanh", 4),
    "softplus": partial(lookup, "softplus", 8),
    "softsign": partial(lookup, "softsign", 8),
    "elu": elu,
    "selu": selu,
    "hard_sigmoid": hard_sigmoid,
    "hard_tanh": hard_tanh,
    "binary_tanh": binary_tanh,
    "ternary_tanh": ternary_tanh,
    "normalize": batch_norm,
    "normalize_binary_tanh": normalize_binary_tanh,
    "normalize_ternary_tanh": normalize_ternary_tanh,
}
