"""Depthwise convolutions in C simulation of both IO types and in the RTL: windows, multipliers, codes, faults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwflow.firmware import CsimExecutor
from hwflow.firmware import generate as generate_firmware
from hwflow.graph import Graph, Window
from hwflow.hardening import HardenOptions, harden
from hwflow.hardening.options import ScalingOptions
from tests.exact.agreement import assert_agree, random_reuse, rtl
from tests.networks import NetworkBuilder, random_images

WAYS = {"io_stream": ("secded", 0.1), "io_parallel": ("*=plain,depthwise3=bch32-21", 0.0)}
"""Storage code and outliers by IO type."""


def network(storage: str, outliers: float) -> Graph:
    """Windows that are strided, padded unevenly, one row high and one pixel small, and two outputs a channel."""
    net = NetworkBuilder(np.random.default_rng(12), (7, 6, 2))
    x = net.depthwise(net.nodes[0], 2, Window(kernel=(3, 3), strides=(2, 1), padding=(1, 1, 1, 1)))
    x = net.depthwise(net.relu(x), 3, Window(kernel=(1, 2), padding=(0, 0, 1, 0)))
    x = net.relu(net.depthwise(x, 1, Window(kernel=(3, 2), padding=(0, 2, 0, 3))))
    x = net.relu(net.depthwise(x, 1, Window(kernel=(1, 1), strides=(2, 1))))
    net.dense(net.flat(net.conv(x, 3, Window(kernel=(1, 1))), average=True), 3)
    graph = net.graph("depthwise")
    scaling = ScalingOptions(granularity="channel", absorb=True, outliers=outliers)
    options = HardenOptions(scaling=scaling, storage=storage)
    return harden(graph, random_images(13, graph, 8), options).graph


@pytest.mark.parametrize("io_type", WAYS)
def test_csim(io_type: str, tmp_path: Path) -> None:
    graph = network(*WAYS[io_type])
    generate_firmware(graph, None, tmp_path / "csim", reuse=random_reuse(graph, 2), io_type=io_type)
    assert_agree(graph, random_images(14, graph, 3), CsimExecutor(tmp_path / "csim", graph), seed=1)


@pytest.mark.parametrize("io_type", WAYS)
def test_rtl(io_type: str, tmp_path: Path) -> None:
    graph = network(*WAYS[io_type])
    assert_agree(graph, random_images(15, graph, 2), rtl(graph, tmp_path / "rtl", 3), seed=2)
