"""Random Keras models are hardened to what Keras computes, or refused by a layer's name."""

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings

from hwflow.errors import HwflowError
from hwflow.frontends.keras_agreement import measure
from hwflow.frontends.keras_check import TOLERANCE, check
from hwflow.frontends.keras_graph import network_graph
from hwflow.frontends.keras_network import read_network
from hwflow.hardening import HardenOptions, harden
from hwflow.hardening.remedies import remedies
from hwflow.reference import IntegerExecutor, RealExecutor
from tests.keras_models import RandomModel, random_models

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*serialize.*:UserWarning"),  # QKeras hands quantisers over as constraints
    pytest.mark.filterwarnings("ignore:The initializer:UserWarning"),
]
DEEP = 600
SLOW_BUILDS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def is_right_or_refused(made: RandomModel) -> None:
    if made.bad:
        event("refused")
        with pytest.raises(HwflowError) as error:
            read_network_and_graph(made.model)
        assert str(error.value).split(":")[0] in made.bad
        return
    event("read")
    network, graph = read_network_and_graph(made.model)
    images = np.random.default_rng(5).uniform(-1, 1, (6, *graph.input.shape)).astype(np.float32)
    assert check(graph, network, images, made.model) <= TOLERANCE
    expected = np.asarray(made.model(images), dtype=np.float64)
    if not any(node.type is not None for node in graph):
        # Not layer by layer, and without any code of the check: the whole graph in float64.
        event("not quantised")
        found = RealExecutor(graph).run(images.astype(np.float64))
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * max(1.0, np.abs(expected).max()))
    hardened = harden(graph, images)
    executor = IntegerExecutor(hardened.graph)
    assert executor.decode(executor.run(executor.encode(images))).shape == expected.shape
    assert measure(hardened.graph, network, images, 0.0, remedies(HardenOptions())).images == len(images)


def read_network_and_graph(model):
    network = read_network(model)
    return network, network_graph(network)


@settings(max_examples=25, deadline=None, suppress_health_check=SLOW_BUILDS)
@given(random_models())
def test_random_keras_models(made):
    is_right_or_refused(made)


@pytest.mark.slow
@settings(max_examples=DEEP, deadline=None, suppress_health_check=SLOW_BUILDS)
@given(random_models())
def test_random_keras_models_deep(made):
    is_right_or_refused(made)
