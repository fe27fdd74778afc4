"""The cocotb test of the page with a stopwatch, on a network with the same last layer whose class its biases decide."""

import numpy as np
import pytest

import hwflow
from hwflow.stages.user_test import run_test
from tests.docs.blocks import NAMES, blocks


@pytest.mark.slow
@pytest.mark.parametrize("largest", [0.01, 4.0], ids=["it passes", "it can fail"])
def test_upsets_of_the_last_layer(largest, tmp_path):
    keras = pytest.importorskip("keras")
    model = keras.Sequential([keras.layers.Input((4, 4, 4)), keras.layers.Flatten(), keras.layers.Dense(10)])
    rng = np.random.default_rng(1)
    model.layers[-1].set_weights([rng.uniform(-largest, largest, (64, 10)), np.eye(10)[3]])
    images = rng.random((32, 4, 4, 4))
    design = hwflow.harden(model, tmp_path / "design", calibration=images)
    np.save(tmp_path / "images.npy", images)
    (block,) = (each for each in blocks(NAMES["docs/tutorials/stopwatch.md"]) if each.title)
    (tmp_path / block.title).write_text(block.text)
    run = run_test(design, tmp_path / block.title, simulator="icarus")
    assert list(run.verdicts) == ["upsets_of_the_last_layer"]
    assert bool(run.failed) == (largest > 1)
