"""Verilog with the ports and ROMs that Vitis HLS gives to hls4ml's networks; a stand-in, as there is no Vitis here."""

import re
from pathlib import Path

import numpy as np
import pytest

from hwflow.cost.packing import Packing
from hwflow.errors import HwflowError
from hwflow.faults import FaultList, sample_ber
from hwflow.graph import Graph
from hwflow.hardening import HardenOptions, harden
from hwflow.hardening.options import ScalingOptions
from hwflow.memory import memories, stored_words
from hwflow.reference import IntegerExecutor
from hwflow.rtl import RtlExecutor
from hwflow.rtl.vitis import open_vitis, vitis_project
from tests.networks import NetworkBuilder, random_images
from tests.vitis import TOP, write_standin

VERILATOR = pytest.param("verilator", marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def graph() -> Graph:
    net = NetworkBuilder(np.random.default_rng(7), (4,))
    net.dense(net.relu(net.dense(net.nodes[0], 6)), 2)
    graph = net.graph("small")
    options = HardenOptions(scaling=ScalingOptions(scale="none", saturate=True))
    return harden(graph, random_images(1, graph, 8), options).graph


@pytest.mark.parametrize("simulator", ["icarus", VERILATOR])
@pytest.mark.parametrize("stream", [True, False])
def test_a_network_and_its_faults(stream: bool, simulator: str, graph: Graph, tmp_path: Path) -> None:
    write_standin(graph, tmp_path / "verilog", stream)
    design = open_vitis(tmp_path / "verilog", graph)
    assert design.stream == stream
    reference = IntegerExecutor(graph)
    codes = reference.encode(random_images(2, graph, 9))
    clean = reference.run(codes)
    with vitis_project(design, graph) as folder:
        executor = RtlExecutor(folder, graph, simulator)
        np.testing.assert_array_equal(executor.run(codes, stall_percent=30), clean)
        faults = design.present(sample_ber(memories(graph), 1.0, 4, graph.digest))
        expected = reference.run(codes, faults)
        assert (expected != clean).any()
        np.testing.assert_array_equal(executor.run(codes, faults), expected)
        faults = design.present(sample_ber(memories(graph), 0.1, 4, graph.digest))
        np.testing.assert_array_equal(executor.run(codes, faults), reference.run(codes, faults))


def test_bits_that_vitis_left_out(graph: Graph, tmp_path: Path) -> None:
    write_standin(graph, tmp_path / "verilog", True)
    design = open_vitis(tmp_path / "verilog", graph)
    assert sum(rom.missing for rom in design.roms) > 0, "no ROM with leading zeros"
    everywhere = sample_ber(memories(graph), 1.0, 1, graph.digest)
    bits = sum(rom.rom.width * len(rom.rom.words) for rom in design.roms)
    assert len(design.present(everywhere)) == bits < len(everywhere)
    assert f"{len(everywhere) - bits} leading bits" in design.notes()[0]
    biases = sample_ber(memories(graph, faulty_biases=True), 1.0, 1, graph.digest)
    with pytest.raises(HwflowError, match=r"dense1\.bias: the Verilog has no such memory"):
        design.present(biases)
    assert isinstance(design.present(everywhere), FaultList)


def test_weights_one_after_the_other(graph: Graph, tmp_path: Path) -> None:
    write_standin(graph, tmp_path / "verilog", True)
    (image,) = (tmp_path / "verilog").glob("*.dat")
    packing = Packing(24, 1, 1, 6, 8)
    words = packing.pack(stored_words(graph.weight_layers[0]))
    image.write_text("".join(f"{word:x}\n" for word in words))
    assert open_vitis(tmp_path / "verilog", graph).roms[0].packing == packing


def edit(pattern: str, old: str, new: str):
    """A change to the files of a pattern."""

    def change(folder: Path) -> None:
        files = list(folder.glob(pattern))
        assert files
        for file in files:
            text = file.read_text()
            assert re.search(old, text)
            file.write_text(re.sub(old, new, text))

    return change


def remove(pattern: str):
    def change(folder: Path) -> None:
        for file in folder.glob(pattern):
            file.unlink()

    return change


def duplicate(folder: Path) -> None:
    """A second instance of the first layer's ROM, as of a function that Vitis did not share."""
    file = next(folder.glob("*config2_s.v"))
    text = file.read_text()
    instance = re.search(r"\w+ROM_AUTO_1R #\(.*?\);", text, re.DOTALL)
    assert instance
    file.write_text(text.replace(instance[0], instance[0] + "\n" + instance[0].replace("w2_U", "w2_U1")))


REFUSED = {
    "no Verilog": (remove("*.v"), "no Verilog files"),
    "latency": (remove("*ROM*"), "latency strategy"),
    "other weights": (
        edit("*.dat", r"^(\w)", r"1\1"),
        "no memory has the weights of dense1; expected one with 24 of 8",
    ),
    "fewer words": (edit("*.dat", r"\w+\n$", ""), "rom0 has 4 words, not all"),
    "no file": (remove("*.dat"), "cannot be read"),
    "two copies": (duplicate, "2 memories have the weights of dense1"),
    "no start": (edit(f"{TOP}.v", "ap_start", "ap_begin"), "no top modules with ap_start"),
    "no done": (edit(f"{TOP}.v", "ap_idle", "ap_quiet"), "has no ap_idle; ports image_TDATA"),
    "other width": (
        edit(f"{TOP}.v", r"input  \[63:0\]", "input  [59:0]"),
        "image_TDATA of myproject has 60 bits; expected 4",
    ),
    "no stream": (edit(f"{TOP}.v", "TDATA", "tdata"), "io_parallel"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_other_layouts_are_refused(case: str, graph: Graph, tmp_path: Path) -> None:
    change, words = REFUSED[case]
    write_standin(graph, tmp_path / "verilog", True)
    change(tmp_path / "verilog")
    with pytest.raises(HwflowError, match=words) as refused:
        open_vitis(tmp_path / "verilog", graph)
    assert "\n" not in str(refused.value)


def test_no_folder(graph: Graph, tmp_path: Path) -> None:
    with pytest.raises(HwflowError, match="no such folder"):
        open_vitis(tmp_path / "nowhere", graph)
