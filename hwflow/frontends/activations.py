"""What the activations of Keras and QKeras compute, as the graph's nodes have it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwflow.errors import HwflowError
from hwflow.fixed import FixedType, Overflow, Rounding
from hwflow.frontends._tf import keras, loaded_qkeras, qkeras, tensorflow
from hwflow.frontends.keras_versions import is_keras3, leaky_slope, quantizer_of
from hwflow.frontends.rules import QUANTIZERS, KerasLayer
from hwflow.graph.functions import text_of

LAYERS = ("Activation", "QActivation", "ReLU", "LeakyReLU", "ThresholdedReLU", "PReLU", "ELU", "Softmax")
"""Layers that are an activation and nothing else."""


@dataclass(frozen=True)
class Activation:
    """What an activation computes.

    Attributes:
        kind: ``linear``, ``relu``, ``leaky``, ``lookup``, ``cast`` or ``softmax``.
        suffix: what hls4ml adds to the name of a layer for its activation.
        limit: largest value of a clipped ReLU.
        type: the grid of a quantised activation.
        slope: of a leaky ReLU, one or one a channel.
        threshold: up to which a leaky ReLU multiplies by its slope.
        function: of a lookup, see :mod:`hwflow.graph.functions`.
    """

    kind: str
    suffix: str = ""
    limit: float | None = None
    type: FixedType | None = None
    slope: tuple[float, ...] = ()
    threshold: float = 0.0
    function: str = ""


def _lookup(name: str, *parameters: float, suffix: str = "", type_: FixedType | None = None) -> Activation:
    return Activation("lookup", suffix or name, type=type_, function=text_of(name, *parameters))


_NAMED = {
    "linear": Activation("linear"),
    "relu": Activation("relu", "relu"),
    "relu6": Activation("relu", "relu6", limit=6.0),
    "softmax": Activation("softmax", "softmax"),
    "leaky_relu": Activation("leaky", "leaky_relu", slope=(0.2,)),
    "hard_sigmoid": _lookup("hard_sigmoid", 0.2, 0.5),
    "elu": _lookup("elu", 1.0),
    "silu": _lookup("swish"),
    **{
        name: _lookup(name)
        for name in ("sigmoid", "tanh", "selu", "softplus", "softsign", "swish", "gelu", "mish", "exponential")
    },
}
"""Keras' functions by name, as Keras 2 has them."""
_KERAS3_HARD_SIGMOID = _lookup("hard_sigmoid", 1 / 6, 0.5)


def activation_of(layer: KerasLayer) -> Activation | None:
    """The activation of a layer, or ``None`` if it is none that can be hardened.

    Raises:
        HwflowError: an attribute of a quantiser, or of the layer, is not supported.
    """
    kind = type(layer).__name__
    if kind in _OF_LAYERS:
        return _OF_LAYERS[kind](layer)
    function = quantizer_of(layer) if kind == "QActivation" else layer.activation
    if type(function).__module__.startswith("qkeras") and type(function).__name__ in QUANTIZERS:
        name = type(function).__name__
        for attribute, rule in QUANTIZERS[name].items():
            value = getattr(function, attribute, None)
            if not rule.accepts(value, layer):
                what = f"{attribute}={value} of its {name}"
                raise HwflowError(f"{layer.name}: {what} is not supported; use {rule.wanted}")
        return _OF_QUANTIZERS[name](function)
    return _of_function(function)


def _of_function(function: Any) -> Activation | None:
    if function is None:
        return _NAMED["linear"]
    for name, meaning in _NAMED.items():
        if function in (getattr(module, name, None) for module in (keras().activations, tensorflow().nn)):
            return _KERAS3_HARD_SIGMOID if name == "hard_sigmoid" and is_keras3() else meaning
    return _of_qkeras_function(function)


def _of_qkeras_function(function: Any) -> Activation | None:
    package = loaded_qkeras()
    if package is None:
        return None
    quantizers = package.quantizers
    if function is quantizers.hard_tanh:
        return _lookup("hard_tanh", 1.0)
    for binary, low in ((quantizers.binary_tanh, -1.0), (quantizers.binary_sigmoid, 0.0)):
        if function is binary:  # a sigmoid, hard or not, that is rounded, a half of it down
            return _lookup("step_above", low, 1.0, type_=_grid(1.0, low < 0))
    sigmoid = _qkeras_sigmoid(function)
    return None if sigmoid is None else _lookup(*sigmoid)


def _qkeras_sigmoid(function: Any) -> tuple[Any, ...] | None:
    """Name and parameters of one of QKeras' sigmoids."""
    quantizers = qkeras().quantizers
    if function is quantizers.hard_sigmoid:
        return "hard_sigmoid", 0.5, 0.5
    if function is quantizers.smooth_sigmoid:
        return "hard_sigmoid", 0.1875, 0.5
    real = (keras().activations.sigmoid, getattr(keras().backend, "sigmoid", None))
    return ("sigmoid",) if function in real else None


def _internal_sigmoid() -> tuple[Any, ...]:
    """The sigmoid that QKeras' quantisers use, which ``set_internal_sigmoid`` sets."""
    found = _qkeras_sigmoid(qkeras().quantizers._sigmoid)
    if found is None:
        raise HwflowError("QKeras' internal sigmoid is none that is known; use real, hard or smooth")
    return found


def _relu(layer: KerasLayer) -> Activation:
    slope, threshold = float(layer.negative_slope or 0), float(layer.threshold or 0)
    if [bool(slope), bool(threshold), layer.max_value is not None].count(True) > 1:
        return _lookup("relu", slope, threshold, math.inf if layer.max_value is None else float(layer.max_value))
    if slope or threshold:
        return Activation("leaky", "relu", slope=(slope,), threshold=threshold)
    return Activation("relu", "relu", limit=None if layer.max_value is None else float(layer.max_value))


def _prelu(layer: KerasLayer) -> Activation:
    alpha = np.asarray(layer.alpha, dtype=np.float64)
    slopes = alpha.reshape(-1, alpha.shape[-1])
    if (slopes != slopes[0]).any():
        raise HwflowError(f"{layer.name}: its slopes differ from pixel to pixel; share them, e.g. shared_axes=[1, 2]")
    return Activation("leaky", "p_re_lu", slope=tuple(slopes[0].tolist()))


_OF_LAYERS: Mapping[str, Callable[[KerasLayer], Activation]] = {
    "Softmax": lambda _: _NAMED["softmax"],
    "ReLU": _relu,
    "PReLU": _prelu,
    "LeakyReLU": lambda layer: Activation("leaky", "leaky_relu", slope=(leaky_slope(layer),)),
    "ThresholdedReLU": lambda layer: Activation("leaky", "relu", slope=(0.0,), threshold=float(layer.theta)),
    "ELU": lambda layer: _lookup("elu", float(layer.alpha)),
}
"""By the class of a layer."""


def _nearest(bits: int, integer: int, signed: bool = True, symmetric: bool = False) -> FixedType:
    """The grid of a quantiser that rounds to nearest even and saturates."""
    return FixedType(bits, integer, signed, Rounding.RND_CONV, Overflow.SAT_SYM if symmetric else Overflow.SAT)


def _quantized_relu(quantizer: Any) -> Activation:
    bits, integer, slope = int(quantizer.bits), int(quantizer.integer), float(quantizer.negative_slope)
    if slope:
        # What is negative ends at the slope times the range.
        low = -slope * 2.0**integer
        return _lookup("leaky_relu", slope, low, suffix="quantized_relu", type_=_nearest(bits, integer + 1))
    type_ = _nearest(bits, integer, False)  # QKeras' bits of a ReLU have no sign
    return Activation("relu", "quantized_relu", limit=type_.max, type=type_)


def _quantized_bits(quantizer: Any) -> Activation:
    bits, signed = int(quantizer.bits), bool(quantizer.keep_negative)
    if bits == signed:
        return _steps(-1.0, 1.0, "quantized_bits")
    type_ = _nearest(bits, int(quantizer.integer) + signed, signed, bool(quantizer.symmetric) and signed)
    return Activation("cast", "quantized_bits", type=type_)


def _quantized_tanh(quantizer: Any) -> Activation:
    type_ = _nearest(int(quantizer.bits), 1, symmetric=bool(quantizer.symmetric))
    if quantizer.use_real_tanh:
        return _lookup("tanh", suffix="quantized_tanh", type_=type_)
    # 2 sigmoid(x) - 1
    _, *parameters = _internal_sigmoid()
    if not parameters:
        return _lookup("bipolar_sigmoid", suffix="quantized_tanh", type_=type_)
    if parameters == [0.5, 0.5]:
        return Activation("cast", "quantized_tanh", type=type_)
    return _lookup("hard_tanh", 2 * parameters[0], suffix="quantized_tanh", type_=type_)


def _quantized_sigmoid(quantizer: Any) -> Activation:
    sigmoid = ("sigmoid",) if quantizer.use_real_sigmoid else _internal_sigmoid()
    return _lookup(*sigmoid, suffix="quantized_sigmoid", type_=_nearest(int(quantizer.bits), 0, signed=False))


def _quantized_ulaw(quantizer: Any) -> Activation:
    _, *parameters = _internal_sigmoid()
    if not parameters:
        raise HwflowError("quantized_ulaw is supported with QKeras' internal sigmoids hard and smooth, not real")
    shape = (float(getattr(quantizer, each)) for each in ("bits", "integer", "symmetric", "u"))
    return _lookup("ulaw", *parameters, *shape, suffix="quantized_ulaw")


def _steps(low: float, high: float, suffix: str) -> Activation:
    """``high`` from 0 on, else ``low``, with their own grid if that is a power of two's."""
    return _lookup("step", low, high, suffix=suffix, type_=_grid(high, low < 0))


def _grid(value: float, signed: bool) -> FixedType | None:
    """The narrowest type of zero and a power of two, or of both signs of it."""
    mantissa, exponent = math.frexp(value)
    return _nearest(1 + signed, exponent + signed, signed) if mantissa == 0.5 else None


def _binary(quantizer: Any) -> Activation:
    value = 1.0 if quantizer.alpha is None else float(quantizer.alpha)
    return _steps(0.0 if quantizer.use_01 else -value, value, "binary")


def _ternary(quantizer: Any) -> Activation:
    value = 1.0 if quantizer.alpha is None else float(quantizer.alpha)
    threshold = quantizer.default_threshold if quantizer.threshold is None else quantizer.threshold
    return _lookup("ternary", float(threshold), value, suffix="ternary", type_=_grid(value, True))


_OF_QUANTIZERS: Mapping[str, Callable[[Any], Activation]] = {
    "quantized_relu": _quantized_relu,
    "quantized_bits": _quantized_bits,
    "quantized_tanh": _quantized_tanh,
    "quantized_sigmoid": _quantized_sigmoid,
    "quantized_ulaw": _quantized_ulaw,
    "binary": _binary,
    "ternary": _ternary,
}
