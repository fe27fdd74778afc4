"""Depthwise and separable convolutions against Keras, and against sums that are written out here."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwflow.errors import HwflowError
from hwflow.faults import chosen, sample_ber
from hwflow.frontends.keras_check import check
from hwflow.frontends.keras_graph import network_graph
from hwflow.frontends.keras_network import read_network
from hwflow.graph import Affine, Constant, Conv2D, DepthwiseConv2D, Graph, Input, ReLU, Rescale, Window
from hwflow.hardening import HardenOptions, harden
from hwflow.hardening.options import ScalingOptions
from hwflow.hardening.plan import scale_graph
from hwflow.memory import memories, stored_words
from hwflow.reference import IntegerExecutor
from hwflow.reference.real import RealExecutor
from tests.blocks import conv, depthwise, random_wide, separable
from tests.networks import NetworkBuilder, random_images, random_options, to_keras

BLOCKS = (depthwise, separable, conv)
SEEDS = st.integers(0, 10**6)


def by_hand(images: np.ndarray, node: DepthwiseConv2D) -> np.ndarray:
    """One product after the other, with the weights as Keras has them."""
    (rows, columns), (down, right) = node.window.kernel, node.window.strides
    top, bottom, left, beyond = node.window.padding
    padded = np.pad(images, ((0, 0), (top, bottom), (left, beyond), (0, 0)))
    channels = images.shape[-1]
    kernel = node.weight.values.reshape(rows, columns, channels, -1)
    result = np.zeros((len(images), *node.shape))
    for n, y, x, output in np.ndindex(*result.shape):
        channel, each = divmod(output, kernel.shape[-1])
        total = node.bias.values[output]
        for i, j in np.ndindex(rows, columns):
            total += kernel[i, j, channel, each] * padded[n, y * down + i, x * right + j, channel]
        result[n, y, x, output] = total
    return result


@pytest.mark.parametrize(
    ("multiplier", "window"),
    [
        (1, Window(kernel=(3, 3), padding=(1, 1, 1, 1))),
        (2, Window(kernel=(3, 2), strides=(2, 1), padding=(0, 1, 1, 0))),
        (3, Window(kernel=(1, 1), strides=(1, 2))),
        (1, Window(kernel=(2, 3), padding=(3, 0, 0, 4))),  # some windows lie wholly in the padding
    ],
)
def test_real_values_are_the_sums_written_out(multiplier: int, window: Window) -> None:
    net = NetworkBuilder(np.random.default_rng(1), (5, 4, 3))
    node = net.depthwise(net.nodes[0], multiplier, window)
    assert isinstance(node, DepthwiseConv2D)
    graph = net.graph("one")
    images = random_images(2, graph, 2)
    np.testing.assert_allclose(RealExecutor(graph).run(images), by_hand(images, node), atol=1e-12)


@given(seed=SEEDS)
@settings(max_examples=6, deadline=None)
def test_real_values_equal_keras(seed: int) -> None:
    graph = random_wide(seed, BLOCKS)
    model = to_keras(graph)
    assert check(graph, read_network(model), random_images(seed, graph, 3), model) < 1e-5


@given(seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_scaling_changes_nothing_in_exact_arithmetic(seed: int) -> None:
    graph = random_wide(seed, BLOCKS)
    options = random_options(seed).scaling
    scaled, plan = scale_graph(
        graph, ScalingOptions(granularity=options.granularity, align=options.align, absorb=options.absorb)
    )
    images = random_images(seed, graph, 3)
    expected = RealExecutor(graph).run(images)
    np.testing.assert_allclose(RealExecutor(scaled).run(images) / np.asarray(plan.output_scale), expected, atol=1e-9)


@given(seed=SEEDS)
@settings(max_examples=25, deadline=None)
def test_engines_agree_under_faults(seed: int) -> None:
    graph = random_wide(seed, BLOCKS)
    graph = harden(graph, random_images(seed + 1, graph, 8), random_options(seed)).graph
    numpy, compiled = (IntegerExecutor(graph, engine=engine) for engine in ("numpy", "compiled"))
    codes = numpy.encode(random_images(seed, graph, 3))
    lists = [None, sample_ber(memories(graph, faulty_biases=True), 1e-2, seed, graph.digest)]
    for faults in (*lists, None):
        np.testing.assert_array_equal(numpy.run(codes, faults), compiled.run(codes, faults))
    assert Graph.from_dict(*graph.to_dict()).digest == graph.digest


def one_untyped(channels: int, multiplier: int) -> Graph:
    net = NetworkBuilder(np.random.default_rng(3), (6, 5, channels))
    net.depthwise(net.nodes[0], multiplier, Window(kernel=(3, 2), strides=(1, 2), padding=(1, 0, 0, 1)))
    return net.graph("one")


def one_layer(channels: int, multiplier: int, options: HardenOptions) -> Graph:
    graph = one_untyped(channels, multiplier)
    return harden(graph, random_images(4, graph, 8), options).graph


@pytest.mark.parametrize("storage", ["plain", "secded"])
def test_a_row_of_the_memory_has_the_channels_of_a_position(storage: str) -> None:
    graph = one_layer(10, 1, HardenOptions(storage=storage))
    (layer,) = graph.weight_layers
    assert (layer.rows, layer.n_in, layer.n_out) == (6, 6, 10)
    (memory,) = memories(graph)
    words = stored_words(layer)
    if storage == "plain":
        assert memory.words == 60
        np.testing.assert_array_equal(words.reshape(-1).view(np.int8), layer.weight.codes.reshape(-1))
    else:
        # Eight weights a word: of ten channels, a second word has two.
        assert memory.words == 12
        assert (words[1::2, 2:8] == 0).all()


def test_outliers_are_added_to_their_own_weights() -> None:
    graph = one_layer(5, 2, HardenOptions(scaling=ScalingOptions(outliers=0.2)))
    (layer,) = graph.weight_layers
    assert layer.outliers is not None
    stored, index = layer.weight.codes.reshape(-1), layer.outliers.index
    assert set(np.abs(stored[index]).tolist()) <= {127, 128}
    effective = layer.effective_codes.reshape(-1)
    np.testing.assert_array_equal(np.flatnonzero(effective != stored), index)
    assert layer.weight.type is not None
    scaled = scale_graph(one_untyped(5, 2), ScalingOptions(outliers=0.2))[0].weight_layers[0].weight.values
    np.testing.assert_allclose(layer.effective_values, scaled, atol=layer.weight.type.lsb)
    assert layer.rest_sum == max(np.abs(effective - stored).reshape(6, 10).sum(axis=0))


def test_a_flip_changes_one_channel() -> None:
    graph = one_layer(3, 2, HardenOptions())
    executor = IntegerExecutor(graph)
    codes = executor.encode(random_images(5, graph, 2))
    clean = executor.run(codes)
    # position (1, 1) of output 4, which reads channel 2
    word = 3 * 6 + 4
    faults = chosen(memories(graph), [("depthwise1.weight", word, 6)], graph.digest)
    differing = (executor.run(codes, faults) != clean).any(axis=(0, 1, 2))
    assert differing.tolist() == [output == 4 for output in range(6)]


def test_a_scale_per_channel_passes_through() -> None:
    net = NetworkBuilder(np.random.default_rng(6), (4, 4, 2))
    x = net.relu(net.conv(net.nodes[0], 3, Window(kernel=(1, 1))))
    x = net.depthwise(x, 2, Window(kernel=(3, 3)))
    net.conv(x, 2, Window(kernel=(1, 1)))
    graph = net.graph("passes")
    options = ScalingOptions(granularity="channel", absorb=True, scale="pow2")
    scaled, _ = scale_graph(graph, options)
    layers = scaled.weight_layers
    first, second = np.asarray(layers[0].scale), np.asarray(layers[1].scale)
    np.testing.assert_allclose(second, np.repeat(first, 2) * np.asarray(layers[1].c))
    np.testing.assert_allclose(layers[1].weight.values, graph.weight_layers[1].weight.values * np.asarray(layers[1].c))
    assert next(node for node in scaled if isinstance(node, Rescale)).inputs == (layers[2].name,)


def keras_model(quantised: bool) -> Any:
    """Every way in which a model has such layers: a multiplier, batch normalisation, padding, QKeras."""
    from hwflow.models._tf import qkeras, tensorflow

    layers, rng = tensorflow().keras.layers, np.random.default_rng(7)
    x = image = layers.Input((9, 8, 3))
    x = layers.DepthwiseConv2D(3, 2, "same", depth_multiplier=2, activation="relu", name="first")(x)
    x = layers.DepthwiseConv2D((3, 2), 1, "valid", use_bias=False, name="second")(x)
    x = layers.ReLU(6.0, name="limit")(layers.BatchNormalization(name="folded")(x))
    x = layers.SeparableConv2D(5, 3, padding="same", depth_multiplier=2, activation="relu", name="apart")(x)
    x = layers.ZeroPadding2D(1)(x)
    if quantised:
        bits = "quantized_bits(4,0,alpha=1)"
        x = qkeras().QDepthwiseConv2D(
            3, depthwise_quantizer=bits, bias_quantizer=bits, activation="quantized_relu(5,1)", name="third"
        )(x)
        x = layers.BatchNormalization(name="kept")(x)
        x = qkeras().QSeparableConv2D(
            4, 2, depthwise_quantizer=bits, pointwise_quantizer=bits, bias_quantizer=bits, name="fourth"
        )(x)
        x = layers.BatchNormalization(name="kept_too")(x)
    else:
        x = layers.DepthwiseConv2D(3, name="third")(x)
    x = layers.Dense(3, name="logits")(layers.Flatten()(x))
    model = tensorflow().keras.Model(image, x, name="depthwise")
    model.set_weights(
        [
            rng.normal(0, 0.5, value.shape) if "variance" not in variable.name else rng.uniform(0.2, 2, value.shape)
            for variable, value in zip(model.weights, model.get_weights(), strict=True)
        ]
    )
    return model


@pytest.mark.parametrize("quantised", [False, True])
def test_a_keras_model_is_read_as_it_computes(quantised: bool) -> None:
    model = keras_model(quantised)
    network = read_network(model)
    graph = network_graph(network)
    images = np.random.default_rng(8).uniform(-1, 1, (6, 9, 8, 3)).astype(np.float32)
    assert check(graph, network, images, model) < 1e-6
    if not quantised:  # the real executor rounds nothing
        np.testing.assert_allclose(RealExecutor(graph).run(images), model.predict(images, verbose=0), atol=1e-4)
    # Batch normalisation is folded, but not into weights on a grid of their own; a separable one is two nodes.
    assert [node.name for node in graph if isinstance(node, Affine)] == (["kept", "kept_too"] if quantised else [])
    assert isinstance(graph["apart_depthwise"], DepthwiseConv2D)
    assert isinstance(graph["apart"], Conv2D)
    assert not graph["apart_depthwise"].bias.values.any()


def test_a_separable_layer_called_twice_has_names_of_its_own() -> None:
    from hwflow.models._tf import tensorflow

    layers = tensorflow().keras.layers
    shared = layers.SeparableConv2D(2, 3, padding="same", name="shared")
    image = layers.Input((4, 4, 2))
    model = tensorflow().keras.Model(image, shared(layers.ReLU(name="shared_depthwise")(shared(image))))
    network = read_network(model)
    graph = network_graph(network)
    assert len({node.name for node in graph}) == len(graph.nodes) == 6
    check(graph, network, np.random.default_rng(9).uniform(-1, 1, (3, 4, 4, 2)).astype(np.float32), model)


@pytest.mark.parametrize("kind", ["DepthwiseConv2D", "SeparableConv2D"])
def test_dilation_is_refused(kind: str) -> None:
    from hwflow.models._tf import tensorflow

    layers = tensorflow().keras.layers
    sizes = (2, 3) if kind == "SeparableConv2D" else (3,)
    model = tensorflow().keras.Sequential(
        [layers.Input((8, 8, 2)), getattr(layers, kind)(*sizes, dilation_rate=2, name="wide")]
    )
    with pytest.raises(HwflowError, match=f"wide: dilation_rate=.* of {kind} is not supported"):
        read_network(model)


def test_weights_that_do_not_fit_are_refused() -> None:
    image = Input(name="image", shape=(4, 4, 3))
    constants = {"weight": Constant(np.zeros((2, 2, 1, 4))), "bias": Constant(np.zeros(4))}
    layer = DepthwiseConv2D(name="layer", inputs=("image",), shape=(3, 3, 4), window=Window(kernel=(2, 2)), **constants)
    with pytest.raises(HwflowError, match="layer: weights of shape"):
        Graph((image, layer), "wrong")


def test_relu_after_it_is_one_step_of_the_engine() -> None:
    net = NetworkBuilder(np.random.default_rng(10), (6, 6, 3))
    net.relu(net.depthwise(net.nodes[0], 1, Window(kernel=(3, 3))))
    graph = net.graph("fused")
    executor = IntegerExecutor(harden(graph, random_images(11, graph, 4)).graph, engine="compiled")
    (step,) = executor.engine.steps
    assert step.compiled
    assert [type(node) for node in step.nodes] == [DepthwiseConv2D, ReLU, Rescale]
