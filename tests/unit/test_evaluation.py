"""Accuracies, batches, and draws; what an upset in mid-run leaves clean."""

from types import SimpleNamespace

import numpy as np
import pytest

from hwflow.data import Dataset
from hwflow.errors import HwflowError
from hwflow.evaluation import Accuracy, batch_size, draw_rounds, images_at_once, run_batches, stored_bits
from hwflow.hardening import harden
from hwflow.inputs import labelled
from hwflow.memory import memories
from hwflow.reference import IntegerExecutor
from hwflow.simulation import split_at_upset
from tests.networks import random_graph, random_images, random_options

SEED = 4


@pytest.fixture(scope="module")
def graph():
    graph = random_graph(SEED)
    return harden(graph, random_images(SEED, graph, 8), random_options(SEED)).graph


def test_an_accuracy_is_mean_and_sample_deviation():
    accuracy = Accuracy.of([90.0, 92.0, 97.0], 50)
    assert accuracy == Accuracy(93.0, pytest.approx(np.sqrt((9 + 1 + 16) / 2)), 3, 50)
    assert str(accuracy) == "93.00 ± 3.61 %"


def test_a_single_round_has_no_deviation():
    assert Accuracy.of([90.0], 50) == Accuracy(90.0, 0.0, 1, 50)
    assert str(Accuracy.of([90.0], 50)) == "90.00 %"


def test_batches_change_nothing(graph, monkeypatch):
    monkeypatch.setattr("hwflow.evaluation.MAX_BATCH", 3)
    executor = IntegerExecutor(graph)
    codes = executor.encode(random_images(SEED, graph, 10))
    done = []
    outputs = run_batches(executor, graph, codes, None, done.append)
    assert np.array_equal(outputs, executor.run(codes))
    assert done[-1] == 10
    assert len(done) > 3


def test_a_batch_fits_into_memory(graph, monkeypatch):
    assert 1 <= batch_size(graph) <= 256
    monkeypatch.setattr("hwflow.evaluation._BATCH_ELEMENTS", 1)
    assert batch_size(graph) == 1


def test_a_process_a_run_is_given_many_images(graph, monkeypatch):
    pixels = np.prod(graph.input.shape)
    monkeypatch.setattr("hwflow.evaluation._RUN_ELEMENTS", 1000 * pixels)
    assert images_at_once(SimpleNamespace(), graph) == 1000
    assert images_at_once(IntegerExecutor(graph), graph) == batch_size(graph)


def test_draws_are_reproducible_and_independent(graph):
    design = SimpleNamespace(graph=graph)
    lists = draw_rounds(design, 0.01, 3, seed=7)
    assert lists == draw_rounds(design, 0.01, 5, seed=7)[:3]
    assert len({each.seed for each in lists + draw_rounds(design, 0.01, 3, seed=8)}) == 6
    for each in lists:
        each.check(memories(graph), graph.digest)


def test_biases_are_stored_bits_only_on_demand(graph):
    biases = sum(layer.bias.type.width * layer.n_out for layer in graph.weight_layers)
    assert stored_bits(graph, faulty_biases=True) - stored_bits(graph) == biases


def test_labels_must_fit(graph):
    images = random_images(SEED, graph, 3).astype(np.float32)
    classes = graph.output.shape[-1]
    assert len(labelled(Dataset("d", images, np.zeros(3, np.int64)), 2, graph)) == 2
    with pytest.raises(HwflowError, match="needs labels"):
        labelled(Dataset("d", images, None), None, graph)
    with pytest.raises(HwflowError, match=f"class {classes}"):
        labelled(Dataset("d", images, np.full(3, classes)), None, graph)
    with pytest.raises(HwflowError, match="d: the data has shape"):
        labelled(Dataset("d", images[..., None], np.zeros(3, np.int64)), None, graph)


def test_an_upset_splits_the_images(graph):
    inside = len(graph.nodes)
    finished = tuple(range(100, 100 * (inside + 6), 100))
    assert split_at_upset(finished, 250, graph) == (2, 2 + inside)
    with pytest.raises(HwflowError, match="upset-cycle"):
        split_at_upset(finished, 10_000_000, graph)
    with pytest.raises(HwflowError, match="more --images"):
        split_at_upset(finished[:inside], 50, graph)
