"""Activations from tables and with slopes in all executors, from Keras and QKeras to the RTL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwflow.cost.reuse import choose_reuse
from hwflow.faults import sample_ber
from hwflow.firmware import CsimExecutor, generate, read_keras
from hwflow.graph import Graph, LeakyReLU, Lookup, Rescale
from hwflow.hardening import HardenOptions, harden
from hwflow.hardening.options import ScalingOptions
from hwflow.memory import memories
from hwflow.models._tf import qkeras, tensorflow
from hwflow.reference import IntegerExecutor
from tests.exact.agreement import rtl


def network(by_channel: bool = True) -> Any:
    """Layers and arguments of every kind, and a sigmoid of one output at the end.

    Args:
        by_channel: a layer has a slope a channel, which hls4ml's own reader refuses.
    """
    layers, quantised = tensorflow().keras.layers, qkeras().QActivation
    image = x = layers.Input((5, 4, 3), name="image")
    x = layers.Conv2D(4, 3, padding="same", activation="tanh", name="conv0")(x)
    x = layers.PReLU(shared_axes=[1, 2], name="slopes")(x) if by_channel else layers.LeakyReLU(0.1, name="slopes")(x)
    x = layers.LeakyReLU(0.3, name="leaky")(layers.Conv2D(4, 2, name="conv1")(x))
    x = layers.ELU(0.7, name="elu")(x)
    x = quantised("quantized_bits(6,2,alpha=1)", name="bits")(x)
    x = layers.Conv2D(3, 2, activation="swish", name="conv2")(x)
    x = layers.Dense(6, name="dense0")(layers.Flatten(name="flatten")(x))
    x = layers.Dense(5, name="dense1")(layers.ThresholdedReLU(0.2, name="at")(x))
    x = quantised("quantized_relu(5,1,negative_slope=0.25)", name="bent")(x)
    x = layers.Dense(5, name="dense2")(quantised("quantized_tanh(6)", name="tanh")(x))
    from_zero = quantised("binary(alpha=1)", name="from_zero")(layers.Dense(3, name="dense3")(x))
    above_zero = quantised("binary_tanh", name="above_zero")(layers.Dense(3, name="dense4")(x))
    signs = layers.Concatenate(name="binary")([from_zero, above_zero])
    x = layers.Concatenate(name="all")([quantised("ternary()", name="signs")(x), signs])
    return tensorflow().keras.Model(image, layers.Dense(1, activation="sigmoid", name="last")(x), name="bends")


def filled(model: Any) -> Any:
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(0, 0.5, weight.shape) for weight in model.get_weights()])
    return model


@pytest.fixture(scope="module")
def model() -> Any:
    return filled(network())


def images(count: int) -> np.ndarray:
    return np.random.default_rng(2).normal(0, 1, (count, 5, 4, 3))


def hardened(model: Any, granularity: Any = "layer", bits: int = 16) -> Graph:
    options = HardenOptions(ScalingOptions(granularity=granularity), activation_bits=bits, table_bits=10)
    return harden(read_keras(model), images(60), options).graph


def test_the_graph_has_every_kind(model: Any) -> None:
    graph = hardened(model)
    assert {node.name: node.op for node in graph if isinstance(node, Lookup | LeakyReLU | Rescale)} == {
        "conv0_tanh": "Lookup",
        "slopes": "LeakyReLU",
        "leaky": "LeakyReLU",
        "elu": "Lookup",
        "bits": "Rescale",
        "conv2_swish": "Lookup",
        "at": "LeakyReLU",
        "bent": "Lookup",
        "tanh": "Rescale",
        "from_zero": "Lookup",
        "above_zero": "Lookup",
        "signs": "Lookup",
        "last_sigmoid": "Lookup",
    }


@pytest.mark.parametrize(("io_type", "from_keras"), [("io_stream", True), ("io_parallel", False)])
def test_csim_equals_the_reference(model: Any, io_type: Any, from_keras: bool, tmp_path: Path) -> None:
    typed = hardened(model, "layer" if from_keras else "channel")
    source = model if from_keras else None
    project = generate(typed, source, tmp_path / "p", reuse=choose_reuse(typed), io_type=io_type)
    reference, csim = IntegerExecutor(typed), CsimExecutor(project.path, typed)
    codes = reference.encode(images(30) * 1.5)
    expected = reference.run(codes)
    assert len(np.unique(expected)) > 5
    np.testing.assert_array_equal(csim.run(codes), expected)
    faults = sample_ber(memories(typed, True), 0.02, 1, typed.digest)
    assert (reference.run(codes, faults) != expected).any()
    np.testing.assert_array_equal(csim.run(codes, faults), reference.run(codes, faults))


@pytest.mark.parametrize(("bits", "granularity"), [(16, "layer"), (8, "channel")])
def test_rtl_equals_the_reference(model: Any, bits: int, granularity: Any, tmp_path: Path) -> None:
    typed = hardened(model, granularity, bits)
    reference, executor = IntegerExecutor(typed), rtl(typed, tmp_path / "rtl", bits)
    codes = reference.encode(images(8) * 1.5)
    faults = sample_ber(memories(typed, True), 0.02, 1, typed.digest)
    for upset in (None, faults):
        expected = reference.run(codes, upset)
        np.testing.assert_array_equal(executor.run(codes, upset), expected)
        np.testing.assert_array_equal(executor.run(codes, upset, stall_percent=40, seed=3), expected)


@pytest.mark.filterwarnings("ignore:.* loses most")
@pytest.mark.usefixtures("unoptimised_script")
def test_an_hls4ml_script(tmp_path: Path) -> None:
    """hls4ml's own layers give way to hwflow's."""
    hls4ml = pytest.importorskip("hls4ml")
    import hwflow.firmware

    hwflow.firmware.register()
    model = filled(network(by_channel=False))
    config = hls4ml.utils.config_from_keras_model(model, granularity="name", backend="Vitis")
    config["Model"]["Hardening"] = {"Calibration": images(60), "TableBits": 9}
    hls_model = hls4ml.converters.convert_from_keras_model(
        model, hls_config=config, backend="Vitis", io_type="io_stream", output_dir=str(tmp_path / "p")
    )
    reference = IntegerExecutor(hwflow.firmware.hardened(hls_model).graph)
    own = {node.name: f"Hwflow{node.op}" for node in reference.graph if isinstance(node, Lookup | LeakyReLU | Rescale)}
    kinds = {layer.name: type(layer).__name__.removeprefix("Vitis") for layer in hls_model.get_layers()}
    assert own == {name: kinds[name] for name in own}
    hls_model.compile()
    expected = reference.decode(reference.run(reference.encode(images(20))))
    found = hls_model.predict(np.ascontiguousarray(images(20)))
    np.testing.assert_array_equal(found.reshape(expected.shape), expected)


def segments() -> Any:
    """A class of every pixel."""
    layers = tensorflow().keras.layers
    image = layers.Input((3, 4, 2), name="image")
    x = layers.Conv2D(5, 2, padding="same", activation="softmax", name="classes")(image)
    return filled(tensorflow().keras.Model(image, x, name="segments"))


def tags() -> Any:
    """A class of every row, made of the probabilities of others."""
    layers = tensorflow().keras.layers
    rows = layers.Input((6, 2), name="rows")
    x = layers.Conv1D(4, 2, padding="same", activation="softmax", name="mixed")(rows)
    return filled(tensorflow().keras.Model(rows, layers.Dense(3, activation="softmax", name="tag")(x), name="tags"))


@pytest.mark.parametrize(
    ("network", "io_type", "from_keras"),
    [(segments, "io_stream", True), (tags, "io_parallel", True), (tags, "io_stream", False)],
)
def test_softmax_of_every_pixel_and_row(network: Any, io_type: Any, from_keras: bool, tmp_path: Path) -> None:
    model = network()
    pixels = np.random.default_rng(3).normal(0, 2, (40, *model.input_shape[1:]))
    typed = harden(read_keras(model), pixels, HardenOptions()).graph
    reference = IntegerExecutor(typed)
    codes = reference.encode(pixels)
    expected = reference.run(codes)
    assert np.abs(reference.decode(expected) - model.predict(pixels, verbose=0)).max() < 0.02
    project = generate(typed, model if from_keras else None, tmp_path / "p", reuse=choose_reuse(typed), io_type=io_type)
    np.testing.assert_array_equal(CsimExecutor(project.path, typed).run(codes), expected)
    np.testing.assert_array_equal(rtl(typed, tmp_path / "rtl", 1).run(codes[:4]), expected[:4])
