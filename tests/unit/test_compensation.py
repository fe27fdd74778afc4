"""Rounding that is compensated: what it keeps of a layer's outputs, against rounding each weight alone."""

from dataclasses import replace

import numpy as np
import pytest

from hwflow.codes import Protection
from hwflow.fixed import FixedType
from hwflow.graph import Affine, Constant, Conv2D, Dense, DepthwiseConv2D, Graph, Input, WeightLayer, Window
from hwflow.graph.windows import depthwise, patches, windows
from hwflow.hardening import HardenOptions, harden
from hwflow.hardening.calibration import calibrate
from hwflow.hardening.compensation import compensated, compensated_channels, mean_error, output_error
from hwflow.hardening.moments import BLOCK, MOST_VECTORS, ChannelMoments, Moments, Observed
from tests.networks import random_graph, random_images, random_options

BYTE = FixedType(8, 3)


def layer(rows: int, n_in: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights in steps of their type, and correlated inputs with a mean."""
    rng = np.random.default_rng(seed)
    inputs = np.maximum(rng.normal(size=(4000, 12)) @ rng.normal(size=(12, n_in)) + rng.normal(size=(4000, n_in)), 0)
    weights = rng.laplace(size=(rows, n_in))
    return weights * 126 / np.abs(weights).max(), inputs


def observed(inputs: np.ndarray) -> Observed:
    found = Observed(inputs.shape[-1])
    node = Dense.__new__(Dense)
    for part in np.array_split(inputs, 3):
        found.add(node, part, len(part) / len(inputs))
    return found


@pytest.mark.parametrize("n_in", [1, 40, BLOCK + 90])
def test_moments_are_those_of_the_inputs(n_in: int) -> None:
    _, inputs = layer(1, n_in, 1)
    moments = observed(inputs).moments()
    np.testing.assert_allclose(moments.mean, inputs.mean(axis=0), rtol=1e-5)
    assert sum(len(covariance) for covariance in moments.covariances) == n_in
    for part, covariance in moments.blocks:
        np.testing.assert_allclose(covariance, np.cov(inputs[:, part].T, bias=True), atol=1e-3 * covariance.max())


def test_vectors_come_from_all_columns_of_an_image() -> None:
    """Every n-th vector would be of every n-th column."""
    columns = np.tile(np.arange(32.0), 1 << 12)[:, None]
    found = observed(columns).moments()
    deviation = columns.std() / np.sqrt(MOST_VECTORS)
    assert abs(found.mean[0] - columns.mean()) < 4 * deviation
    assert found.covariances[0][0, 0] == pytest.approx(columns.var(), rel=0.05)


@pytest.mark.parametrize("code", ["bch64-39", "bch64-40-32", "bch128-64", "cosq:1e-2"])
@pytest.mark.parametrize("n_in", [40, BLOCK + 90])
def test_outputs_keep_more_than_weights_rounded_alone(code: str, n_in: int) -> None:
    weights, inputs = layer(24, n_in, 2)
    stored = Protection.parse(code).fit(weights * BYTE.lsb, BYTE)
    moments = observed(inputs).moments()
    alone = stored.round(weights * BYTE.lsb)
    together = compensated(weights, moments, stored.round_column)
    for column in range(n_in):
        assert set(together[:, column].tolist()) <= set(stored.fitted.grid(column).codes.tolist())

    def error(codes: np.ndarray, bias: np.ndarray) -> float:
        return float(np.square((weights - codes) @ inputs.T - bias[:, None]).mean())

    nothing = np.zeros(len(weights))
    best = error(together, mean_error(weights, together, moments))
    assert best < 0.6 * error(alone, mean_error(weights, alone, moments)) < 0.6 * error(alone, nothing)


def test_calibration_notes_what_a_layer_reads() -> None:
    graph = random_graph(3)
    images = random_images(3, graph, 8)
    names = [each.name for each in graph.weight_layers if isinstance(each, Conv2D | Dense)]
    found = calibrate(graph, images, names)
    assert found.moments.keys() == set(names)
    first = next(each for each in graph.weight_layers if each.inputs == (graph.input.name,))
    if isinstance(first, Conv2D):
        vectors = patches(images, first.window).reshape(-1, first.n_in)
        np.testing.assert_allclose(found.moments[first.name].mean, vectors.mean(axis=0), rtol=1e-4, atol=1e-6)
    assert calibrate(graph, images).moments == {}


def test_only_fitted_codes_are_compensated() -> None:
    graph = random_graph(6)
    images = random_images(6, graph, 8)
    options = random_options(6)
    options = replace(options, scaling=replace(options.scaling, outliers=0.0, weight_type=BYTE), storage="plain")
    for storage, differs in (("plain", False), ("secded", False), ("bch64-39", True)):
        both = [
            harden(graph, images, replace(options, storage=storage, calibrated_rounding=calibrated)).graph.digest
            for calibrated in (True, False)
        ]
        assert (both[0] != both[1]) == differs
    assert HardenOptions().calibrated_rounding
    dense = {
        calibrated: harden(graph, images, replace(options, storage="bch64-39", calibrated_rounding=calibrated)).graph
        for calibrated in (True, False)
    }
    weights = [[layer.weight.codes for layer in each.weight_layers if layer.n_in > 8] for each in dense.values()]
    assert weights[0]
    assert all((one != other).any() for one, other in zip(*weights, strict=True))


WINDOW = Window(kernel=(3, 2), strides=(1, 2), padding=(1, 1, 0, 0))


def channelwise(multiplier: int) -> tuple[WeightLayer, np.ndarray, ChannelMoments]:
    """A depthwise layer, or without a multiplier an affine one, images with correlated pixels, and their moments."""
    rng = np.random.default_rng(multiplier)
    images = rng.normal(size=(40, 6, 8, 5)).cumsum(axis=1).cumsum(axis=2) * 0.3 + np.arange(5)
    outputs = 5 * max(multiplier, 1)
    bias = Constant(np.zeros(outputs))
    if multiplier:
        weight = Constant(rng.laplace(size=(3, 2, 1, outputs)))
        node: WeightLayer = DepthwiseConv2D(
            name="layer", inputs=("x",), shape=(6, 4, outputs), window=WINDOW, multiplier=multiplier, weight=weight,
            bias=bias,
        )  # fmt: skip
    else:
        weight = Constant(rng.laplace(size=(1, 5)))
        node = Affine(name="layer", inputs=("x",), shape=(6, 8, 5), weight=weight, bias=bias)
    graph = Graph((Input(name="x", shape=(6, 8, 5)), node))
    moments = calibrate(graph, images, ["layer"]).moments["layer"]
    assert isinstance(moments, ChannelMoments)
    return node, images, moments


@pytest.mark.parametrize("multiplier", [0, 1, 2])
def test_moments_channel_by_channel(multiplier: int) -> None:
    layer, images, moments = channelwise(multiplier)
    read = windows(images, WINDOW if multiplier else Window(kernel=(1, 1))).reshape(-1, layer.n_in, 5)
    for output in range(layer.n_out):
        vectors = read[:, :, output // max(multiplier, 1)]
        np.testing.assert_allclose(moments.mean[:, output], vectors.mean(axis=0), rtol=1e-4)
        np.testing.assert_allclose(moments.covariances[output], np.cov(vectors.T, bias=True), rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("code", ["bch64-39", "cosq:1e-2"])
@pytest.mark.parametrize("multiplier", [0, 1, 2])
def test_outputs_channel_by_channel_are_rounded_as_each_alone_would_be(code: str, multiplier: int) -> None:
    layer, _, moments = channelwise(multiplier)
    weights = layer.weight.values.reshape(layer.rows, -1)
    weights = weights * 126 / np.abs(weights).max()
    stored = Protection.parse(code).fit(weights * BYTE.lsb, BYTE)
    found = compensated_channels(weights, moments, stored.round_row)
    for output in range(layer.n_out):
        grid = stored.fitted.grid(output)
        alone = Moments(moments.mean[:, output], (moments.covariances[output],))
        expected = compensated(weights[None, :, output], alone, lambda steps, _, grid=grid: grid.round(steps))
        np.testing.assert_array_equal(found[:, output], expected[0])


def test_the_error_of_depthwise_outputs_is_that_of_outputs_that_were_computed() -> None:
    layer, images, moments = channelwise(2)
    weights = layer.weight.values
    stored = Protection.parse("bch64-39").fit(weights.reshape(layer.rows, -1), BYTE)
    steps = weights.reshape(layer.rows, -1) / BYTE.lsb
    together = compensated_channels(steps, moments, stored.round_row)
    alone = stored.round(weights.reshape(layer.rows, -1))
    outputs = depthwise(images, weights, WINDOW).reshape(-1, layer.n_out)
    errors = []
    for codes in (together, alone):
        read = depthwise(images, (codes * BYTE.lsb).reshape(weights.shape), WINDOW).reshape(-1, layer.n_out)
        lost = mean_error(steps, codes, moments) * BYTE.lsb
        np.testing.assert_allclose((outputs - read).mean(axis=0), lost, rtol=1e-3, atol=1e-3)
        expected = np.square(outputs - read - lost).sum() / np.square(outputs - outputs.mean(axis=0)).sum()
        errors.append(output_error(steps, codes, codes, moments))
        assert errors[-1] == pytest.approx(expected, rel=1e-2)
    assert errors[0] < 0.7 * errors[1]


@pytest.mark.parametrize("multiplier", [0, 1])
def test_layers_that_work_channel_by_channel_are_calibrated(multiplier: int) -> None:
    layer, images, _ = channelwise(multiplier)
    graph = Graph((Input(name="x", shape=(6, 8, 5)), layer))
    options = HardenOptions(storage="bch64-39")
    both = [harden(graph, images, replace(options, calibrated_rounding=each)).graph for each in (True, False)]
    assert both[0].digest != both[1].digest
    assert (both[0]["layer"].bias.codes != both[1]["layer"].bias.codes).any()
