"""hwflow_weight_mem: both ports against a model, the memory image, and access by the test bench."""

import os
import random

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from common import SIMULATOR_VARIABLE, parameters, rtl, run_tb

from hwflow.cost.memories import Memory

P = parameters()
SIMULATOR = os.environ.get(SIMULATOR_VARIABLE)
OLD = SIMULATOR not in ("yosys", "ecp5") or P.get("DEPTH") == 1
"""Whether reading what port B writes gives the old word; to Yosys no_rw_check says that it is not defined."""
TWO = SIMULATOR == "yosys" and bool(P) and Memory(P["WIDTH"], P["DEPTH"]).in_two
"""Whether Yosys makes two memories of it."""


async def cycle(dut, a_addr=0, b_en=0, b_we=0, b_addr=0, b_wdata=0) -> tuple[int, int]:
    """Drive both ports over one rising edge; the outputs after it."""
    dut.a_addr_i.value = a_addr
    dut.b_en_i.value, dut.b_we_i.value = b_en, b_we
    dut.b_addr_i.value, dut.b_wdata_i.value = b_addr, b_wdata
    await FallingEdge(dut.clk_i)
    return dut.a_data_o.value, dut.b_rdata_o.value


async def read(dut, a_addr, b_addr) -> tuple[int, int]:
    """What both ports read, and hold."""
    await cycle(dut, b_en=1, b_addr=b_addr)
    await cycle(dut, a_addr)
    a, b = await cycle(dut)
    assert (await cycle(dut, b_addr=b_addr ^ 1))[1] == b
    return a, b


async def write(dut, address, word) -> None:
    """Another word is at the port in the cycle before."""
    await cycle(dut, b_en=1, b_we=1, b_addr=address, b_wdata=word ^ 1)
    await cycle(dut, b_wdata=word)


async def start(dut) -> None:
    Clock(dut.clk_i, 10, unit="ns").start(start_high=False)
    await cycle(dut)


@cocotb.test(skip=not P.get("preloaded"))
async def image_is_loaded(dut):
    await start(dut)
    for address, word in enumerate(P["image"]):
        a, b = await read(dut, address, address)
        assert (int(a), int(b)) == (word, word)


@cocotb.test(skip=P.get("preloaded"))
async def image_is_not_loaded_but_written(dut):
    await start(dut)
    a, b = await read(dut, 0, 0)
    assert not any(value.is_resolvable and int(value) for value in (a, b))
    for address, word in enumerate(P["image"]):
        await write(dut, address, word)


@cocotb.test()
async def ports_equal_the_model(dut):
    await start(dut)
    rng = random.Random(cocotb.RANDOM_SEED)
    model, a_read, b_read, b_data, access, before = list(P["image"]), None, None, None, None, None
    for _ in range(600):
        b_en, b_we = rng.random() < 0.7, rng.random() < 0.5
        a_addr, b_addr = rng.randrange(P["DEPTH"]), rng.randrange(P["DEPTH"])
        if access is not None and rng.random() < 0.3:
            a_addr = access[0]
        word = rng.getrandbits(P["WIDTH"])
        writes = access is not None and access[1]
        a_data, a_read = a_read, model[a_addr] if OLD or not writes or a_addr != access[0] else None
        b_data = b_read if before is not None or access is None else None
        if access is not None:
            b_read = None if writes else model[access[0]]
        if writes:
            model[access[0]] = word
        access, before = (b_addr, b_we) if b_en else None, access
        a, b = await cycle(dut, a_addr, int(b_en), int(b_we), b_addr, word)
        assert a_data is None or int(a) == a_data
        assert b_data is None or int(b) == b_data
    if access is not None and access[1]:
        await write(dut, access[0], model[access[0]])
    for address, word in enumerate(model):
        await cycle(dut, a_addr=address)
        a, _ = await cycle(dut)
        assert int(a) == word


@cocotb.test()
async def words_at_the_ends_are_written(dut):
    """For Yosys the memory is in two parts, of which the lower one has as many words as a power of two."""
    await start(dut)
    last = P["DEPTH"] - 1
    edge = 1 << last.bit_length() >> 1
    words = {address: P["image"][address] for address in (0, max(0, edge - 1), edge, last)}
    for address in words:
        await write(dut, address, words[address])
    for address in words:
        words[address] ^= 1
        await write(dut, address, words[address])
        for other, word in words.items():
            a, b = await read(dut, other, other)
            assert (int(a), int(b)) == (word, word)


@cocotb.test(skip=TWO or SIMULATOR == "ecp5")
async def the_bench_flips_a_stored_bit(dut):
    await start(dut)
    for address in (0, P["DEPTH"] // 2, P["DEPTH"] - 1):
        stored = dut.mem[address]
        flipped = int(stored.value) ^ (1 << (address % P["WIDTH"]))
        stored.value = flipped
        await cycle(dut)
        a, b = await read(dut, address, address)
        assert (int(a), int(b)) == (flipped, flipped)


@pytest.mark.parametrize(
    ("width", "depth", "simulator", "style"),
    [
        (8, 16, "icarus", "distributed"),
        (130, 7, "icarus", "distributed"),
        (1, 1, "icarus", "block"),
        (72, 40, "icarus", "ultra"),
        (18, 2500, "icarus", "block"),
        (90, 600, "icarus", "block"),
        (24, 33, "verilator", "block"),
        (72, 8, "verilator", "ultra"),
    ],
)
def test_weight_mem(tmp_path, width, depth, simulator, style):
    rng = random.Random(width)
    image = [rng.getrandbits(width) for _ in range(depth)]
    (tmp_path / "image.hex").write_text("".join(f"{word:x}\n" for word in image))
    preloaded = style != "ultra"
    p = {"WIDTH": width, "DEPTH": depth, "MEM_FILE": '"image.hex"', "STYLE": f'"{style}"', "PRELOADED": int(preloaded)}
    extra = {"image": image, "preloaded": preloaded}
    run_tb("hwflow_weight_mem", rtl("weight_mem"), p, __name__, simulator, tmp_path, extra=extra)
