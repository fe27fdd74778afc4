"""Initializers, regularizers, constraints, activations and types: the names that are known, and their objects.

A file only chooses among these entries; what an entry stands for is written here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwflow.frontends._quantizers import FUNCTIONS as QUANTISED_FUNCTIONS
from hwflow.frontends._quantizers import QUANTIZERS, quantizer, quantizer_from_text, quantizer_function
from hwflow.frontends._tf import keras, qkeras, tensorflow
from hwflow.frontends._values import (
    Dialect,
    Kind,
    Only,
    Refused,
    boolean,
    class_and_config,
    class_name,
    ignored,
    integer,
    named,
    number,
    one_of,
    optional,
    sizes,
)
from hwflow.frontends.keras_versions import is_keras3

_SEED: Mapping[str, Kind] = {"seed": ignored, "input_axes": Only((None,)), "output_axes": Only((None,))}
# Random numbers are never drawn: every variable comes from the file.
INITIALIZERS: Mapping[str, Mapping[str, Kind]] = {
    "Zeros": {},
    "Ones": {},
    "Constant": {"value": number},
    "RandomNormal": {"mean": number, "stddev": number, **_SEED},
    "RandomUniform": {"minval": number, "maxval": number, **_SEED},
    "TruncatedNormal": {"mean": number, "stddev": number, **_SEED},
    "VarianceScaling": {
        "scale": number,
        "mode": one_of("fan_in", "fan_out", "fan_avg"),
        "distribution": one_of("normal", "uniform", "truncated_normal", "untruncated_normal"),
        **_SEED,
    },
    "Orthogonal": {"gain": number, **_SEED},
    "OrthogonalInitializer": {"gain": number, **_SEED},
    "Identity": {"gain": number},
    "GlorotUniform": _SEED,
    "GlorotNormal": _SEED,
    "LecunNormal": _SEED,
    "LecunUniform": _SEED,
    "HeNormal": _SEED,
    "HeUniform": _SEED,
}
_INITIALIZER_NAMES = {
    "zeros": "Zeros",
    "zero": "Zeros",
    "ones": "Ones",
    "one": "Ones",
    "constant": "Constant",
    "random_normal": "RandomNormal",
    "random_uniform": "RandomUniform",
    "truncated_normal": "TruncatedNormal",
    "variance_scaling": "VarianceScaling",
    "orthogonal": "Orthogonal",
    "OrthogonalInitializer": "Orthogonal",
    "identity": "Identity",
    "glorot_uniform": "GlorotUniform",
    "glorot_normal": "GlorotNormal",
    "lecun_normal": "LecunNormal",
    "lecun_uniform": "LecunUniform",
    "he_normal": "HeNormal",
    "he_uniform": "HeUniform",
}
REGULARIZERS: Mapping[str, Mapping[str, Kind]] = {
    "L1L2": {"l1": optional(number), "l2": optional(number)},
    "L1": {"l1": number},
    "L2": {"l2": number},
    "OrthogonalRegularizer": {"factor": number, "mode": one_of("rows", "columns")},
}
_REGULARIZER_NAMES = {"l1": "L1", "l2": "L2", "l1_l2": "L1L2", "orthogonal_regularizer": "OrthogonalRegularizer"}
CONSTRAINTS: Mapping[str, Mapping[str, Kind]] = {
    "MaxNorm": {"max_value": number, "axis": sizes},
    "NonNeg": {},
    "UnitNorm": {"axis": sizes},
    "MinMaxNorm": {"min_value": number, "max_value": number, "rate": number, "axis": sizes},
}
_CONSTRAINT_NAMES = {
    "max_norm": "MaxNorm",
    "maxnorm": "MaxNorm",
    "non_neg": "NonNeg",
    "nonneg": "NonNeg",
    "unit_norm": "UnitNorm",
    "unitnorm": "UnitNorm",
    "min_max_norm": "MinMaxNorm",
    "minmaxnorm": "MinMaxNorm",
}
ACTIVATIONS = (
    "elu",
    "exponential",
    "gelu",
    "hard_sigmoid",
    "linear",
    "mish",
    "relu",
    "selu",
    "sigmoid",
    "softmax",
    "softplus",
    "softsign",
    "swish",
    "tanh",
)
# TensorFlow's functions that Keras finds by their names.
_TF_ACTIVATIONS = ("leaky_relu", "relu6", "silu", "log_softmax")
_FLOATS = ("float16", "bfloat16", "float32", "float64", "mixed_float16", "mixed_bfloat16")
_INTEGERS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def _object(
    value: Any, dialect: Dialect, what: str, classes: Mapping[str, Mapping[str, Kind]], names: Mapping[str, str]
) -> tuple[str, dict[str, Any]]:
    name, config = (value, {}) if isinstance(value, str) else class_and_config(value)
    name = names.get(name, name)
    if name not in classes:
        raise Refused(f"is no {what} that hwflow knows")
    return name, named(classes[name], config, dialect)


def initializer(value: Any, dialect: Dialect) -> Any:
    """An initializer of Keras, or QKeras' wrapper of one."""
    if class_name(value) == "QInitializer":
        _, config = class_and_config(value, "qkeras")
        kinds = {"initializer": initializer, "use_scale": boolean, "quantizer": optional(quantizer)}
        # The wrapper itself is made anew by the layer that has a quantiser.
        return named(kinds, config, dialect).get("initializer")
    name, config = _object(value, dialect, "initializer", INITIALIZERS, _INITIALIZER_NAMES)
    return getattr(keras().initializers, name)(**config)


def regularizer(value: Any, dialect: Dialect) -> Any:
    """A regularizer of Keras; no forward pass reads it, but it stays with the network."""
    name, config = _object(value, dialect, "regularizer", REGULARIZERS, _REGULARIZER_NAMES)
    config = {key: 0.0 if entry is None else entry for key, entry in config.items()}
    return getattr(keras().regularizers, name)(**config)


def constraint(value: Any, dialect: Dialect) -> Any:
    """A constraint of Keras or QKeras' Clip; no forward pass reads it, but it stays with the network."""
    if class_name(value) == "Clip":
        _, config = class_and_config(value, "qkeras")
        kinds: Mapping[str, Kind] = {
            "min_value": number,
            "max_value": number,
            "constraint": Only((None,)),
            "quantizer": Only((None,)),
        }
        return qkeras().Clip(**named(kinds, config, dialect))
    if class_name(value) in QUANTIZERS:
        return quantizer(value, dialect)
    name, config = _object(value, dialect, "constraint", CONSTRAINTS, _CONSTRAINT_NAMES)
    return getattr(keras().constraints, name)(**config)


def activation(value: Any, dialect: Dialect) -> Any:
    """An activation by name; in a QKeras layer also a quantiser, as an object or as a text."""
    if isinstance(value, dict):
        if class_name(value) == "function":
            # Written so by newer Keras: the configuration is the function's name, and only that is read.
            value = value.get("config")
        elif class_name(value) in QUANTIZERS:
            return quantizer(value, dialect)
        else:
            name, config = class_and_config(value)
            if config not in ({}, name):
                raise Refused("is no activation that hwflow knows")
            value = name
    if not isinstance(value, str):
        raise Refused("is no activation that hwflow knows")
    if dialect.quantised and (value in QUANTISED_FUNCTIONS or value.partition("(")[0].strip() in QUANTIZERS):
        function = quantizer_function(value)
        return quantizer_from_text(value) if function is None else function
    if value == "hard_sigmoid" and dialect.keras3 != is_keras3():
        raise Refused("is another function in Keras 3 than in Keras 2; load it where the other one is installed")
    if value in ACTIVATIONS:
        return getattr(keras().activations, value)
    if value in _TF_ACTIVATIONS:
        return getattr(keras().activations if is_keras3() else tensorflow().nn, value)
    raise Refused("is no activation that hwflow knows")


def dtype(value: Any, dialect: Dialect) -> str:
    """The type of a layer's numbers: a name, or a policy that has one."""
    if isinstance(value, dict):
        name, config = class_and_config(value)
        if name not in ("Policy", "PolicyV1", "DTypePolicy", "FloatDTypePolicy"):
            raise Refused("is no type policy that hwflow knows")
        value = named({"name": one_of(*_FLOATS), "source_name": ignored}, config, dialect).get("name")
    if value not in _FLOATS + _INTEGERS:
        raise Refused("is no type that hwflow knows")
    return str(value)


def axis(value: Any, dialect: Dialect) -> Any:
    """An axis or a list of axes."""
    axes = sizes(value, dialect)
    return list(axes) if isinstance(axes, tuple) else axes


def implementation(value: Any, dialect: Dialect) -> int:
    """How a recurrent cell computes; 0 is an old spelling of 1."""
    return max(1, int(one_of(0, 1, 2)(integer(value, dialect), dialect)))
