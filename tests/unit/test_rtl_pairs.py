"""Two products in a DSP48E2: where the netlist asks for them, and what they take."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from hwflow.cost.estimate import estimate
from hwflow.cost.layers import layer_costs
from hwflow.cost.reuse import choose_reuse
from hwflow.graph import Graph
from hwflow.hardening import HardenOptions, harden
from hwflow.rtl.address_map import address_map
from hwflow.rtl.netlist import build_netlist
from hwflow.rtl.pairs import with_pairs
from tests.networks import NetworkBuilder, random_images, same

RTL = Path(__file__).parents[2] / "hls_templates" / "rtl"
ULTRASCALE = "xczu7ev-ffvc1156-2-e"


def network(bits: int) -> Graph:
    """Four channels into a convolution, and a dense layer with an odd number of outputs."""
    net = NetworkBuilder(np.random.default_rng(1), (4, 4, 4))
    x = net.relu(net.conv(net.nodes[0], 8, same((4, 4), (3, 3), (1, 1))))
    net.dense(net.flat(x, average=True), 3)
    graph = net.graph("network")
    return harden(graph, random_images(1, graph, 8), HardenOptions(activation_bits=bits)).graph


def pairs(graph: Graph, part: str) -> dict[str, object]:
    netlist = with_pairs(build_netlist(graph, choose_reuse(graph, target_cycles=150)), part)
    return {cell.node: cell.parameters.get("PAIRS", 0) for cell in netlist.instances if cell.module == "hwflow_mvu"}


@pytest.mark.parametrize(
    ("bits", "part", "expected"),
    [
        (8, ULTRASCALE, [1, 0]),
        (8, "XCKU040-ffva1156", [1, 0]),
        (16, ULTRASCALE, [0, 0]),
        (8, "xc7a35t", [0, 0]),
        (8, "LFE5U-85F", [0, 0]),
        (8, "of-my-own", [0, 0]),
    ],
)
def test_pairs_are_for_wide_multipliers_and_narrow_codes(bits: int, part: str, expected: list[int]) -> None:
    assert list(pairs(network(bits), part).values()) == expected


def test_pairs_are_no_part_of_the_structure_that_a_network_must_have() -> None:
    graph = network(8)
    netlist = build_netlist(graph, choose_reuse(graph, target_cycles=150))
    paired = with_pairs(netlist, ULTRASCALE)
    assert paired != netlist
    assert address_map(graph, paired).structure == address_map(graph, netlist).structure


def test_folds_have_an_even_pe_where_products_fit_in_pairs() -> None:
    folds = {}
    for bits in (8, 16):
        graph = network(bits)
        costs = layer_costs(graph, choose_reuse(graph, target_cycles=1200))
        assert costs[0].cycles_per_image == 1152
        folds[bits] = [(cost.pe, cost.simd) for cost in costs]
    assert folds == {8: [(2, 2), (1, 1)], 16: [(1, 4), (1, 1)]}


MVU = {
    "PE": 4, "SIMD": 4, "N_IN": 8, "N_OUT": 16, "X_W": 8, "X_SIGNED": 0, "W_W": 8, "ACC_W": 26, "ACC_FRAC": 15,
    "B_W": 16, "B_SHIFT": 0, "OUT_W": 16, "OUT_FRAC": 10, "OUT_SIGNED": 1, "ROUNDING": 0, "OVERFLOW": 0,
}  # fmt: skip


def test_the_estimate_knows_pairs() -> None:
    assert [estimate("hwflow_mvu", MVU | {"PAIRS": pairs}).dsp for pairs in (0, 1)] == [16, 8]


@pytest.mark.slow
@pytest.mark.parametrize(("pairs", "dsps"), [(0, 16), (1, 8)])
def test_pairs_halve_the_dsps_that_yosys_counts(tmp_path: Path, pairs: int, dsps: int) -> None:
    values = " ".join(f"-set {name} {value}" for name, value in (MVU | {"PAIRS": pairs}).items())
    script = [
        f"read_verilog -sv {' '.join(map(str, sorted(RTL.glob('*.sv'))))}",
        f"chparam {values} hwflow_mvu",
        "synth_xilinx -family xcup -noiopad -flatten -top hwflow_mvu",
        "tee -o stat.txt stat",
    ]
    subprocess.run(["yosys", "-q", "-p", "; ".join(script)], cwd=tmp_path, check=True)
    lines = [line.split() for line in (tmp_path / "stat.txt").read_text().splitlines()]
    assert [int(line[1]) for line in lines if line[:1] == ["DSP48E2"]] == [dsps]
