"""Layers that hwflow reads its own way: zero padding, batch normalisation that stays, concatenation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hwflow.cost.reuse import choose_reuse
from hwflow.faults import sample_ber
from hwflow.firmware import CsimExecutor, generate, read_keras
from hwflow.frontends.keras_check import TOLERANCE, check
from hwflow.frontends.keras_graph import network_graph
from hwflow.frontends.keras_network import read_network
from hwflow.graph import Affine, AveragePool2D, Concatenate, Conv2D, Flatten, Graph, MaxPool2D, ReLU, ZeroPad2D
from hwflow.hardening import HardenOptions, harden
from hwflow.hardening.options import ScalingOptions
from hwflow.memory import memories
from hwflow.models._tf import tensorflow
from hwflow.reference import IntegerExecutor, RealExecutor
from tests.exact.agreement import assert_agree, rtl

Tensor = Any


def padded() -> Any:
    """Zero padding before every kind of window, even and uneven, one padding read twice, a dense block."""
    layers = tensorflow().keras.layers
    image = layers.Input((9, 8, 2), name="image")
    x = layers.ZeroPadding2D(((2, 1), (0, 3)), name="pad0")(image)
    x = layers.Conv2D(4, 3, strides=2, name="conv0")(x)
    x = layers.BatchNormalization(name="norm0")(x)
    x = layers.Activation("relu", name="relu0")(x)
    x = layers.ZeroPadding2D(1, name="pad1")(x)
    pool = layers.MaxPooling2D(3, strides=2, name="pool")(x)
    twin = layers.Conv2D(3, 3, strides=2, name="twin")(x)
    x = layers.Concatenate(name="concat0")([pool, twin])
    new = layers.Activation("relu", name="relu1")(layers.BatchNormalization(name="norm1")(x))
    new = layers.Conv2D(2, 3, padding="same", name="conv1")(new)
    x = layers.Concatenate(name="concat1")([x, new])
    x = layers.ZeroPadding2D(((1, 0), (0, 1)), name="pad2")(x)
    x = layers.ZeroPadding2D(((0, 1), (0, 0)), name="pad3")(x)
    x = layers.AveragePooling2D(2, strides=1, name="mean")(x)
    x = layers.Conv2D(4, 1, name="point")(layers.ZeroPadding2D(((0, 1), (1, 0)), name="pad4")(x))
    x = layers.Flatten(name="flatten")(x)
    return randomised(tensorflow().keras.Model(image, layers.Dense(3, name="logits")(x), name="padded"))


def randomised(model: Any) -> Any:
    rng = np.random.default_rng(1)
    for layer in model.layers:
        arrays = [rng.normal(0, 0.4, array.shape) for array in layer.get_weights()]
        if arrays and "norm" in layer.name:
            arrays[0], arrays[3] = rng.uniform(0.2, 2, arrays[0].shape), rng.uniform(0.3, 2, arrays[3].shape)
        layer.set_weights(arrays)
    return model


@pytest.fixture(scope="module")
def model() -> Any:
    return padded()


@pytest.fixture(scope="module")
def graph(model: Any) -> Graph:
    return read_keras(model)


def images(count: int) -> np.ndarray:
    return np.random.default_rng(2).uniform(-1, 1, (count, 9, 8, 2))


def test_the_graph_computes_what_keras_does(model: Any, graph: Graph) -> None:
    expected = model.predict(images(8), verbose=0)
    np.testing.assert_allclose(RealExecutor(graph).run(images(8)), expected, rtol=1e-4, atol=1e-5)


def test_padding_becomes_part_of_the_windows(graph: Graph) -> None:
    assert not [node for node in graph if "pad" in node.name]
    windows = {n.name: n.window.padding for n in graph if isinstance(n, Conv2D | MaxPool2D | AveragePool2D)}
    assert windows == {
        "conv0": (2, 1, 0, 3),
        "pool": (1, 1, 1, 1),
        "twin": (1, 1, 1, 1),
        "conv1": (1, 1, 1, 1),
        "mean": (1, 1, 0, 1),
        "point": (0, 1, 1, 0),
    }
    assert [node.name for node in graph.of_type(Affine)] == ["norm1"]
    assert [node.name for node in graph.of_type(Concatenate)] == ["concat0", "concat1"]


OPTIONS = {
    "layer": ScalingOptions(),
    "channel": ScalingOptions(granularity="channel", absorb=True, align="multiply"),
    "channel_multiplier": ScalingOptions(granularity="channel", absorb=False),
}


@pytest.mark.parametrize(
    ("options", "io_type", "from_keras"),
    [
        ("layer", "io_stream", True),
        ("channel", "io_stream", False),
        ("layer", "io_parallel", True),
        pytest.param("channel_multiplier", "io_parallel", False, marks=pytest.mark.slow),
    ],
)
def test_csim_equals_the_reference(
    model: Any, graph: Graph, options: str, io_type: Any, from_keras: bool, tmp_path: Path
) -> None:
    typed = harden(graph, images(20), HardenOptions(OPTIONS[options])).graph
    source = model if from_keras else None
    project = generate(typed, source, tmp_path / "p", reuse=choose_reuse(typed), io_type=io_type)
    reference, csim = IntegerExecutor(typed), CsimExecutor(project.path, typed)
    codes = reference.encode(images(6) * 1.3)
    np.testing.assert_array_equal(csim.run(codes), reference.run(codes))
    faults = sample_ber(memories(typed, True), 0.02, 1, typed.digest)
    assert (reference.run(codes, faults) != reference.run(codes)).any()
    np.testing.assert_array_equal(csim.run(codes, faults), reference.run(codes, faults))
    assert {f"norm1.{kind}" for kind in ("weight", "bias")} <= set(project.memories)


def _with(*stack: Callable[[Any], list[Any]]) -> Any:
    keras = tensorflow().keras
    x = image = keras.layers.Input((6, 6, 2), name="image")
    for make in stack:
        for layer in make(keras.layers):
            x = layer(x)
    return keras.Model(image, x, name="bad")


@pytest.mark.parametrize(
    ("build", "kinds"),
    [
        (lambda k: [k.Conv2D(2, 1), k.ZeroPadding2D(1), k.MaxPooling2D(2)], [Conv2D, ZeroPad2D, MaxPool2D]),
        (lambda k: [k.ZeroPadding2D(1), k.ReLU(), k.MaxPooling2D(2)], [ZeroPad2D, ReLU, MaxPool2D]),
        (lambda k: [k.ReLU(), k.ZeroPadding2D(1), k.MaxPooling2D(2)], [ReLU, MaxPool2D]),
        (lambda k: [k.ZeroPadding2D(1), k.ZeroPadding2D(2), k.Flatten()], [ZeroPad2D, Flatten]),
        (lambda k: [k.Conv2D(2, 1), k.ZeroPadding2D(1)], [Conv2D, ZeroPad2D]),
    ],
)
def test_padding_stays_where_no_window_takes_it_in(build: Callable[[Any], list[Any]], kinds: list[type]) -> None:
    model = _with(build)
    graph = read_keras(model)
    assert [type(node) for node in graph][1:] == kinds
    values = np.random.default_rng(3).uniform(-2, -1, (2, 6, 6, 2))
    np.testing.assert_allclose(RealExecutor(graph).run(values), model.predict(values, verbose=0), rtol=1e-4, atol=1e-5)


def test_one_padding_is_taken_in_by_one_reader_and_stays_for_another() -> None:
    layers = tensorflow().keras.layers
    image = layers.Input((5, 5, 2))
    pad = layers.ZeroPadding2D(1, name="pad")(image)
    window = layers.Conv2D(2, 1, name="conv")(pad)
    model = randomised(tensorflow().keras.Model(image, layers.Add(name="sum")([pad, window])))
    graph = read_keras(model)
    assert graph["conv"].inputs == graph["pad"].inputs
    assert graph["sum"].inputs == ("pad", "conv")
    values = np.random.default_rng(3).uniform(-1, 1, (2, 5, 5, 2))
    np.testing.assert_allclose(RealExecutor(graph).run(values), model.predict(values, verbose=0), rtol=1e-4, atol=1e-5)


def test_zeros_of_a_layer_count_in_a_mean_and_those_of_the_mean_do_not() -> None:
    layers = tensorflow().keras.layers
    image = layers.Input((5, 4, 2))
    padded = layers.ZeroPadding2D(1, name="pad")(image)
    means = [layers.AveragePooling2D(3, 1, padding, name=padding)(padded) for padding in ("same", "valid")]
    means[0] = layers.Cropping2D(1)(means[0])
    model = tensorflow().keras.Model(image, layers.Concatenate()(means))
    graph = read_keras(model)
    assert graph["valid"].inputs == graph["pad"].inputs
    assert graph["same"].inputs == ("pad",)
    values = np.random.default_rng(3).uniform(-1, 1, (2, 5, 4, 2))
    np.testing.assert_allclose(RealExecutor(graph).run(values), model.predict(values, verbose=0), atol=1e-6)


def joined(shape: tuple[int, ...], axis: int) -> Any:
    """Three tensors one after the other along an axis, the last one of another size there."""
    layers = tensorflow().keras.layers
    image = layers.Input(shape, name="image")
    x = layers.Dense(2, name="point")(image)
    edges = [(0, 0)] * (len(shape) - 1)
    edges[axis - 1] = (1, 0)
    cut = layers.Cropping2D(edges) if len(shape) == 3 else layers.Cropping1D(edges[0])
    x = layers.Concatenate(axis=axis, name="joined")([x, layers.ReLU(name="relu")(x), cut(x)])
    x = layers.Flatten(name="flat")(layers.Dense(3, name="after")(x))
    return randomised(tensorflow().keras.Model(image, layers.Dense(2, name="logits")(x), name="join"))


@pytest.mark.parametrize(
    ("shape", "axis", "io_type"),
    [
        ((3, 4, 2), 2, "io_stream"),
        pytest.param((3, 4, 2), 1, "io_parallel", marks=pytest.mark.slow),
        pytest.param((5, 3), 1, "io_stream", marks=pytest.mark.slow),
    ],
)
def test_concatenation_along_any_axis(shape: tuple[int, ...], axis: int, io_type: Any, tmp_path: Path) -> None:
    keras_model = joined(shape, axis)
    values = np.random.default_rng(4).uniform(-1, 1, (20, *shape)).astype(np.float32)
    network = read_network(keras_model)
    original = network_graph(network)
    assert check(original, network, values, keras_model) < TOLERANCE
    typed = harden(original, values, HardenOptions(OPTIONS["channel"])).graph
    project = generate(typed, keras_model, tmp_path / "p", reuse=choose_reuse(typed), io_type=io_type)
    executors = (CsimExecutor(project.path, typed), rtl(typed, tmp_path / "rtl", 1))
    assert_agree(typed, values[:3], *executors)


@pytest.mark.parametrize("io_type", ["io_stream", pytest.param("io_parallel", marks=pytest.mark.slow)])
def test_tensors_of_many_axes(io_type: Any, tmp_path: Path) -> None:
    layers = tensorflow().keras.layers
    image = layers.Input((2, 2, 3, 2), name="image")
    x = layers.Conv1D(6, 2, name="conv")(layers.Reshape((4, 6), name="rows")(image))
    x = layers.Reshape((3, 1, 2, 3), name="boxes")(x)
    x = layers.Add(name="sum")([x, layers.ReLU(name="relu")(layers.BatchNormalization(name="norm")(x))])
    keras_model = randomised(tensorflow().keras.Model(image, x, name="many"))
    values = np.random.default_rng(5).uniform(-1, 1, (20, 2, 2, 3, 2)).astype(np.float32)
    network = read_network(keras_model)
    original = network_graph(network)
    assert check(original, network, values, keras_model) < TOLERANCE
    typed = harden(original, values, HardenOptions(OPTIONS["channel"])).graph
    project = generate(typed, keras_model, tmp_path / "p", reuse=choose_reuse(typed), io_type=io_type)
    executors = [CsimExecutor(project.path, typed)]
    if io_type == "io_stream":
        executors.append(rtl(typed, tmp_path / "rtl", 1))
    assert_agree(typed, values[:3], *executors)


@pytest.mark.usefixtures("unoptimised_script")
def test_an_hls4ml_script_hardens_padding_and_concatenation(model: Any, tmp_path: Path) -> None:
    hls4ml = pytest.importorskip("hls4ml")
    import hwflow.firmware

    hwflow.firmware.register()
    config = hls4ml.utils.config_from_keras_model(model, granularity="name", backend="Vitis")
    config["Model"]["Hardening"] = {"Calibration": images(20), "Granularity": "channel"}
    hls_model = hls4ml.converters.convert_from_keras_model(
        model, hls_config=config, backend="Vitis", io_type="io_stream", output_dir=str(tmp_path / "padded")
    )
    hls_model.compile()
    reference = IntegerExecutor(hwflow.firmware.hardened(hls_model).graph)
    expected = reference.decode(reference.run(reference.encode(images(5))))
    np.testing.assert_array_equal(hls_model.predict(np.ascontiguousarray(images(5))), expected)
