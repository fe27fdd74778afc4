"""Random small networks, reproducible by seed: as graphs, and the same as Keras models."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from hwflow.fixed import FixedType, Overflow, Rounding
from hwflow.graph import (
    Add,
    Affine,
    AveragePool2D,
    Concatenate,
    Constant,
    Conv2D,
    Crop2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    GlobalAveragePool2D,
    Graph,
    Input,
    LeakyReLU,
    Lookup,
    MaxPool2D,
    Merge,
    Move,
    Node,
    Permute,
    ReLU,
    Reshape,
    Softmax,
    UpSample2D,
    WeightLayer,
    Window,
    ZeroPad2D,
)
from hwflow.hardening import HardenOptions
from hwflow.hardening.options import ScalingOptions
from hwflow.models._tf import qkeras, tensorflow


class NetworkBuilder:
    """Appends layers to a graph; weights are drawn from its random generator.

    ReLUs have limits, and types that a quantised one asks for, only with a generator of their own.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        shape: tuple[int, ...],
        limits: np.random.Generator | None = None,
        quantised: bool = True,
    ) -> None:
        self.rng = rng
        self.limits = limits
        self.quantised = quantised
        self.nodes: list[Node] = [Input(name="image", shape=shape)]

    def _put(self, node: Node) -> Node:
        self.nodes.append(node)
        return node

    def _name(self, kind: str) -> str:
        return f"{kind}{len(self.nodes)}"

    def _constants(self, shape: tuple[int, ...]) -> dict[str, Constant]:
        fan_in = math.prod(shape[:-1])
        spread = self.rng.uniform(0.3, 1.5) / math.sqrt(fan_in)
        weight = self.rng.normal(0, spread, shape).clip(-3.9, 3.9)
        bias = self.rng.normal(0, 0.2, shape[-1:]) * (self.rng.random() < 0.8)
        return {"weight": Constant(weight), "bias": Constant(bias)}

    def conv(self, source: Node, filters: int, window: Window) -> Node:
        shape = (*window.kernel, source.shape[-1], filters)
        size = window.output_size(*source.shape[:2])
        return self._put(
            Conv2D(
                name=self._name("conv"),
                inputs=(source.name,),
                shape=(*size, filters),
                window=window,
                **self._constants(shape),
            )
        )

    def depthwise(self, source: Node, multiplier: int, window: Window) -> Node:
        outputs = source.shape[-1] * multiplier
        size = window.output_size(*source.shape[:2])
        return self._put(
            DepthwiseConv2D(
                name=self._name("depthwise"),
                inputs=(source.name,),
                shape=(*size, outputs),
                window=window,
                multiplier=multiplier,
                **self._constants((*window.kernel, 1, outputs)),
            )
        )

    def dense(self, source: Node, units: int) -> Node:
        constants = self._constants((source.shape[0], units))
        return self._put(Dense(name=self._name("dense"), inputs=(source.name,), shape=(units,), **constants))

    def relu(self, source: Node) -> Node:
        limit: float | None = None
        type_: FixedType | None = None
        kind = 1.0 if self.limits is None else self.limits.random()
        if kind < 0.2:
            assert self.limits is not None
            limit = float(self.limits.choice([0.3, 0.5, 1.0, 6.0]))
        elif kind < 0.4 and self.quantised:
            assert self.limits is not None
            bits, integer = int(self.limits.integers(2, 7)), int(self.limits.integers(0, 2))
            type_ = FixedType(bits, integer, False, Rounding.RND_CONV, Overflow.SAT)
            limit = type_.max
        constant = None if limit is None else Constant(np.array([limit]))
        name = self._name("relu")
        return self._put(ReLU(name=name, inputs=(source.name,), shape=source.shape, limit=constant, type=type_))

    def lookup(self, source: Node, function: str) -> Node:
        name = self._name("lookup")
        return self._put(Lookup(name=name, inputs=(source.name,), shape=source.shape, function=function))

    def softmax(self, source: Node) -> Node:
        return self._put(Softmax(name=self._name("softmax"), inputs=(source.name,), shape=source.shape))

    def leaky(self, source: Node, slope: np.ndarray, threshold: float = 0.0) -> Node:
        return self._put(
            LeakyReLU(
                name=self._name("leaky"),
                inputs=(source.name,),
                shape=source.shape,
                slope=Constant(slope),
                threshold=Constant(np.array([threshold])) if threshold else None,
            )
        )

    def reshape(self, source: Node, shape: tuple[int, ...]) -> Node:
        return self._put(Reshape(name=f"{source.name}_image", inputs=(source.name,), shape=shape))

    def move(self, kind: type[Move], source: Node, shape: tuple[int, ...], **sizes: Any) -> Node:
        return self._put(kind(name=self._name(kind.__name__.lower()), inputs=(source.name,), shape=shape, **sizes))

    def affine(self, source: Node) -> Node:
        channels = source.shape[-1]
        weight = self.rng.uniform(0.2, 2.0, (1, channels)) * self.rng.choice([-1, 1, 1], channels)
        bias = Constant(self.rng.normal(0, 0.3, channels))
        constants = {"weight": Constant(weight), "bias": bias}
        return self._put(
            Affine(name=self._name("norm"), inputs=(source.name,), shape=source.shape, **constants),
        )

    def concatenate(self, first: Node, second: Node) -> Node:
        shape = (*first.shape[:-1], first.shape[-1] + second.shape[-1])
        inputs = (first.name, second.name)
        return self._put(Concatenate(name=self._name("concat"), inputs=inputs, shape=shape))

    def add(self, first: Node, second: Node) -> Node:
        return self.merge(Add, first, second)

    def merge(self, kind: type[Merge], first: Node, second: Node) -> Node:
        name = self._name(kind.__name__.lower())
        return self._put(kind(name=name, inputs=(first.name, second.name), shape=first.shape))

    def mean(self, source: Node, window: Window) -> Node:
        """Of the pixels in the image, as Keras' average pooling has it."""
        mean = replace(self.pool(source, window, average=True), counts_padding=False)
        self.nodes[-1] = mean
        return mean

    def pool(self, source: Node, window: Window, average: bool) -> Node:
        shape = (*window.output_size(*source.shape[:2]), source.shape[-1])
        kind = AveragePool2D if average else MaxPool2D
        return self._put(kind(name=self._name("pool"), inputs=(source.name,), shape=shape, window=window))

    def flat(self, source: Node, average: bool) -> Node:
        if average:
            return self._put(
                GlobalAveragePool2D(name=self._name("gap"), inputs=(source.name,), shape=source.shape[-1:])
            )
        return self._put(Flatten(name=self._name("flatten"), inputs=(source.name,), shape=(math.prod(source.shape),)))

    def graph(self, name: str) -> Graph:
        return Graph(tuple(self.nodes), name)


def same(size: tuple[int, ...], kernel: tuple[int, int], strides: tuple[int, int]) -> Window:
    """The window of Keras' ``padding="same"``."""
    pads = []
    for length, extent, stride in zip(size[:2], kernel, strides, strict=True):
        total = max((math.ceil(length / stride) - 1) * stride + extent - length, 0)
        pads += [total // 2, total - total // 2]
    return Window(kernel=kernel, strides=strides, padding=(pads[0], pads[1], pads[2], pads[3]))


def random_graph(seed: int, keras: bool = False, quantised: bool = True) -> Graph:
    """A small network: convolutions, pools, residual blocks, a head.

    Args:
        seed: reproduces it.
        keras: use only paddings that Keras has ("same" and "valid").
        quantised: some ReLUs ask for a type of their own.
    """
    rng = np.random.default_rng([20261122, seed])

    def integer(low: int, high: int) -> int:
        return int(rng.integers(low, high + 1))

    def window(size: tuple[int, ...], pad: bool = True, pool: bool = False) -> Window:
        kernel = (integer(1, min(3, size[0])), integer(1, min(3, size[1])))
        strides = (integer(1, 2), integer(1, 2))
        choice = rng.random()
        if not pad or choice < 0.3:
            return Window(kernel=kernel, strides=strides)
        if keras or choice < 0.8:
            return same(size, kernel, strides)
        pads = (integer(0, 2), integer(0, 2), integer(0, 2), integer(0, 2))
        padded = Window(kernel=kernel, strides=strides, padding=pads)
        return padded if padded.touches(*size[:2]) or not pool else same(size, kernel, strides)

    shape = (integer(3, 7), integer(3, 7), integer(1, 3))
    net = NetworkBuilder(rng, shape, np.random.default_rng([20261127, seed]), quantised)
    x: Node = net.nodes[0]
    for _ in range(integer(1, 3)):
        match integer(0, 5):
            case 0:
                x = net.conv(x, integer(1, 6), window(x.shape))
                x = net.relu(x) if rng.random() < 0.7 else x
            case 1:
                x = net.pool(x, window(x.shape, pool=True), average=False)
            case 2:
                average = window(x.shape, pad=not keras)
                x = net.pool(x, average, average=True)
            case 3:
                x = _residual(net, x, rng, integer(1, 5))
            case 4:
                x = _fire(net, x, rng, integer(1, 4))
            case _:
                x = _dense_block(net, x, rng, integer(1, 4))
    if rng.random() < 0.5 or not any(isinstance(node, WeightLayer) for node in net.nodes):
        x = net.conv(x, integer(1, 4), window(x.shape))
    if rng.random() < 0.8:
        x = net.flat(x, average=bool(rng.random() < 0.5))
        if rng.random() < 0.3:
            x = net.relu(net.dense(x, integer(1, 6)))
        net.dense(x, integer(2, 5))
    return net.graph(f"random{seed}")


def random_rows(seed: int) -> Graph:
    """A small network on rows ``(rows, channels)``: dense layers on the last axis, and a head."""
    rng = np.random.default_rng([20261128, seed])
    rows, channels = int(rng.integers(1, 6)), int(rng.integers(1, 5))
    net = NetworkBuilder(rng, (rows, channels), np.random.default_rng([20261129, seed]))
    x = net.reshape(net.nodes[0], (1, rows, channels))
    for _ in range(int(rng.integers(1, 4))):
        y = net.relu(net.conv(x, int(rng.integers(1, 5)), Window(kernel=(1, 1))))
        y = net.relu(net.affine(y)) if rng.random() < 0.3 else y
        x = net.add(x, y) if x.shape == y.shape else y
    net.dense(net.flat(x, average=False), int(rng.integers(2, 5)))
    return net.graph(f"rows{seed}")


def _moved_rows(net: NetworkBuilder, x: Node, rng: np.random.Generator) -> Node:
    """Rows that are cropped, repeated, transposed or regrouped."""
    _, rows, channels = x.shape
    match int(rng.integers(4)):
        case 0:
            left = int(rng.integers(rows))
            right = int(rng.integers(rows - left))
            return net.move(Crop2D, x, (1, rows - left - right, channels), cropping=(0, 0, left, right))
        case 1:
            times = int(rng.integers(1, 4))
            return net.move(UpSample2D, x, (1, rows * times, channels), factors=(1, times))
        case 2:
            return net.move(Permute, x, (1, channels, rows), axes=(0, 2, 1))
    channels = int(rng.choice([each for each in range(1, 7) if rows * channels % each == 0]))
    return net.move(Reshape, x, (1, int(np.prod(x.shape)) // channels, channels))


def random_sequences(seed: int) -> Graph:
    """A small network on rows ``(rows, channels)``: convolutions along them, pools, dense layers, and a head."""
    rng = np.random.default_rng([20261132, seed])
    rows, channels = int(rng.integers(2, 12)), int(rng.integers(1, 5))
    net = NetworkBuilder(rng, (rows, channels), np.random.default_rng([20261133, seed]))
    x = net.reshape(net.nodes[0], (1, rows, channels))
    for _ in range(int(rng.integers(2, 5))):
        kernel, strides = (1, int(rng.integers(1, min(4, x.shape[1]) + 1))), (1, int(rng.integers(1, 3)))
        padded, kind = same(x.shape, kernel, strides), rng.random()
        valid = Window(kernel=kernel, strides=strides)
        causal = replace(valid, padding=(0, 0, kernel[1] - 1, 0))
        if kind < 0.25:
            x = net.pool(x, padded if kind < 0.15 else valid, average=False)
        elif kind < 0.4:
            x = net.mean(x, padded if kind < 0.35 else valid)
        elif kind < 0.6:
            x = _moved_rows(net, x, rng)
        elif kind < 0.7:
            x = net.relu(net.depthwise(x, int(rng.integers(1, 3)), (padded, valid)[int(rng.integers(2))]))
        else:
            y = net.relu(net.conv(x, int(rng.integers(1, 5)), (padded, valid, causal)[int(rng.integers(3))]))
            x = net.add(x, y) if x.shape == y.shape else y
    if (kind := rng.random()) < 0.3:
        x = net.flat(net.pool(x, Window(kernel=x.shape[:2], strides=x.shape[:2]), average=False), average=False)
    elif kind < 0.9:
        x = net.flat(x, average=kind < 0.6)
    if len(x.shape) == 1:
        net.dense(x, int(rng.integers(2, 5)))
    else:
        x = net.conv(x, int(rng.integers(2, 5)), Window(kernel=(1, 1)))
        net._put(Reshape(name=f"{x.name}_rows", inputs=(x.name,), shape=x.shape[1:]))
    return net.graph(f"sequences{seed}")


def _residual(net: NetworkBuilder, x: Node, rng: np.random.Generator, filters: int) -> Node:
    """Two convolutions beside an identity or a projection."""
    stride = (int(rng.integers(1, 3)), int(rng.integers(1, 3)))
    if rng.random() < 0.4:
        filters, stride = x.shape[-1], (1, 1)
        shortcut = x
    else:
        shortcut = net.conv(x, filters, same(x.shape, (1, 1), stride))
    y = net.relu(net.conv(x, filters, same(x.shape, (3, 3), stride)))
    y = net.conv(y, filters, same(y.shape, (3, 3), (1, 1)))
    x = net.add(y, shortcut) if rng.random() < 0.5 else net.add(shortcut, y)
    return net.relu(x) if rng.random() < 0.7 else x


def _fire(net: NetworkBuilder, x: Node, rng: np.random.Generator, filters: int) -> Node:
    """Two convolutions side by side, as in SqueezeNet; what reads them may or may not take in their scales."""
    first = net.conv(x, filters, same(x.shape, (1, 1), (1, 1)))
    second = net.conv(x, int(rng.integers(1, 5)), same(x.shape, (3, 3), (1, 1)))
    if rng.random() < 0.7:
        first, second = net.relu(first), net.relu(second)
    joined = net.concatenate(first, second)
    if rng.random() < 0.3:
        joined = net.add(joined, net.conv(x, joined.shape[-1], same(x.shape, (1, 1), (1, 1))))
    return joined


def _dense_block(net: NetworkBuilder, x: Node, rng: np.random.Generator, growth: int) -> Node:
    """Layers that add channels to what they read, as in DenseNet."""
    for _ in range(int(rng.integers(1, 3))):
        new = net.relu(net.affine(x))
        new = net.conv(new, growth, same(new.shape, (3, 3), (1, 1)))
        x = net.concatenate(x, new) if rng.random() < 0.8 else net.concatenate(new, x)
    return net.relu(net.affine(x)) if rng.random() < 0.5 else x


WORD_CODES = {
    6: ("bch30-19",),
    8: ("bch32-21", "bch64-40-32", "flip64-40-32-2"),
    10: ("bch40-27",),
}
"""Storage codes of several weights a word, by the width of a weight."""


def random_options(seed: int) -> HardenOptions:
    """Options of every kind, by seed; half of them take some weights for outliers, and many have a storage code."""
    rng = np.random.default_rng([20261123, seed])
    fraction = np.random.default_rng([20261126, seed]).choice([0.0, 0.0, 0.0, 0.02, 0.1, 0.5])
    codes = ["plain", "plain", "secded", "secded-null"]
    drawn = np.random.default_rng([20261128, seed]).choice(codes if fraction else [*codes, "cosq:1e-2", "words"])

    def one_of(*choices: Any) -> Any:
        return choices[int(rng.integers(len(choices)))]

    weight_type = one_of(FixedType(8, 3), FixedType(8, 3), FixedType(8, 2), FixedType(6, 3), FixedType(10, 3))
    words = WORD_CODES[weight_type.width]
    storage = words[seed % len(words)] if drawn == "words" else str(drawn)
    scaling = ScalingOptions(
        weight_type=weight_type,
        scale=one_of("exact", "exact", "pow2", "none"),
        align=one_of("shift", "multiply"),
        compensation=one_of("logits", "logits", "layer", "none"),
        saturate=True,
        granularity=one_of("layer", "layer", "channel"),
        absorb=one_of(True, True, False),
        outliers=float(fraction),
    )
    return HardenOptions(
        scaling=scaling,
        activation_bits=one_of(16, 16, 12, 8),
        guard_bits=one_of(1, 0),
        rounding=one_of(*Rounding),
        storage=storage,
    )


def random_images(seed: int, graph: Graph, count: int) -> np.ndarray:
    """Images ``(count, *input shape)`` between -1 and 1."""
    rng = np.random.default_rng([20261124, seed])
    return rng.uniform(-1, 1, (count, *graph.input.shape))


def to_keras(graph: Graph) -> Any:
    """The Keras model that hls4ml reads as ``graph``; paddings must be Keras's.

    ReLU layers, biases and weights are set, in float32.
    """
    keras = tensorflow().keras
    tensors: dict[str, Any] = {}
    weights: dict[str, list[np.ndarray]] = {}
    for node in graph:
        sources = [tensors[name] for name in node.inputs]
        match node:
            case Input():
                tensors[node.name] = keras.Input(node.shape, name=node.name)
                continue
            case Conv2D() if (
                len(graph.input.shape) == 2 and node.n_in == node.weight.shape[2] and node.window.strides == (1, 1)
            ):
                layer = keras.layers.Dense(node.n_out, name=node.name)
                weights[node.name] = [node.weight.values[0, 0], node.bias.values]
            case Conv2D() if len(graph.input.shape) == 2:
                sizes = node.window.kernel[1], node.window.strides[1]
                layer = keras.layers.Conv1D(node.n_out, *sizes, _padding(graph, node), name=node.name)
                weights[node.name] = [node.weight.values[0], node.bias.values]
            case Conv2D():
                layer = keras.layers.Conv2D(
                    node.n_out, node.window.kernel, node.window.strides, _padding(graph, node), name=node.name
                )
                weights[node.name] = [node.weight.values, node.bias.values]
            case DepthwiseConv2D() if len(graph.input.shape) == 2:
                sizes = node.window.kernel[1], node.window.strides[1]
                layer = keras.layers.DepthwiseConv1D(
                    *sizes, _padding(graph, node), depth_multiplier=node.multiplier, name=node.name
                )
                kernel = node.weight.values.reshape(sizes[0], graph.inputs_of(node)[0].shape[-1], -1)
                weights[node.name] = [kernel, node.bias.values]
            case DepthwiseConv2D():
                channels = graph.inputs_of(node)[0].shape[-1]
                layer = keras.layers.DepthwiseConv2D(
                    node.window.kernel,
                    node.window.strides,
                    _padding(graph, node),
                    depth_multiplier=node.multiplier,
                    name=node.name,
                )
                kernel = node.weight.values.reshape(*node.window.kernel, channels, -1)
                weights[node.name] = [kernel, node.bias.values]
            case Dense():
                layer = keras.layers.Dense(node.n_out, name=node.name)
                weights[node.name] = [node.weight.values, node.bias.values]
            case ReLU():
                limit = None if node.limit is None else float(node.limit.values[0])
                layer = keras.layers.ReLU(limit, name=node.name)
                if node.type is not None:
                    asked = f"quantized_relu({node.type.width},{node.type.integer})"
                    layer = qkeras().QActivation(asked, name=node.name)
            case Lookup():
                layer = keras_lookup(node)
            case Softmax():
                layer = keras.layers.Activation("softmax", name=node.name)
            case LeakyReLU() if node.threshold is not None:
                layer = keras.layers.ThresholdedReLU(float(node.threshold.values[0]), name=node.name)
            case LeakyReLU() if node.slope.size > 1:
                layer = keras.layers.PReLU(shared_axes=[1, 2], name=node.name)
                weights[node.name] = [node.slope.values.reshape(1, 1, -1)]
            case LeakyReLU():
                layer = keras.layers.LeakyReLU(float(node.slope.values[0]), name=node.name)
            case Reshape() if node.name.endswith(("_image", "_rows")):
                tensors[node.name] = tensors[node.inputs[0]]
                continue
            case Move() if len(graph.input.shape) == 2 and not isinstance(node, Flatten):
                layer = _moved_rows_layer(node)
            case Reshape():
                layer = keras.layers.Reshape(node.shape, name=node.name)
            case ZeroPad2D():
                top, bottom, left, right = node.padding
                layer = keras.layers.ZeroPadding2D(((top, bottom), (left, right)), name=node.name)
            case Crop2D():
                top, bottom, left, right = node.cropping
                layer = keras.layers.Cropping2D(((top, bottom), (left, right)), name=node.name)
            case UpSample2D():
                layer = keras.layers.UpSampling2D(node.factors, name=node.name)
            case Permute():
                layer = keras.layers.Permute(tuple(axis + 1 for axis in node.axes), name=node.name)
            case MaxPool2D() | AveragePool2D() if len(graph.input.shape) == 2:
                kind = keras.layers.MaxPooling1D if isinstance(node, MaxPool2D) else keras.layers.AveragePooling1D
                sizes = node.window.kernel[1], node.window.strides[1]
                layer = kind(*sizes, _padding(graph, node), name=node.name)
            case MaxPool2D():
                layer = keras.layers.MaxPooling2D(
                    node.window.kernel, node.window.strides, _padding(graph, node), name=node.name
                )
            case AveragePool2D():
                assert not (any(node.window.padding) and node.counts_padding)
                layer = keras.layers.AveragePooling2D(
                    node.window.kernel, node.window.strides, _padding(graph, node), name=node.name
                )
            case GlobalAveragePool2D() if len(graph.input.shape) == 2:
                layer = keras.layers.GlobalAveragePooling1D(name=node.name)
            case GlobalAveragePool2D():
                layer = keras.layers.GlobalAveragePooling2D(name=node.name)
            case Flatten():
                layer = keras.layers.Flatten(name=node.name)
            case Merge():
                layer = getattr(keras.layers, node.op)(name=node.name)
            case Concatenate():
                layer = keras.layers.Concatenate(name=node.name)
            case Affine():
                layer = keras.layers.BatchNormalization(epsilon=0.25, name=node.name)
                gamma = node.weight.values[0]
                # Any mean would do: the bias that it leaves is taken out again.
                mean = np.full(node.n_out, 0.125)
                weights[node.name] = [gamma, node.bias.values + gamma * mean, mean, np.full(node.n_out, 0.75)]
        tensors[node.name] = layer(sources if len(sources) > 1 else sources[0])
    model = keras.Model(tensors[graph.input.name], tensors[graph.output.name], name=graph.name)
    for name, arrays in weights.items():
        model.get_layer(name).set_weights([array.astype(np.float32) for array in arrays])
    return model


def keras_lookup(node: Lookup) -> Any:
    """The Keras layer of a function that Keras has."""
    layers = tensorflow().keras.layers
    name, _, parameters = node.function.partition("(")
    if name == "elu":
        return layers.ELU(float(parameters.rstrip(")")), name=node.name)
    return layers.Activation(name, name=node.name)


def _moved_rows_layer(node: Move) -> Any:
    layers = tensorflow().keras.layers
    match node:
        case Crop2D():
            return layers.Cropping1D(node.cropping[2:], name=node.name)
        case UpSample2D():
            return layers.UpSampling1D(node.factors[1], name=node.name)
        case Permute():
            return layers.Permute((2, 1), name=node.name)
    return layers.Reshape(node.shape[1:], name=node.name)


def _padding(graph: Graph, node: Conv2D | DepthwiseConv2D | MaxPool2D | AveragePool2D) -> str:
    if not any(node.window.padding):
        return "valid"
    if node.window.padding == (0, 0, node.window.kernel[1] - 1, 0) and len(graph.input.shape) == 2:
        return "causal"
    size = graph.inputs_of(node)[0].shape
    assert same(size, node.window.kernel, node.window.strides).padding == node.window.padding
    return "same"


WIDE = FixedType(16, 6, True, Rounding.RND, Overflow.SAT)
"""An activation type for graphs that tests write by hand."""
