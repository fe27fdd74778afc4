"""Scaling keeps the network's function and gives every tensor its scale."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwflow.errors import HwflowError
from hwflow.fixed import FixedType
from hwflow.graph import Add, Constant, Dense, FloatArray, Graph, Input, Node, Rescale, WeightLayer
from hwflow.hardening.options import ScalingOptions
from hwflow.hardening.plan import scale_graph
from hwflow.hardening.scaling import channel_constants, layer_constant, power_of_two_below
from hwflow.memory.outliers import without_largest
from hwflow.reference import RealExecutor
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
    outliers=st.sampled_from([0.0, 0.05, 0.5]),
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
    RealExecutor(graph).run(images, lambda node, _, values: true.__setitem__(node.name, values))

    def check(node: Node, _: list[FloatArray], values: FloatArray) -> None:
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
    moved = [node for node in shift.of_type(Rescale) if node.name.endswith("_align")]
    assert moved
    assert all(math.frexp(float(node.factor.values[0]))[0] == 0.5 for node in moved)
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
    assert all(layer.scale != 1.0 for layer in scaled.weight_layers)
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


def one_layer(codes: list[list[float]]) -> Graph:
    """A dense layer with weights ``(in, out)``, and no bias."""
    values = np.array(codes, dtype=np.float64)
    bias = Constant(np.zeros(values.shape[1]))
    layer = Dense(name="fc", inputs=("x",), shape=values.shape[1:], weight=Constant(values), bias=bias)
    return Graph((Input(name="x", shape=values.shape[:1]), layer))


@pytest.mark.parametrize("scale", ["exact", "pow2"])
@pytest.mark.parametrize("granularity", ["layer", "channel"])
def test_constants_grow_with_the_fraction_of_outliers(scale: Any, granularity: Any) -> None:
    """c is t over the largest magnitude that is left; the rests' bits are counted by hand below."""
    graph = residual()
    rows = []
    for fraction in (0.0, 0.02, 0.1, 0.4):
        options = ScalingOptions(scale=scale, granularity=granularity, align="multiply", outliers=fraction)
        _, plan = scale_graph(graph, options)
        rows.append(plan.layers)
        for row, layer in zip(plan.layers, graph.weight_layers, strict=True):
            assert row.outliers <= int(fraction * row.weights)
            magnitudes = np.sort(np.abs(layer.weight.values).reshape(-1))
            left = magnitudes[-1 - int(fraction * magnitudes.size)]
            if (scale, granularity) == ("exact", "layer"):
                assert row.c == pytest.approx(3.94 / left, rel=1e-12)
            if scale == "exact" and fraction > 0.1:
                assert row.outliers > 0
    for fewer, more in itertools.pairwise(rows):
        for first, second in zip(fewer, more, strict=True):
            assert second.c >= first.c
    assert all(last.c > first.c for first, last in zip(rows[0], rows[-1], strict=True))


def test_the_side_memory_is_counted() -> None:
    """Of 12 weights, 3 do not count; scaled by 100 / 32, two exceed code 127: by 600 and by -201, so 11 bits each."""
    weights = [[1, -2, 3, 4], [5, -6, 7, 8], [32.03, 727 / 3.125, -329 / 3.125, 32]]
    graph = one_layer(weights)
    options = ScalingOptions(FixedType(8, 8), t=100.0, outliers=0.25)
    _, plan = scale_graph(graph, options)
    (row,) = plan.layers
    assert row.c == 100 / 32
    assert (row.outliers, row.side_bits) == (2, 2 * (4 + 11))
    assert (plan.outliers, plan.side_bits) == (2, 30)
    assert row.bits_used == 8
    steps = np.array(weights) * 3.125
    error = np.sqrt(np.mean((steps - np.rint(steps)) ** 2) / np.mean(steps**2))
    assert row.quantisation_error == pytest.approx(error, rel=1e-9)
    _, plan = scale_graph(graph, replace(options, outliers=0.0))
    assert (plan.layers[0].outliers, plan.side_bits) == (0, 0)


def test_channels_leave_the_same_weights_out_as_the_layer() -> None:
    """The two largest weights lie in one channel; the others' largest counts, whatever the channel's own are."""
    weights = [[8.0, 1.0, 0.5]] + [[0.25, -0.5, 0.5]] * 3 + [[-4.0, 0.5, 0.0]]
    options = ScalingOptions(t=2.0, granularity="channel", outliers=2 / 15)
    scaled, plan = scale_graph(one_layer(weights), options)
    layer = scaled.weight_layers[0]
    np.testing.assert_array_equal(layer.c, [8, 2, 4])
    assert plan.layers[0].outliers == 2
    # The layer's constant counts 1.0 as the largest.
    _, plan = scale_graph(one_layer(weights), replace(options, granularity="layer"))
    assert plan.layers[0].c == 2.0


@pytest.mark.parametrize(
    ("weights", "count", "expected"),
    [
        ([3, -1, 2, 0.5], 0, [3, -1, 2, 0.5]),
        ([3, -1, 2, 0.5], 1, [0, -1, 2, 0.5]),
        ([3, -1, 2, 0.5], 3, [0, 0, 0, 0.5]),
        ([3, -3, 2, 3], 2, [3, -3, 2, 3]),
        ([3, -3, 2, 3], 3, [0, 0, 2, 0]),
        ([0, 5, 0, 0], 1, [0, 5, 0, 0]),
    ],
)
def test_the_largest_magnitudes_do_not_count(weights: list[float], count: int, expected: list[float]) -> None:
    assert without_largest(np.array(weights, dtype=np.float64), count).tolist() == expected


def test_affine_layers_have_no_outliers() -> None:
    net = NetworkBuilder(np.random.default_rng(1), (4, 4, 3))
    net.affine(net.conv(net.nodes[0], 20, same((4, 4), (1, 1), (1, 1))))
    graph = net.graph("norm")
    rows = scale_graph(graph, ScalingOptions(outliers=0.5))[1].layers
    plain = scale_graph(graph, ScalingOptions())[1].layers
    assert rows[0].c > plain[0].c
    assert rows[0].outliers > 0
    assert (rows[1].c, rows[1].outliers) == (plain[1].c, 0)


def test_without_scaling_weights_outside_the_format_are_outliers_or_refused() -> None:
    graph = one_layer([[1, -2, 3, 4], [-3, 9, -2, 1], [-5, 1, 2, 3]])
    options = ScalingOptions(scale="none", outliers=0.2)
    _, plan = scale_graph(graph, options)
    assert (plan.layers[0].c, plan.layers[0].outliers) == (1.0, 2)
    with pytest.raises(
        HwflowError, match=r"fc: its weights reach 9, 2 of them, more than the 1 outliers, outside ap_fixed<8,3>"
    ):
        scale_graph(graph, replace(options, outliers=0.1))
    with pytest.raises(HwflowError, match=r"fc: its weights reach 9, outside ap_fixed<8,3>"):
        scale_graph(graph, replace(options, outliers=0.0))


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 2.0, math.nan, math.inf])
def test_a_fraction_of_outliers_lies_between_none_and_all(fraction: float) -> None:
    with pytest.raises(HwflowError, match=f"outliers={fraction} must be a fraction of the weights"):
        ScalingOptions(outliers=fraction)


def test_a_rest_that_needs_too_many_bits_is_refused_by_layer() -> None:
    graph = one_layer([[1e-9, 1e-9, 1.0, -1e-9]])
    with pytest.raises(HwflowError, match=r"fc: what an outlier exceeds .* by needs more than 32 bits; lower"):
        scale_graph(graph, ScalingOptions(outliers=0.25))
    scale_graph(one_layer([[1e-6, 1e-6, 1.0, -1e-6]]), ScalingOptions(outliers=0.25))


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
