"""The table of hls4ml's layers in the documentation is what the executors do."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwflow.frontends.keras_layers import LAYERS
from hwflow.frontends.unrolled import RECURRENT
from tests.layer_table import csim_agrees, emulated, hardened, rtl_agrees, subjects, table

SUBJECTS = subjects()
TABLE = table((Path(__file__).parents[2] / "docs" / "layers.md").read_text())


def test_every_layer_has_a_row() -> None:
    assert list(TABLE) == list(SUBJECTS)


def test_layers_that_are_read_are_hardened() -> None:
    said = {name for name, cells in TABLE.items() if cells["hardened"]}
    assert said == set(SUBJECTS) & {*LAYERS, *RECURRENT, "Bidirectional"}


@pytest.mark.slow
@pytest.mark.parametrize("name", SUBJECTS)
def test_executors(name: str, tmp_path: Path) -> None:
    """Run, not only written."""
    model = SUBJECTS[name]()
    graph = hardened(model)
    assert TABLE[name]["emulated"] == emulated(model)
    assert TABLE[name]["hardened"] == (graph is not None)
    if graph is None:
        return
    assert TABLE[name]["C simulation"] == csim_agrees(graph, model, tmp_path / "csim")
    assert TABLE[name]["RTL"] == rtl_agrees(graph, tmp_path / "rtl")
