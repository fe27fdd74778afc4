"""Hardening resolves every type, once, and says what it cannot do."""

from __future__ import annotations

import numpy as np
import pytest

from hwflow.data import load_digits
from hwflow.errors import HwflowError
from hwflow.firmware import read_keras
from hwflow.fixed import FixedType, Overflow, Rounding
from hwflow.graph import Graph, Input, ReLU, Rescale, WeightLayer
from hwflow.hardening import HardenOptions, harden
from hwflow.models import embedded
from hwflow.reference import IntegerExecutor, RealExecutor
from hwflow.scaling import ScalingOptions
from tests.networks import random_graph, random_images


@pytest.fixture(scope="module")
def networks() -> dict[str, Graph]:
    return {name: read_keras(embedded(name)) for name in ("digits_cnn", "digits_qcnn")}


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return load_digits("train").images[:200]


def test_hardening_the_qkeras_twin_with_powers_of_two_keeps_its_function_bit_for_bit(
    networks: dict[str, Graph], images: np.ndarray
) -> None:
    test = load_digits("test").images
    outputs = {}
    for scale in ("pow2", "none"):
        hardened = harden(networks["digits_qcnn"], images, HardenOptions(ScalingOptions(scale=scale)))
        if scale == "pow2":
            assert any(row.c > 1 for row in hardened.plan.layers)
        executor = IntegerExecutor(hardened.graph)
        outputs[scale] = executor.decode(executor.run(executor.encode(test)))
    np.testing.assert_array_equal(outputs["pow2"], outputs["none"])


def test_the_unhardened_twin_equals_keras_to_half_an_lsb_of_the_logits(
    networks: dict[str, Graph], images: np.ndarray
) -> None:
    test = load_digits("test").images
    graph = harden(networks["digits_qcnn"], images, HardenOptions(ScalingOptions(scale="none"))).graph
    executor = IntegerExecutor(graph)
    outputs = executor.decode(executor.run(executor.encode(test)))
    expected = embedded("digits_qcnn").predict(test, verbose=0)
    assert np.abs(outputs - expected).max() <= graph.output.resolved.lsb


def test_at_optimal_t_both_eight_bit_formats_store_the_same_codes(
    networks: dict[str, Graph], images: np.ndarray
) -> None:
    graphs = [
        harden(networks["digits_cnn"], images, HardenOptions(ScalingOptions(weight_type=type_))).graph
        for type_ in (FixedType(8, 3), FixedType(8, 2))
    ]
    for first, second in zip(*(graph.weight_layers for graph in graphs), strict=True):
        np.testing.assert_array_equal(first.weight.codes, second.weight.codes)
    unscaled = [
        harden(
            networks["digits_cnn"],
            images,
            HardenOptions(ScalingOptions(weight_type=type_, scale="none", saturate=True)),
        ).graph
        for type_ in (FixedType(8, 3), FixedType(8, 2))
    ]
    assert any(
        (first.weight.codes != second.weight.codes).any()
        for first, second in zip(*(graph.weight_layers for graph in unscaled), strict=True)
    )


@pytest.mark.parametrize("bits", [8, 10, 16])
def test_activations_have_the_width_that_was_asked_for(
    networks: dict[str, Graph], images: np.ndarray, bits: int
) -> None:
    graph = harden(networks["digits_cnn"], images, HardenOptions(activation_bits=bits)).graph
    for node in graph:
        if isinstance(node, ReLU | Input):
            assert node.resolved.width == bits
    executor = IntegerExecutor(graph)
    test = load_digits("test")
    accuracy = (executor.run(executor.encode(test.images)).argmax(1) == test.labels).mean()
    assert accuracy > 0.95


def test_a_rounded_value_is_rounded_once(networks: dict[str, Graph], images: np.ndarray) -> None:
    graph = harden(networks["digits_cnn"], images).graph
    for node in graph:
        reader = graph.sole_consumer(node)
        if isinstance(reader, ReLU):
            assert node.resolved.fraction == reader.resolved.fraction
            assert node.resolved.max == reader.resolved.max
        if isinstance(reader, Rescale) and isinstance(node, WeightLayer):
            factor = reader.factor.type
            assert factor is not None
            if factor.width == 1:
                assert node.resolved.shifted(-factor.fraction) == reader.type
            else:
                assert node.type == node.accum


def test_layers_round_as_asked_and_saturate(networks: dict[str, Graph], images: np.ndarray) -> None:
    graph = harden(networks["digits_cnn"], images, HardenOptions(rounding=Rounding.RND_CONV)).graph
    assert graph["conv1"].resolved.rounding is Rounding.RND_CONV
    assert graph["conv1"].resolved.overflow is Overflow.SAT


def test_a_quantised_graph_stays_close_to_the_float_network(networks: dict[str, Graph], images: np.ndarray) -> None:
    original = networks["digits_cnn"]
    test = load_digits("test").images
    expected = RealExecutor(original).run(test)
    for align in ("shift", "multiply"):
        for compensation in ("logits", "layer"):
            options = HardenOptions(ScalingOptions(align=align, compensation=compensation))
            executor = IntegerExecutor(harden(original, images, options).graph)
            outputs = executor.decode(executor.run(executor.encode(test)))
            assert np.abs(outputs - expected).max() < 0.05 * np.abs(expected).max()


def test_bad_options_and_images_are_refused() -> None:
    graph = random_graph(0)
    images = random_images(0, graph, 4)
    with pytest.raises(HwflowError, match="activation_bits=17"):
        HardenOptions(activation_bits=17)
    with pytest.raises(HwflowError, match="guard_bits=-1"):
        HardenOptions(guard_bits=-1)
    with pytest.raises(HwflowError, match="calibration images have shape"):
        harden(graph, images[:, :1])
    with pytest.raises(HwflowError, match="at least one image"):
        harden(graph, images[:0])
    with pytest.raises(HwflowError, match="not finite"):
        harden(graph, np.full_like(images, np.nan))
    with pytest.raises(HwflowError, match="storage code 'hamming' is unknown"):
        HardenOptions(storage="hamming")
