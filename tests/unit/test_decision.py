"""Networks of one output: a probability tells class 1 above a half, any other value above zero."""

from __future__ import annotations

import numpy as np
import pytest

from hwflow.data import accuracy
from hwflow.graph import Constant, Dense, Graph, Input, Lookup, Node
from hwflow.graph.decision import class_scores, classes, code_threshold, threshold
from hwflow.hardening import HardenOptions, harden
from hwflow.reference import IntegerExecutor, RealExecutor


def network(of: str | None, outputs: int = 1) -> Graph:
    rng = np.random.default_rng(1)
    weight, bias = Constant(rng.normal(0, 1, (4, outputs))), Constant(np.zeros(outputs))
    nodes: list[Node] = [Input(name="x", shape=(4,))]
    nodes.append(Dense(name="y", inputs=("x",), shape=(outputs,), weight=weight, bias=bias))
    if of is not None:
        nodes.append(Lookup(name="p", inputs=("y",), shape=(outputs,), function=of))
    return Graph(tuple(nodes), "decides")


@pytest.mark.parametrize(
    ("of", "at"), [(None, 0.0), ("tanh", 0.0), ("sigmoid", 0.5), ("hard_sigmoid(0.2, 0.5)", 0.5), ("softplus", 0.0)]
)
def test_codes_and_values_tell_the_same_class(of: str | None, at: float) -> None:
    graph = network(of)
    assert threshold(graph) == at
    assert classes(graph) == 2
    images = np.random.default_rng(2).normal(0, 1, (200, 4))
    values = RealExecutor(graph).run(images)
    labels = class_scores(graph, values).argmax(axis=-1)
    np.testing.assert_array_equal(labels, values[:, 0] > at)
    hardened = harden(graph, images, HardenOptions()).graph
    executor = IntegerExecutor(hardened)
    codes = executor.run(executor.encode(images))
    limit = code_threshold(hardened)
    assert limit is not None
    np.testing.assert_array_equal(class_scores(hardened, codes).argmax(axis=-1), codes[:, 0] > limit)
    assert accuracy(class_scores(hardened, codes), labels).top1 > 0.97


def test_the_threshold_itself_is_class_0() -> None:
    graph = harden(network("sigmoid"), np.ones((2, 4)), HardenOptions()).graph
    half = int(graph.output.resolved.encode(np.array([0.5]))[0])
    codes = np.array([[half - 1], [half], [half + 1]])
    np.testing.assert_array_equal(class_scores(graph, codes).argmax(axis=-1), [0, 0, 1])


def test_several_outputs_are_the_classes() -> None:
    graph = network("sigmoid", outputs=3)
    outputs = np.arange(6).reshape(2, 3)
    assert classes(graph) == 3
    assert threshold(graph) is None
    assert class_scores(graph, outputs) is outputs
