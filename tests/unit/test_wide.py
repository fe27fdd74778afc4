"""Random networks of every operator: scaling changes nothing, engines agree, designs are saved whole."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwflow.graph import Graph
from hwflow.hardening import harden
from hwflow.hardening.options import ScalingOptions
from hwflow.hardening.plan import scale_graph
from hwflow.reference import IntegerExecutor
from hwflow.reference.real import RealExecutor
from tests.blocks import BLOCKS, random_wide
from tests.networks import random_images, random_options, to_keras

SEEDS = st.integers(0, 10**6)
FEW = range(2 * len(BLOCKS))
"""Each block comes first twice."""


def check_reference(seed: int) -> None:
    """The compiled engine and NumPy, clean and under faults; a graph that is saved and loaded."""
    graph = random_wide(seed)
    graph = harden(graph, random_images(seed + 1, graph, 8), random_options(seed)).graph
    codes = IntegerExecutor(graph).encode(random_images(seed, graph, 3))
    results = [IntegerExecutor(graph, engine=engine).run(codes) for engine in ("numpy", "auto")]
    np.testing.assert_array_equal(*results)
    data, arrays = graph.to_dict()
    assert Graph.from_dict(data, arrays).digest == graph.digest


@pytest.mark.parametrize("seed", FEW)
def test_engines_agree(seed: int) -> None:
    check_reference(seed)


@given(seed=SEEDS)
@settings(max_examples=150, deadline=None)
def test_engines_agree_on_networks_never_seen_before(seed: int) -> None:
    check_reference(seed)


@given(seed=SEEDS)
@settings(max_examples=50, deadline=None)
def test_scaling_changes_nothing_in_exact_arithmetic(seed: int) -> None:
    graph = random_wide(seed)
    options = random_options(seed).scaling
    scaled, plan = scale_graph(graph, ScalingOptions(granularity=options.granularity, align=options.align))
    images = random_images(seed, graph, 3)
    expected = RealExecutor(graph).run(images)
    np.testing.assert_allclose(RealExecutor(scaled).run(images) / np.asarray(plan.output_scale), expected, atol=1e-9)


@pytest.mark.parametrize("seed", FEW)
def test_real_values_equal_keras(seed: int) -> None:
    graph = random_wide(seed, quantised=False)
    images = random_images(seed, graph, 3)
    expected = to_keras(graph).predict(images, verbose=0)
    np.testing.assert_allclose(RealExecutor(graph).run(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("hundred", range(50))
def test_engines_agree_deep(hundred: int) -> None:
    for seed in range(100 * hundred, 100 * hundred + 100):
        check_reference(seed)
