"""Accuracies, batches, and draws; what an upset in mid-run leaves clean."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hwflow.codes import Secded
from hwflow.data import Dataset
from hwflow.errors import HwflowError
from hwflow.executors import Setup, open_executor, reference_batch
from hwflow.faults import chosen
from hwflow.faults.models import restrict
from hwflow.hardening import HardenOptions, harden
from hwflow.memory import memories
from hwflow.reference import IntegerExecutor
from hwflow.stages.evaluate import Accuracy, draw_rounds, stored_bits
from hwflow.stages.inputs import labelled
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
    assert Accuracy.of([93.2] * 7, 500) == Accuracy(93.2, 0.0, 7, 500)
    assert [str(Accuracy.of(each, 500)) for each in ([93.2] * 7, [93.2, 93.4], [93.2])] == [
        "93.20 % in all rounds", "93.30 ± 0.14 %", "93.20 %",
    ]  # fmt: skip
    assert str(Accuracy.of([90.0], 50)) == "90.00 %"


def test_a_batch_fits_into_memory(graph, monkeypatch):
    compiled, numpy = IntegerExecutor(graph), IntegerExecutor(graph, engine="numpy")
    assert 1 < reference_batch(compiled) <= 256
    monkeypatch.setattr("hwflow.executors._BATCH_BYTES", 1 << 17)
    assert 1 <= reference_batch(numpy) < reference_batch(compiled)
    monkeypatch.setattr("hwflow.executors._BATCH_BYTES", 1)
    assert reference_batch(compiled) == 1


def rounds_of(graph):
    """No faults, faults anywhere, in the last weight layers only, a single fault, none drawn."""
    design = SimpleNamespace(graph=graph)
    everywhere = draw_rounds(design, 0.02, 1, 3, faulty_biases=True)[0]
    names = [layer.name for layer in graph.weight_layers]
    late = restrict(everywhere, names[-len(names) // 3 :])
    single = restrict(everywhere, names[-1:], [0])
    return [None, everywhere, late, single, *draw_rounds(design, 0.0, 1, 0)]


@pytest.mark.parametrize("engine", ["auto", "numpy"])
@pytest.mark.parametrize("kept", [0, 2000, 1 << 28])
@pytest.mark.parametrize("known", [True, False])
def test_rounds_that_start_late_change_nothing(graph, engine, kept, known):
    executor = IntegerExecutor(graph, engine=engine)
    codes = executor.encode(random_images(SEED, graph, 5))
    rounds = rounds_of(graph)
    expected = [IntegerExecutor(graph).run(codes, faults) for faults in rounds]  # each by one that met no other list
    assert not np.array_equal(expected[0], expected[2])
    orders = (range(len(rounds)), reversed(range(len(rounds))))
    for order in orders:
        prefix = executor.clean_prefix(codes, kept, rounds if known else ())
        for index in order:
            np.testing.assert_array_equal(prefix.run(rounds[index]), expected[index])


def test_a_late_round_runs_the_late_layers_only(graph, monkeypatch):
    executor = IntegerExecutor(graph, engine="numpy")
    rounds = rounds_of(graph)
    first = next(index for index, node in enumerate(graph.nodes) if rounds[2].counts().get(f"{node.name}.weight"))
    prefix = executor.clean_prefix(executor.encode(random_images(SEED, graph, 5)), rounds=rounds)
    evaluated = []
    plain = executor.engine._evaluate
    monkeypatch.setattr(executor.engine, "_evaluate", lambda node, x: evaluated.append(node.name) or plain(node, x))
    names = [node.name for node in graph.nodes[1:]]
    prefix.run()
    assert evaluated == names
    evaluated.clear()
    prefix.run(rounds[2])
    assert evaluated == names[first - 1 :]
    assert 1 < first < len(names)


def test_faults_that_the_decoders_undo_cost_no_step(graph, monkeypatch):
    """A flip a word of a code that corrects one: decoded once for all batches, and not a layer runs again."""
    secded = harden(random_graph(SEED), random_images(SEED, graph, 8), HardenOptions(storage="secded")).graph
    flips = [(memory.name, word, 5) for memory in memories(secded) for word in range(memory.words)]
    faults = chosen(memories(secded), flips, secded.digest)
    executor = IntegerExecutor(secded, engine="numpy")
    batches = [executor.clean_prefix(executor.encode(random_images(seed, graph, 2))) for seed in (1, 2)]
    clean = [batch.output for batch in batches]
    monkeypatch.setattr(executor.engine, "_evaluate", lambda node, x: pytest.fail(f"{node.name} ran again"))
    decodes = []
    decode = Secded.decode
    monkeypatch.setattr(Secded, "decode", lambda self, words: decodes.append(len(words)) or decode(self, words))
    for batch, expected in zip(batches, clean, strict=True):
        np.testing.assert_array_equal(batch.run(faults), expected)
    assert sum(decodes) == len(flips)


def test_a_network_runs_its_rounds_as_the_executor_does(graph):
    rounds = rounds_of(graph)
    images = random_images(SEED, graph, 5)
    executor = IntegerExecutor(graph)
    outputs = open_executor("reference", Setup(graph, threads=1, lists=rounds)).start(images)
    for faults in rounds:
        np.testing.assert_array_equal(outputs(faults), executor.run(executor.encode(images), faults))


def test_faults_of_another_design_are_refused(graph):
    other = random_graph(SEED + 1)
    other = harden(other, random_images(SEED + 1, other, 8), random_options(SEED + 1)).graph
    foreign = draw_rounds(SimpleNamespace(graph=other), 0.01, 1, 0)
    executor = IntegerExecutor(graph)
    prefix = executor.clean_prefix(executor.encode(random_images(SEED, graph, 2)), rounds=foreign)
    with pytest.raises(HwflowError, match=r"another design|not in this design"):
        prefix.run(foreign[0])


def test_a_process_a_run_is_given_many_images(graph, monkeypatch):
    pixels = np.prod(graph.input.shape)
    monkeypatch.setattr("hwflow.executors._RUN_ELEMENTS", 1000 * pixels)
    monkeypatch.setattr("hwflow.firmware.csim.CsimExecutor", lambda *_: None)
    assert open_executor("csim", Setup(graph, part=Path)).images_at_once == 1000


def test_executors_say_what_they_lack(graph):
    with pytest.raises(HwflowError, match="executor 'fpga' is unknown; choose one of reference, csim, rtl, keras"):
        open_executor("fpga", Setup(graph))
    with pytest.raises(HwflowError, match="no project whose firmware can run"):
        open_executor("csim", Setup(graph))


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
    if len(graph.output.shape) > 1:
        with pytest.raises(HwflowError, match="tell no class"):
            labelled(Dataset("d", images, np.zeros(3, np.int64)), 2, graph)
        return
    classes = graph.output.shape[-1]
    assert len(labelled(Dataset("d", images, np.zeros(3, np.int64)), 2, graph)) == 2
    with pytest.raises(HwflowError, match="needs labels"):
        labelled(Dataset("d", images, None), None, graph)
    with pytest.raises(HwflowError, match=f"class {classes}"):
        labelled(Dataset("d", images, np.full(3, classes)), None, graph)
    with pytest.raises(HwflowError, match="d: the data has shape"):
        labelled(Dataset("d", images[..., None], np.zeros(3, np.int64)), None, graph)
