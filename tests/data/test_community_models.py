"""The community's Keras and QKeras models in hls4ml's own types: every code of every layer as in its C simulation."""

from pathlib import Path

import pytest

from hwflow.emulation import emulate
from hwflow.emulation.compare import compare
from hwflow.emulation.csim import simulation
from hwflow.emulation.source import Options, open_graph
from hwflow.stages.emulate import random_codes
from tests.data.conftest import DATA

MODELS = DATA / "hls4ml_example_models"
SETTINGS = [
    (name, granularity, io_type)
    for name in (
        "KERAS_3layer",
        "KERAS_3layer_batch_norm",
        "qkeras_3layer",
        "jetTagger_Conv2D_Small",
        "qkeras_mnist_cnn",
    )
    for granularity in ("model", "name")
    for io_type in ("io_parallel", "io_stream")
]
FAST = [
    ("KERAS_3layer", "model", "io_parallel"),
    ("qkeras_3layer", "name", "io_parallel"),
    ("jetTagger_Conv2D_Small", "model", "io_stream"),
]


@pytest.mark.parametrize(
    "setting",
    [pytest.param(each, id="-".join(each), marks=[] if each in FAST else pytest.mark.slow) for each in SETTINGS],
)
def test_it_agrees_with_csim(setting: tuple[str, str, str], tmp_path: Path) -> None:
    name, granularity, io_type = setting
    graph = open_graph(MODELS / f"{name}.json", Options(granularity=granularity, io_type=io_type))
    emulator = emulate(graph)
    codes = random_codes(emulator, 64, 1)
    found = compare(emulator, simulation(graph, tmp_path / "project"), codes)
    found.check()
    ((_, signal),) = emulator.inputs
    assert {int(codes[0].min()), int(codes[0].max())} == {signal.type.min_code, signal.type.max_code}
    assert found.layers >= 8
    assert found.output_codes == 64 * emulator.outputs[0][1].size
