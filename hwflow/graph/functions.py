"""Elementwise activations as functions of real values, by the text that a graph names them with.

A text is a name, and in brackets the parameters: ``tanh``, ``elu(1.0)``. Only the limit of a ``relu`` may be infinite.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError

Array = npt.NDArray[Any]

SELU_ALPHA, SELU_SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946
"""Klambauer et al., "Self-Normalizing Neural Networks", equation 2."""
_TEXT = re.compile(r"(\w+)(?:\(([^()]*)\))?")


@dataclass(frozen=True)
class Function:
    """A function of one real value.

    Attributes:
        evaluate: of an array, element by element.
        low, high: what no value is below and above.
        of_sign: whether the sign of the argument alone counts.
        steep: whether it is steepest where its argument is rare, so that a table has all of the argument's range.
    """

    evaluate: Callable[[Array], Array]
    low: float
    high: float
    of_sign: bool = False
    steep: bool = False

    def __call__(self, values: Array) -> Array:
        """The function of values of any shape, in their float type; infinite where it exceeds it."""
        with np.errstate(over="ignore"):
            return np.asarray(self.evaluate(values)).astype(values.dtype)


def _sigmoid(x: Array) -> Array:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))


def _softplus(x: Array) -> Array:
    return np.asarray(np.logaddexp(0.0, x))


def _elu(x: Array) -> Array:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0.0)))


def _gelu(x: Array) -> Array:
    from scipy.special import erf  # slow to import

    return np.asarray(0.5 * x * (1.0 + erf(x / math.sqrt(2.0))))


def _gelu_tanh(x: Array) -> Array:
    return np.asarray(0.5 * x * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3))))


_PLAIN: Mapping[str, Function] = {
    "sigmoid": Function(_sigmoid, 0.0, 1.0),
    "tanh": Function(np.tanh, -1.0, 1.0),
    "bipolar_sigmoid": Function(lambda x: np.tanh(0.5 * x), -1.0, 1.0),
    "selu": Function(
        lambda x: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0.0))),
        -SELU_ALPHA * SELU_SCALE,
        math.inf,
    ),
    "softplus": Function(_softplus, 0.0, math.inf),
    "softsign": Function(lambda x: x / (1.0 + np.abs(x)), -1.0, 1.0),
    "swish": Function(lambda x: x * _sigmoid(x), -0.2785, math.inf),
    "gelu": Function(_gelu, -0.17, math.inf),
    "gelu_tanh": Function(_gelu_tanh, -0.1701, math.inf),
    "mish": Function(lambda x: x * np.tanh(_softplus(x)), -0.3089, math.inf),
    "exponential": Function(np.exp, 0.0, math.inf),
}
"""Those without parameters."""


def _hard_sigmoid(slope: float, shift: float) -> Function:
    """clip(slope x + shift, 0, 1)."""
    return Function(lambda x: np.clip(slope * x + shift, 0.0, 1.0), 0.0, 1.0)


def _hard_tanh(slope: float) -> Function:
    """clip(slope x, -1, 1)."""
    return Function(lambda x: np.clip(slope * x, -1.0, 1.0), -1.0, 1.0)


def _elu_of(alpha: float) -> Function:
    return Function(lambda x: np.where(x > 0, x, alpha * _elu(x)), min(-alpha, 0.0), math.inf)


def _step(low: float, high: float) -> Function:
    """``high`` from 0 on, else ``low``."""
    return Function(lambda x: np.where(x >= 0, high, low), min(low, high), max(low, high), of_sign=True)


def _step_above(low: float, high: float) -> Function:
    """``high`` above 0, else ``low``."""
    return Function(lambda x: np.where(x > 0, high, low), min(low, high), max(low, high), of_sign=True)


def _ternary(threshold: float, value: float) -> Function:
    """``value`` with the sign of x from a threshold on, else 0."""
    return Function(lambda x: np.where(np.abs(x) >= threshold, np.sign(x) * value, 0.0), -abs(value), abs(value))


def _leaky_relu(slope: float, low: float) -> Function:
    """x or slope x, the latter not below ``low``."""
    return Function(lambda x: np.where(x > 0, x, np.maximum(slope * x, low)), min(low, 0.0), math.inf)


def _relu(slope: float, threshold: float, limit: float) -> Function:
    """Keras' ReLU: x beyond a threshold, but 0 to ``limit``; minus the slope times what it lacks to the threshold."""

    def evaluate(x: Array) -> Array:
        return np.clip(x * (x > threshold), 0.0, limit) - slope * np.maximum(threshold - x, 0.0)

    return Function(evaluate, -math.inf if slope > 0 else 0.0, limit if slope >= 0 else math.inf)


def _rsqrt(epsilon: float) -> Function:
    """The reciprocal of the root of x + epsilon, of x that is not negative."""
    return Function(lambda x: 1.0 / np.sqrt(np.maximum(x, 0.0) + epsilon), 0.0, epsilon**-0.5, steep=True)


def _ulaw(slope: float, shift: float, bits: float, integer: float, symmetric: float, u: float) -> Function:
    """QKeras' ``quantized_ulaw``, whose sigmoid is clip(slope x + shift, 0, 1)."""
    top, steps = 2.0**integer, 2.0 ** (bits - 1)
    sigmoid = _hard_sigmoid(slope, shift)

    def evaluate(x: Array) -> Array:
        rounded = 2.0 * np.rint(sigmoid(x / top) * steps) / steps - 1.0
        law = np.sign(rounded) * np.log1p(u * np.abs(rounded)) / math.log1p(u)
        return np.asarray(top * np.clip(law, -1.0 + symmetric / steps, 1.0 - 1.0 / steps))

    return Function(evaluate, -top, top)


_PARAMETRIC: Mapping[str, tuple[int, Callable[..., Function]]] = {
    "hard_sigmoid": (2, _hard_sigmoid),
    "hard_tanh": (1, _hard_tanh),
    "elu": (1, _elu_of),
    "step": (2, _step),
    "step_above": (2, _step_above),
    "ternary": (2, _ternary),
    "leaky_relu": (2, _leaky_relu),
    "relu": (3, _relu),
    "rsqrt": (1, _rsqrt),
    "ulaw": (6, _ulaw),
}
"""Numbers of parameters, and what makes a function of them."""

NAMES = (*_PLAIN, *_PARAMETRIC)


def text_of(name: str, *parameters: float) -> str:
    """The text that :func:`function` reads."""
    return f"{name}({', '.join(repr(float(each)) for each in parameters)})" if parameters else name


@cache
def function(text: str) -> Function:
    """The function that a text names.

    Raises:
        HwflowError: there is none of that name and so many finite parameters.
    """
    match = _TEXT.fullmatch(text)
    parameters = _numbers(match[2] or "") if match else None
    if match is None or parameters is None:
        raise HwflowError(f"{text!r} names no activation")
    finite = parameters[:-1] if match[1] == "relu" else parameters
    if not all(map(math.isfinite, finite)) or any(map(math.isnan, parameters)):
        raise HwflowError(f"{text!r} names no activation")
    if match[1] in _PLAIN and not parameters:
        return _PLAIN[match[1]]
    count, make = _PARAMETRIC.get(match[1], (0, None))
    if make is None or count != len(parameters):
        raise HwflowError(f"{text!r} names no activation")
    return make(*parameters)


def _numbers(text: str) -> list[float] | None:
    """Numbers between commas, or ``None`` if one is none."""
    try:
        return [float(each) for each in text.split(",") if each.strip()]
    except ValueError:
        return None
