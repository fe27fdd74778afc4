"""RTL with two products in a multiplier equals the reference."""

from pathlib import Path

import numpy as np

from hwflow.cost.reuse import choose_reuse
from hwflow.faults import sample_ber
from hwflow.hardening import HardenOptions, harden
from hwflow.memory import memories
from hwflow.reference import IntegerExecutor
from hwflow.rtl import RtlExecutor, generate
from tests.networks import NetworkBuilder, random_images, same


def test_rtl_with_pairs_of_products_equals_the_reference(tmp_path: Path) -> None:
    net = NetworkBuilder(np.random.default_rng(1), (5, 5, 4))
    x = net.conv(net.nodes[0], 8, same((5, 5), (3, 3), (1, 1)))  # signed input
    x = net.conv(net.relu(x), 8, same((5, 5), (1, 1), (1, 1)))  # unsigned
    net.dense(net.flat(net.relu(x), average=True), 3)
    graph = net.graph("network")
    graph = harden(graph, random_images(1, graph, 8), HardenOptions(activation_bits=8)).graph
    for part, count in (("xc7a35t", 0), ("xczu7ev", 2)):
        generate(graph, tmp_path / part, choose_reuse(graph, target_cycles=100), part=part)
        assert (tmp_path / part / "network.sv").read_text().replace(" ", "").count(".PAIRS(1)") == count
    executor, reference = RtlExecutor(tmp_path / part, graph, "verilator"), IntegerExecutor(graph)
    images = random_images(2, graph, 4)
    codes = reference.encode(np.concatenate([images, 1e3 * images[:2]]))  # saturated ones too
    faults = sample_ber(memories(graph), 0.1, 1, graph.digest)
    for each in (None, faults):
        np.testing.assert_array_equal(executor.run(codes, each), reference.run(codes, each))
