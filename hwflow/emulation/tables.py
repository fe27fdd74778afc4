"""Lookup tables as the C++ fills them: single-precision functions of the C library, put into the table's type."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache

import numpy as np
import numpy.typing as npt

from hwflow.emulation.exact import INT, Exact
from hwflow.errors import HwflowError
from hwflow.fixed import Codes, FixedType

Floats = npt.NDArray[np.float32]

_INFINITE = 2.0**1023
"""What a fixed-point type makes of an infinite float: as of any value far out of its range."""


@cache
def _single(name: str) -> Callable[[float], float]:
    """A function of the C library on float; NumPy's own differ from it in the last bit."""
    try:
        function = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError) as error:
        raise HwflowError(f"the C library's {name} is missing, which hls4ml's lookup tables need") from error
    function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float]
    result: Callable[[float], float] = function
    return result


def exp(x: Floats) -> Floats:
    """``std::exp(float)``."""
    return _each("expf", x)


def _each(name: str, x: Floats) -> Floats:
    function = _single(name)
    return np.array([function(float(value)) for value in x], dtype=np.float32)


def _sigmoid(x: Floats) -> Floats:
    return (1.0 / (np.float32(1) + exp(-x)).astype(np.float64)).astype(np.float32)


def _tanh(x: Floats) -> Floats:
    return _each("tanhf", x)


def _softplus(x: Floats) -> Floats:
    import math

    return np.array([math.log(float(value) + 1.0) for value in exp(x)], dtype=np.float32)


def _softsign(x: Floats) -> Floats:
    wide = x.astype(np.float64)
    return (wide / (np.abs(wide) + 1.0)).astype(np.float32)


def _elu(x: Floats) -> Floats:
    return (exp(x).astype(np.float64) - 1.0).astype(np.float32)


def _selu(x: Floats) -> Floats:
    inner = 1.6732632423543772848170429916717 * (exp(x).astype(np.float64) - 1.0)
    return (1.0507009873554804934193349852946 * inner).astype(np.float32)


FUNCTIONS = {
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "softplus": _softplus,
    "softsign": _softsign,
    "elu": _elu,
    "selu": _selu,
    "exp": exp,
}


def centred(function: str, size: int, reach: float, type: FixedType) -> Codes:
    """A table of ``size`` entries over ``[-reach, reach)``."""
    index = np.arange(size)
    x = (2 * reach * (index - np.float32(size).astype(np.float64) / 2.0) / np.float32(size)).astype(np.float32)
    return encode(FUNCTIONS[function](x), type)


def negative(function: str, size: int, type: FixedType) -> Codes:
    """A table of ``size`` entries from 0 down to -8."""
    x = (-8.0 * np.arange(size) / np.float32(size)).astype(np.float32)
    return encode(FUNCTIONS[function](x), type)


def encode(values: npt.NDArray[np.floating], type: FixedType) -> Codes:
    """Codes of a table's entries, infinite ones included."""
    wide = values.astype(np.float64)
    return type.encode(np.where(np.isinf(wide), np.copysign(_INFINITE, wide), wide))


def scaled_index(x: Exact, size: int, divisor: int) -> Codes:
    """``int(x * size / divisor)``, the C++ way to an index: cut toward zero twice, kept in an int."""
    return (x * Exact.integer(size)).over(divisor).to(INT)


def clamped(index: Codes, size: int) -> Codes:
    """Indices brought into the table."""
    return np.clip(index, 0, size - 1)
