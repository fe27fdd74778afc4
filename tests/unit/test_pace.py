"""Designs take the cycles of their busiest layer, and those that were asked for, by the cycle model.

tests/exact/test_rtl_throughput.py holds the model against the RTL.
"""

import pytest

from hwflow.cost.layers import layer_costs
from hwflow.cost.reuse import choose_reuse
from hwflow.data import load_digits
from hwflow.firmware import read_keras
from hwflow.graph import Graph
from hwflow.hardening import harden
from hwflow.models import embedded
from hwflow.reference.kernels.library import Build
from hwflow.rtl import cycles, sizing
from hwflow.rtl.busiest import Busiest, busiest
from hwflow.rtl.cycles import FIFO, UNBOUNDED, CycleModel, pace
from hwflow.rtl.netlist import build_netlist
from hwflow.rtl.sizing import as_wanted, size_buffers
from hwflow.rtl.structure import Netlist
from hwflow.stages.folding import choose_folding
from hwflow.stages.reaching import reach
from tests.paced import chain, dense_block, hardened, moved, separable, stride, thin, unpadded

TARGETS = (500, 2_000, 5_000, 10_000, 40_000, 100_000)
MANY_IMAGES = 12


@pytest.fixture(scope="module")
def digits() -> Graph:
    return harden(read_keras(embedded("digits_cnn")), load_digits("train").images[:50]).graph


@pytest.fixture(scope="module")
def graphs(digits: Graph) -> dict[str, Graph]:
    networks = (chain, stride, separable, dense_block, thin, unpadded)
    return {"digits": digits, **{layers.__name__: hardened(layers) for layers in networks}}


def taken(netlist: Netlist) -> float:
    found = pace(netlist)
    assert found is not None
    return found.image_to_image


@pytest.mark.parametrize("name", ["digits", "chain", "stride", "separable", "dense_block", "thin", "unpadded"])
def test_an_image_takes_as_long_as_the_busiest_layer_and_as_was_asked_for(graphs: dict[str, Graph], name: str) -> None:
    graph = graphs[name]
    for target in TARGETS:
        factors, notes = reach(graph, target)
        assert notes == []
        assert factors == choose_reuse(graph, target_cycles=target)
        netlist, _ = size_buffers(build_netlist(graph, factors))
        layer = max(cost.cycles_per_image for cost in layer_costs(graph, factors))
        assert busiest(netlist).cycles == layer
        assert layer <= taken(netlist) <= min(1.01 * layer, target)
        assert CycleModel(netlist).run(MANY_IMAGES).cycles_per_image == taken(netlist)


def test_line_buffers_of_a_window_and_a_row_are_too_small_for_an_image_below_its_kernel(digits: Graph) -> None:
    factors = choose_reuse(digits, target_cycles=10_000)
    netlist = build_netlist(digits, factors)
    fifos = {cell.name: UNBOUNDED for cell in netlist.instances if cell.module == FIFO}
    assert CycleModel(netlist).run(MANY_IMAGES, fifos).cycles_per_image > 1.2 * busiest(netlist).cycles
    sized, _ = size_buffers(netlist)
    rows = [
        {cell.name: cell.parameters["BUF_ROWS"] for cell in each.instances if "BUF_ROWS" in cell.parameters}
        for each in (netlist, sized)
    ]
    assert rows[1] == rows[0] | {"u_block2_conv2_window": 4}


def test_what_takes_longer_than_the_target_whatever_the_factors_is_named(digits: Graph) -> None:
    graph = hardened(dense_block)
    never = "no reuse factors change that"
    assert reach(graph, 100)[1] == [f"concat10: takes 108 cycles an image in the RTL, more than 100; {never}"]
    assert reach(graph, 108)[1] == []
    assert choose_folding(digits, target_cycles=20).notes == (
        "conv1: takes 64 cycles an image, more than 20; 1 is its smallest reuse factor",
        f"the input: takes 64 cycles an image in the RTL, more than 20; {never}",
    )
    assert choose_folding(digits, target_cycles=20, rtl=False).notes == (
        "conv1: takes 64 cycles an image, more than 20; 1 is its smallest reuse factor",
    )


def test_layers_are_faster_than_the_target_where_what_is_between_them_is_slower() -> None:
    graph = hardened(moved)
    wanted = choose_reuse(graph, target_cycles=300)
    slow, _ = size_buffers(build_netlist(graph, wanted))
    assert taken(slow) > 300
    factors, notes = reach(graph, 300)
    fast, _ = size_buffers(build_netlist(graph, factors))
    assert notes == []
    assert taken(fast) <= 300
    assert all(factors[name] <= wanted[name] for name in wanted)
    assert sum(factors[name] < wanted[name] for name in wanted) == 1


def test_cells_between_layers_have_lanes_enough_for_the_busiest_layer() -> None:
    graph = hardened(unpadded)
    fast, slow = (
        next(
            cell.parameters["LANES"]
            for cell in build_netlist(graph, choose_reuse(graph, target_cycles=target)).instances
            if cell.module == "hwflow_pool"
        )
        for target in (72, 1_200)
    )
    # A window of 9 of 2x2 pixels with 8 channels each: 288 elements.
    assert (fast, slow) == (4, 1)
    assert busiest(build_netlist(graph, choose_reuse(graph, target_cycles=72))) == Busiest(72, "pool3")


def test_without_a_compiler_the_target_is_that_of_every_cell(digits: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (cycles, sizing):
        monkeypatch.setattr(module, "library", lambda: Build(None, "no C++ compiler"))
    assert reach(digits, 10_000) == (choose_reuse(digits, target_cycles=10_000), [])


def test_halving_leaves_what_does_not_hold() -> None:
    def holds(values: dict[str, int]) -> bool:
        return values["b"] == 9 and values["d"] + values["e"] >= 9

    found = as_wanted(dict.fromkeys("abcde", 9), dict.fromkeys("abcde", 0), holds)
    assert found == {"a": 0, "b": 9, "c": 0, "d": 0, "e": 9}
