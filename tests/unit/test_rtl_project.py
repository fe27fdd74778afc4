"""The netlist, its memory images and its FIFO depths, without a simulator."""

from __future__ import annotations

import logging
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwflow.codes import CodeSpec
from hwflow.cost.packing import Packing, packing
from hwflow.cost.reuse import choose_reuse, fold, valid_reuse_factors
from hwflow.doctor import find_program
from hwflow.errors import HwflowError
from hwflow.fixed import FixedType
from hwflow.frontends.legal import renamed
from hwflow.graph import Concatenate, Constant, Graph, Outliers, Softmax, Window
from hwflow.hardening import HardenOptions, harden
from hwflow.memory import stored_words
from hwflow.rtl import RtlExecutor, generate
from hwflow.rtl.depth import FifoDepths, backlog, last_pixel
from hwflow.rtl.memory_image import side_memory
from hwflow.rtl.netlist import build_netlist
from hwflow.rtl.simulator import _runner
from tests.exact.agreement import with_outliers
from tests.networks import NetworkBuilder, random_graph, random_images, random_options, same


def hardened(graph: Graph, options: HardenOptions | None = None) -> Graph:
    return harden(graph, random_images(1, graph, 4), options).graph


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.data())
def test_packing_is_a_bijection_between_stored_bits_and_hardware_bits(seed: int, data: st.DataObject) -> None:
    graph = hardened(random_graph(seed), random_options(seed))
    layer = data.draw(st.sampled_from(graph.weight_layers))
    layer = replace(layer, storage=CodeSpec(data.draw(st.sampled_from(["plain", "secded"]))))
    factor = data.draw(st.sampled_from(valid_reuse_factors(layer)))
    layout = packing(layer, "weight", *fold(layer, factor))
    assert layout.beats == factor
    assert layout.depth == factor or (layout.depth < factor and layout.words == 1)
    words = stored_words(layer)
    hardware = layout.pack(words)
    word, bit = (index.reshape(-1) for index in np.indices((len(words), layout.bits)))
    address, position = layout.place(word, bit)
    assert len(set(zip(address.tolist(), position.tolist(), strict=True))) == layout.depth * layout.width
    for i in range(len(word)):
        assert hardware[address[i]] >> int(position[i]) & 1 == words[word[i], bit[i] // 8] >> (bit[i] % 8) & 1


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.data())
def test_the_side_memory_holds_every_rest_at_the_lane_and_address_of_its_cell(seed: int, data: st.DataObject) -> None:
    graph = with_outliers(hardened(random_graph(seed), random_options(seed)), 0.2, seed)
    layer = data.draw(st.sampled_from([layer for layer in graph.weight_layers if layer.outliers is not None]))
    pe, simd = fold(layer, data.draw(st.sampled_from(valid_reuse_factors(layer))))
    side = side_memory(layer, pe, simd)
    assert side is not None
    slot_bits = max(1, (pe * simd - 1).bit_length()) + side.rest_bits
    assert (side.room.rows, side.room.slots) == (side.rows, side.slots)
    found, addresses, used = {}, [], []
    for row in side.pack(side.room):
        slots = [row >> (slot * slot_bits) & ((1 << slot_bits) - 1) for slot in range(side.slots)]
        addresses.append(row >> (side.slots * slot_bits))
        used.append(sum(slot != 0 for slot in slots))
        for lane, rest in (divmod(slot, 1 << side.rest_bits) for slot in slots[: used[-1]]):
            found[addresses[-1], lane] = rest - (rest >> (side.rest_bits - 1) << side.rest_bits)
    assert addresses == sorted(set(addresses))
    assert (len(addresses), max(used), sum(used)) == (side.rows, side.slots, len(found))
    assert layer.outliers is not None
    places = zip(*(part.tolist() for part in side.layout.locate(layer.outliers.index)), strict=True)
    assert found == dict(zip(places, layer.outliers.rest.codes.tolist(), strict=True))


def test_the_side_memory_follows_the_matrix_unit() -> None:
    # Inputs 0 to 3 in words of SIMD 2, outputs in PE 2: o0 i1 is in lane 1, o0 i3 too, o1 i2 in lane 2.
    net = NetworkBuilder(np.random.default_rng(0), (4,))
    net.dense(net.nodes[0], 2)
    layer = hardened(net.graph("dense")).weight_layers[0]
    assert layer.weight.type is not None
    rest = Constant.from_codes(np.array([5, -1, 7]), FixedType(4, 4 - layer.weight.type.fraction))
    side = side_memory(replace(layer, outliers=Outliers(np.array([1, 3, 6]), rest)), 2, 2)
    assert side is not None
    # A row: the address in one bit, then two slots of a lane in two bits and a rest in four.
    assert side.pack(side.room) == [0b0_000000_010101, 0b1_100111_011111]


def test_only_layers_with_outliers_have_a_side_memory(tmp_path: Path) -> None:
    net = NetworkBuilder(np.random.default_rng(3), (4, 4, 2))
    first = net.conv(net.nodes[0], 3, same((4, 4), (3, 3), (1, 1)))
    second = net.dense(net.flat(first, average=False), 2)
    graph = hardened(net.graph("half"))
    full = with_outliers(graph, 0.1, 0)
    graph = Graph(tuple(full[node.name] if node.name == second.name else node for node in graph), "half")
    metadata = generate(graph, tmp_path / "rtl", choose_reuse(graph))
    assert [layer["rest_file"] for layer in metadata["layers"]] == [None, f"{second.name}_rest.mem"]
    assert [path.name for path in (tmp_path / "rtl").glob("*_rest.mem")] == [f"{second.name}_rest.mem"]
    assert (tmp_path / "rtl" / f"{metadata['top']}.sv").read_text().count("REST_ROWS") == 1


def test_only_layers_with_tables_have_their_images(tmp_path: Path) -> None:
    net = NetworkBuilder(np.random.default_rng(3), (4, 4, 2))
    first = net.conv(net.nodes[0], 3, same((4, 4), (3, 3), (1, 1)))
    second = net.dense(net.flat(first, average=False), 2)
    graph = hardened(net.graph("half"))
    table = np.arange(-128, 128)
    storage = CodeSpec("cosq", {"decoder": table, "encoder": table + 128})
    full = replace(graph[second.name], storage=storage)
    graph = Graph(tuple(full if node.name == second.name else node for node in graph), "half")
    metadata = generate(graph, tmp_path / "rtl", choose_reuse(graph))
    assert [layer["table_file"] for layer in metadata["layers"]] == [None, f"{second.name}_table.mem"]
    images = list((tmp_path / "rtl").glob("*_table.mem"))
    assert [path.name for path in images] == [f"{second.name}_table.mem"]
    assert [int(line, 16) for line in images[0].read_text().split()] == (table & 255).tolist()
    top = (tmp_path / "rtl" / f"{metadata['top']}.sv").read_text()
    assert (top.count("TABLE_FILE"), top.count("W_LATENCY")) == (1, 1)


def test_packing_follows_the_matrix_unit() -> None:
    # 4 inputs, 2 outputs, PE 2, SIMD 2: word sf holds (o0 s0, o0 s1, o1 s0, o1 s1).
    layout = Packing(n_in=4, n_out=2, pe=2, simd=2, bits=8)
    words = np.array([0x10, 0x11, 0x12, 0x13, 0x20, 0x21, 0x22, 0x23]).astype(np.uint8)[:, None]
    assert layout.pack(words) == [0x21201110, 0x23221312]


def test_packing_of_words_of_several_weights() -> None:
    # 6 inputs, 2 outputs, two words of 9 bits an output with 4 weights each: beats of 2 inputs share an address.
    words = np.array([[0x10, 1], [0x11, 0], [0x20, 0], [0x21, 1]], dtype=np.uint8)
    narrow = Packing(n_in=6, n_out=2, pe=2, simd=2, bits=9, per_word=4)
    assert (narrow.beats, narrow.depth, narrow.width) == (3, 2, 18)
    assert narrow.pack(words) == [0x20 << 9 | 0x110, 0x121 << 9 | 0x11]
    # All inputs in a beat, both words of a row side by side.
    wide = Packing(n_in=6, n_out=2, pe=1, simd=6, bits=9, per_word=4)
    assert (wide.beats, wide.depth, wide.width) == (2, 2, 18)
    assert wide.pack(words) == [0x11 << 9 | 0x110, 0x121 << 9 | 0x20]


@pytest.mark.parametrize("seed", range(16))
def test_random_designs_lint_clean(seed: int, tmp_path: Path) -> None:
    graph = hardened(random_graph(seed), random_options(seed))
    if seed % 2:
        graph = with_outliers(graph, 0.1, seed)
    rng = np.random.default_rng(seed)
    reuse = {layer.name: int(rng.choice(valid_reuse_factors(layer))) for layer in graph.weight_layers}
    metadata = generate(graph, tmp_path / "rtl", reuse)
    verilator = find_program("verilator")
    assert verilator is not None
    command = [
        verilator,
        "--lint-only",
        "-Wall",
        "--top-module",
        metadata["top"],
        *sorted((tmp_path / "rtl").glob("*.sv")),
    ]
    result = subprocess.run(command, cwd=tmp_path / "rtl", capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "%Warning" not in result.stderr


def brute_force_backlog(first: np.ndarray, second: np.ndarray) -> int:
    """Feed the fork's pixels one by one, to the first branch before the second; count what waits at most."""
    deepest = 0
    for pixel in range(1, int(second[-1]) + 1):
        taken = int((second <= pixel - 1).sum())
        deepest = max(deepest, int((first <= pixel).sum()) - taken)
    return deepest


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=30), st.lists(st.integers(1, 40), min_size=30, max_size=30))
def test_backlog_is_what_waits_at_most(first: list[int], second: list[int]) -> None:
    a = np.sort(np.array(first))
    b = np.sort(np.array(second[: len(first)]))
    assert backlog(a, b) == brute_force_backlog(a, b)


def test_last_pixel_of_a_padded_strided_window() -> None:
    window = Window(kernel=(3, 3), strides=(2, 2), padding=(1, 1, 1, 1))
    assert last_pixel(window, 4, 4).tolist() == [5, 7, 13, 15]


def test_an_identity_shortcut_waits_for_the_window_of_its_block() -> None:
    net = NetworkBuilder(np.random.default_rng(0), (8, 8, 1))
    x = net.conv(net.nodes[0], 2, same((8, 8), (1, 1), (1, 1)))
    y = net.conv(net.conv(x, 2, same((8, 8), (3, 3), (1, 1))), 2, same((8, 8), (3, 3), (1, 1)))
    add = net.add(y, x)
    graph = net.graph("identity")
    depths = FifoDepths(graph).of(graph[add.name])
    # Two 3x3 windows look two rows and two columns ahead: 2 x 8 + 2 pixels more than the Add has taken.
    assert depths[1] == 2 * (2 * 8 + 3) + 2
    assert depths[0] == 2 * 1 + 2


def test_a_concatenation_waits_like_an_add() -> None:
    net = NetworkBuilder(np.random.default_rng(1), (6, 6, 2))
    x = net.conv(net.nodes[0], 2, same((6, 6), (1, 1), (1, 1)))
    joined = net.concatenate(x, net.conv(x, 3, same((6, 6), (3, 3), (1, 1))))
    net.dense(net.flat(joined, average=True), 2)
    graph = hardened(net.graph("dense_block"))
    merge = graph[joined.name]
    assert isinstance(merge, Concatenate)
    first, second = FifoDepths(graph).of(merge)
    assert first >= 6 + 1 + 2 > second


def ends_in_softmax(classes: int) -> Graph:
    net = NetworkBuilder(np.random.default_rng(0), (4,))
    dense = net.dense(net.nodes[0], classes)
    return hardened(Graph((*net.nodes, Softmax(name="soft", inputs=(dense.name,), shape=(classes,)))))


def test_softmax_is_in_the_rtl_up_to_511_classes() -> None:
    graph = ends_in_softmax(511)
    assert graph.in_rtl is graph
    assert build_netlist(graph, choose_reuse(graph)).output.type == graph.output.resolved
    other = replace(graph.output, exp_size=512)
    with pytest.raises(HwflowError, match="soft: the RTL has no softmax with tables of 512 exponentials"):
        build_netlist(Graph((*graph.nodes[:-1], other)), choose_reuse(graph))


def test_the_rtl_ends_before_a_larger_softmax(tmp_path: Path) -> None:
    graph = ends_in_softmax(512)
    assert [node.name for node in graph.in_rtl] == [node.name for node in graph][:-1]
    assert graph.logits.logits is graph.logits is graph.in_rtl
    netlist = build_netlist(graph, choose_reuse(graph))
    assert netlist.output.type == graph.logits.output.resolved != graph.output.resolved
    assert generate(graph, tmp_path / "rtl", choose_reuse(graph))["graph"] == graph.digest


def test_names_that_collide_get_different_modules_and_files(tmp_path: Path) -> None:
    net = NetworkBuilder(np.random.default_rng(0), (4,))
    x = net.nodes[0]
    names = ["a-b", "a_b", "A_B", "axis", "a_b_fork", "a_b_copy0", "a_b_wb", "s_a_b", "u_a_b", "input"]
    for _ in names:
        x = net.dense(x, 3)
    x = net.add(x, x)
    graph = hardened(
        renamed(net.graph("module"), dict(zip((node.name for node in net.nodes[1:]), names, strict=False)), "1")
    )
    netlist = build_netlist(graph, choose_reuse(graph))
    assert [unit.layer for unit in netlist.units] == names
    signals = [f"{stream.name}_tdata" for stream in netlist.streams] + ["s_axis_tdata", "m_axis_tdata"]
    signals += netlist.signals
    ports = [f"{unit.port}_{port}_en_i" for unit in netlist.units for port in ("wb", "bb")]
    everything = [*signals, *ports, *(instance.name for instance in netlist.instances)]
    assert len(set(everything)) == len(everything)
    files = [file.lower() for unit in netlist.units for file in (unit.weight_file, unit.bias_file)]
    assert len(set(files)) == 2 * len(names)


def test_only_hardened_graphs_become_rtl() -> None:
    with pytest.raises(HwflowError, match="hardened graphs only"):
        build_netlist(random_graph(0), choose_reuse(random_graph(0)))


def test_projects_of_another_design_are_refused(tmp_path: Path) -> None:
    graph, other = hardened(random_graph(1)), hardened(random_graph(2))
    generate(graph, tmp_path / "rtl", choose_reuse(graph))
    with pytest.raises(HwflowError, match="made from another design"):
        RtlExecutor(tmp_path / "rtl", other)
    with pytest.raises(HwflowError, match="no RTL project"):
        RtlExecutor(tmp_path / "none", graph)
    with pytest.raises(HwflowError, match="simulator 'questa' is unknown"):
        RtlExecutor(tmp_path / "rtl", graph, "questa")  # type: ignore[arg-type]


def test_the_runner_of_cocotb_prints_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    for name in ("verilator", "icarus"):
        _runner(name).log.warning("Skipping compilation")
    assert capsys.readouterr() == ("", "")
