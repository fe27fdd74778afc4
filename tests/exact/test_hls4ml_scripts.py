"""Layers of which hls4ml has others, hardened in an hls4ml script: its C simulation gives the codes of the graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwflow.firmware
from hwflow.frontends.keras_versions import is_keras3
from hwflow.models._tf import tensorflow
from hwflow.reference import IntegerExecutor

hls4ml = pytest.importorskip("hls4ml")


def rows() -> Any:
    layers = tensorflow().keras.layers
    x = image = layers.Input((12, 2), name="image")
    x = layers.Conv1D(3, 3, padding="causal", name="causal")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(name="relu")(x)
    x = layers.MaxPooling1D(2, name="pool")(x)
    x = layers.DepthwiseConv1D(2, name="own")(x)
    x = layers.Dense(4, activation="tanh", name="each")(x)
    y = layers.GlobalMaxPooling1D(name="largest")(x)
    x = layers.GlobalAveragePooling1D(name="mean")(x)
    x = layers.Concatenate(name="both")([x, y])
    return tensorflow().keras.Model(image, layers.Dense(3, name="logits")(x), name="rows")


def pixels() -> Any:
    layers = tensorflow().keras.layers
    x = image = layers.Input((5, 6, 2), name="image")
    x = layers.ReLU(name="first")(x)
    x = layers.ZeroPadding2D(((1, 0), (0, 2)), name="padded")(x)
    x = layers.Permute((2, 1, 3), name="turned")(x)
    x = layers.SeparableConv2D(3, 3, name="apart")(x)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.UpSampling2D((2, 1), name="twice")(x)
    x = layers.Cropping2D(1, name="cropped")(x)
    x = layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, name="own")(x)
    x = layers.BatchNormalization(name="own_norm")(x)
    x = layers.Conv2D(4, 1, activation="relu", name="wide")(x)
    x = layers.GlobalMaxPooling2D(name="largest")(x)
    return tensorflow().keras.Model(image, layers.Dense(3, name="logits")(x), name="pixels")


@pytest.mark.parametrize(
    ("make", "io_type"),
    [
        (rows, "io_stream"),
        pytest.param(rows, "io_parallel", marks=pytest.mark.slow),
        pytest.param(pixels, "io_parallel", marks=pytest.mark.slow),
        (pixels, "io_stream"),
    ],
)
@pytest.mark.usefixtures("unoptimised_script")
def test_the_c_simulation_is_the_reference(make: Any, io_type: str, tmp_path: Path) -> None:
    if is_keras3() and make is pixels:
        pytest.skip("hls4ml's converter for Keras 3 fails with separable convolutions")
    model = make()
    rng = np.random.default_rng(1)
    for layer in model.layers:
        layer.set_weights([rng.uniform(0.3, 1, each.shape) * rng.choice([-1, 1], each.shape) if each.ndim > 1
                           else rng.uniform(0.3, 1, each.shape) for each in layer.get_weights()])  # fmt: skip
    images = rng.normal(0, 1, (40, *model.input_shape[1:])).astype(np.float32)
    hwflow.firmware.register()
    config = hls4ml.utils.config_from_keras_model(model, granularity="name", backend="Vitis")
    config["Model"]["Hardening"] = {"Calibration": images, "Granularity": "channel"}
    config["LayerName"]["logits"]["ReuseFactor"] = 4
    hls_model = hls4ml.converters.convert_from_keras_model(
        model, hls_config=config, backend="Vitis", io_type=io_type, output_dir=str(tmp_path / "out")
    )
    assert hls_model.graph["logits"].get_attr("reuse_factor") == 4
    hls_model.compile()
    reference = IntegerExecutor(hwflow.firmware.hardened(hls_model).graph)
    expected = reference.decode(reference.run(reference.encode(images)))
    assert len(np.unique(expected)) > 40
    np.testing.assert_array_equal(hls_model.predict(images.astype(np.float64)), expected)
    keras = model.predict(images, verbose=0)
    assert np.abs(expected - keras).max() < 0.1 * np.ptp(keras)
