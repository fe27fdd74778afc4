"""The RTL is as fast as its busiest layer, whatever stands between the layers, and as the cycle model says."""

from pathlib import Path

import numpy as np
import pytest

from hwflow.cost.layers import layer_costs
from hwflow.cost.reuse import choose_reuse
from hwflow.reference import IntegerExecutor
from hwflow.rtl import RtlExecutor, generate
from hwflow.rtl.cycles import FIFO, CycleModel, pace
from hwflow.rtl.netlist import build_netlist
from hwflow.rtl.sizing import size_buffers
from tests.networks import random_images
from tests.paced import (
    Layers,
    bent,
    bottleneck,
    chain,
    decoder,
    dense_block,
    excited,
    hardened,
    moved,
    probable,
    separable,
    stride,
    thin,
    unpadded,
)

IMAGES = 6
SLOW_IN_ICARUS = (probable, unpadded, bent, stride, thin, bottleneck)
# The most beats that were in a FIFO, in a line of a file that the simulation leaves.
COUNTER = """
    int beats = 0, most = 0, file;
    wire [31:0] more = beats + 32'(s_tvalid && s_tready);
    always @(posedge clk_i) begin
        beats <= rst_ni ? more - 32'(m_tvalid && m_tready) : 0;
        if (rst_ni && more > most) most <= more;
    end
    final begin
        file = $fopen("{file}", "a");
        $fdisplay(file, "%m %0d", most);
        $fclose(file);
    end
endmodule
"""


@pytest.mark.parametrize(
    ("layers", "target"),
    [
        (probable, 288),
        (excited, 1200),
        (decoder, 1800),
        (bent, 1200),
        (separable, 2400),
        (moved, 1800),
        (chain, 1200),
        (bottleneck, 1200),
        (dense_block, None),
        (stride, 1200),
        (thin, 36),
        (unpadded, 72),
        pytest.param(unpadded, 2400, marks=pytest.mark.slow),
    ],
)
def test_an_image_takes_as_long_as_the_busiest_layer_and_fifos_hold_what_the_model_says(
    layers: Layers, target: int | None, tmp_path: Path
) -> None:
    graph = hardened(layers)
    reuse = choose_reuse(graph, target_cycles=target)
    generate(graph, tmp_path / "rtl", reuse)
    fifo, counts = tmp_path / "rtl" / f"{FIFO}.sv", tmp_path / "counts.txt"
    fifo.write_text(fifo.read_text().replace("endmodule", COUNTER.replace("{file}", str(counts))))
    simulator = "verilator" if layers in SLOW_IN_ICARUS else "icarus"
    executor, reference = RtlExecutor(tmp_path / "rtl", graph, simulator), IntegerExecutor(graph)
    codes = reference.encode(random_images(2, graph, IMAGES))
    np.testing.assert_array_equal(executor.run(codes), reference.run(codes))
    assert executor.statistics is not None
    busiest = max(cost.cycles_per_image for cost in layer_costs(graph, reuse))
    assert busiest <= executor.cycles_per_image <= 1.01 * busiest

    netlist, _ = size_buffers(build_netlist(graph, reuse))
    flow = CycleModel(netlist).run(IMAGES)
    # What stands at the ports of the top level is latency.
    np.testing.assert_array_equal(np.diff(flow.finished), np.diff(executor.statistics.finished))
    found = pace(netlist)
    assert found is not None
    assert found.image_to_image == pytest.approx(executor.cycles_per_image, rel=0.01)
    assert 0 <= executor.statistics.finished[0] - found.one_image < 16
    lines = [line.rpartition(".")[2].split() for line in counts.read_text().splitlines()]
    seen = {name: int(most) for name, most in lines}  # those inside of cells, too
    assert {name: seen[name] for name in flow.most} == flow.most
