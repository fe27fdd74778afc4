"""hwflow_decode_table equals hwflow.codes.Table with a random table: every word, in any order, under random enables."""

import random

import cocotb
import numpy as np
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge
from common import pack, parameters, random_codes, rtl, run_tb
from second_port import SecondPort

from hwflow.codes import Table
from hwflow.codes import words as stored
from hwflow.fixed import FixedType

P = parameters()


def decoded(words: list[int], codes: list[int]) -> list[int]:
    """The reference's weight codes of stored words by a table, as the module gives them."""
    table = np.array(codes)
    # What encodes does not matter here.
    code = Table("cosq", FixedType(P["W_W"], P["W_W"]), decoder=table, encoder=np.zeros_like(table))
    raw = stored.pack(np.array(words)[:, None], P["W_W"])
    return stored.to_integers(stored.pack(code.decode(raw), P["W_W"]))


@cocotb.test()
@cocotb.parametrize(enabled=[1.0, 0.6, 0.2])
async def every_word(dut, enabled):
    """Words in, a weight an enabled cycle; data holds in the others."""
    Clock(dut.clk_i, 10, unit="ns").start(start_high=False)
    await check(dut, P["table"], enabled)


@cocotb.test(skip=not P.get("LOADABLE"))
async def another_table_is_loaded(dut):
    rng, width = random.Random(cocotb.RANDOM_SEED), P["W_W"]
    Clock(dut.clk_i, 10, unit="ns").start(start_high=False)
    port = SecondPort(dut, "b")
    for table in (random_codes(rng, 1 << width, width, signed=True), P["table"]):
        words = [pack([code], width) for code in table]
        for address, word in enumerate(words):
            await port.write(address, word)
        assert [await port.read(address) for address in range(len(words))] == words
        await check(dut, table, 0.6)


async def check(dut, table: list[int], enabled: float) -> None:
    rng = random.Random(cocotb.RANDOM_SEED)
    dut.table_i.value = 0
    words = [word for _ in range(3) for word in rng.sample(range(1 << P["W_W"]), 1 << P["W_W"])]
    expected = decoded(words, table)
    await FallingEdge(dut.clk_i)
    shown = 0
    while shown < len(words):
        en = rng.random() < enabled
        dut.en_i.value = int(en)
        dut.data_i.value = words[shown] if en else rng.getrandbits(P["W_W"])
        await FallingEdge(dut.clk_i)
        shown += en
        if shown:
            assert int(dut.data_o.value) == expected[shown - 1], f"word {words[shown - 1]:x}"


@pytest.mark.parametrize(
    ("width", "simulator", "loadable"),
    [
        *((width, "icarus", 0) for width in (1, 4, 8, 10)),
        (4, "verilator", 0),
        (8, "verilator", 0),
        (5, "icarus", 1),
        (8, "verilator", 1),
    ],
)
def test_decode_table(tmp_path, width, simulator, loadable):
    table = random_codes(random.Random(width), 1 << width, width, signed=True)
    path = tmp_path / "table.hex"
    path.write_text("".join(f"{pack([code], width):x}\n" for code in table))
    p = {"W_W": width, "TABLE_FILE": f'"{path}"', "LOADABLE": loadable}
    run_tb("hwflow_decode_table", rtl("decode_table"), p, __name__, simulator, tmp_path, extra={"table": table})
