"""The cocotb bench of a whole network: faults into its memories, images through it, results to a file.

It reads `job.json` in its working folder; the sink writes `output.mem` and `cycles.mem` there.
Python acts before the run, at the cycle of an upset, and at the end; in between the simulator runs free.
"""

import json
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, First, RisingEdge

PERIOD_NS = 10


@cocotb.test()
async def stream_images(dut):
    job = json.loads(Path("job.json").read_text())
    dut.rst_ni.value = 0
    dut.start_i.value = 0
    dut.in_count_i.value = job["in_beats"]
    dut.out_count_i.value = job["out_beats"]
    dut.stall_percent_i.value = job["stall_percent"]
    dut.seed_i.value = job["seed"]
    Clock(dut.clk_i, PERIOD_NS, unit="ns").start()
    await ClockCycles(dut.clk_i, 4)
    await FallingEdge(dut.clk_i)
    dut.rst_ni.value = 1
    if job["upset_cycle"] is None:
        upset(dut, job["flips"])
    dut.start_i.value = 1
    done = RisingEdge(dut.done_o)
    if job["upset_cycle"] is not None:
        await First(done, ClockCycles(dut.clk_i, job["upset_cycle"]))
        assert not dut.done_o.value, f"Error: the run ended before the upset in cycle {job['upset_cycle']}"
        # Between two clock edges, so that the read in flight is either wholly before it or wholly after.
        await FallingEdge(dut.clk_i)
        upset(dut, job["flips"])
    await First(done, ClockCycles(dut.clk_i, job["timeout_cycles"]))
    assert dut.done_o.value, f"Error: no end after {job['timeout_cycles']} cycles: the design is stuck"
    assert not dut.wrong_last_o.value, "Error: m_axis_tlast does not mark the last beat of each image"


def upset(dut, flips):
    """Flip bits of memory words: read, exclusive or, write back."""
    for path, address, mask in flips:
        memory = dut
        for name in path.split("."):
            memory = getattr(memory, name)
        word = memory[address]
        word.value = int(word.value) ^ int(mask, 16)
