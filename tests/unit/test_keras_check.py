"""The graph against the Keras model: what differs is named, and what is lost is measured."""

from dataclasses import replace

import keras
import numpy as np
import pytest
import qkeras

import hwflow
from hwflow.errors import HwflowError
from hwflow.frontends.keras_agreement import measure
from hwflow.frontends.keras_check import TOLERANCE, KerasBatch, check, counterparts
from hwflow.frontends.keras_graph import network_graph
from hwflow.frontends.keras_network import read_network
from hwflow.graph import Constant, Graph
from hwflow.hardening import HardenOptions, harden
from hwflow.hardening.options import ScalingOptions
from hwflow.hardening.remedies import remedies
from tests.exact.test_keras_layers import randomised

L = keras.layers


def residual():
    """Normalisation that is fused and that is not, a branch, a dropout, padding, a head."""
    x = image = L.Input((6, 6, 2), name="image")
    x = L.BatchNormalization(name="norm0")(L.Conv2D(3, 3, padding="same", name="conv0")(L.ZeroPadding2D(1)(x)))
    x = L.ReLU(6.0, name="relu0")(x)
    y = L.Conv2D(3, 1, activation="relu", name="conv1")(L.Dropout(0.5, name="drop")(x))
    x = L.BatchNormalization(name="norm1")(L.Add(name="add")([x, y]))
    x = L.Dense(4, activation="softmax", name="head")(L.GlobalAveragePooling2D(name="mean")(x))
    return randomised(keras.Model(image, x, name="residual"))


@pytest.fixture(scope="module")
def subject():
    model = residual()
    network = read_network(model)
    return model, network, network_graph(network)


IMAGES = np.random.default_rng(2).uniform(-1, 1, (16, 6, 6, 2))


def test_a_right_graph_passes(subject):
    model, network, graph = subject
    assert check(graph, network, IMAGES, model) < TOLERANCE / 10


def test_every_layer_but_what_was_fused_has_a_counterpart(subject):
    _, network, graph = subject
    pairs = counterparts(graph, network)
    assert pairs["conv0"] == "norm0"
    assert pairs["relu0"] == "drop"
    assert pairs["head_softmax"] == network.output == "head_softmax"
    assert {node.name for node in graph} - set(pairs) == {"conv1", "head"}  # before their activations


def test_what_keras_computes_is_kept_as_long_as_it_is_needed(subject):
    model, network, _ = subject
    keys = [call.key for call in network.calls]
    outputs = keras.Model(model.inputs, [model.get_layer(name).output for name in ("relu0", "add", "head")])
    expected = dict(zip(("relu0", "add", "head_softmax"), outputs(IMAGES, training=False), strict=True))
    batch, most = KerasBatch(network, IMAGES, keys), 0
    for key in keys:
        values = batch.take(key)
        if key in expected:
            np.testing.assert_array_equal(values, np.asarray(expected[key], dtype=np.float64))
        most = max(most, len(batch._values))
    assert most <= 2  # the two ends of the branch
    assert not batch._values
    batch = KerasBatch(network, IMAGES, ["head_softmax", "relu0"])
    for key in ("head_softmax", "relu0"):
        np.testing.assert_array_equal(batch.take(key), np.asarray(expected[key], dtype=np.float64))
    assert not batch._values


def changed(graph, name, **changes):
    return Graph(tuple(replace(n, **changes) if n.name == name else n for n in graph), graph.name)


def halved(constant):
    return Constant(constant.values * 0.998)


@pytest.mark.parametrize("name", ["conv0", "conv1", "norm1", "head"])
@pytest.mark.parametrize("kind", ["weight", "bias"])
def test_a_planted_error_is_named_with_both_figures(subject, name, kind):
    model, network, graph = subject
    wrong = changed(graph, name, **{kind: halved(getattr(graph[name], kind))})
    seen = {"conv1": "conv1_relu", "head": "head_softmax"}.get(name, name)
    with pytest.raises(HwflowError, match=rf"^{seen}: computes \S+ where Keras computes \S+, so that"):
        check(wrong, network, IMAGES, model)


def test_a_planted_limit_is_seen(subject):
    model, network, graph = subject
    wrong = changed(graph, "relu0", limit=Constant(np.array([0.5])))
    with pytest.raises(HwflowError, match=r"^relu0: computes 0\.5 where Keras computes"):
        check(wrong, network, IMAGES, model)


def test_a_call_that_the_walk_misread_is_seen(subject):
    """The calls are compared with the whole model, which does not go through the walk."""
    model, network, graph = subject
    calls = list(network.calls)
    place = next(i for i, call in enumerate(calls) if call.key == "add")
    calls[place] = replace(calls[place], inputs=(calls[place].inputs[0],) * 2)
    with pytest.raises(HwflowError, match="whole Keras model"):
        check(graph, replace(network, calls=tuple(calls)), IMAGES, model)


def test_images_that_do_not_fit_are_refused(subject):
    model, network, graph = subject
    with pytest.raises(HwflowError, match="calibration images have shape"):
        check(graph, network, IMAGES[:, :5], model)


def test_harden_reports_how_well_the_hardened_network_agrees(tmp_path):
    model = residual()
    np.savez(tmp_path / "x.npz", x=IMAGES)
    design = hwflow.harden(model, tmp_path / "d", calibration=tmp_path / "x.npz")
    found = design.manifest["check"]
    assert found["images"] == 8
    assert 0 < found["mean_error"] < found["largest_error"] < 0.05 < found["output_range"]
    assert found["same_class"] >= 75
    assert found["unscaled_error"] < TOLERANCE
    layers = {layer["name"]: layer for layer in found["layers"]}
    assert set(layers) == {"image", "relu0", "conv1_relu", "add", "norm1", "mean", "head_softmax"}
    assert all(0 <= layer["error"] < 0.2 and layer["saturated"] == 0 for layer in layers.values())


def measured(options, scale=1.0, **changes):
    model = residual()
    network = read_network(model)
    graph = network_graph(network)
    hardened = harden(graph, IMAGES * scale, options).graph
    return measure(hardened, network, IMAGES, 0.0, remedies(options))


def test_the_warning_names_the_layer_and_what_helps():
    coarse = HardenOptions(ScalingOptions(hwflow.FixedType(3, 1), saturate=True))
    warning = measured(coarse).warning
    assert warning is not None
    assert warning.endswith("--granularity channel (now layer) may help")
    channels = replace(coarse, scaling=replace(coarse.scaling, granularity="channel"))
    warning = measured(channels).warning
    assert warning is None or "granularity" not in warning


def test_remedies_have_values_that_are_next():
    sparse = HardenOptions(ScalingOptions(hwflow.FixedType(6, 3), granularity="channel", outliers=0.02), guard_bits=2)
    assert remedies(sparse).saturation == "--guard-bits 3 (now 2) or more calibration images may help"
    assert remedies(sparse).coarseness == (
        "--outliers 0.04 (now 0.02) or --weights 'ap_fixed<8,3>' (now ap_fixed<6,3>) may help"
    )
    coded = HardenOptions(ScalingOptions(granularity="channel"), storage="bch64-45")
    assert remedies(coded).coarseness == "a storage code with more bits for a weight than bch64-45 may help"
    assert "--granularity channel" in remedies(replace(coded, scaling=ScalingOptions())).coarseness


def test_values_outside_the_calibrated_range_are_counted():
    result = measured(HardenOptions(guard_bits=0), scale=0.1)
    assert max(layer.saturated for layer in result.layers) > 0.01
    assert result.warning is not None
    assert "--guard-bits 1 (now 0) or more calibration images may help" in result.warning
    assert not any(layer.saturated for layer in measured(HardenOptions()).layers)


def test_a_quantised_network_in_powers_of_two_is_exact():
    x = image = L.Input((4,), name="image")
    x = qkeras.QDense(8, kernel_quantizer="quantized_bits(6,0,alpha=1)", use_bias=False, name="a")(x)
    x = qkeras.QActivation("quantized_relu(5,1)", name="b")(x)
    x = qkeras.QDense(3, kernel_quantizer="quantized_bits(6,0,alpha=1)", use_bias=False, name="c")(x)
    model = randomised(keras.Model(image, x, name="quantised"))
    network = read_network(model)
    graph = network_graph(network)
    images = np.random.default_rng(1).integers(-64, 64, (32, 4)) / 64
    assert check(graph, network, images, model) == 0
    hardened = harden(graph, images, HardenOptions(ScalingOptions(scale="pow2"))).graph
    result = measure(hardened, network, images, 0.0, remedies(HardenOptions()))
    assert (result.largest_error, result.same_class, result.warning) == (0, 100, None)
    assert all(layer.error == 0 for layer in result.layers)
    # By another constant the grid of 5 bits cannot be moved, but its largest value can.
    exact = harden(graph, images, HardenOptions()).graph
    assert measure(exact, network, images, 0.0, remedies(HardenOptions())).largest_error < 0.1
    assert str(hardened["b"].type).startswith("ap_ufixed<5,")
    assert exact["b"].limit is not None
