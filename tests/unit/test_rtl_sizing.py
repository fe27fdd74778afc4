"""FIFO depths from the cycle model without a simulator; tests/exact/test_rtl_throughput.py has the RTL beside it."""

import numpy as np
import pytest

from hwflow.cost.reuse import choose_reuse
from hwflow.errors import HwflowError
from hwflow.hardening import harden
from hwflow.reference.kernels.library import Build
from hwflow.rtl import sizing
from hwflow.rtl.cycles import FIFO, UNBOUNDED, CycleModel
from hwflow.rtl.netlist import build_netlist
from hwflow.rtl.sizing import size_buffers
from hwflow.rtl.slices import COMBINATIONAL, FORK, MOST
from hwflow.rtl.structure import Netlist
from tests.blocks import edges, random_wide, there_and_back
from tests.exact.agreement import random_reuse
from tests.networks import NetworkBuilder, random_images, random_options, same

SIZE, IMAGES = (12, 12), 4


@pytest.fixture(scope="module")
def residual() -> Netlist:
    """Two residual blocks, the second with two 3x3 windows beside its shortcut."""
    net = NetworkBuilder(np.random.default_rng(1), (*SIZE, 4))
    three, one = same(SIZE, (3, 3), (1, 1)), same(SIZE, (1, 1), (1, 1))
    x = net.relu(net.conv(net.nodes[0], 8, three))
    x = net.relu(net.add(net.conv(net.relu(net.conv(x, 4, one)), 8, three), x))
    x = net.relu(net.add(net.conv(net.relu(net.conv(x, 8, three)), 8, three), x))
    net.dense(net.flat(x, average=True), 6)
    graph = net.graph("network")
    graph = harden(graph, random_images(1, graph, 8), random_options(1)).graph
    return build_netlist(graph, choose_reuse(graph))


def depths(netlist: Netlist) -> dict[str, int]:
    return {cell.name: int(cell.parameters["DEPTH"]) for cell in netlist.instances if cell.module == FIFO}


def test_sized_fifos_are_smaller_and_as_fast_as_unbounded_ones(residual: Netlist) -> None:
    sized, notes = size_buffers(residual)
    before, after = depths(residual), depths(sized)
    assert notes == []
    assert all(after[name] <= before[name] for name in before)
    assert sum(after.values()) < sum(before.values()) / 2
    unbounded = CycleModel(residual).run(IMAGES, dict.fromkeys(before, UNBOUNDED))
    assert CycleModel(sized).run(IMAGES).cycles_per_image == unbounded.cycles_per_image


def test_depths_are_needed(residual: Netlist) -> None:
    sized, _ = size_buffers(residual)
    model, name = CycleModel(sized), max(depths(sized), key=lambda each: depths(sized)[each])
    enough = model.run(IMAGES).cycles_per_image
    # Two windows of 3x3 look two rows and two pixels of four beats ahead, of which the cells hold some.
    with pytest.raises(HwflowError, match=r"stops after 0 of 4 images: a FIFO is too small"):
        model.run(IMAGES, {name: 2 * SIZE[1] * 4})
    shallower = [model.run(IMAGES, {name: depth}).cycles_per_image for depth in range(106, depths(sized)[name])]
    assert shallower == sorted(shallower, reverse=True)
    assert shallower[0] > enough == shallower[-1]


def test_an_image_alone_takes_no_longer_than_among_others(residual: Netlist) -> None:
    model = CycleModel(residual)
    flow = model.run(IMAGES)
    assert model.run(3).finished == flow.finished[:3]
    assert np.all(np.diff(flow.finished) <= flow.finished[0])


def test_without_a_compiler_depths_stay_and_a_note_says_so(residual: Netlist, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizing, "library", lambda: Build(None, "no C++ compiler"))
    same_netlist, notes = size_buffers(residual)
    assert same_netlist is residual
    assert notes == ["FIFOs are deeper than need be, as the cycle model cannot be compiled: no C++ compiler"]


def test_no_ready_passes_more_cells_in_a_cycle_than_it_may(residual: Netlist) -> None:
    readers = {stream.name: cell for cell in residual.instances for stream in cell.inputs.values()}

    def chain(cell_name: str) -> int:
        cell = readers.get(cell_name)
        if cell is None or cell.module not in COMBINATIONAL:
            return 0
        return 1 + max(chain(stream.name) for stream in cell.outputs)

    longest = max(chain(stream.name) for stream in residual.streams)
    assert longest == MOST
    forks = [cell for cell in residual.instances if cell.module == FORK]
    assert {readers[stream.name].module for fork in forks for stream in fork.outputs} == {"hwflow_slice"}


@pytest.mark.parametrize("seed", range(12))
def test_branches_that_move_pixels_do_not_stop_with_depths_from_the_graph_alone(seed: int) -> None:
    graph = random_wide(seed, (there_and_back, there_and_back, edges))
    graph = harden(graph, random_images(seed + 1, graph, 4), random_options(seed)).graph
    netlist = build_netlist(graph, random_reuse(graph, seed))
    CycleModel(netlist).run(3)
    sized, _ = size_buffers(netlist)
    unbounded = CycleModel(netlist).run(IMAGES, dict.fromkeys(depths(netlist), UNBOUNDED))
    assert CycleModel(sized).run(IMAGES).cycles_per_image == unbounded.cycles_per_image
