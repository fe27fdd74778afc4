"""Softmax from tables: probabilities for any number of classes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwflow.graph import Constant, Dense, Graph, Input, Softmax
from hwflow.hardening import HardenOptions, harden
from hwflow.reference import IntegerExecutor

LIMIT = 0.01


def classifier(classes):
    """Logits straight from the input, then softmax."""
    weight, bias = Constant(np.eye(classes)), Constant(np.zeros(classes))
    nodes = (
        Input(name="image", shape=(classes,)),
        Dense(name="logits", inputs=("image",), shape=(classes,), weight=weight, bias=bias),
        Softmax(name="probabilities", inputs=("logits",), shape=(classes,)),
    )
    return Graph(nodes, "classifier")


def probabilities(logits, options=None):
    executor = IntegerExecutor(harden(classifier(logits.shape[1]), logits, options).graph)
    return executor.decode(executor.run(executor.encode(logits)))


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def check(logits, options=None):
    found = probabilities(logits, options)
    assert np.abs(found - softmax(logits)).max() <= LIMIT
    assert np.abs(found.sum(axis=1) - 1).max() <= LIMIT


@pytest.mark.parametrize("classes", [2, 3, 4, 5, 8, 9, 10, 31, 32, 33, 100, 255, 256, 257, 511, 978, 1000])
@pytest.mark.parametrize("spread", [0.01, 1.0, 4.0, 15.0])
def test_probabilities_are_keras_and_sum_to_one(classes, spread):
    rng = np.random.default_rng(classes)
    logits = rng.normal(0, spread, (40, classes))
    logits[:4] = 0  # all equal
    for row in range(4, 20):  # a few equal ones in front of the others
        logits[row] = -spread
        logits[row, : min(row, classes)] = spread
    check(logits)


@settings(max_examples=60, deadline=None)
@given(
    classes=st.integers(2, 1000),
    equal=st.integers(1, 1000),
    gap=st.floats(0, 12),
    bits=st.integers(12, 16),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_number_of_classes(classes, equal, gap, bits, seed):
    """Groups of equal logits, which round all in the same direction, are the worst case."""
    logits = np.random.default_rng(seed).normal(0, 0.1, (8, classes))
    logits[1:4] = 0
    logits[2:6, : min(equal, classes)] += gap
    check(logits, HardenOptions(activation_bits=bits))
