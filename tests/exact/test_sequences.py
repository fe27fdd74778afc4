"""Random networks on rows in all executors: reference, C simulation and RTL give the same codes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwflow.firmware import read_keras
from hwflow.frontends.keras_check import TOLERANCE, check
from hwflow.frontends.keras_graph import network_graph
from hwflow.frontends.keras_network import read_network
from hwflow.models._tf import tensorflow
from hwflow.reference import RealExecutor
from tests.exact.agreement import check_csim, check_rtl
from tests.networks import random_images, random_sequences, to_keras


@pytest.mark.parametrize("seed", range(24))
def test_the_graph_is_keras_network(seed: int) -> None:
    original = random_sequences(seed)
    model = to_keras(original)
    graph = read_keras(model)
    assert {node.name: (node.op, node.shape) for node in graph} == {
        node.name: (node.op, node.shape) for node in original
    }
    if any(node.type is not None for node in graph):
        return  # a quantised ReLU rounds; `check` compares layer by layer
    images = random_images(seed, graph, 4)
    expected = np.asarray(model(images.astype(np.float32)), dtype=np.float64)
    np.testing.assert_allclose(RealExecutor(graph).run(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("kind", ["Max", "Average"])
def test_global_pooling_is_keras_own_wherever_it_stands(kind: str, rank: int, keepdims: bool) -> None:
    layers = tensorflow().keras.layers
    pool = getattr(layers, f"Global{kind}Pooling{rank}D")
    image = layers.Input((5, 6, 3)[-rank - 1 :])
    ends = pool(keepdims=keepdims, name="ends")(image)
    inside = layers.BatchNormalization()(layers.ReLU()(pool(keepdims=keepdims)(image)))
    for output in (ends, layers.Dense(2)(inside)):
        model = tensorflow().keras.Model(image, output)
        network = read_network(model)
        values = np.random.default_rng(1).uniform(-1, 1, (4, *image.shape[1:])).astype(np.float32)
        assert check(network_graph(network), network, values, model) < TOLERANCE


@pytest.mark.parametrize("seed", range(2))
def test_rtl(seed: int, tmp_path: Path) -> None:
    check_rtl(random_sequences(seed), seed, tmp_path)


@pytest.mark.parametrize("seed", range(2))
def test_csim(seed: int, tmp_path: Path) -> None:
    check_csim(random_sequences(seed), seed, tmp_path, ("io_stream", "io_parallel")[seed % 2])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 200))
def test_rtl_deep(seed: int, tmp_path: Path) -> None:
    check_rtl(random_sequences(seed), seed, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 100))
def test_csim_deep(seed: int, tmp_path: Path) -> None:
    check_csim(random_sequences(seed), seed, tmp_path, ("io_stream", "io_parallel")[seed % 2])
