"""The layer classes that hwflow and hls4ml's converter know, and the attributes of each.

A file chooses an entry and sets its attributes; it cannot name a class, a function or a module that is not here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from hwflow.frontends._objects import activation, axis, constraint, dtype, implementation, initializer, regularizer
from hwflow.frontends._quantizers import quantizer
from hwflow.frontends._values import (
    Dialect,
    Kind,
    Only,
    Refused,
    boolean,
    ignored,
    integer,
    integers,
    number,
    one_of,
    optional,
    shape,
    size,
    sizes,
    text,
)

Package = Literal["keras", "qkeras"]


@dataclass(frozen=True)
class LayerClass:
    """A class of layers.

    Attributes:
        package: where it is defined, ``keras.layers`` or ``qkeras``.
        attributes: what each attribute of its configuration may be.
        renamed: Keras 3's attribute names and Keras 2's, where they differ.
        wrapped: attributes that hold a layer.
    """

    package: Package
    attributes: Mapping[str, Kind]
    renamed: Mapping[str, str] = field(default_factory=dict)
    wrapped: tuple[str, ...] = ()


def _few(value: Any, dialect: Dialect) -> int:
    """How often Keras repeats a step, each in a tensor of its own."""
    repeats = size(value, dialect)
    if repeats > 1024:
        raise Refused("must be at most 1024")
    return repeats


_NONE = Only((None,))
_COMMON: Mapping[str, Kind] = {
    "name": text,
    "trainable": boolean,
    "dtype": dtype,
    "batch_input_shape": shape,
    # Keras 3 has these in every layer.
    "quantization_config": _NONE,
    "lora_rank": _NONE,
    "lora_alpha": _NONE,
    "autocast": Only((True,)),
}
_CHANNELS = one_of("channels_last", "channels_first")
_PADDING = one_of("valid", "same")
_CAUSAL = one_of("valid", "same", "causal")


def _tensor(*parts: str) -> dict[str, Kind]:
    """How variables start, are penalised and bound: nothing that a forward pass reads."""
    return {
        f"{part}_{role}": optional(kind)
        for part in parts
        for role, kind in (("initializer", initializer), ("regularizer", regularizer), ("constraint", constraint))
    }


def _quantised(*parts: str) -> dict[str, Kind]:
    return {f"{part}_quantizer": optional(quantizer) for part in parts}


def _ranges(*parts: str) -> dict[str, Kind]:
    return {f"{part}_range": _NONE for part in parts}


def _layer(attributes: Mapping[str, Kind], renamed: Mapping[str, str] | None = None) -> LayerClass:
    return LayerClass("keras", {**_COMMON, **attributes}, renamed or {})


def _qlayer(base: LayerClass, attributes: Mapping[str, Kind]) -> LayerClass:
    # qkeras-v3 writes a `mask`, which it does not have.
    return LayerClass("qkeras", {**base.attributes, "mask": _NONE, **attributes}, base.renamed)


_ACTIVATED: Mapping[str, Kind] = {
    "activation": optional(activation),
    "use_bias": boolean,
    "activity_regularizer": optional(regularizer),
}
_WINDOW: Mapping[str, Kind] = {
    "kernel_size": sizes,
    "strides": sizes,
    "data_format": _CHANNELS,
    "dilation_rate": sizes,
    "groups": size,
}
_DENSE = _layer({"units": size, **_ACTIVATED, **_tensor("kernel", "bias")})


def _conv(padding: Kind) -> LayerClass:
    return _layer({"filters": size, "padding": padding, **_WINDOW, **_ACTIVATED, **_tensor("kernel", "bias")})


def _depthwise(padding: Kind) -> LayerClass:
    attributes = {"padding": padding, "depth_multiplier": size, **_WINDOW, **_ACTIVATED}
    # Keras 3 writes a kernel's attributes, too, and `filters`, all unused.
    unused = dict.fromkeys(_tensor("kernel"), ignored)
    return _layer({**attributes, **_tensor("depthwise", "bias"), **unused, "filters": ignored})


def _separable(padding: Kind) -> LayerClass:
    attributes = {"filters": size, "padding": padding, "depth_multiplier": size, **_WINDOW, **_ACTIVATED}
    unused = dict.fromkeys(_tensor("kernel"), ignored)
    return _layer({**attributes, **_tensor("depthwise", "pointwise", "bias"), **unused})


_POOL = _layer({"pool_size": sizes, "strides": optional(sizes), "padding": _PADDING, "data_format": _CHANNELS})
_GLOBAL_POOL = _layer({"data_format": _CHANNELS, "keepdims": boolean})
_NORM: Mapping[str, Kind] = {
    "axis": axis,
    "momentum": number,
    "epsilon": number,
    "center": boolean,
    "scale": boolean,
    "moving_mean_initializer": optional(initializer),
    "moving_variance_initializer": optional(initializer),
    **_tensor("beta", "gamma"),
}
_BATCH_NORM = _layer(
    {
        **_NORM,
        "renorm": Only((False,)),
        "renorm_clipping": ignored,
        "renorm_momentum": ignored,
        "virtual_batch_size": _NONE,
        "adjustment": _NONE,
        "fused": Only((None, True, False)),
        "synchronized": Only((False,)),
    }
)
_RNN: Mapping[str, Kind] = {
    "units": size,
    "return_sequences": boolean,
    "return_state": boolean,
    "go_backwards": boolean,
    "stateful": boolean,
    "unroll": boolean,
    "time_major": boolean,
    "zero_output_for_mask": boolean,
    "dropout": number,
    "recurrent_dropout": number,
    "seed": ignored,
    **_ACTIVATED,
    **_tensor("kernel", "recurrent", "bias"),
}
_SIMPLE_RNN = _layer({**_RNN, "implementation": ignored})
_GATED: Mapping[str, Kind] = {
    **_RNN,
    "recurrent_activation": optional(activation),
    "implementation": implementation,
}
_LSTM = _layer({**_GATED, "unit_forget_bias": boolean, "use_cudnn": ignored})
_GRU = _layer({**_GATED, "reset_after": boolean, "use_cudnn": ignored})
_QRNN = _quantised("kernel", "recurrent", "bias", "state")
_PADDED = {"padding": sizes, "data_format": _CHANNELS}
_CROPPED = {"cropping": sizes, "data_format": _CHANNELS}
_CONV1D, _CONV2D = _conv(_CAUSAL), _conv(_PADDING)
_KERNEL: Mapping[str, Kind] = {**_quantised("kernel", "bias"), **_ranges("kernel", "bias")}
_SEPARABLE = _quantised("depthwise", "pointwise", "bias")

LAYERS: Mapping[str, LayerClass] = {
    "InputLayer": _layer(
        {
            "sparse": Only((False,)),
            "ragged": Only((False,)),
            "type_spec": _NONE,
            "optional": Only((False,)),
        },
        {"batch_shape": "batch_input_shape"},
    ),
    "Dense": _DENSE,
    "Conv1D": _CONV1D,
    "Conv2D": _CONV2D,
    "SeparableConv1D": _separable(_CAUSAL),
    "SeparableConv2D": _separable(_PADDING),
    "DepthwiseConv1D": _depthwise(_PADDING),
    "DepthwiseConv2D": _depthwise(_PADDING),
    "Activation": _layer({"activation": activation}),
    "ReLU": _layer({"max_value": optional(number), "negative_slope": number, "threshold": number}),
    "LeakyReLU": _layer({"alpha": number}, {"negative_slope": "alpha"}),
    "ThresholdedReLU": _layer({"theta": number}),
    "ELU": _layer({"alpha": number}),
    "PReLU": _layer({**_tensor("alpha"), "shared_axes": optional(axis)}),
    "Softmax": _layer({"axis": axis}),
    "BatchNormalization": _BATCH_NORM,
    "LayerNormalization": _layer(
        {
            "axis": axis,
            "epsilon": number,
            "center": boolean,
            "scale": boolean,
            **_tensor("beta", "gamma"),
            "rms_scaling": Only((False,)),
        }
    ),
    "Embedding": _layer(
        {
            "input_dim": size,
            "output_dim": size,
            **_tensor("embeddings"),
            "activity_regularizer": optional(regularizer),
            "mask_zero": boolean,
            "input_length": optional(size),
        }
    ),
    **dict.fromkeys(("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"), _layer({})),
    "Concatenate": _layer({"axis": integer}),
    "Dot": _layer({"axes": axis, "normalize": boolean}),
    **dict.fromkeys(("MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D"), _POOL),
    **dict.fromkeys(
        ("GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalAveragePooling1D", "GlobalAveragePooling2D"), _GLOBAL_POOL
    ),
    "Flatten": _layer({"data_format": _CHANNELS}),
    "Reshape": _layer({"target_shape": integers}),
    "Permute": _layer({"dims": integers}),
    "UpSampling1D": _layer({"size": _few}),
    "UpSampling2D": _layer(
        {"size": sizes, "data_format": _CHANNELS, "interpolation": one_of("nearest", "bilinear")},
    ),
    "ZeroPadding1D": _layer({"padding": sizes, "data_format": Only(("channels_last", None))}),
    "ZeroPadding2D": _layer(_PADDED),
    "Cropping1D": _layer({"cropping": sizes}),
    "Cropping2D": _layer(_CROPPED),
    **dict.fromkeys(
        ("Dropout", "SpatialDropout1D", "SpatialDropout2D", "AlphaDropout"),
        _layer({"rate": number, "noise_shape": optional(shape), "seed": ignored, "data_format": ignored}),
    ),
    "GaussianDropout": _layer({"rate": number, "seed": ignored}),
    "GaussianNoise": _layer({"stddev": number, "seed": ignored}),
    "ActivityRegularization": _layer({"l1": number, "l2": number}),
    "SimpleRNN": _SIMPLE_RNN,
    "LSTM": _LSTM,
    "GRU": _GRU,
    "TimeDistributed": LayerClass("keras", _COMMON, {}, ("layer",)),
    "Bidirectional": LayerClass(
        "keras",
        {**_COMMON, "merge_mode": optional(one_of("sum", "mul", "concat", "ave")), "num_constants": Only((0,))},
        {},
        ("layer", "backward_layer"),
    ),
    "QDense": _qlayer(_DENSE, _KERNEL),
    "QConv1D": _qlayer(_CONV1D, _KERNEL),
    "QConv2D": _qlayer(_CONV2D, _KERNEL),
    "QSeparableConv1D": _qlayer(_separable(_CAUSAL), _SEPARABLE),
    "QSeparableConv2D": _qlayer(_separable(_PADDING), _SEPARABLE),
    "QDepthwiseConv2D": _qlayer(
        _depthwise(_PADDING), {**_quantised("depthwise", "bias"), **_ranges("depthwise", "bias")}
    ),
    # Its activation is set by `hwflow.frontends._layers`, which keeps a text as a text.
    "QActivation": _qlayer(_layer({}), {"activation": activation}),
    "QBatchNormalization": _qlayer(
        _BATCH_NORM,
        {
            **_quantised("beta", "gamma", "mean", "variance"),
            **_ranges("beta", "gamma"),
            "activation": _NONE,
            "inverse_quantizer": _NONE,
        },
    ),
    "QConv2DBatchnorm": _qlayer(
        _CONV2D,
        {
            **_KERNEL,
            **_NORM,
            "synchronized": Only((False,)),
            "renorm": Only((False,)),
            "renorm_clipping": ignored,
            "renorm_momentum": ignored,
            "ema_freeze_delay": optional(integer),
            "folding_mode": one_of("ema_stats_folding", "batch_stats_folding"),
        },
    ),
    "QSimpleRNN": _qlayer(_SIMPLE_RNN, _QRNN),
    "QLSTM": _qlayer(_LSTM, _QRNN),
    "QGRU": _qlayer(_GRU, _QRNN),
}

MODELS = ("Sequential", "Functional", "Model")
"""Networks, which may stand where a layer stands."""

PYTHON_LAYERS: Mapping[str, str] = {
    "Lambda": "is Python code and is not loaded; replace it",
    "TFOpLambda": "names a TensorFlow function and is not loaded; replace it by a layer",
    "SlicingOpLambda": "names a TensorFlow function and is not loaded; replace it by a layer",
    "ClassMethod": "names a TensorFlow function and is not loaded; replace it by a layer",
    "InstanceMethod": "names a TensorFlow function and is not loaded; replace it by a layer",
    "InstanceProperty": "names a TensorFlow function and is not loaded; replace it by a layer",
}
"""Classes that are refused with a reason of their own."""


def arguments_of(entry: LayerClass, config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with Keras 2's attribute names.

    Two spellings of one attribute stay two, so that the second is refused.
    """
    return {entry.renamed.get(key, key) if entry.renamed.get(key) not in config else key: config[key] for key in config}
