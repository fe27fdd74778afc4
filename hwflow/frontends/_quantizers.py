"""QKeras' quantisers, as configurations and as texts such as ``quantized_bits(4,0,alpha=1)``.

QKeras evaluates such a text, and takes any function of its modules for a quantiser. Here a text is parsed as
Python's grammar has it, must be one call of a known class with literal arguments, and is never evaluated.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

from hwflow.frontends._tf import qkeras
from hwflow.frontends._values import (
    Dialect,
    Kind,
    Only,
    Refused,
    boolean,
    class_and_config,
    ignored,
    integer,
    named,
    number,
    one_of,
    optional,
    plain,
    short,
    sizes,
)

_LONGEST_TEXT = 500


def _bits(value: Any, dialect: Dialect) -> int:
    bits = integer(value, dialect)
    if not 1 <= bits <= 64:
        raise Refused("must be 1 to 64")
    return bits


def _integer_bits(value: Any, dialect: Dialect) -> int:
    bits = integer(value, dialect)
    if abs(bits) > 64:
        raise Refused("must be -64 to 64")
    return bits


def _flag(value: Any, dialect: Dialect) -> int:
    """True or false as the number that QKeras computes with."""
    return int(boolean(value, dialect))


def _alpha(value: Any, dialect: Dialect) -> Any:
    """None, a rule, a number, or a number for every channel."""
    value = plain(value)
    if isinstance(value, str):
        return one_of("auto", "auto_po2")(value, dialect)
    if isinstance(value, list):
        import numpy as np

        values = np.asarray([_alpha(item, dialect) for item in value] if value else [1.0], dtype=np.float32)
        if values.size > 1_000_000:
            raise Refused("has too many numbers")
        return values
    return number(value, dialect)


# `use_variables` and `var_name` are for training.
_TRAINING: Mapping[str, Kind] = {
    "qnoise_factor": Only((1.0,)),
    "var_name": ignored,
    "use_ste": boolean,
    "use_variables": Only((False,)),
    # qkeras-v3's.
    "post_training_scale": Only((None,)),
}
_STOCHASTIC: Mapping[str, Kind] = {"use_stochastic_rounding": boolean}
_BITS: Mapping[str, Kind] = {
    "bits": _bits,
    "integer": _integer_bits,
    "symmetric": _flag,
    "keep_negative": boolean,
    "alpha": optional(_alpha),
    **_STOCHASTIC,
    "scale_axis": optional(sizes),
    **_TRAINING,
}
_PO2: Mapping[str, Kind] = {
    "bits": _bits,
    "max_value": optional(number),
    **_STOCHASTIC,
    "quadratic_approximation": boolean,
    "log2_rounding": one_of("rnd", "floor"),
    **_TRAINING,
}
QUANTIZERS: Mapping[str, Mapping[str, Kind]] = {
    "quantized_bits": _BITS,
    "bernoulli": {"alpha": optional(_alpha), "temperature": number, "use_real_sigmoid": boolean},
    "ternary": {
        "alpha": optional(_alpha),
        "threshold": optional(number),
        **_STOCHASTIC,
        "number_of_unrolls": integer,
    },
    "stochastic_ternary": {
        "alpha": optional(_alpha),
        "threshold": optional(number),
        "temperature": number,
        "use_real_sigmoid": boolean,
        "number_of_unrolls": integer,
    },
    "binary": {"use_01": boolean, "alpha": optional(_alpha), **_STOCHASTIC},
    "stochastic_binary": {"alpha": optional(_alpha), "temperature": number, "use_real_sigmoid": boolean},
    "quantized_relu": {
        "bits": _bits,
        "integer": _integer_bits,
        "use_sigmoid": _flag,
        "negative_slope": number,
        **_STOCHASTIC,
        "relu_upper_bound": optional(number),
        "is_quantized_clip": boolean,
        **_TRAINING,
    },
    "quantized_ulaw": {"bits": _bits, "integer": _integer_bits, "symmetric": _flag, "u": number},
    "quantized_tanh": {"bits": _bits, **_STOCHASTIC, "symmetric": boolean, "use_real_tanh": boolean},
    "quantized_sigmoid": {"bits": _bits, "symmetric": boolean, "use_real_sigmoid": boolean, **_STOCHASTIC},
    "quantized_po2": _PO2,
    "quantized_relu_po2": {
        "bits": _bits,
        "max_value": optional(number),
        "negative_slope": number,
        **{name: kind for name, kind in _PO2.items() if name not in ("bits", "max_value")},
    },
}
"""The arguments of each class, in the order of its constructor."""

FUNCTIONS = ("binary_sigmoid", "binary_tanh", "hard_sigmoid", "hard_tanh", "smooth_sigmoid", "smooth_tanh")
"""QKeras' activations without arguments."""


def quantizer(value: Any, dialect: Dialect) -> Any:
    """A quantiser from its configuration or its text."""
    if isinstance(value, str):
        return quantizer_from_text(value)
    name, config = class_and_config(value, "qkeras")
    if name not in QUANTIZERS:
        raise Refused("is no quantiser that hwflow knows")
    return _build(name, named(QUANTIZERS[name], config, dialect))


def quantizer_function(text: str) -> Callable[[Any], Any] | None:
    """QKeras' activation of that name; None if there is none."""
    if text not in FUNCTIONS:
        return None
    function: Callable[[Any], Any] = getattr(qkeras().quantizers, text)
    return function


def quantizer_from_text(text: str) -> Any:
    """A quantiser from its text.

    Raises:
        Refused: it is not one call of a known quantiser with literal arguments.
    """
    name, arguments = _parsed(text)
    return _build(name, named(QUANTIZERS[name], arguments, Dialect(quantised=True)))


def canonical_text(text: str) -> str:
    """The same text, spelt so that QKeras' own parser reads the same arguments from it.

    Raises:
        Refused: as in `quantizer_from_text`; or an argument that QKeras' parser cannot read, such as a list.
    """
    if text in FUNCTIONS:
        return text
    name, arguments = _parsed(text)
    for key, value in arguments.items():
        if not isinstance(value, bool | int | float | str | None):
            raise Refused(f"with {key}={short(value)}: QKeras reads numbers and texts only")
    skipped = [key for key, kind in QUANTIZERS[name].items() if kind is ignored or isinstance(kind, Only)]
    kept = {key: value for key, value in arguments.items() if value is not None and key not in skipped}
    given = ",".join(f"{key}={value!r}" for key, value in kept.items())
    return f"{name}({given})"


def _parsed(text: str) -> tuple[str, dict[str, Any]]:
    """The class and the arguments by name that a text means."""
    if len(text) > _LONGEST_TEXT:
        raise Refused("is too long for a quantiser")
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if isinstance(call, ast.Name) and call.id in QUANTIZERS:
            return call.id, {}
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.func.id not in QUANTIZERS:
            raise Refused("is no quantiser that hwflow knows")
        positional = [ast.literal_eval(argument) for argument in call.args]
        keywords = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise Refused("is no quantiser: a name and literal arguments, such as quantized_bits(8,0)") from error
    names = list(QUANTIZERS[call.func.id])
    if len(positional) > len(names) or not keywords.keys().isdisjoint(names[: len(positional)]):
        raise Refused("has too many arguments, or one twice")
    return call.func.id, {**dict(zip(names, positional, strict=False)), **keywords}


def _build(name: str, arguments: Mapping[str, Any]) -> Any:
    return getattr(qkeras().quantizers, name)(**arguments)
