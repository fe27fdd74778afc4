"""Random networks of every operator: blocks of one kind each, put together by seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwflow.graph import (
    Add,
    Average,
    Crop2D,
    Graph,
    Maximum,
    Merge,
    Minimum,
    Multiply,
    Node,
    Permute,
    Reshape,
    Subtract,
    UpSample2D,
    Window,
    ZeroPad2D,
)
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


def edges(net: NetworkBuilder, x: Node, rng: np.random.Generator) -> Node:
    """Zeros around an image, or an image without its edges."""
    height, width, channels = x.shape
    if rng.random() < 0.5:
        top, bottom, left, right = (int(pixels) for pixels in rng.integers(0, 3, 4))
        shape = (height + top + bottom, width + left + right, channels)
        return net.move(ZeroPad2D, x, shape, padding=(top, bottom, left, right))
    (top, bottom), (left, right) = (np.sort(rng.integers(0, size, 2)) for size in (height, width))
    cropping = (int(top), int(height - 1 - bottom), int(left), int(width - 1 - right))
    shape = (height - cropping[0] - cropping[1], width - cropping[2] - cropping[3], channels)
    return net.move(Crop2D, x, shape, cropping=cropping)


def upsample(net: NetworkBuilder, x: Node, rng: np.random.Generator) -> Node:
    """Every pixel several times."""
    factors = (int(rng.integers(1, 3)), int(rng.integers(1, 4)))
    return net.move(UpSample2D, x, (x.shape[0] * factors[0], x.shape[1] * factors[1], x.shape[2]), factors=factors)


def permute(net: NetworkBuilder, x: Node, rng: np.random.Generator) -> Node:
    """Axes in another order."""
    axes = tuple(int(axis) for axis in rng.permutation(3))
    return net.move(Permute, x, tuple(x.shape[axis] for axis in axes), axes=axes)


def there_and_back(net: NetworkBuilder, x: Node, rng: np.random.Generator) -> Node:
    """Two branches that end in the shape they began with, one of which moves pixels, and their sum."""
    height, width, channels = x.shape
    y: Node = x
    match int(rng.integers(4)):
        case 0:
            axes = tuple(int(axis) for axis in rng.permutation(3))
            y = net.move(Permute, y, tuple(y.shape[axis] for axis in axes), axes=axes)
            back = tuple(int(axis) for axis in np.argsort(axes))
            y = net.move(Permute, y, x.shape, axes=back)
        case 1:
            padding = tuple(int(pixels) for pixels in rng.integers(0, 3, 4))
            shape = (height + padding[0] + padding[1], width + padding[2] + padding[3], channels)
            y = net.move(ZeroPad2D, y, shape, padding=padding)
            y = net.move(Crop2D, y, x.shape, cropping=(padding[1], padding[0], padding[3], padding[2]))
        case 2:
            y = net.move(UpSample2D, y, (2 * height, 3 * width, channels), factors=(2, 3))
            y = net.pool(y, Window(kernel=(2, 3), strides=(2, 3)), average=False)
        case _:
            y = net.move(Reshape, y, (1, height * width, channels))
            y = net.move(Reshape, y, x.shape)
    if rng.random() < 0.5:
        y = net.conv(y, channels, same(y.shape, (3, 1), (1, 1)))
    other = x if rng.random() < 0.5 else net.conv(x, channels, same(x.shape, (3, 3), (1, 1)))
    return net.add(y, other) if rng.random() < 0.5 else net.add(other, y)


def reshape(net: NetworkBuilder, x: Node, rng: np.random.Generator) -> Node:
    """An image of other sides, by way of a vector at times."""
    size = int(np.prod(x.shape))
    channels = int(rng.choice([each for each in range(1, 9) if size % each == 0]))
    rows = int(rng.choice([each for each in range(1, 5) if size // channels % each == 0]))
    if rng.random() < 0.3:
        x = net.flat(x, average=False)
    return net.move(Reshape, x, (rows, size // channels // rows, channels))


def _window(x: Node, rng: np.random.Generator) -> Window:
    """A window of a depthwise convolution, which Keras strides alike in both directions."""
    kernel = (int(rng.integers(1, min(4, x.shape[0] + 1))), int(rng.integers(1, min(4, x.shape[1] + 1))))
    strides = (1, 1) if rng.random() < 0.6 else (2, 2)
    return same(x.shape, kernel, strides) if rng.random() < 0.7 else Window(kernel=kernel, strides=strides)


def depthwise(net: NetworkBuilder, x: Node, rng: np.random.Generator) -> Node:
    """A depthwise convolution with one output or more a channel, and perhaps a ReLU."""
    x = net.depthwise(x, int(rng.choice([1, 1, 2, 3])), _window(x, rng))
    return net.relu(x) if rng.random() < 0.7 else x


def separable(net: NetworkBuilder, x: Node, rng: np.random.Generator) -> Node:
    """A depthwise convolution and a pointwise one right after it, as Keras' SeparableConv2D has them, or MobileNet."""
    x = net.depthwise(x, 1, _window(x, rng))
    x = net.relu(x) if rng.random() < 0.5 else x
    return net.relu(net.conv(x, int(rng.integers(1, 5)), Window(kernel=(1, 1))))


def mean(net: NetworkBuilder, x: Node, rng: np.random.Generator) -> Node:
    """Means over windows, of which those at the edges have fewer pixels."""
    kernel, strides = tuple(rng.integers(1, 4, 2).tolist()), tuple(rng.integers(1, 3, 2).tolist())
    return net.mean(x, same(x.shape, kernel, strides))


def lookup(net: NetworkBuilder, x: Node, rng: np.random.Generator) -> Node:
    """A convolution, or nothing, and an activation from a table."""
    if rng.random() < 0.8:
        x = net.conv(x, int(rng.integers(1, 5)), same(x.shape, (1, 2), (1, 1)))
    return net.lookup(x, FUNCTIONS[int(rng.integers(len(FUNCTIONS)))])


def softmax(net: NetworkBuilder, x: Node, rng: np.random.Generator) -> Node:
    """A convolution and a softmax of every pixel."""
    return net.softmax(net.conv(x, int(rng.integers(2, 6)), same(x.shape, (1, 1), (1, 1))))


def leaky(net: NetworkBuilder, x: Node, rng: np.random.Generator) -> Node:
    """A convolution and a rectifier with a slope, with one a channel, or with a threshold."""
    x = net.conv(x, int(rng.integers(1, 5)), same(x.shape, (2, 2), (1, 1)))
    kind = rng.random()
    if kind < 0.3:
        return net.leaky(x, np.zeros(1), float(rng.uniform(0.1, 1.0)))
    slope = rng.uniform(-0.5, 0.9, x.shape[-1]) if kind < 0.7 else rng.uniform(0.01, 0.5, 1)
    return net.leaky(x, slope)


FUNCTIONS = (
    *("sigmoid", "tanh", "selu", "softplus", "softsign", "swish", "gelu", "mish"),
    *("elu(1.0)", "elu(0.3)", "hard_sigmoid(0.2, 0.5)"),
)
MERGES = (Add, Subtract, Average, Maximum, Minimum, Multiply)
BLOCKS: tuple[Block, ...] = (
    *(conv, merge, edges, upsample, permute, reshape, there_and_back, depthwise, separable),
    *(lookup, leaky, softmax, mean),
)
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
