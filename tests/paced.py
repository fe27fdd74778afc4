"""Networks whose pace is tested: small ones of the kinds that users have."""

from collections.abc import Callable

import numpy as np

from hwflow.graph import Crop2D, Graph, Multiply, Permute, Reshape, UpSample2D, Window, ZeroPad2D
from hwflow.hardening import harden
from tests.networks import NetworkBuilder, random_images, random_options, same

SIZE = (6, 6)
POINT = same(SIZE, (1, 1), (1, 1))
Layers = Callable[[NetworkBuilder], None]


def hardened(layers: Layers) -> Graph:
    """The network of some layers, of an image of four channels."""
    net = NetworkBuilder(np.random.default_rng(1), (*SIZE, 4))
    layers(net)
    graph = net.graph("network")
    return harden(graph, random_images(1, graph, 8), random_options(1)).graph


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


def stride(net: NetworkBuilder) -> None:
    """Of ResNet18: a block that halves the image, with a convolution in its shortcut, and one that does not."""
    half = (SIZE[0] // 2, SIZE[1] // 2)
    x = net.relu(net.conv(net.nodes[0], 8, same(SIZE, (3, 3), (1, 1))))
    y = net.relu(net.conv(x, 12, same(SIZE, (3, 3), (2, 2))))
    y = net.conv(y, 12, same(half, (3, 3), (1, 1)))
    x = net.relu(net.add(y, net.conv(x, 12, same(SIZE, (1, 1), (2, 2)))))
    y = net.relu(net.conv(x, 12, same(half, (3, 3), (1, 1))))
    y = net.conv(y, 12, same(half, (3, 3), (1, 1)))
    net.dense(net.flat(net.relu(net.add(y, x)), average=True), 6)


def thin(net: NetworkBuilder) -> None:
    """Convolutions of few channels, which take several positions of their kernels at once."""
    half = (SIZE[0] // 2, SIZE[1] // 2)
    x = net.relu(net.conv(net.nodes[0], 2, same(SIZE, (3, 3), (1, 1))))
    x = net.relu(net.add(net.conv(x, 2, same(SIZE, (3, 3), (1, 1))), x))
    x = net.relu(net.conv(x, 2, same(SIZE, (2, 4), (2, 2))))
    net.dense(net.flat(net.conv(x, 2, same(half, (3, 3), (1, 1))), average=True), 6)


def separable(net: NetworkBuilder) -> None:
    """Of MobileNet: depthwise convolutions, some strided, some with two outputs a channel, beside a shortcut."""
    half = (SIZE[0] // 2, SIZE[1] // 2)
    x = net.relu(net.depthwise(net.nodes[0], 2, same(SIZE, (3, 3), (1, 1))))
    y = net.relu(net.depthwise(net.conv(x, 8, POINT), 1, same(SIZE, (3, 3), (1, 1))))
    x = net.relu(net.add(net.conv(y, 8, POINT), x))
    x = net.relu(net.conv(net.relu(net.depthwise(x, 1, same(SIZE, (3, 3), (2, 2)))), 12, POINT))
    x = net.depthwise(x, 1, same(half, (2, 2), (1, 1)))
    net.dense(net.flat(x, average=True), 6)


def moved(net: NetworkBuilder) -> None:
    """Pixels that change places beside a shortcut, and an image that grows."""
    x = net.relu(net.conv(net.nodes[0], 8, POINT))
    y = net.move(ZeroPad2D, x, (SIZE[0] + 3, SIZE[1] + 2, 8), padding=(1, 2, 0, 2))
    y = net.move(Crop2D, y, (*SIZE, 8), cropping=(2, 1, 1, 1))
    for axes in ((1, 2, 0), (2, 0, 1)):
        y = net.move(Permute, y, tuple(y.shape[axis] for axis in axes), axes=axes)
    x = net.relu(net.add(y, x))
    x = net.move(UpSample2D, x, (2 * SIZE[0], 2 * SIZE[1], 8), factors=(2, 2))
    x = net.move(ZeroPad2D, x, (2 * SIZE[0], 2 * SIZE[1] + 1, 8), padding=(0, 0, 1, 0))
    net.dense(net.flat(net.conv(x, 8, POINT), average=True), 6)


def bent(net: NetworkBuilder) -> None:
    """Tables and slopes, beside each other before a sum."""
    x = net.lookup(net.conv(net.nodes[0], 8, POINT), "tanh")
    y = net.leaky(net.conv(x, 8, same(SIZE, (3, 3), (1, 1))), np.linspace(-0.5, 0.5, 8))
    x = net.lookup(net.add(y, net.leaky(net.conv(x, 8, POINT), np.full(1, 0.3))), "elu(1.0)")
    net.lookup(net.dense(net.flat(x, average=True), 6), "sigmoid")


def probable(net: NetworkBuilder) -> None:
    """Softmax of pixels and of the result; what it reads is given as fast as it takes it."""
    x = net.conv(net.softmax(net.conv(net.nodes[0], 8, POINT)), 6, same(SIZE, (3, 3), (1, 1)))
    net.softmax(net.dense(net.flat(x, average=True), 5))


def excited(net: NetworkBuilder) -> None:
    """Channels weighted by what the image says, pixels by what is around them; means of fewer pixels at the edges."""
    x = net.relu(net.conv(net.nodes[0], 8, POINT))
    y = net.relu(net.dense(net.flat(x, average=True), 4))
    y = net.move(Reshape, net.lookup(net.dense(y, 8), "sigmoid"), (1, 1, 8))
    x = net.merge(Multiply, x, net.move(UpSample2D, y, (*SIZE, 8), factors=SIZE))
    y = net.lookup(net.conv(x, 1, same(SIZE, (3, 3), (1, 1))), "sigmoid")
    pixels = SIZE[0] * SIZE[1]
    y = net.move(UpSample2D, net.move(Reshape, y, (1, pixels, 1)), (1, 8 * pixels, 1), factors=(1, 8))
    x = net.mean(net.merge(Multiply, x, net.move(Reshape, y, (*SIZE, 8))), same(SIZE, (2, 3), (2, 2)))
    net.dense(net.flat(net.mean(x, same(x.shape, (2, 2), (1, 1))), average=True), 6)


def decoder(net: NetworkBuilder) -> None:
    """Of U-Net: an image that shrinks and grows again, beside what it was before."""
    x = net.relu(net.conv(net.nodes[0], 4, same(SIZE, (3, 3), (1, 1))))
    y = net.pool(x, Window(kernel=(2, 2), strides=(2, 2)), average=False)
    y = net.relu(net.conv(y, 8, same(y.shape, (3, 3), (1, 1))))
    y = net.move(UpSample2D, y, (*SIZE, 8), factors=(2, 2))
    x = net.relu(net.conv(net.concatenate(y, x), 4, same(SIZE, (3, 3), (1, 1))))
    net.dense(net.flat(net.conv(x, 8, POINT), average=True), 6)


def unpadded(net: NetworkBuilder) -> None:
    """Of LeNet: kernels that leave the edge out, pools that overlap, an image smaller than its kernel."""
    whole = Window(kernel=(3, 3), strides=(1, 1))
    x = net.pool(net.relu(net.conv(net.nodes[0], 8, whole)), whole, average=False)
    for _ in range(2):
        x = net.relu(net.conv(x, 8, same(x.shape, (3, 3), (1, 1))))
    net.dense(net.flat(x, average=True), 6)
