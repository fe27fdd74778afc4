"""Which Keras and QKeras layers can be hardened, and what each of their attributes does.

Every attribute of every accepted class stands in :data:`LAYERS`: it is read, or it has no effect on inference, or
only some of its values are accepted. An attribute that is not listed is refused, so that none is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwflow.errors import HwflowError
from hwflow.frontends.activations import activation_of
from hwflow.frontends.keras_attributes import config_of
from hwflow.frontends.keras_versions import input_shape
from hwflow.frontends.rules import IDLE, READ, KerasLayer, Rule, only


def _ones(value: Any) -> bool:
    return all(each == 1 for each in (value if isinstance(value, list | tuple) else [value]))


def _last_axis(value: Any, layer: KerasLayer) -> bool:
    axes = list(value) if isinstance(value, list | tuple) else [value]
    shape = input_shape(layer) or ()
    return len(axes) == 1 and axes[0] in (-1, len(shape[0] if isinstance(shape, list) else shape) - 1)


def _of_vectors(_: Any, layer: KerasLayer) -> bool:
    return all(len(shape) == 2 for shape in input_shape(layer) or [()])


def _on_last_axis(_: Any, layer: KerasLayer) -> bool:
    try:
        check_layer(layer.layer)
    except HwflowError as error:
        raise HwflowError(f"{layer.name}: {error}") from error
    return type(layer.layer).__name__ in ON_LAST_AXIS


_FLOAT = only(lambda value: value in ("float32", "float64"), "float32")
_DENSE = only(lambda value: not value, "a dense tensor")
_CHANNELS_LAST = only(lambda value: value in (None, "channels_last"), "channels_last")
_LAST_AXIS = Rule("limited", _last_axis, "the last axis")
_ANY_AXIS = only(lambda value: value != 0, "another axis than that of the batch")
_NOT_GROUPED = only(_ones, "1, or a convolution for each group")
_NOT_DILATED = only(_ones, "1; hls4ml drops another dilation")
_ACTIVATION = Rule("limited", lambda _, layer: activation_of(layer) is not None, "one of docs/networks.md")

ON_LAST_AXIS = ("Dense", "QDense", "Activation", "QActivation", "ReLU", "LeakyReLU", "ThresholdedReLU", "ELU")
"""Layers that do to a sequence what they do to each of its steps."""

_COMMON = {"name": IDLE, "trainable": IDLE, "dtype": _FLOAT, "batch_input_shape": READ}
_KERNEL = {
    "activation": _ACTIVATION,
    "use_bias": READ,
    **{f"{of}_{kind}": IDLE for of in ("kernel", "bias") for kind in ("initializer", "regularizer", "constraint")},
    "activity_regularizer": IDLE,
}
_QUANTISED = {"kernel_quantizer": READ, "bias_quantizer": READ, "kernel_range": IDLE, "bias_range": IDLE}
_CONV = {
    "filters": READ,
    "kernel_size": READ,
    "strides": READ,
    "padding": READ,
    "data_format": _CHANNELS_LAST,
    "dilation_rate": _NOT_DILATED,
    "groups": _NOT_GROUPED,
    **_KERNEL,
}
_DEPTHWISE = {
    **{name: rule for name, rule in _CONV.items() if not name.startswith("kernel_") and name != "filters"},
    "kernel_size": READ,
    "depth_multiplier": READ,
    **{f"depthwise_{kind}": IDLE for kind in ("initializer", "regularizer", "constraint")},
}
# Keras 2 writes what a kernel would have, too.
_SEPARABLE = _DEPTHWISE | {
    "filters": READ,
    **{f"{of}_{kind}": IDLE for of in ("pointwise", "kernel") for kind in ("initializer", "regularizer", "constraint")},
}
_QUANTISED_DEPTHWISE = {
    **{f"{of}_quantizer": READ for of in ("depthwise", "bias")},
    **{f"{of}_range": IDLE for of in ("depthwise", "bias")},
}
_QUANTISED_SEPARABLE = {f"{of}_quantizer": READ for of in ("depthwise", "pointwise", "bias")}
_DENSE_LAYER = {"units": READ, **_KERNEL}
_POOL = {"pool_size": READ, "padding": READ, "strides": READ, "data_format": _CHANNELS_LAST}
_GLOBAL_POOL = {"data_format": _CHANNELS_LAST, "keepdims": READ}
_BATCH_NORM = {
    "axis": _LAST_AXIS,
    "momentum": IDLE,
    "epsilon": READ,
    "center": READ,
    "scale": READ,
    **{f"{of}_initializer": IDLE for of in ("beta", "gamma", "moving_mean", "moving_variance")},
    **{f"{of}_{kind}": IDLE for of in ("beta", "gamma") for kind in ("regularizer", "constraint")},
    "synchronized": IDLE,
}
_LAYER_NORM = {
    **{name: rule for name, rule in _BATCH_NORM.items() if not name.startswith(("moving", "momentum", "synchronized"))},
    "rms_scaling": only(lambda value: not value, "False"),
}
_FOLDED_BATCH_NORM = {
    **_BATCH_NORM,
    **dict.fromkeys(("ema_freeze_delay", "folding_mode"), IDLE),
}
_QUANTISED_BATCH_NORM = {
    **{f"{of}_quantizer": READ for of in ("beta", "gamma", "mean", "variance")},
    "beta_range": IDLE,
    "gamma_range": IDLE,
}

LAYERS: Mapping[str, Mapping[str, Rule]] = {
    name: _COMMON | rules
    for name, rules in {
        "InputLayer": {"sparse": _DENSE, "ragged": _DENSE},
        "Conv2D": _CONV,
        "QConv2D": _CONV | _QUANTISED,
        "Conv1D": _CONV,
        "QConv1D": _CONV | _QUANTISED,
        "DepthwiseConv2D": _DEPTHWISE,
        "QDepthwiseConv2D": _DEPTHWISE | _QUANTISED_DEPTHWISE,
        "DepthwiseConv1D": _DEPTHWISE,
        "SeparableConv2D": _SEPARABLE,
        "QSeparableConv2D": _SEPARABLE | _QUANTISED_SEPARABLE,
        "SeparableConv1D": _SEPARABLE,
        "QSeparableConv1D": _SEPARABLE | _QUANTISED_SEPARABLE,
        "Dense": _DENSE_LAYER,
        "QDense": _DENSE_LAYER | _QUANTISED,
        "QConv2DBatchnorm": _CONV | _QUANTISED | _FOLDED_BATCH_NORM,
        "TimeDistributed": {"layer": Rule("limited", _on_last_axis, "Dense or QDense, or an activation")},
        "Activation": {"activation": _ACTIVATION},
        "QActivation": {"activation": _ACTIVATION},
        "ReLU": {
            "max_value": READ,
            "negative_slope": READ,
            "threshold": READ,
        },
        "LeakyReLU": {"alpha": READ},
        "ThresholdedReLU": {"theta": READ},
        "PReLU": {
            **{f"alpha_{kind}": IDLE for kind in ("initializer", "regularizer", "constraint")},
            "shared_axes": READ,
        },
        "ELU": {"alpha": READ},
        "Softmax": {"axis": _LAST_AXIS},
        "MaxPooling2D": _POOL,
        "AveragePooling2D": _POOL,
        "MaxPooling1D": _POOL,
        "AveragePooling1D": _POOL,
        "GlobalMaxPooling2D": _GLOBAL_POOL,
        "GlobalMaxPooling1D": _GLOBAL_POOL,
        "GlobalAveragePooling2D": _GLOBAL_POOL,
        "GlobalAveragePooling1D": _GLOBAL_POOL,
        **{name: {} for name in ("Add", "Subtract", "Average", "Maximum", "Minimum", "Multiply")},
        "Concatenate": {"axis": _ANY_AXIS},
        "Dot": {
            "axes": Rule("limited", _of_vectors, "two vectors"),
            "normalize": only(lambda value: not value, "False"),
        },
        "BatchNormalization": _BATCH_NORM,
        "QBatchNormalization": _BATCH_NORM | _QUANTISED_BATCH_NORM,
        "LayerNormalization": _LAYER_NORM,
        "ZeroPadding2D": {"padding": READ, "data_format": _CHANNELS_LAST},
        "ZeroPadding1D": {"padding": READ},
        "Cropping1D": {"cropping": READ},
        "Cropping2D": {"cropping": READ, "data_format": _CHANNELS_LAST},
        "UpSampling1D": {"size": READ},
        "UpSampling2D": {
            "size": READ,
            "data_format": _CHANNELS_LAST,
            "interpolation": only(lambda value: value == "nearest", "nearest"),
        },
        "Permute": {"dims": READ},
        "Reshape": {"target_shape": READ},
        "Flatten": {"data_format": _CHANNELS_LAST},
        "Dropout": {"rate": IDLE, "noise_shape": IDLE, "seed": IDLE},
        "SpatialDropout2D": {"rate": IDLE, "noise_shape": IDLE, "seed": IDLE},
        "SpatialDropout1D": {"rate": IDLE, "noise_shape": IDLE, "seed": IDLE},
        "GaussianNoise": {"stddev": IDLE, "seed": IDLE},
        "GaussianDropout": {"rate": IDLE, "seed": IDLE},
        "AlphaDropout": {"rate": IDLE, "noise_shape": IDLE, "seed": IDLE},
        "ActivityRegularization": {"l1": IDLE, "l2": IDLE},
    }.items()
}
"""Rules by attribute, by class."""

TRAINING_ONLY = frozenset(
    {
        "Dropout",
        "SpatialDropout1D",
        "SpatialDropout2D",
        "GaussianNoise",
        "GaussianDropout",
        "AlphaDropout",
        "ActivityRegularization",
    }
)
"""Layers that pass their input on at inference."""


def check_layer(layer: KerasLayer) -> None:
    """Refuse a layer, or a value of an attribute, that would be computed wrong.

    Raises:
        HwflowError: the class or an attribute is not supported, by the layer's name.
    """
    kind = type(layer).__name__
    rules = LAYERS.get(kind)
    if rules is None or not _is_genuine(layer):
        raise HwflowError(f"{layer.name}: {kind} layers are not supported")
    for name, value in config_of(layer).items():
        rule = rules.get(name)
        if rule is None:
            raise HwflowError(f"{layer.name}: the attribute {name}={_short(value)} of {kind} is not known")
        if not rule.accepts(value, layer):
            raise HwflowError(f"{layer.name}: {name}={_short(value)} of {kind} is not supported; use {rule.wanted}")


def _is_genuine(layer: KerasLayer) -> bool:
    """Whether a class is Keras' or QKeras' own, not a user's of the same name."""
    return type(layer).__module__.split(".")[0] in ("keras", "qkeras", "tensorflow")


def _short(value: Any) -> str:
    if isinstance(value, list | tuple):
        value = list(value)  # Keras' own lists print their class
    if isinstance(value, dict):
        kind = value.get("class_name", value)
        value = value.get("config", kind) if kind == "function" else kind
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
