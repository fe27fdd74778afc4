"""A budget shared out among layers, and how much of a layer's error reaches the logits."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwflow.campaign.advice import _mixed
from hwflow.campaign.allocation import allocate
from hwflow.campaign.distortion import LayerErrors, sensitivities
from hwflow.codes import Protection
from hwflow.fixed import FixedType
from hwflow.graph import Constant, Dense, DepthwiseConv2D, GlobalAveragePool2D, Graph, Input, Window
from hwflow.hardening.calibration import calibrate
from hwflow.hardening.moments import Moments

BYTE = FixedType(8, 3)
LAYERS, INPUTS = 3, 16


@given(st.integers(0, 100_000), st.integers(1, 4), st.integers(1, 5), st.floats(0.01, 10))
def test_no_other_choice_within_the_budget_leaves_less_error(
    seed: int, layers: int, choices: int, price: float
) -> None:
    """Everett's theorem: what is best at a price of cost is best of all that cost no more than it."""
    rng = np.random.default_rng(seed)
    errors, costs = rng.integers(0, 20, (2, layers, choices)).astype(float)
    priced = np.argmin(errors + price * costs, axis=1)
    budget = costs[np.arange(layers), priced].sum()
    ways = np.array(list(product(range(choices), repeat=layers)))
    cost, error = (table[np.arange(layers), ways].sum(axis=1) for table in (costs, errors))
    found = tuple(allocate(errors, costs, budget))
    place = ways.tolist().index(list(found))
    assert cost[place] <= budget
    assert error[place] == error[cost <= budget].min()


@given(st.integers(0, 100_000), st.floats(0, 60))
def test_a_budget_is_kept_or_everything_is_cheapest(seed: int, budget: float) -> None:
    errors, costs = np.random.default_rng(seed).integers(0, 20, (2, 4, 5)).astype(float)
    cost = costs[range(4), allocate(errors, costs, budget)].sum()
    assert cost <= max(budget, costs.min(axis=1).sum())
    assert errors[range(4), allocate(errors, costs, np.inf)].tolist() == errors.min(axis=1).tolist()


def test_what_a_layer_cannot_have_is_not_chosen() -> None:
    assert allocate(np.array([[np.inf, 3.0, 1.0]]), np.array([[0.0, 1.0, 2.0]]), 1.5) == [1]


def test_codes_by_layer_need_some_for_every_layer(chain) -> None:
    graph, moments, _ = chain
    errors = LayerErrors(graph.weight_layers, moments, BYTE, 1e-2, calibrated_rounding=False)

    def mixed(budget: float, *codes: str) -> str | None:
        found = _mixed(errors, np.ones(LAYERS), "layer", [Protection.parse(each) for each in codes], budget)
        return found and found.protection

    assert mixed(100, "secded") is None  # an eighth more storage
    assert mixed(100, "repeat2") is None  # not synthesised
    assert mixed(0, "plain", "secded", "bch64-45") == "plain"  # the same for all layers is no mixture
    assert "=" in str(mixed(100, "plain", "secded", "bch64-45"))


@pytest.fixture(scope="module")
def chain() -> tuple[Graph, dict[str, Moments], np.ndarray]:
    """Dense layers; the logits do not see the second half of the last but one."""
    rng = np.random.default_rng(1)
    nodes: list = [Input(name="input", shape=(INPUTS,))]
    for number in range(LAYERS):
        weights = rng.standard_normal((INPUTS, INPUTS)) / 4
        if number == LAYERS - 1:
            weights[INPUTS // 2 :] = 0
        layer = Dense(
            name=f"dense{number}",
            inputs=(nodes[-1].name,),
            shape=(INPUTS,),
            weight=Constant(weights),
            bias=Constant(np.zeros(INPUTS)),
        )
        nodes.append(layer)
    graph, images = Graph(tuple(nodes)), rng.standard_normal((2000, INPUTS))
    return graph, dict(calibrate(graph, images, [node.name for node in nodes[1:]]).moments), images


def test_the_errors_of_the_last_layer_are_those_of_the_logits(chain) -> None:
    graph, _, images = chain
    few = images[:32] + 3  # all of them are run; noise moves the means of outputs too
    moments = calibrate(graph, few, [node.name for node in graph.nodes[1:]]).moments
    found = sensitivities(graph, graph.weight_layers, moments, few)
    assert found[-1] == pytest.approx(1.0, rel=1e-3)  # float32
    assert (found > 0).all()


def test_images_are_spread_evenly(chain) -> None:
    graph, moments, images = chain
    alike = np.concatenate([np.zeros_like(images), images])  # as those of a class are in a folder
    assert (sensitivities(graph, graph.weight_layers, moments, alike) > 0).all()


def test_what_does_not_reach_the_logits_does_not_count(chain) -> None:
    graph, moments, images = chain
    dead = Graph((*graph.nodes[:-1], _with_zeros(graph.nodes[-1])))
    layers = dead.weight_layers
    assert sensitivities(dead, layers, moments, images).tolist() == [0.0] * LAYERS


def _with_zeros(layer: Dense) -> Dense:
    return Dense(
        name=layer.name,
        inputs=layer.inputs,
        shape=layer.shape,
        weight=Constant(np.zeros((INPUTS, INPUTS))),
        bias=layer.bias,
    )


def test_layers_that_work_channel_by_channel_count() -> None:
    rng = np.random.default_rng(3)
    layer = DepthwiseConv2D(
        name="first", inputs=("input",), shape=(4, 4, 3), window=Window(kernel=(3, 3)),
        weight=Constant(rng.normal(size=(3, 3, 1, 3))), bias=Constant(np.zeros(3)),
    )  # fmt: skip
    end = GlobalAveragePool2D(name="end", inputs=("first",), shape=(3,))
    graph, images = Graph((Input(name="input", shape=(6, 6, 3)), layer, end)), rng.normal(size=(32, 6, 6, 3))
    moments = calibrate(graph, images, ["first"]).moments
    assert sensitivities(graph, graph.weight_layers, moments, images)[0] > 0
    errors = LayerErrors(graph.weight_layers, moments, BYTE, 1e-2, calibrated_rounding=True)
    plain, better = (errors.of(0, Protection.parse(each)).error for each in ("plain", "bch64-39"))
    assert 0 < better < plain


def test_errors_are_those_of_outputs_that_were_computed(chain) -> None:
    """Moments tell what running the layer tells."""
    graph, moments, images = chain
    layers = graph.weight_layers
    errors = LayerErrors(layers, moments, BYTE, 1e-9, calibrated_rounding=False)
    weights = layers[0].weight.values
    read = BYTE.decode(BYTE.encode(weights))
    outputs, changed = images @ weights, images @ read
    centred = (changed - outputs) - (changed - outputs).mean(axis=0)
    expected = np.square(centred).sum() / np.square(outputs - outputs.mean(axis=0)).sum()
    found = errors.of(0, Protection.parse("plain"))
    assert found.error == pytest.approx(expected, rel=1e-3)
    assert found.bits == 8 * INPUTS * INPUTS
    worse = LayerErrors(layers, moments, BYTE, 1e-2, calibrated_rounding=False)
    assert worse.of(0, Protection.parse("bch64-45")).error < worse.of(0, Protection.parse("plain")).error
