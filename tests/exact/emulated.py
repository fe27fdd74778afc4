"""Networks in hls4ml's own types: converting one, and comparing the emulator with hls4ml's C simulation."""

import contextlib
import io
from pathlib import Path
from typing import Any

import hls4ml
import numpy as np
from hls4ml.model.graph import ModelGraph

from hwflow.emulation import Emulator, emulate
from hwflow.emulation.compare import CsimAgreement, compare
from hwflow.emulation.csim import Hls4mlSimulation, simulation
from hwflow.models._tf import tensorflow
from hwflow.stages.emulate import random_codes


def convert(
    model: Any,
    io_type: str = "io_parallel",
    layers: dict[str, Any] | None = None,
    backend: str = "Vitis",
    **options: Any,
) -> Any:
    """hls4ml's ModelGraph; ``layers`` is merged into the configuration's ``LayerName``."""
    config = hls4ml.utils.config_from_keras_model(model, **{"granularity": "model", "backend": backend, **options})
    for name, changes in (layers or {}).items():
        entry = config.setdefault("LayerName", {}).setdefault(name, {})
        for key, value in changes.items():
            entry[key] = {**entry.get(key, {}), **value} if isinstance(value, dict) else value
    with contextlib.redirect_stdout(io.StringIO()):
        return hls4ml.converters.convert_from_keras_model(
            model, hls_config=config, io_type=io_type, backend=backend, output_dir="unused"
        )


def against_csim(graph: Any, folder: Path, images: int = 48) -> tuple[Emulator, Hls4mlSimulation, CsimAgreement]:
    """The emulator and the C simulation of a graph on random inputs, extremes included."""
    emulator, csim = emulate(graph), simulation(graph, folder / "project")
    return emulator, csim, compare(emulator, csim, random_codes(emulator, images, 1))


def agree(graph: Any, folder: Path, layers: int) -> None:
    """Check that every code of every layer agrees, that so many were compared, and that outputs are not constant."""
    emulator, _, found = against_csim(graph, folder)
    found.check()
    assert found.output_codes == found.images * sum(signal.size for _, signal in emulator.outputs)
    assert found.layers >= layers
    for codes in emulator.run(random_codes(emulator, 48, 1)):
        assert len(np.unique(codes)) > 1


def filled(model: Any, scale: float = 1.0) -> Any:
    """A Keras model with random weights; vectors are positive, as variances must be."""
    rng = np.random.default_rng(5)
    shapes = [weight.shape for weight in model.get_weights()]
    model.set_weights(
        [rng.normal(size=shape) * scale if len(shape) > 1 else rng.uniform(0.2, 1.5, shape) for shape in shapes]
    )
    return model


def elementwise() -> Any:
    """Every activation, every merge and four softmaxes of one pair of inputs."""
    keras = tensorflow().keras
    layers = keras.layers
    x, other = layers.Input((8,), name="x"), layers.Input((8,), name="other")
    names = ("relu", "elu", "selu", "sigmoid", "tanh", "softplus", "softsign", "hard_sigmoid")
    outputs = [layers.Activation(name, name=f"{name}_act")(x) for name in names]
    outputs += [
        layers.LeakyReLU(0.3, name="leaky")(x),
        layers.ELU(0.7, name="elu_alpha")(x),
        layers.PReLU(name="slopes")(x),
        layers.ThresholdedReLU(0.9, name="thresholded")(x),
        layers.BatchNormalization(name="norm")(x),
    ]
    outputs += [layers.Activation("softmax", name=name)(x) for name in ("stable", "latency", "legacy", "argmax")]
    merges = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate")
    outputs += [getattr(layers, name)(name=f"{name.lower()}_two")([x, other]) for name in merges]
    outputs.append(layers.Dot(1, name="dot_two")([x, other]))
    return filled(keras.Model([x, other], outputs, name="elementwise"))


def images2d(pool_padding: str) -> Any:
    """Convolutions of every kind, both poolings, global pooling, padding, upsampling, a sum and a concatenation."""
    keras = tensorflow().keras
    layers = keras.layers
    image = layers.Input((9, 8, 3), name="image")
    conv = layers.Conv2D(4, 3, padding="same", strides=2, name="conv")(image)
    conv = layers.Activation("relu", name="conv_relu")(conv)
    highest = layers.MaxPooling2D(2, padding=pool_padding, name="highest")(conv)
    mean = layers.AveragePooling2D(2, padding=pool_padding, name="mean")(conv)
    total = layers.Add(name="total")([highest, mean])
    both = layers.Concatenate(name="both")([highest, mean])
    depth = layers.DepthwiseConv2D(3, padding="same", name="depth")(image)
    depth = layers.Conv2D(5, 1, name="point")(depth)
    depth = layers.SeparableConv2D(3, (2, 3), name="separable")(depth)
    padded = layers.ZeroPadding2D(((1, 2), (0, 1)), name="padded")(depth)
    padded = layers.Conv2D(2, (3, 2), strides=(2, 3), name="strided")(padded)
    outputs = [
        layers.Dense(3, name="fully")(layers.Flatten(name="flat")(both)),
        layers.GlobalAveragePooling2D(name="mean_all")(padded),
        layers.GlobalMaxPooling2D(name="highest_all")(depth),
        layers.UpSampling2D(2, name="larger")(total),
    ]
    return filled(keras.Model(image, outputs, name="images2d"), 0.3)


def series1d(pool_padding: str) -> Any:
    """The same in one dimension."""
    keras = tensorflow().keras
    layers = keras.layers
    series = layers.Input((11, 3), name="series")
    conv = layers.Conv1D(4, 3, padding="same", strides=2, name="conv")(series)
    highest = layers.MaxPooling1D(2, padding=pool_padding, name="highest")(conv)
    mean = layers.AveragePooling1D(2, padding=pool_padding, name="mean")(conv)
    both = layers.Concatenate(name="both")([highest, layers.Add(name="total")([highest, mean])])
    point = layers.Conv1D(5, 1, name="point")(series)
    point = layers.SeparableConv1D(3, 2, name="separable")(point)
    padded = layers.ZeroPadding1D((1, 2), name="padded")(point)
    padded = layers.Conv1D(2, 3, strides=3, name="strided")(padded)
    outputs = [
        layers.Dense(3, name="fully")(layers.Flatten(name="flat")(both)),
        layers.GlobalAveragePooling1D(name="mean_all")(padded),
        layers.GlobalMaxPooling1D(name="highest_all")(point),
    ]
    return filled(keras.Model(series, outputs, name="series1d"), 0.3)


def moves() -> Any:
    """Concatenation along every axis, a transposition, a cropping; softmax over the last of three axes."""
    keras = tensorflow().keras
    layers = keras.layers
    one, two = layers.Input((2, 3, 4), name="one"), layers.Input((2, 3, 4), name="two")
    outputs = [layers.Concatenate(axis=axis, name=f"along{axis}")([one, two]) for axis in (1, 2, 3)]
    outputs += [
        layers.Permute((3, 1, 2), name="permuted")(one),
        layers.Cropping2D(((0, 1), (1, 1)), name="cropped")(two),
        layers.Activation("softmax", name="likely")(one),
    ]
    return keras.Model([one, two], outputs, name="moves")


def quantised(activation: str) -> Any:
    """QKeras layers: fixed-point, binary and ternary weights, quantised activations, a scale a channel."""
    from hwflow.models._tf import qkeras

    q, keras = qkeras(), tensorflow().keras
    layers = keras.layers
    bias = {"bias_quantizer": "quantized_bits(5,1,alpha=1)"}
    x = layers.Input((10,), name="x")
    y = q.QDense(8, kernel_quantizer="quantized_bits(4,0,alpha=1)", **bias, name="bits")(x)
    y = q.QActivation(activation, name="activated")(y)
    y = q.QDense(7, kernel_quantizer="binary(alpha=1)", **bias, name="signs")(y)
    y = q.QActivation("quantized_tanh(5)", name="bent")(y)
    y = q.QDense(6, kernel_quantizer="ternary(alpha=1)", use_bias=False, name="thirds")(y)
    y = layers.BatchNormalization(name="norm")(y)
    y = q.QActivation("quantized_sigmoid(6)", name="squashed")(y)
    y = q.QDense(5, kernel_quantizer="quantized_bits(6,1,alpha='auto')", **bias, name="scaled")(y)
    return filled(keras.Model(x, y, name="quantised"), 0.6)


def bits() -> Any:
    """One-bit weights, with one-bit data behind the first layer; powers of two as weights and as scales."""
    from hwflow.models._tf import qkeras

    q, keras = qkeras(), tensorflow().keras
    layers = keras.layers
    x = layers.Input((8, 8, 1), name="image")
    bias = {"kernel_quantizer": "binary", "bias_quantizer": "quantized_bits(5,2)"}
    y = q.QConv2D(4, 3, **bias, name="first")(x)
    y = q.QActivation("binary", name="act1")(layers.BatchNormalization()(y))
    y = q.QConv2D(3, 3, kernel_quantizer="binary", use_bias=False, name="second")(y)
    y = q.QActivation("binary", name="act2")(layers.BatchNormalization()(y))
    y = layers.Flatten()(layers.MaxPooling2D(2)(y))
    y = q.QDense(6, **bias, name="third")(y)
    y = layers.BatchNormalization(name="norm")(y)
    y = q.QDense(7, kernel_quantizer="quantized_po2(4)", bias_quantizer="quantized_bits(5,2)", name="powers")(y)
    y = q.QDense(5, kernel_quantizer="quantized_bits(4,0,alpha='auto_po2')", name="scaled")(y)
    return filled(keras.Model(x, y, name="bits"), 0.5)


def looked_up() -> Any:
    """An embedding."""
    keras = tensorflow().keras
    x = keras.layers.Input((7,), name="x")
    y = keras.layers.Embedding(13, 4, input_length=7, name="rows")(x)
    return filled(keras.Model(x, keras.layers.Conv1D(3, 2, name="conv")(y)))


def chain() -> Any:
    """Activations one after the other, with weights between them, for io_stream."""
    keras = tensorflow().keras
    layers = keras.layers
    x = layers.Input((8,), name="x")
    y = layers.Dense(8, name="first")(x)
    names = ("relu", "tanh", "elu", "selu", "sigmoid", "softsign", "softplus", "hard_sigmoid")
    bends = [layers.Activation(name, name=f"{name}_act") for name in names]
    bends += [layers.LeakyReLU(0.3, name="leaky"), layers.PReLU(name="slopes"), layers.ThresholdedReLU(0.9, name="at")]
    for number, bend in enumerate([*bends, layers.BatchNormalization(name="norm")]):
        y = layers.Dense(8, name=f"dense{number}")(bend(y))
    return filled(keras.Model(x, layers.Activation("softmax", name="stable")(y), name="chain"))


def unusual(io_type: str) -> Any:
    """hls4ml's own description of layers that no Keras layer becomes, one output each, or a chain in io_stream."""
    rng = np.random.default_rng(8)
    size, stream = 8, io_type == "io_stream"
    norms = {"class_name": "BatchNormalization", "n_in": size, "n_filt": -1}
    entries: list[dict[str, Any]] = [
        {"class_name": "Activation", "activation": name, "name": f"{name}_act"}
        for name in ("binary_tanh", "ternary_tanh", *(() if stream else ("relu6", "relu1")))
    ]
    entries += [
        {
            "class_name": "HardActivation",
            "activation": "hard_tanh",
            "name": "hard_tanh_act",
            "slope": 0.5,
            "shift": 0.5,
        },
        {**norms, "name": "norm_two", "scale_data": rng.normal(size=size), "bias_data": rng.normal(size=size)},
        {"class_name": "Activation", "activation": "binary_tanh", "name": "two_levels", "inputs": ["norm_two"]},
        {**norms, "name": "norm_three", "scale_data": rng.normal(size=size), "bias_data": rng.normal(size=size)},
        {"class_name": "Activation", "activation": "ternary_tanh", "name": "three_levels", "inputs": ["norm_three"]},
    ]
    layers: list[dict[str, Any]] = [{"class_name": "InputLayer", "name": "x", "input_shape": [size]}]
    for entry in entries:
        source = layers[-1]["name"] if stream else "x"
        layers.append({"inputs": [source], "outputs": [entry["name"]], **entry})
        if stream and not entry["name"].startswith("norm"):
            weights = {"weight_data": rng.normal(size=(size, size)), "bias_data": rng.normal(size=size)}
            dense = {"class_name": "Dense", "name": f"dense_{entry['name']}", "n_in": size, "n_out": size, **weights}
            layers.append({"inputs": [entry["name"]], "outputs": [dense["name"]], **dense})
    config = hls4ml.utils.config.create_config(output_dir="unused", backend="Vitis", io_type=io_type)
    config["HLSConfig"] = {"Model": {"Precision": "fixed<16,6>", "ReuseFactor": 1}}
    ends = [entry["name"] for entry in entries if not entry["name"].startswith("norm")]
    with contextlib.redirect_stdout(io.StringIO()):
        return ModelGraph.from_layer_list(config, layers, ["x"], [layers[-1]["name"]] if stream else ends)


def recurrences(io_type: str) -> Any:
    """Recurrent layers, all outputs and the last one, one after the other; in io_parallel also in both directions."""
    keras = tensorflow().keras
    layers = keras.layers
    x = layers.Input((5, 3), name="x")
    y = layers.LSTM(4, return_sequences=True, name="lstm")(x)
    y = layers.GRU(3, return_sequences=True, recurrent_activation="tanh", name="gru")(y)
    if io_type == "io_parallel":
        y = layers.Bidirectional(layers.LSTM(2, return_sequences=True, name="long"), name="both")(y)
        y = layers.Bidirectional(layers.GRU(3, return_sequences=True, name="short"), name="both_gru")(y)
        outputs = [
            layers.GRU(4, name="last_gru", activation="relu")(y),
            layers.Bidirectional(layers.LSTM(2, name="long"), name="both_last")(y),
        ]
    else:
        outputs = [layers.GRU(4, name="last_gru", activation="relu")(y)]
    return filled(keras.Model(x, [layers.LSTM(3, name="last")(y), *outputs][: -1 if io_type == "io_stream" else None]))
