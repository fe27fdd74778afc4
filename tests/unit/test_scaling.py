"""Scaling keeps the network's function and gives every tensor its scale."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwflow.errors import HwflowError
from hwflow.fixed import FixedType
from hwflow.graph import Add, Constant, FloatArray, Graph, Node, Rescale, WeightLayer
from hwflow.reference import RealExecutor
from hwflow.scaling import ScalingOptions, channel_constants, layer_constant, power_of_two_below, scale_graph
from tests.networks import NetworkBuilder, random_graph, random_images, same

OPTIONS = st.builds(
    ScalingOptions,
    weight_type=st.sampled_from([FixedType(8, 3), FixedType(8, 2)]),
    scale=st.sampled_from(["exact", "pow2", "none"]),
    align=st.sampled_from(["shift", "multiply"]),
    compensation=st.sampled_from(["logits", "layer", "none"]),
    saturate=st.just(True),
    granularity=st.sampled_from(["layer", "channel"]),
    absorb=st.booleans(),
    renormalise=st.sampled_from([None, None, 2.0, 8.0]),
)


def residual() -> Graph:
    """Two residual blocks whose branches get different scales."""
    net = NetworkBuilder(np.random.default_rng(3), (6, 6, 2))
    x = net.relu(net.conv(net.nodes[0], 4, same((6, 6), (3, 3), (1, 1))))
    y = net.relu(net.conv(x, 4, same((6, 6), (3, 3), (1, 1))))
    x = net.add(net.conv(y, 4, same((6, 6), (3, 3), (1, 1))), x)
    x = net.relu(x)
    y = net.conv(x, 5, same((6, 6), (3, 3), (2, 2)))
    x = net.add(y, net.conv(x, 5, same((6, 6), (1, 1), (2, 2))))
    net.dense(net.flat(x, average=True), 3)
    return net.graph("residual")


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**6), options=OPTIONS)
def test_hardened_network_equals_the_original_in_float64(seed: int, options: ScalingOptions) -> None:
    graph = random_graph(seed)
    images = random_images(seed, graph, 3)
    scaled, plan = scale_graph(graph, options)
    expected = RealExecutor(graph).run(images)
    got = RealExecutor(scaled).run(images) / plan.output_scale
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), options=OPTIONS)
def test_every_tensor_carries_the_scale_that_the_plan_states(seed: int, options: ScalingOptions) -> None:
    graph = random_graph(seed)
    images = random_images(seed, graph, 2)
    scaled, _ = scale_graph(graph, options)
    true: dict[str, FloatArray] = {}
    RealExecutor(graph).run(images, lambda node, values: true.__setitem__(node.name, values))

    def check(node: Node, values: FloatArray) -> None:
        source = node
        while source.name not in true:
            source = scaled[source.inputs[0]]
        expected = true[source.name] * np.asarray(node.scale)
        np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())

    RealExecutor(scaled).run(images, check)


@pytest.mark.parametrize("scale", ["exact", "pow2"])
def test_constants_fill_the_format(scale: str) -> None:
    graph = residual()
    scaled, plan = scale_graph(graph, ScalingOptions(scale=scale, align="multiply"))
    for row in plan.layers:
        layer = scaled[row.name]
        assert isinstance(layer, WeightLayer)
        largest = np.abs(layer.weight.values).max()
        if scale == "exact":
            assert largest == pytest.approx(FixedType(8, 3).max * 1.97 / 1.984375)
            assert largest == pytest.approx(3.94)
        else:
            assert math.log2(row.c) == int(math.log2(row.c))
            assert 1.97 < largest <= 3.94


def test_shift_alignment_lowers_a_constant_by_less_than_two_and_leaves_powers_of_two() -> None:
    shift, plan = scale_graph(residual(), ScalingOptions(align="shift"))
    lowered = [row.alignment for row in plan.layers if row.alignment != 1.0]
    assert lowered
    assert all(0.5 < factor < 1.0 for factor in lowered)
    for node in shift.of_type(Rescale):
        if node.name.endswith("_align"):
            assert math.frexp(float(node.factor.values[0]))[0] == 0.5
    multiply, plan = scale_graph(residual(), ScalingOptions(align="multiply"))
    assert all(row.alignment == 1.0 for row in plan.layers)
    for graph in (shift, multiply):
        for add in graph.of_type(Add):
            first, second = graph.inputs_of(add)
            assert first.scale == second.scale == add.scale


def test_an_add_of_shared_branches_falls_back_to_a_multiplier_and_says_so() -> None:
    net = NetworkBuilder(np.random.default_rng(1), (4, 4, 2))
    window = same((4, 4), (1, 1), (1, 1))
    a = net.conv(net.nodes[0], 3, window)
    b = net.conv(a, 3, window)
    first = net.add(a, b)
    second = net.add(first, b)
    third = net.add(second, a)
    net.dense(net.flat(third, average=True), 2)
    graph = net.graph("shared")
    scaled, plan = scale_graph(graph, ScalingOptions(align="shift"))
    assert plan.notes
    assert all("multiplier" in note for note in plan.notes)
    images = random_images(0, graph, 2)
    np.testing.assert_allclose(RealExecutor(scaled).run(images), RealExecutor(graph).run(images), rtol=1e-9)


def test_pow2_scales_are_powers_of_two_everywhere() -> None:
    scaled, _ = scale_graph(residual(), ScalingOptions(scale="pow2"))
    assert all(math.frexp(node.scale)[0] == 0.5 for node in scaled)
    assert all(math.frexp(float(node.factor.values[0]))[0] == 0.5 for node in scaled.of_type(Rescale))


def test_layer_compensation_leaves_no_scale_behind_a_layer() -> None:
    scaled, _ = scale_graph(residual(), ScalingOptions(compensation="layer"))
    for node in scaled:
        assert isinstance(node, WeightLayer) or node.scale == 1.0


def test_no_compensation_reports_the_scale_of_the_logits() -> None:
    scaled, plan = scale_graph(residual(), ScalingOptions(compensation="none"))
    assert scaled.output.scale == plan.output_scale == plan.logit_scale != 1.0


@pytest.mark.parametrize(
    ("largest", "scale", "expected"),
    [(0.5, "exact", 7.88), (0.5, "pow2", 4.0), (0.5, "none", 1.0), (0.0, "exact", 1.0), (7.88, "exact", 0.5)],
)
def test_layer_constant(largest: float, scale: str, expected: float) -> None:
    weights = np.array([largest, -largest / 3])
    assert layer_constant(weights, ScalingOptions(scale=scale)) == pytest.approx(expected, rel=1e-12)


@given(st.floats(1e-300, 1e300))
def test_power_of_two_below(value: float) -> None:
    power = power_of_two_below(value)
    assert math.frexp(power)[0] == 0.5
    assert power <= value < 2 * power


def _with_weights(graph: Graph, values: np.ndarray) -> Graph:
    layer = graph.weight_layers[0]
    changed = replace(layer, weight=Constant(values))
    return Graph(tuple(changed if node is layer else node for node in graph), graph.name)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused_by_layer(bad: float) -> None:
    graph = residual()
    weights = graph.weight_layers[0].weight.values.copy()
    weights[0, 0, 0, 0] = bad
    with pytest.raises(HwflowError, match=r"conv1: its weight holds NaN or infinite"):
        scale_graph(_with_weights(graph, weights), ScalingOptions())


def test_an_all_zero_layer_keeps_c_at_one() -> None:
    graph = residual()
    zero = _with_weights(graph, np.zeros_like(graph.weight_layers[0].weight.values))
    _, plan = scale_graph(zero, ScalingOptions())
    assert plan.layers[0].c == 1.0


def test_a_format_that_cannot_hold_the_weights_is_refused() -> None:
    graph = residual()
    large = _with_weights(graph, graph.weight_layers[0].weight.values * 100)
    with pytest.raises(HwflowError, match=r"conv1: its weights reach .* outside ap_fixed<8,3>"):
        scale_graph(large, ScalingOptions(scale="none"))
    with pytest.raises(HwflowError, match=r"t=4.5 does not fit ap_fixed<8,3>"):
        ScalingOptions(t=4.5)
    with pytest.raises(HwflowError, match="signed"):
        ScalingOptions(weight_type=FixedType(8, 3, signed=False))
    with pytest.raises(HwflowError, match="t=-1"):
        ScalingOptions(t=-1)
    with pytest.raises(HwflowError, match="align='up' is not one of shift, multiply"):
        ScalingOptions(align="up")  # pyright: ignore


def test_a_constant_per_channel_fills_the_format_in_every_channel() -> None:
    graph = residual()
    scaled, plan = scale_graph(graph, ScalingOptions(granularity="channel", align="multiply", absorb=False))
    for layer in scaled.weight_layers:
        largest = np.abs(layer.weight.values).reshape(-1, layer.n_out).max(axis=0)
        np.testing.assert_allclose(largest, FixedType(8, 3).max * 1.97 / 1.984375)
        assert np.shape(layer.c) == (layer.n_out,)
    uniform = [node for node in scaled.of_type(Rescale) if node.name.endswith("_uniform")]
    assert len(uniform) == len(graph.weight_layers)
    assert all(node.factor.values.shape == scaled[node.inputs[0]].shape[-1:] for node in uniform)
    assert all(row.c < row.c_largest for row in plan.layers)


def test_a_channel_constant_is_limited_and_a_dead_channel_gets_a_finite_one() -> None:
    weights = np.array([[1.0, 0.25, 1e-6, 0.0]])
    options = ScalingOptions(granularity="channel", t=2.0)
    np.testing.assert_allclose(channel_constants(weights, options), [2, 8, 32, 32])
    np.testing.assert_allclose(channel_constants(0 * weights, options), 1)
    np.testing.assert_allclose(channel_constants(weights, replace(options, scale="none")), 1)
    np.testing.assert_allclose(channel_constants(weights * 0.3, replace(options, scale="pow2")), [4, 16, 64, 64])


def test_the_next_layer_takes_in_a_scale_per_channel() -> None:
    net = NetworkBuilder(np.random.default_rng(5), (4, 4, 2))
    x = net.relu(net.conv(net.nodes[0], 3, same((4, 4), (3, 3), (1, 1))))
    x = net.pool(x, same((4, 4), (2, 2), (2, 2)), average=False)
    net.dense(net.flat(x, average=False), 4)
    graph = net.graph("chain")
    scaled, plan = scale_graph(graph, ScalingOptions(granularity="channel", absorb=True, compensation="none"))
    assert not plan.rescales
    assert len(np.unique(scaled.nodes[-2].scale)) == 3
    assert np.shape(scaled.nodes[-2].scale) == (12,)
    images = random_images(1, graph, 3)
    got = RealExecutor(scaled).run(images) / np.asarray(plan.output_scale)
    np.testing.assert_allclose(got, RealExecutor(graph).run(images), rtol=1e-9)


def test_bad_granularity_and_renormalisation_are_refused() -> None:
    with pytest.raises(HwflowError, match="granularity='weight' is not one of layer, channel"):
        ScalingOptions(granularity="weight")  # type: ignore[arg-type]  # refused
    with pytest.raises(HwflowError, match=r"renormalise=0.5 must be at least 1"):
        ScalingOptions(renormalise=0.5)
