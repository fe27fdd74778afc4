"""What attributes of layers and quantisers do: read, without effect, or accepted with some values only."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

KerasLayer = Any
"""A layer of Keras, which carries no types."""


@dataclass(frozen=True)
class Rule:
    """What an attribute does.

    Attributes:
        meaning: ``read``: it has its effect; ``idle``: it has none on inference; ``limited``: only some values.
        accepts: of a limited attribute, whether a value is accepted in a layer.
        wanted: what to use instead of a value that is refused.
    """

    meaning: str
    accepts: Callable[[Any, KerasLayer], bool] = lambda _value, _layer: True
    wanted: str = ""


READ = Rule("read")
IDLE = Rule("idle")


def only(accepts: Callable[[Any], bool], wanted: str) -> Rule:
    """A rule that does not depend on the layer."""
    return Rule("limited", lambda value, _: accepts(value), wanted)


def _zero(value: Any) -> bool:
    return value is None or float(value) == 0.0


def _power_of_two(value: Any) -> bool:
    return _zero(value) or (0 < value <= 1 and math.frexp(value)[0] == 0.5)


_ROUNDS = only(lambda value: not value, "False")
_NOISE = only(lambda value: float(np.asarray(value)) == 1.0, "1")
_TRAINING = {"qnoise_factor": _NOISE, "var_name": IDLE, "use_ste": IDLE, "use_variables": IDLE}
# Of QKeras for Keras 3, and about how a scale is found; one that is given stays as it is.
_EXPONENTS = dict.fromkeys(("elements_per_scale", "min_po2_exponent", "max_po2_exponent"), IDLE)
_SCALES = {**_EXPONENTS, "post_training_scale": only(lambda value: value is None, "None")}
_NUMBER = only(lambda value: value is None or (isinstance(value, int | float) and value > 0), "a positive number")

QUANTIZERS: Mapping[str, Mapping[str, Rule]] = {
    "quantized_relu": {
        "bits": READ,
        "integer": READ,
        "use_sigmoid": only(_zero, "0"),
        "negative_slope": only(_power_of_two, "0 or a power of two up to 1"),
        "use_stochastic_rounding": _ROUNDS,
        "relu_upper_bound": only(lambda value: value is None, "None; the number of bits is the limit"),
        "is_quantized_clip": only(bool, "True"),
        **_TRAINING,
    },
    "quantized_bits": {
        "bits": READ,
        "integer": READ,
        "symmetric": READ,
        "keep_negative": READ,
        "alpha": only(lambda value: value is None or (isinstance(value, int | float) and value == 1), "1 or None"),
        "use_stochastic_rounding": _ROUNDS,
        "scale_axis": IDLE,
        **_SCALES,
        **_TRAINING,
    },
    "quantized_tanh": {
        "bits": only(lambda value: value > 1, "2 bits at least"),
        "symmetric": READ,
        "use_real_tanh": READ,
        "use_stochastic_rounding": _ROUNDS,
    },
    "quantized_sigmoid": {
        "bits": READ,
        "symmetric": only(lambda value: not value, "False"),
        "use_real_sigmoid": READ,
        "use_stochastic_rounding": _ROUNDS,
    },
    "quantized_ulaw": {
        "bits": only(lambda value: value > 1, "2 bits at least"),
        "integer": READ,
        "symmetric": READ,
        "u": READ,
    },
    "binary": {
        "use_01": READ,
        "alpha": _NUMBER,
        "use_stochastic_rounding": _ROUNDS,
        "scale_axis": IDLE,
        "training": IDLE,
        **_EXPONENTS,
    },
    "ternary": {
        "alpha": _NUMBER,
        "threshold": _NUMBER,
        "use_stochastic_rounding": _ROUNDS,
        "number_of_unrolls": IDLE,
    },
}
"""Rules of QKeras' quantisers of activations, the attributes that their configurations leave out included."""
