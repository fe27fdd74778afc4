"""The RTL is as fast as its busiest layer, whatever stands between the layers."""

from pathlib import Path

import numpy as np
import pytest

from hwflow.cost.layers import layer_costs
from hwflow.cost.reuse import choose_reuse
from hwflow.graph import Graph
from hwflow.hardening import harden
from hwflow.reference import IntegerExecutor
from hwflow.rtl import RtlExecutor, generate
from tests.networks import NetworkBuilder, random_images, random_options, same

SIZE, IMAGES = (6, 6), 6
POINT = same(SIZE, (1, 1), (1, 1))


def chain(net: NetworkBuilder) -> None:
    """Convolutions of a pixel each, whose units replay every vector, one after the other."""
    x = net.nodes[0]
    for filters in (8, 16, 8, 12):
        x = net.relu(net.conv(x, filters, POINT))
    net.dense(net.flat(x, average=True), 6)


def bottleneck(net: NetworkBuilder) -> None:
    """Of ResNet50: 1x1, 3x3 and 1x1 beside a shortcut."""
    x = net.relu(net.conv(net.nodes[0], 8, POINT))
    y = net.relu(net.conv(x, 4, POINT))
    y = net.relu(net.conv(y, 4, same(SIZE, (3, 3), (1, 1))))
    net.dense(net.flat(net.relu(net.add(net.conv(y, 8, POINT), x)), average=True), 6)


def dense_block(net: NetworkBuilder) -> None:
    """Of DenseNet: 1x1 and 3x3, whose outputs join their inputs."""
    x = net.nodes[0]
    for _ in range(2):
        y = net.relu(net.conv(x, 8, POINT))
        x = net.concatenate(x, net.relu(net.conv(y, 4, same(SIZE, (3, 3), (1, 1)))))
    net.dense(net.flat(net.conv(x, 8, POINT), average=True), 6)


@pytest.mark.parametrize("layers", [chain, bottleneck, dense_block])
def test_an_image_takes_as_long_as_the_busiest_layer(layers, tmp_path: Path) -> None:
    net = NetworkBuilder(np.random.default_rng(1), (*SIZE, 4))
    layers(net)
    graph: Graph = net.graph("network")
    graph = harden(graph, random_images(1, graph, 8), random_options(1)).graph
    reuse = choose_reuse(graph, target_cycles=1200)
    generate(graph, tmp_path / "rtl", reuse)
    executor, reference = RtlExecutor(tmp_path / "rtl", graph, "icarus"), IntegerExecutor(graph)
    codes = reference.encode(random_images(2, graph, IMAGES))
    np.testing.assert_array_equal(executor.run(codes), reference.run(codes))
    busiest = max(cost.cycles_per_image for cost in layer_costs(graph, reuse))
    assert busiest <= executor.cycles_per_image <= 1.01 * busiest
