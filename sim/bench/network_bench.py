"""The cocotb bench of a whole network: faults into its memories, images through it, verdicts on what comes out.

It reads `job.json` in its working folder; source and sink write `begun.mem`, `cycles.mem` and `output.mem` there.
Python acts before the run, at the cycle of an upset, and at the end; in between the simulator runs free. If the
job says what to expect, two more tests judge the codes and the accuracy, so that the xunit report has them.
"""

import json
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, First, RisingEdge, Timer

PERIOD_NS = 10
JOB = json.loads(Path("job.json").read_text())
CHECK = JOB["check"]


@cocotb.test()
async def stream_images(dut):
    upset_cycle = JOB["upset_cycle"]
    dut.rst_ni.value = 0
    dut.start_i.value = 0
    dut.in_count_i.value = JOB["in_beats"]
    dut.out_count_i.value = JOB["out_beats"]
    dut.upset_cycle_i.value = upset_cycle or 0
    dut.stall_percent_i.value = JOB["stall_percent"]
    dut.seed_i.value = JOB["seed"]
    Clock(dut.clk_i, PERIOD_NS, unit="ns").start()
    await ClockCycles(dut.clk_i, 4)
    await FallingEdge(dut.clk_i)
    dut.rst_ni.value = 1
    if not upset_cycle:  # before edge 0 is before everything
        upset(dut, JOB["flips"])
    dut.start_i.value = 1
    done = RisingEdge(dut.done_o)
    if upset_cycle:
        await First(done, RisingEdge(dut.upset_o), timeout())
        assert not dut.done_o.value, f"Error: the run ended before the upset in cycle {upset_cycle}"
        # Between two clock edges, so that every read is either wholly before it or wholly after. Simulated time
        # stands still while the words are flipped, however many they are.
        await FallingEdge(dut.clk_i)
        assert dut.upset_o.value, f"Error: no upset in cycle {upset_cycle}"
        upset(dut, JOB["flips"])
    await First(done, timeout())
    assert dut.done_o.value, f"Error: no end after {JOB['timeout_cycles']} cycles: the design is stuck"
    assert not dut.wrong_last_o.value, "Error: m_axis_tlast does not mark the last beat of each image"


@cocotb.test(skip=CHECK is None)
async def codes_equal_the_reference(_dut):
    differing = total = 0
    for codes, expected in compared():
        differing += sum(code != other for code, other in zip(codes, expected, strict=True))
        total += len(expected)
    cocotb.log.info("%d of %d output codes differ from the reference", differing, total)
    assert total, "Error: no image is compared"
    assert not differing, f"Error: {differing} of {total} output codes differ from the reference"


@cocotb.test(skip=CHECK is None or CHECK["keras"] is None)
async def accuracy_keeps_its_limits(_dut):
    labels, keras, limits = CHECK["labels"], CHECK["keras"], CHECK["limits"]
    images = [index for index, expected in enumerate(expected_codes()) if expected is not None]
    codes = output_codes()
    classes = {index: codes[index].index(max(codes[index])) for index in images}
    count = len(images)
    lost = 100 * sum(classes[index] != keras[index] for index in images) / count
    report = f"the largest class differs from Keras' in {lost:.2f} % of {count} images"
    if labels is not None:
        top1, floats = (100 * sum(of[i] == labels[i] for i in images) / count for of in (classes, keras))
        lost = floats - top1
        report += f"; top-1 {top1:.2f} %, Keras {floats:.2f} %"
    cocotb.log.info(report)
    # Percentages of fewer than a million images differ by more than the rounding of their quotients.
    if limits["max_loss"] is not None:
        assert lost <= limits["max_loss"] + 1e-9, f"Error: more than {limits['max_loss']:g} points lost: {report}"
    if limits["min_accuracy"] is not None:
        assert top1 >= limits["min_accuracy"] - 1e-9, f"Error: below {limits['min_accuracy']:g} %: {report}"


def timeout():
    """Wakes once; counting cycles here would wake Python at every edge."""
    return Timer(JOB["timeout_cycles"] * PERIOD_NS, unit="ns")


def upset(dut, flips):
    """Flip bits of memory words: read, exclusive or, write back. No word is flipped twice."""
    for path, address, mask in flips:
        memory = dut
        for name in path.split("."):
            memory = getattr(memory, name)
        word = memory[address]
        word.value = int(word.value) ^ int(mask, 16)


def compared():
    """Codes and expected codes of every image that is compared."""
    for codes, expected in zip(output_codes(), expected_codes(), strict=True):
        if expected is not None:
            yield codes, expected


def expected_codes():
    """What each image must give; None for those that an upset found inside the design."""
    if not JOB["upset_cycle"]:
        return CHECK["expected"]
    expected = []
    pairs = zip(words("begun.mem"), words("cycles.mem"), CHECK["expected_clean"], CHECK["expected"], strict=True)
    for begun, finished, clean, faulted in pairs:
        if finished < JOB["upset_cycle"]:
            expected.append(clean)
        else:
            expected.append(faulted if begun >= JOB["upset_cycle"] else None)
    return expected


def output_codes():
    """The codes that the sink caught, a list for each image."""
    port, width = JOB["output"], JOB["output"]["width"]
    codes = [
        beat >> (lane * width) & ((1 << width) - 1) for beat in words("output.mem") for lane in range(port["lanes"])
    ]
    if port["signed"]:
        codes = [code - (code >> (width - 1) << width) for code in codes]
    size = port["beats"] * port["lanes"]
    return [codes[start : start + size] for start in range(0, len(codes), size)]


def words(name):
    """Words of a $writememh file; simulators differ in the comments and addresses that they add."""
    lines = (line.split("//")[0] for line in Path(name).read_text().splitlines())
    return [int(word, 16) for line in lines for word in line.split() if not word.startswith("@")]
