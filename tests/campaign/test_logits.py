"""Floating-point hardware: what a fault in a stored weight does to it."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from hwflow.campaign import ModelSpec
from hwflow.campaign.sources import calibration_images
from hwflow.codes.layout import ordered
from hwflow.data import CIFAR, load_digits
from hwflow.errors import HwflowError
from hwflow.faults import chosen, sample_ber
from hwflow.float_study import weight_format
from hwflow.frontends.keras_graph import read_keras
from hwflow.graph import Constant
from hwflow.models import embedded
from hwflow.paper.floating import FloatNetwork
from hwflow.paper.logits import run_logits
from hwflow.paper.studies import Subject

FORMATS = ("fp32", "fp16")
IMAGES = load_digits().images[:20]


@pytest.fixture(scope="module")
def graph():
    return read_keras(embedded("digits_cnn"))


def with_weight(graph, layer, word, change):
    """The graph with one weight, counted in memory order, changed."""
    nodes = []
    for node in graph:
        if node.name == layer:
            shape = node.weight.values.shape
            values = ordered(node.weight.values).copy()
            values[word] = change(values[word])
            values = np.moveaxis(values.reshape(shape[-1], *shape[:-1]), 0, -1)
            node = replace(node, weight=Constant(values))
        nodes.append(node)
    return replace(graph, nodes=tuple(nodes))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("kind", ["first", "last"])
def test_sign_flip_is_the_negative_weight(graph, name, kind):
    format_ = weight_format(name)
    layer = graph.weight_layers[0 if kind == "first" else -1]
    word = int(np.argmax(np.abs(ordered(layer.weight.values))))
    network = FloatNetwork(graph, format_)
    faults = chosen(network.memories, [(f"{layer.name}.weight", word, format_.bits - 1)])
    logits, bad = network.logits(IMAGES, faults)
    expected, _ = FloatNetwork(with_weight(graph, layer.name, word, lambda w: -w), format_).logits(IMAGES)
    np.testing.assert_array_equal(logits, expected)
    clean, _ = network.logits(IMAGES)
    assert bad == 0
    assert (logits != clean).any()


@pytest.mark.parametrize("name", FORMATS)
def test_top_exponent_bit(graph, name):
    format_ = weight_format(name)
    layer = graph.weight_layers[0]
    word = int(np.argmax(np.abs(ordered(layer.weight.values))))
    safe, unsafe = FloatNetwork(graph, format_), FloatNetwork(graph, format_, msb_flips=True)
    faults = chosen(safe.memories, [(f"{layer.name}.weight", word, format_.exponent_msb)])
    clean, _ = safe.logits(IMAGES)
    np.testing.assert_array_equal(safe.logits(IMAGES, faults)[0], clean)
    assert (unsafe.logits(IMAGES, faults)[0] != clean).any()


def test_infinite_weight_is_counted(graph):
    def one(_):
        return 1.0

    layer = graph.weight_layers[0]
    network = FloatNetwork(with_weight(graph, layer.name, 5, one), weight_format("fp16"), msb_flips=True)
    faults = chosen(network.memories, [(f"{layer.name}.weight", 5, weight_format("fp16").exponent_msb)])
    outcome = network.evaluate(IMAGES, load_digits().labels[:20], faults)
    assert (outcome.flips, outcome.bad_weights, outcome.images) == (1, 1, 20)
    assert outcome.bad_images > 0


def test_foreign_faults_are_refused(graph):
    network = FloatNetwork(graph, weight_format("fp16"))
    faults = chosen(FloatNetwork(graph, weight_format("fp32")).memories, [])
    with pytest.raises(HwflowError, match="16 bits"):
        network.logits(IMAGES, faults)
    with pytest.raises(HwflowError, match="another design: model hash 0000"):
        network.logits(IMAGES, sample_ber(network.memories, 1e-3, 1, "0" * 64))


def test_compensation_does_not_change_what_a_fault_does_in_fp32():
    """Scaling by constants is undone exactly but for rounding, on read or at the logits, faults included."""
    subject = Subject(images=60, rounds=4, seed=3)
    results = run_logits(subject, ["fp32"], ber=[1e-3])
    hits = {
        (result.condition.compensation, result.condition.renormalised): [each.correct for each in result.outcomes]
        for result in results
        if result.ber
    }
    assert hits["layer", False] == hits["logits", False] == hits["logits", True]
    assert hits["none", False] != hits["layer", False]
    assert [each.correct for each in run_logits(subject, ["fp32"], ber=[1e-3])[1].outcomes] == hits["none", False]


def test_calibration_is_preprocessed_as_the_data(tmp_path):
    Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "red.png")
    spec = ModelSpec("resnet20", "weights.npz")
    assert calibration_images(spec, str(tmp_path), (8, 8, 3), "unit")[0, 0, 0].tolist() == [1.0, 0.0, 0.0]
    usual = calibration_images(spec, str(tmp_path), (8, 8, 3))
    np.testing.assert_array_equal(usual[0, 0, 0], CIFAR.normalise(np.array([255, 0, 0], np.uint8)))
