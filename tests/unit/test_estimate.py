"""The estimate of what a design takes, against what Yosys made of its cells; parts, and what fits them."""

import math

import numpy as np
import pytest

from hwflow.cost.area import Area, area_of_cells
from hwflow.cost.cells import MODELS
from hwflow.cost.estimate import estimate, leaves
from hwflow.cost.memories import Memory
from hwflow.cost.parts import find_part, misfits, parts, siblings
from hwflow.errors import HwflowError
from hwflow.graph import Graph
from hwflow.hardening import harden
from hwflow.stages.folding import choose_folding, target_of_rate
from tests.networks import NetworkBuilder, random_images, random_options, same

FAR = {
    "luts": {
        "border": 0.19,
        "add": 0.35,
        "depthwise": 0.12,
        "multiply": 0.14,
        "fifo": 0.11,
        "guard": 0.12,
        "leaky": 0.12,
        "mvu": 0.18,
        "pool": 0.11,
        "rescale": 0.13,
        "window": 0.14,
        "weights": 0.46,
    },
    "flip_flops": {"pool": 0.12, "leaky": 0.12, "lookup": 0.12},
}
"""Largest relative errors of single cells, where they are not within 10 %."""


def ratios(module: str, resource: str) -> list[float]:
    mine = [leaf for leaf in leaves() if leaf.module == module]
    return [
        getattr(estimate(module, leaf.parameters), resource) / getattr(leaf.area, resource)
        for leaf in mine
        if getattr(leaf.area, resource)
    ]


def test_every_cell_with_a_model_was_synthesised() -> None:
    assert {leaf.module for leaf in leaves()} == set(MODELS)


@pytest.mark.parametrize("resource", ["luts", "flip_flops"])
@pytest.mark.parametrize("module", sorted(MODELS))
def test_cells_are_within_ten_percent_or_as_far_as_is_said(module: str, resource: str) -> None:
    errors = [abs(ratio - 1) for ratio in ratios(module, resource)]
    assert max(errors, default=0) <= FAR[resource].get(module, 0.10)


@pytest.mark.parametrize("resource", ["luts", "flip_flops"])
def test_the_sum_of_the_sweep_is_within_ten_percent(resource: str) -> None:
    said = sum(getattr(estimate(leaf.module, leaf.parameters), resource) for leaf in leaves())
    assert said == pytest.approx(sum(getattr(leaf.area, resource) for leaf in leaves()), rel=0.10)


@pytest.mark.parametrize("resource", ["dsp", "block_ram", "uram"])
def test_blocks_are_counted_exactly(resource: str) -> None:
    for leaf in leaves():
        assert getattr(estimate(leaf.module, leaf.parameters), resource) == getattr(leaf.area, resource), leaf


def test_an_unknown_cell_is_refused() -> None:
    with pytest.raises(HwflowError, match="there is no estimate of hwflow_other"):
        estimate("hwflow_other", {})


def test_memories_by_their_geometry() -> None:
    assert Memory(72, 512).block_ram == 1
    assert Memory(72, 512, both_ports=True).block_ram == 2
    assert Memory(36, 512).block_ram == 0.5
    assert Memory(8, 16384, both_ports=True).block_ram == 4
    assert Memory(14, 32).lut_ram == 8
    assert [Memory(*size).is_small for size in ((16, 20), (8, 128), (128, 100))] == [True, True, False]


def test_cells_count_as_resources() -> None:
    cells = {"LUT6": 3, "INV": 1, "SRL16E": 2, "RAM64M8": 1, "FDRE": 5, "DSP48E2": 2, "RAMB18E2": 3, "RAMB36E2": 1}
    assert area_of_cells(cells | {"CARRY8": 9, "URAM288": 1}) == Area(14, 5, 2, 2.5, 1)


def test_parts_are_found_by_their_full_names() -> None:
    part = find_part("XCZU7EV-ffvc1156-2-e")
    assert part is not None
    assert part.area == Area(230400, 460800, 1728, 312, 96)
    assert find_part("xcother") is None
    assert len({each.name for each in parts()}) == len(parts())


def test_what_does_not_fit_is_named_with_what_would() -> None:
    small = find_part("xczu3eg")
    assert small is not None
    area = Area(luts=80_000, flip_flops=10, dsp=360, block_ram=216)
    assert misfits(area, small) == ["80,000 LUTs (xczu3eg has 70,560, 9,440 too few)"]
    assert misfits(Area(dsp=300), small, 0.8) == ["300 DSPs (xczu3eg has 360)"]
    others = siblings(small)
    assert [part.area.luts for part in others] == sorted(part.area.luts for part in others)
    assert {part.family for part in others} == {"xcup"}
    assert small not in others


@pytest.fixture(scope="module")
def graph() -> Graph:
    net = NetworkBuilder(np.random.default_rng(1), (8, 8, 8))
    x = net.relu(net.conv(net.nodes[0], 32, same((8, 8), (3, 3), (1, 1))))
    x = net.relu(net.conv(x, 64, same((8, 8), (3, 3), (1, 1))))
    net.dense(net.flat(x, average=True), 10)
    made = net.graph("network")
    return harden(made, random_images(1, made, 8), random_options(1)).graph


def test_a_larger_part_gets_a_faster_design(graph: Graph) -> None:
    small, large = (choose_folding(graph, part=part).target_cycles for part in ("xc7a35t", "xczu7ev-ffvc1156-2-e"))
    assert small is not None
    assert large is not None
    assert large < small


def test_a_design_that_does_not_fit_says_what_would(graph: Graph) -> None:
    said = (
        r"the design takes .*[\d,]+ DSPs \(xc7a35t has 90, [\d,]+ too few\).*; with --target-cycles (\d+) it fits; "
        r"xc\w+ would do"
    )
    with pytest.raises(HwflowError, match=said) as refused:
        choose_folding(graph, target_cycles=700, part="xc7a35t")
    cycles = int(str(refused.value).partition("--target-cycles ")[2].partition(" ")[0])
    assert choose_folding(graph, target_cycles=cycles, part="xc7a35t").target_cycles == cycles
    with pytest.raises(HwflowError, match="the design takes"):
        choose_folding(graph, target_cycles=cycles - 1, part="xc7a35t")


def test_parts_without_an_estimate_are_said_to_be_unchecked(graph: Graph) -> None:
    assert choose_folding(graph, part="xcother").notes == (
        "resources of xcother are not known, and nothing says whether the design fits",
    )
    assert "--synth yosys counts" in choose_folding(graph, part="LFE5U-85F").notes[0]


def test_a_rate_of_images_is_a_number_of_cycles() -> None:
    assert target_of_rate(1000, 150) == 150_000
    assert math.isclose(target_of_rate(0.5, 100), 2e8)
    for rate, clock in ((0, 100), (10, -1), (float("nan"), 1)):
        with pytest.raises(HwflowError, match="must be positive"):
            target_of_rate(rate, clock)
    with pytest.raises(HwflowError, match="more than the 1 MHz"):
        target_of_rate(2e6, 1)
