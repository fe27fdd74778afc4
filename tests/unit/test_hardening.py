"""Hardening resolves every type, once, and says what it cannot do."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwflow.data import load_digits
from hwflow.errors import HwflowError
from hwflow.faults import sample_ber
from hwflow.firmware import read_keras
from hwflow.fixed import FixedType, Overflow, Rounding
from hwflow.graph import Constant, Graph, Input, Outliers, ReLU, Rescale, WeightLayer
from hwflow.hardening import HardenOptions, harden
from hwflow.hardening.options import ScalingOptions
from hwflow.hardening.plan import scale_graph
from hwflow.hardening.types import accumulator_type
from hwflow.memory import memories
from hwflow.models import embedded
from hwflow.reference import IntegerExecutor, RealExecutor
from tests.networks import NetworkBuilder, random_graph, random_images


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
    assert np.abs(outputs - expected).max() <= graph.output.resolved.lsb / 2


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
    graph, kinds = harden(networks["digits_cnn"], images).graph, set()
    for node in graph:
        reader = graph.sole_consumer(node)
        if isinstance(reader, ReLU):
            kinds.add("relu")
            assert node.resolved.fraction == reader.resolved.fraction
            assert node.resolved.max == reader.resolved.max
        if isinstance(reader, Rescale) and isinstance(node, WeightLayer):
            factor = reader.factor.type
            assert factor is not None
            kinds.add("move" if factor.width == 1 else "multiplier")
            if factor.width == 1:
                assert node.resolved.shifted(-factor.fraction) == reader.type
            else:
                assert node.type == node.accum
    assert kinds == {"relu", "move", "multiplier"}


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


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    scaling=st.builds(
        ScalingOptions,
        weight_type=st.sampled_from([FixedType(8, 3), FixedType(8, 2), FixedType(5, 2, True, Rounding.RND)]),
        scale=st.sampled_from(["exact", "pow2"]),
        align=st.sampled_from(["shift", "multiply"]),
        granularity=st.sampled_from(["layer", "channel"]),
        absorb=st.booleans(),
        outliers=st.sampled_from([0.01, 0.1, 0.5, 0.9]),
    ),
)
def test_outliers_cost_the_clean_network_nothing(seed: int, scaling: ScalingOptions) -> None:
    """Every weight in effect is round(c W / LSB), which nothing saturates; memory and side memory are as small."""
    graph = random_graph(seed)
    scaled, plan = scale_graph(graph, scaling)
    hardened = harden(graph, random_images(seed, graph, 2), HardenOptions(scaling))
    assert hardened.plan == plan
    for row, real, layer in zip(plan.layers, scaled.weight_layers, hardened.graph.weight_layers, strict=True):
        type_ = layer.weight.type
        assert type_ is not None
        wide = np.rint(real.weight.values / type_.lsb).astype(np.int64)
        stored = wide.clip(type_.min_code, type_.max_code)
        np.testing.assert_array_equal(layer.effective_codes, wide)
        np.testing.assert_array_equal(layer.weight.codes, stored)
        rests = np.moveaxis(wide - stored, -1, 0).reshape(-1)
        if layer.outliers is None:
            assert not rests.any()
            assert (row.outliers, row.side_bits) == (0, 0)
            continue
        assert layer.outliers.index.tolist() == np.flatnonzero(rests).tolist()
        assert layer.outliers.rest.codes.tolist() == rests[rests != 0].tolist()
        assert row.outliers == len(layer.outliers.index) <= int(scaling.outliers * rests.size)
        width = next(w for w in range(1, 33) if -(1 << (w - 1)) <= rests.min() and rests.max() < 1 << (w - 1))
        assert layer.outliers.rest.type == FixedType(width, width - type_.fraction)
        assert row.side_bits == layer.side_bits == row.outliers * (math.ceil(math.log2(rests.size)) + width)


def with_an_outlier(seed: int) -> Graph:
    """Two dense layers; one weight of each is 20 times as large as the largest of the others."""
    net = NetworkBuilder(np.random.default_rng(seed), (40,))
    net.dense(net.relu(net.dense(net.nodes[0], 30)), 10)
    for layer in net.graph("spiked").weight_layers:
        layer.weight.values[3, 5] = 20 * np.abs(layer.weight.values).max()
    return net.graph("spiked")


def test_outliers_lower_the_error_clean_and_under_faults() -> None:
    graph = with_an_outlier(4)
    images = random_images(1, graph, 100)
    expected = RealExecutor(graph).run(images)
    errors = []
    for fraction in (0.0, 0.01):
        hardened = harden(graph, images, HardenOptions(ScalingOptions(outliers=fraction)))
        assert 0 <= hardened.plan.outliers <= fraction * 1500
        executor = IntegerExecutor(hardened.graph)
        codes = executor.encode(images)
        errors.append([])
        for ber in (0.0, 1e-3, 1e-2):
            outputs = [
                executor.decode(
                    executor.run(codes, sample_ber(memories(hardened.graph), ber, seed, hardened.graph.digest))
                )
                for seed in range(5 if ber else 1)
            ]
            errors[-1].append(np.sqrt(np.mean(np.square(np.array(outputs) - expected))))
    for without, with_side_memory in zip(*errors, strict=True):
        assert with_side_memory < without / 4


def test_the_accumulator_grows_with_the_rests() -> None:
    graph = with_an_outlier(4)
    images = random_images(1, graph, 10)
    layer = harden(graph, images, HardenOptions(ScalingOptions(outliers=0.01))).graph.weight_layers[0]
    weight, bias, x = layer.weight.type, layer.bias.type, FixedType(16, 2)
    assert weight is not None
    assert bias is not None
    # Cells 39 and 40 belong to two outputs.
    for rests, largest in (([0, 0], 0), ([5, 9], 14), ([10**6, 10**6], 2 * 10**6), ([10**6, 0, -(10**7)], 10**7)):
        cells = [(38, 39, 40)[i] for i, rest in enumerate(rests) if rest]
        rest = Constant.from_codes(np.array([rest for rest in rests if rest], dtype=np.int64), FixedType(32, 27))
        outliers = Outliers(np.array(cells, dtype=np.int64), rest)
        accum = accumulator_type(replace(layer, outliers=outliers), weight, x, layer.bias)
        bound = (40 * 128 + largest) * (1 << 15) + (-bias.min_code << (accum.fraction - bias.fraction))
        assert accum.width == bound.bit_length() + 1


def test_a_tensor_that_no_image_moves_from_zero_has_room_for_a_true_value_of_one() -> None:
    """A ReLU that calibration never saw alive, behind a large scale: other images may be the first to reach it."""
    net = NetworkBuilder(np.random.default_rng(1), (3,))
    x = net.nodes[0]
    for _ in range(6):
        x = net.relu(net.dense(x, 3))
    dead = net.dense(x, 3)
    net.nodes[-1] = dead = replace(dead, bias=Constant(np.full(3, -1e6)))
    silent = net.relu(dead)
    net.dense(silent, 2)
    images = np.random.default_rng(2).uniform(0, 1, (8, 3))
    graph = harden(net.graph("silent"), images).graph
    node = graph[silent.name]
    assert isinstance(node.scale, float)
    assert node.scale > 1e3
    assert node.scale <= node.resolved.max < 4 * node.scale


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
