"""Which memories lie in LUTs, block RAM and URAM of a part, and what is said of a design for which neither suffices."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hwflow.cost import parts
from hwflow.cost.area import Area, total
from hwflow.cost.memories import Memory, place
from hwflow.cost.parts import Part
from hwflow.cost.reuse import choose_reuse
from hwflow.errors import HwflowError
from hwflow.graph import Constant, Graph, Outliers
from hwflow.hardening import harden
from hwflow.rtl.address_map import address_map
from hwflow.rtl.area import estimated, outliers
from hwflow.rtl.c_header import render_c_header
from hwflow.rtl.netlist import build_netlist
from hwflow.rtl.placement import places, with_memories
from hwflow.stages.folding import choose_folding
from tests.networks import NetworkBuilder, random_images, same

LIMIT = Area(luts=1000, flip_flops=1000, block_ram=10, uram=4)
SHALLOW = {"block": Area(block_ram=4), "distributed": Area(luts=300)}
DEEP = {"block": Area(block_ram=8), "ultra": Area(uram=1)}
NARROW = {"block": Area(block_ram=8), "ultra": Area(uram=4)}


def test_shapes_of_memories() -> None:
    sizes = ((72, 4096), (73, 4096), (72, 4097), (8, 100), (576, 8192))
    assert [Memory(*size).uram for size in sizes] == [1, 2, 2, 1, 16]
    deep = [Memory(8, words, both_ports=True).two_port_lut_ram for words in (32, 64, 65, 129, 256, 257)]
    assert deep == [8, 16, 32, 64, 64, 128]


def test_what_fits_stays_in_block_ram() -> None:
    assert place({"a": DEEP, "b": SHALLOW}, Area(), Area(1, 1, 1, 12, 9)) == {"a": "block", "b": "block"}


def test_the_largest_saving_for_its_share_moves_first() -> None:
    # A quarter of the URAMs saves 8 blocks; all of them save as many, and 300 of 1000 LUTs save 4.
    memories = {"narrow": NARROW, "shallow": SHALLOW, "deep": DEEP}
    assert place(memories, Area(), replace(LIMIT, block_ram=12)) == {
        "narrow": "block", "shallow": "block", "deep": "ultra",
    }  # fmt: skip
    assert place(memories, Area(), LIMIT) == {"narrow": "block", "shallow": "distributed", "deep": "ultra"}
    assert place(memories, Area(), replace(LIMIT, block_ram=4, uram=5)) == {
        "narrow": "ultra", "shallow": "block", "deep": "ultra",
    }  # fmt: skip
    wide = {"block": Area(block_ram=9), "ultra": Area(uram=4)}  # has no room beside the other
    assert place({"deep": DEEP, "wide": wide}, Area(), replace(LIMIT, block_ram=8)) == {
        "deep": "block",
        "wide": "ultra",
    }
    assert place(dict(reversed(memories.items())), Area(), LIMIT) == place(memories, Area(), LIMIT)


def test_nothing_takes_what_is_not_there() -> None:
    assert place({"deep": DEEP}, Area(), Area(1, 1, 1, 4, 0)) is None
    assert place({"shallow": SHALLOW}, Area(luts=800, block_ram=7), LIMIT) is None
    assert place({"shallow": SHALLOW}, Area(luts=700, block_ram=7), LIMIT) == {"shallow": "distributed"}
    # LUTs that are too many already do not keep memories out of URAM.
    assert place({"deep": DEEP}, Area(luts=2000, block_ram=7), LIMIT) == {"deep": "ultra"}
    assert place({}, Area(block_ram=11), LIMIT) is None


@pytest.fixture(scope="module")
def graph() -> Graph:
    net = NetworkBuilder(np.random.default_rng(1), (8, 8, 8))
    x = net.relu(net.conv(net.nodes[0], 32, same((8, 8), (3, 3), (1, 1))))
    x = net.relu(net.conv(x, 64, same((8, 8), (3, 3), (1, 1))))
    net.dense(net.flat(x, average=True), 10)
    made = net.graph("network")
    return harden(made, random_images(1, made, 8)).graph


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> list[Part]:
    """A family of parts with little block RAM, of which the first one has no URAM."""
    found: list[Part] = []
    for name, block_ram, uram in (("none", 12, 0), ("some", 12, 8), ("more", 30, 0)):
        found.append(Part(name, "xcup", Area(100_000 + len(found), 200_000, 1000, block_ram, uram), "here"))
    monkeypatch.setattr(parts, "parts", lambda: tuple(found))
    return found


REUSE = 288


def test_memories_move_as_many_as_it_takes(graph: Graph, known: list[Part]) -> None:
    netlist = build_netlist(graph, choose_reuse(graph, REUSE))

    def area(**options: Any) -> Area:
        return total(cell.area for cell in estimated(graph, with_memories(graph, netlist, **options)))

    assert set(places(netlist).values()) == {"block RAM"}
    before = area(part="none")
    assert before.block_ram > known[0].area.block_ram
    assert before == area(part="unknown") == area(part="some")
    moved = with_memories(graph, netlist, "some", uram=True)
    assert moved.empty
    assert {places(moved)[layer] for layer in moved.empty} == {"URAM"}
    after = area(part="some", uram=True)
    assert after.block_ram <= known[1].area.block_ram
    assert 0 < after.uram <= known[1].area.uram
    assert moved == with_memories(graph, netlist, "some", uram=True)
    assert with_memories(graph, netlist, "more", uram=True) == netlist
    # Where weights lie is no part of the structure that a network must have.
    assert address_map(graph, moved).structure == address_map(graph, netlist).structure
    header = render_c_header(address_map(graph, moved), "net", moved.empty)
    assert "#define NET_STARTS_EMPTY 0x1u" in header
    assert f"/* weight memory of {moved.empty[0]}, in URAM */" in header


def refusal(graph: Graph, part: str, reuse: int | None = REUSE, uram: bool = False) -> str:
    with pytest.raises(HwflowError) as refused:
        choose_folding(graph, reuse, part=part, uram=uram)
    return str(refused.value)


def test_a_design_that_does_not_fit_says_what_would(graph: Graph, known: list[Part]) -> None:
    said = refusal(graph, "some").split("; ")
    assert said[0].startswith("the design takes ")
    assert said[0].endswith(" too few)")
    assert "block RAMs (some has 12, " in said[0]
    assert said[1].startswith("with --uram it fits, ")
    assert said[-1] == "more would do"
    choose_folding(graph, REUSE, part="some", uram=True)
    choose_folding(graph, REUSE, part="more")
    assert "--uram it fits" not in refusal(graph, "none")
    known.pop()
    assert refusal(graph, "none").endswith("; some with --uram would do")
    known[1] = replace(known[1], area=replace(known[1].area, uram=0))
    assert refusal(graph, "none").endswith("; no part of its family that hwflow knows would do")


def test_outliers_that_are_too_many_are_named(graph: Graph, known: list[Part]) -> None:
    layer = graph.weight_layers[1]
    index = np.arange(layer.weight.size)[::3]
    rest = Constant.from_codes(np.full(len(index), 3), graph.weight_layers[0].weight.type)
    changed = replace(layer, outliers=Outliers(index, rest))
    many = Graph(tuple(changed if node.name == layer.name else node for node in graph), graph.name)
    known[:] = [replace(known[2], area=replace(known[2].area, luts=9_000))]
    assert "LUTs (more has 9,000, " in refusal(many, "more")
    assert "; without side memories it fits: harden it with fewer outliers, or protect fewer weights; " in refusal(
        many, "more"
    )
    choose_folding(graph, REUSE, part="more")


def test_the_fastest_design_may_need_uram(graph: Graph, known: list[Part]) -> None:
    tiny = replace(known[1], area=replace(known[1].area, luts=8_000, block_ram=4))
    known[:] = [tiny]
    said = refusal(graph, "some", reuse=None)
    assert said.startswith("even with the largest reuse factors the design takes ")
    assert "; with --uram it fits, " in said
    choose_folding(graph, part="some", uram=True)


def test_a_design_may_fit_where_a_slower_one_does_not(graph: Graph, known: list[Part]) -> None:
    known[:] = [replace(known[1], area=Area(6000, 20_000, 100, block_ram=6.9, uram=4))]
    slowest = max(layer.vectors * layer.n_in * layer.n_out for layer in graph.weight_layers)
    with pytest.raises(HwflowError, match=r"the design takes .* block RAMs") as refused:
        choose_folding(graph, target_cycles=slowest, part="some", uram=True)
    fastest = choose_folding(graph, part="some", uram=True).target_cycles
    assert fastest is not None
    assert fastest < slowest
    assert "with --target-cycles" in str(refused.value)


def test_uram_is_refused_where_there_is_none(graph: Graph, known: list[Part]) -> None:
    assert (
        refusal(graph, "none", uram=True)
        == "--uram: none has no URAM; leave out --uram, or choose a part that has some"
    )
    assert "not known" in refusal(graph, "other", uram=True)
    with pytest.raises(HwflowError, match="--uram needs --part"):
        choose_folding(graph, uram=True)


@pytest.mark.parametrize(
    ("lanes", "words", "rows", "slots", "luts", "flip_flops"),
    [(64, 576, 36, 2, 1424, 1243), (16, 36864, 600, 2, 1807, 437), (16, 147456, 2400, 3, 7424, 495)],
)
def test_outliers_that_can_be_loaded_take_about_what_yosys_makes(
    lanes: int, words: int, rows: int, slots: int, luts: int, flip_flops: int
) -> None:
    """``hwflow_outliers`` alone, by Yosys 0.23; inverters and RAM64M8 as LUTs."""
    said = outliers(lanes, words, {"REST_ROWS": rows, "REST_SLOTS": slots, "REST_W": 8, "LOADABLE": 1})
    assert said.luts == pytest.approx(luts, rel=0.1)
    assert said.flip_flops == pytest.approx(flip_flops, rel=0.05)
