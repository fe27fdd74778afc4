"""Means of the pixels in the image, where windows reach out of it: the same codes in every executor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwflow.cost.reuse import choose_reuse
from hwflow.errors import HwflowError
from hwflow.firmware import CsimExecutor, generate
from hwflow.graph import AveragePool2D, Graph, Input, Window
from hwflow.hardening import harden
from hwflow.reference import IntegerExecutor
from tests.exact.agreement import rtl
from tests.networks import NetworkBuilder, same, to_keras


def test_every_executor_divides_alike(tmp_path: Path) -> None:
    """Windows of nine, six and four pixels, with strides and without; a mean of what a mean gives."""
    net = NetworkBuilder(np.random.default_rng(1), (5, 7, 3))
    x = net.conv(net.nodes[0], 4, same((5, 7), (2, 2), (1, 1)))
    for kernel, strides in (((3, 3), (1, 1)), ((2, 3), (1, 2)), ((2, 2), (2, 2))):
        x = net.mean(x, same(x.shape, kernel, strides))
    net.conv(x, 3, Window(kernel=(1, 1)))
    original = net.graph("means")
    images = np.random.default_rng(1).uniform(-1, 1, (8, 5, 7, 3))
    graph = harden(original, images).graph
    reference = IntegerExecutor(graph)
    codes = reference.encode(images)
    expected = reference.run(codes)
    np.testing.assert_array_equal(IntegerExecutor(graph, engine="numpy").run(codes), expected)
    for io_type, model in (("io_stream", to_keras(original)), ("io_parallel", None)):
        project = generate(graph, model, tmp_path / io_type, reuse=choose_reuse(graph), io_type=io_type)
        np.testing.assert_array_equal(CsimExecutor(project.path, graph).run(codes), expected)
    executor = rtl(graph, tmp_path / "rtl", 1)
    np.testing.assert_array_equal(executor.run(codes[:3]), expected[:3])
    np.testing.assert_array_equal(executor.run(codes[:3], stall_percent=40, seed=2), expected[:3])


def test_a_window_in_the_padding_alone_is_refused() -> None:
    nodes = [Input(name="x", shape=(3, 3, 1))]
    window = Window(kernel=(1, 1), padding=(1, 0, 0, 0))
    for counts, shape in ((True, (4, 3, 1)), (False, (4, 3, 1))):
        mean = AveragePool2D(name="mean", inputs=("x",), shape=shape, window=window, counts_padding=counts)
        if counts:
            Graph((*nodes, mean))
            continue
        with pytest.raises(HwflowError, match=r"mean: a window lies wholly in the padding .* it has no mean"):
            Graph((*nodes, mean))
