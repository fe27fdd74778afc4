"""RTL of weights that are stored through a table equals the reference, and the table counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hwflow.graph import Graph
from hwflow.hardening import harden
from hwflow.reference import IntegerExecutor
from tests.exact.agreement import assert_agree, rtl
from tests.networks import random_graph, random_images, random_options


def with_tables(seed: int) -> Graph:
    """A random network, hardened with tables for a bit error rate of 1e-2."""
    graph, options = random_graph(seed), random_options(seed)
    options = replace(options, scaling=replace(options.scaling, outliers=0.0), storage="cosq:1e-2")
    return harden(graph, random_images(seed + 1, graph, 8), options).graph


@pytest.mark.parametrize("seed", [0])
def test_random_graphs_with_tables(seed: int, tmp_path: Path) -> None:
    graph = with_tables(seed)
    executor = rtl(graph, tmp_path / "rtl", seed, "verilator")
    images = random_images(seed, graph, 3)
    assert_agree(graph, images, executor, seed=seed)
    codes = IntegerExecutor(graph).encode(images)
    stalled = executor.run(codes, stall_percent=40, seed=seed + 1)
    np.testing.assert_array_equal(stalled, IntegerExecutor(graph).run(codes))


def test_the_comparison_sees_a_planted_wrong_table(tmp_path: Path) -> None:
    graph = with_tables(0)
    executor = rtl(graph, tmp_path / "rtl", 0)
    images = random_images(2, graph, 4)
    assert_agree(graph, images, executor, bers=())
    for image in (tmp_path / "rtl").glob("*_table.mem"):
        image.write_text("".join("0" * len(line) + "\n" for line in image.read_text().split()))
    with pytest.raises(AssertionError, match="codes differ under 0 faults"):
        assert_agree(graph, images, executor, bers=())
