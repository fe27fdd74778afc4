"""Rounding that is compensated: what it keeps of a layer's outputs, against rounding each weight alone."""

from dataclasses import replace

import numpy as np
import pytest

from hwflow.codes import Protection
from hwflow.fixed import FixedType
from hwflow.graph import Conv2D, Dense
from hwflow.graph.windows import patches
from hwflow.hardening import HardenOptions, harden
from hwflow.hardening.calibration import calibrate
from hwflow.hardening.compensation import BLOCK, MOST_VECTORS, Observed, compensated, mean_error
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
