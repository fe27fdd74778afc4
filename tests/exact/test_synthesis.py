"""Yosys counts what a design takes, cell by cell; the estimate is near it, in flip-flops less so."""

import json
from pathlib import Path

import numpy as np
import pytest

from hwflow import resources
from hwflow.cost.area import total
from hwflow.cost.reuse import choose_reuse
from hwflow.cost.synthesis import synthesise
from hwflow.errors import HwflowError
from hwflow.hardening import harden
from hwflow.rtl import generate
from hwflow.rtl.area import OUTSIDE, CellArea, synthesised
from tests.networks import NetworkBuilder, random_images, same


@pytest.mark.slow
def test_a_design_takes_about_what_was_estimated(tmp_path: Path) -> None:
    net = NetworkBuilder(np.random.default_rng(1), (4, 4, 2))
    x = net.relu(net.conv(net.nodes[0], 4, same((4, 4), (3, 3), (1, 1))))
    net.dense(net.flat(x, average=True), 3)
    graph = net.graph("network")
    graph = harden(graph, random_images(1, graph, 8)).graph
    generate(graph, tmp_path / "rtl", choose_reuse(graph))
    written = json.loads((tmp_path / "rtl" / "rtl.json").read_text())
    cells = [CellArea.from_json(row) for row in written["cells"]]
    found = synthesised(cells, tmp_path / "rtl", written["top"], "xcup")
    assert [cell.instance for cell in found[:-1]] == [cell.instance for cell in cells]
    assert found[-1].layer == OUTSIDE
    said, true = total(cell.area for cell in cells), total(cell.area for cell in found)
    assert (said.dsp, said.block_ram) == (true.dsp, true.block_ram)
    assert said.luts == pytest.approx(true.luts, rel=0.12)
    assert said.flip_flops == pytest.approx(true.flip_flops, rel=0.15)
    assert 0 < found[-1].area.luts < 10


def test_a_missing_program_is_said_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(HwflowError, match="no-such-yosys is not on the PATH; install Yosys"):
        synthesised([], tmp_path, "top", "xcup", "no-such-yosys")


@pytest.mark.slow
def test_a_leaf_within_a_leaf_is_counted(tmp_path: Path) -> None:
    parameters, cells = "(.WIDTH(8), .DEPTH(4))", resources.folder("hls_templates") / "rtl"
    (tmp_path / "top.sv").write_text(
        f"module top; (* keep *) hwflow_catch #{parameters} u (); (* keep *) hwflow_fifo #{parameters} v (); endmodule"
    )
    sources = [tmp_path / "top.sv", *(cells / f"hwflow_{name}.sv" for name in ("catch", "fifo", "ram"))]
    found = synthesise(sources, "top", ["hwflow_catch", "hwflow_fifo"], tmp_path)
    alone = synthesise(sources, "top", ["hwflow_catch"], tmp_path)
    assert found["u"].flip_flops == alone["u"].flip_flops > found["v"].flip_flops > 8
