"""RTL with a side memory for outliers equals the reference, and its rests count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwflow.codes.words import to_uint64
from hwflow.cost.reuse import valid_reuse_factors
from hwflow.graph import Graph, WeightLayer, Window
from hwflow.hardening import harden
from hwflow.reference import IntegerExecutor
from hwflow.rtl import RtlExecutor, generate
from tests.exact.agreement import assert_agree, outlier_faults, rtl, with_outliers
from tests.networks import NetworkBuilder, random_graph, random_images, random_options


def two_layers() -> Graph:
    """A convolution, a ReLU and a dense layer with outliers."""
    net = NetworkBuilder(np.random.default_rng(11), (3, 4, 2))
    conv = net.relu(net.conv(net.nodes[0], 4, Window(kernel=(3, 3), strides=(2, 2), padding=(1, 1, 1, 1))))
    net.dense(net.flat(conv, average=False), 4)
    graph = net.graph("two_layers")
    return with_outliers(harden(graph, random_images(1, graph, 8)).graph, 0.1, 1)


def device(graph: Graph, folder: Path, fold: int = 1, simulator: str = "icarus") -> RtlExecutor:
    """The RTL of a graph whose layers take their reuse factor number ``fold``, the last one at most."""
    choices = {layer.name: valid_reuse_factors(layer) for layer in graph.weight_layers}
    generate(graph, folder, {name: factors[min(fold, len(factors) - 1)] for name, factors in choices.items()})
    return RtlExecutor(folder, graph, simulator)  # type: ignore[arg-type]  # a plain string, checked by it


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3))])
def test_random_graphs_with_outliers(seed: int, tmp_path: Path) -> None:
    graph = random_graph(seed)
    graph = harden(graph, random_images(seed + 1, graph, 8), random_options(seed)).graph
    graph = with_outliers(graph, (0.0, 0.1, 0.5)[seed % 3], seed)
    executor = rtl(graph, tmp_path / "rtl", seed, "icarus" if seed else "verilator")
    images = random_images(seed, graph, 3)
    assert_agree(graph, images, executor, seed=seed)
    codes = IntegerExecutor(graph).encode(images)
    stalled = executor.run(codes, stall_percent=40, seed=seed + 1)
    np.testing.assert_array_equal(stalled, IntegerExecutor(graph).run(codes))


@pytest.mark.parametrize("fold", range(8))
def test_every_fold(fold: int, tmp_path: Path) -> None:
    """From one weight word a vector to one weight a word."""
    graph = two_layers()
    assert_agree(graph, random_images(2, graph, 2), device(graph, tmp_path / "rtl", fold), bers=(0.02,))


def plain(graph: Graph, codes: dict[str, np.ndarray]) -> Graph:
    """The graph with wider weight memories that hold ``codes`` themselves, and no outliers."""

    def widen(layer: WeightLayer) -> WeightLayer:
        type_ = layer.weight.type
        assert type_ is not None
        wide = replace(type_, width=type_.width + 4, integer=type_.integer + 4)
        return replace(layer, weight=type(layer.weight).from_codes(codes[layer.name], wide), outliers=None)

    nodes = (widen(node) if isinstance(node, WeightLayer) else node for node in graph)
    return Graph(tuple(nodes), graph.name)


def test_an_outlier_is_its_cell_plus_its_rest(tmp_path: Path) -> None:
    """The same network with the sums as weights of a wide memory gives the same, and without the rests another."""
    graph = two_layers()
    images = random_images(3, graph, 4)
    codes = IntegerExecutor(graph).encode(images)
    executor = device(graph, tmp_path / "rtl")
    clean = executor.run(codes)
    in_effect = {layer.name: layer.effective_codes for layer in graph.weight_layers}
    np.testing.assert_array_equal(clean, IntegerExecutor(plain(graph, in_effect)).run(codes))
    stored = {layer.name: layer.weight.codes for layer in graph.weight_layers}
    assert (IntegerExecutor(plain(graph, stored)).run(codes) != clean).any(axis=1).all()
    # A flip in the cell moves the weight in effect by what the bit weighs in the cell.
    faults = outlier_faults(graph, 5)
    for layer in graph.weight_layers:
        words, masks = faults.masks(f"{layer.name}.weight")
        assert layer.weight.type is not None
        width = layer.weight.type.width
        output, place = np.divmod(words, layer.n_in)
        flat = stored[layer.name].reshape(layer.n_in, layer.n_out)
        before = flat[place, output]
        after = (before & ((1 << width) - 1)) ^ to_uint64(masks).astype(np.int64)
        after -= (after >> (width - 1)) << width
        in_effect[layer.name].reshape(layer.n_in, layer.n_out)[place, output] += after - before
    upset = executor.run(codes, faults)
    np.testing.assert_array_equal(upset, IntegerExecutor(plain(graph, in_effect)).run(codes))
    assert (upset != clean).any()


@pytest.mark.parametrize("layer", [0, 1])
def test_the_comparison_sees_a_planted_wrong_rest(layer: int, tmp_path: Path) -> None:
    graph = two_layers()
    executor = device(graph, tmp_path / "rtl")
    images = random_images(2, graph, 4)
    assert_agree(graph, images, executor, bers=())
    image = tmp_path / "rtl" / f"{graph.weight_layers[layer].name}_rest.mem"
    image.write_text("".join("0" * len(line) + "\n" for line in image.read_text().split()))
    with pytest.raises(AssertionError, match="codes differ under 0 faults"):
        assert_agree(graph, images, executor, bers=())
