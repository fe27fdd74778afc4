"""Random networks of every operator: blocks of one kind each, put together by seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwflow.graph import Add, Average, Graph, Maximum, Merge, Minimum, Multiply, Node, Subtract
from tests.networks import NetworkBuilder, same

Block = Callable[[NetworkBuilder, Node, np.random.Generator], Node]
"""Appends layers after an image ``(height, width, channels)`` and gives the last one, an image again."""


def conv(net: NetworkBuilder, x: Node, rng: np.random.Generator) -> Node:
    """A convolution and a ReLU."""
    kernel = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    return net.relu(net.conv(x, int(rng.integers(1, 5)), same(x.shape, kernel, (1, 1))))


def merge(net: NetworkBuilder, x: Node, rng: np.random.Generator) -> Node:
    """Two convolutions of one input, merged in one of six ways."""
    filters = int(rng.integers(1, 5))
    kind: type[Merge] = list(MERGES)[int(rng.integers(len(MERGES)))]
    first, second = (net.conv(x, filters, same(x.shape, (1, kernel), (1, 1))) for kernel in (1, 3))
    if rng.random() < 0.5:
        first = net.relu(first)
    return net.merge(kind, first, second if rng.random() < 0.7 else net.relu(second))


MERGES = (Add, Subtract, Average, Maximum, Minimum, Multiply)
BLOCKS: tuple[Block, ...] = (conv, merge)
"""Every operator has its place in one of them."""


def random_wide(seed: int, blocks: tuple[Block, ...] = BLOCKS, quantised: bool = True) -> Graph:
    """A small network of two to four of ``blocks`` and a head; with paddings that Keras has."""
    rng = np.random.default_rng([20261130, seed])
    shape = (int(rng.integers(2, 7)), int(rng.integers(2, 7)), int(rng.integers(1, 5)))
    net = NetworkBuilder(rng, shape, np.random.default_rng([20261131, seed]), quantised)
    # The first goes through all blocks, seed by seed.
    x = blocks[seed % len(blocks)](net, net.nodes[0], rng)
    for index in rng.integers(len(blocks), size=int(rng.integers(1, 4))):
        x = blocks[index](net, x, rng)
    net.dense(net.flat(x, average=bool(rng.random() < 0.3)), int(rng.integers(2, 5)))
    return net.graph(f"wide{seed}")
