"""The scale plan on the published networks: small images, few channels, every layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hwflow.firmware import read_keras
from hwflow.graph import Add, Affine, Concatenate, Graph, Rescale
from hwflow.hardening.options import ScalingOptions
from hwflow.hardening.plan import scale_graph
from hwflow.hardening.scaling import CHANNEL_SPREAD
from hwflow.models import NETWORKS
from hwflow.reference import RealExecutor

SHAPES: dict[str, tuple[tuple[int, int, int], float]] = {
    "alexnet": ((64, 64, 3), 0.125),
    "resnet18": ((64, 64, 3), 0.125),
    "resnet50": ((32, 32, 3), 0.125),
    "densenet169": ((32, 32, 3), 0.125),
    "squeezenet1_1": ((64, 64, 3), 0.25),
}


JOINS: dict[str, set[type]] = {
    "alexnet": set(),
    "resnet18": {Add},
    "resnet50": {Add},
    "densenet169": {Concatenate, Affine},
    "squeezenet1_1": {Concatenate},
}
"""Which of the nodes that tie scales together a network has."""


def random_network(name: str) -> Any:
    """A port with random weights in every tensor, batch-norm statistics included."""
    shape, width = SHAPES[name]
    model = NETWORKS[name](shape, classes=10, width=width)
    rng = np.random.default_rng(1)
    for layer in model.layers:
        arrays = layer.get_weights()
        if type(layer).__name__ == "BatchNormalization":
            arrays = [rng.uniform(0.5, 1.5, arrays[0].shape), *(rng.normal(0, 0.1, a.shape) for a in arrays[1:3])]
            layer.set_weights([*arrays, rng.uniform(0.5, 2, arrays[0].shape)])
        elif arrays:
            layer.set_weights([arrays[0], *(rng.normal(0, 0.05, array.shape) for array in arrays[1:])])
    return model


def images(graph: Graph) -> np.ndarray:
    return np.random.default_rng(2).uniform(-1, 1, (2, *graph.input.shape))


@pytest.fixture(scope="module", params=SHAPES)
def network(request: pytest.FixtureRequest) -> tuple[Graph, np.ndarray]:
    model = random_network(request.param)
    graph = read_keras(model)
    expected = RealExecutor(graph).run(images(graph))
    keras = model.predict(images(graph), verbose=0)
    np.testing.assert_allclose(keras, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    return graph, expected


def assert_close(got: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    assert np.isfinite(got).all()
    assert np.abs(got - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize("granularity", ["layer", "channel"])
@pytest.mark.parametrize("compensation", ["logits", "layer"])
@pytest.mark.parametrize("align", ["shift", "multiply"])
def test_logits_stay_what_they_are_in_float64(
    network: tuple[Graph, np.ndarray], align: Any, compensation: Any, granularity: Any
) -> None:
    graph, expected = network
    options = ScalingOptions(align=align, compensation=compensation, granularity=granularity)
    scaled, plan = scale_graph(graph, options)
    assert plan.output_scale == 1.0
    assert_close(RealExecutor(scaled).run(images(graph)), expected, 1e-9)
    for row in plan.layers:
        assert row.c_largest <= CHANNEL_SPREAD * row.c * (1 + 1e-9)
        assert 7 <= row.bits_used <= 8
        assert row.quantisation_error < 0.05


@pytest.mark.parametrize("align", ["shift", "multiply"])
def test_logits_stay_what_they_are_in_float32_with_renormalisation(
    network: tuple[Graph, np.ndarray], align: Any
) -> None:
    graph, expected = network
    limit = 6.0
    scaled, plan = scale_graph(graph, ScalingOptions(align=align, renormalise=limit))
    assert_close(RealExecutor(scaled, np.float32).run(images(graph)), expected, 1e-3)
    inserted = [node for node in scaled.of_type(Rescale) if node.name.endswith("_renormalise")]
    if max(abs(np.log2(plan.logit_scale)), *(abs(np.log2(row.scale)) for row in plan.layers)) > limit:
        assert inserted
    assert all((np.frexp(node.factor.values)[0] == 0.5).all() for node in inserted)
    for node in scaled:
        reader = scaled.sole_consumer(node)
        if not (isinstance(reader, Rescale) and reader in inserted):
            assert np.abs(np.log2(node.scale)).max() <= limit + 1


def test_concatenations_need_moves_of_the_binary_point_only(network: tuple[Graph, np.ndarray]) -> None:
    graph, _ = network
    scaled, _ = scale_graph(graph, ScalingOptions())
    kinds = {type(node) for node in scaled if isinstance(node, Concatenate | Affine | Add)}
    assert kinds == JOINS[graph.name]
    for node in scaled.of_type(Concatenate):
        for source in scaled.inputs_of(node):
            if isinstance(source, Rescale):
                assert np.frexp(source.factor.values)[0].tolist() == [0.5]
        ratios = np.asarray(node.scale) / np.min(node.scale)
        assert ratios.max() < 4
    for node in scaled.of_type(Affine):
        assert isinstance(node.scale, float)
    for node in scaled.of_type(Add):
        assert isinstance(node.scale, float)


def test_scales_overflow_float32_without_renormalisation() -> None:
    """A chain so long that the product of its constants leaves float32, and with renormalisation does not."""
    from tests.networks import NetworkBuilder, same

    net = NetworkBuilder(np.random.default_rng(1), (4, 4, 3))
    x = net.nodes[0]
    for _ in range(60):
        x = net.relu(net.conv(x, 3, same((4, 4), (1, 1), (1, 1))))
        layer = net.nodes[-2]
        layer.weight.values[...] = np.abs(layer.weight.values) * 0.1 + 0.01  # type: ignore[attr-defined]  # a Conv2D
        layer.bias.values[...] = 0  # type: ignore[attr-defined]
    net.dense(net.flat(x, average=True), 2)
    graph = net.graph("chain")
    expected = RealExecutor(graph).run(images(graph))
    plain, plan = scale_graph(graph, ScalingOptions())
    assert plan.logit_scale > np.finfo(np.float32).max
    assert_close(RealExecutor(plain).run(images(graph)), expected, 1e-9)
    safe, _ = scale_graph(graph, ScalingOptions(renormalise=32))
    assert_close(RealExecutor(safe, np.float32).run(images(graph)), expected, 1e-3)
