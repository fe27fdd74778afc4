"""hwflow_outliers: rests and kept weights of every word under stalls, at full rate, after a reset; loaded ones."""

import random

import cocotb
import pytest
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, Timer
from common import pack, parameters, random_codes, rest_rows, rtl, run_tb, unpack
from second_port import SecondPort

P = parameters()

DEFAULTS = {"LANES": 4, "W_W": 8, "DEPTH": 12, "REST_W": 6}

CONFIGS = {
    "sparse": {"share": 0.1},
    "several_in_a_word": {"share": 0.5},
    "every_weight": {"share": 1.0, "DEPTH": 5},
    "one_outlier": {"share": 0.0, "REST_W": 12},
    "one_lane": {"LANES": 1, "share": 0.4, "REST_W": 9},
    "one_word": {"DEPTH": 1, "share": 0.5},
    "ends": {"share": 0.0, "ends": True, "REST_W": 3},
    "some_kept": {"share": 0.4, "KEEPS": 1, "REST_W": 10, "LANES": 3},
    "all_kept": {"share": 0.2, "KEEPS": 2, "REST_W": 11, "LANES": 1},
    "loaded": {"share": 0.5, "LOADABLE": 1},
    "loaded_some_kept": {"share": 0.5, "LOADABLE": 1, "KEEPS": 1},
    "loaded_one_row": {"share": 0.0, "LOADABLE": 1},
    "loaded_one_word": {"DEPTH": 1, "LANES": 1, "share": 0.0, "LOADABLE": 1},
    "loaded_every_word": {"share": 1.0, "DEPTH": 5, "LOADABLE": 1},
}


class Bench:
    """The module behind a model of the weight memory, whose words differ with every read."""

    def __init__(self, dut, seed):
        self.dut = dut
        self.rng = random.Random(seed)
        self.address = 0
        self.rests, self.keeps = P["rests"], P["keeps"]
        self.line = [None, None]
        self.expected = None
        Clock(dut.clk_i, 10, unit="ns").start(start_high=False)

    async def cycle(self, next_, rst_n=1):
        """One rising edge: the memory's word of the address before goes in, its sum comes out after the next one."""
        dut, read = self.dut, self.address
        dut.rst_ni.value, dut.next_i.value, dut.addr_i.value = rst_n, next_, read
        stored = random_codes(self.rng, P["LANES"], P["W_W"], signed=True)
        dut.data_i.value = pack(stored, P["W_W"])
        await FallingEdge(dut.clk_i)
        self.line, arrived = [*self.line[1:], read if next_ else None], self.line[0]
        self.expected = None
        if arrived is not None:
            kept = zip(stored, self.rests[arrived], self.keeps[arrived], strict=True)
            self.expected = [rest if keep else w + rest for w, rest, keep in kept]
        if not rst_n:
            self.address, self.line = 0, [None, None]
        elif next_:
            self.address = (read + 1) % P["DEPTH"]

    async def check(self, cycles, stall):
        """``cycles`` clock cycles; without a stall a word each."""
        width = len(self.dut.data_o) // P["LANES"]
        for _ in range(cycles):
            await self.cycle(int(self.rng.random() >= stall))
            # The falling edge is half a period before the next rising one.
            await Timer(1, unit="ns")
            index = getattr(self.dut, "index_reg", None)  # Yosys leaves none of a single row
            assert index is None or int(index.value) < P["ROWS"]
            if self.expected is not None:
                assert unpack(int(self.dut.data_o.value), width, P["LANES"], signed=True) == self.expected


async def start(dut):
    bench = Bench(dut, cocotb.RANDOM_SEED)
    await bench.cycle(0, rst_n=0)  # up to the clock's first edge, which falls
    await bench.cycle(0, rst_n=0)
    return bench


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.3, 0.7])
async def every_word_gets_its_rests(dut, stall):
    bench = await start(dut)
    await bench.check(int(6 * P["DEPTH"] / (1 - stall)), stall)


@cocotb.test()
async def reset_returns_to_the_first_word(dut):
    bench = await start(dut)
    for _ in range(8):
        await bench.check(bench.rng.randint(1, 2 * P["DEPTH"]), stall=0.2)
        await bench.cycle(0, rst_n=0)


@cocotb.test(skip=not P.get("LOADABLE"))
async def other_rests_are_loaded(dut):
    """As many as there is room for, and fewer; before a round begins, without a reset."""
    bench = await start(dut)
    port = SecondPort(dut, "b", lambda: bench.cycle(0))
    for share in (0.0, 0.5, 1.0, None):
        while bench.address:
            await bench.cycle(1)
        rests = [[0] * P["LANES"] for _ in P["rests"]]
        keeps = [[0] * P["LANES"] for _ in P["rests"]]
        for word in bench.rng.sample(range(P["DEPTH"]), round((share or 0) * P["ROWS"])):
            for lane in bench.rng.sample(range(P["LANES"]), bench.rng.randint(1, P["SLOTS"])):
                rests[word][lane] = bench.rng.randint(1, (1 << P["REST_W"] - 1) - 1)
                keeps[word][lane] = _keep(P, bench.rng)
        bench.rests, bench.keeps = (P["rests"], P["keeps"]) if share is None else (rests, keeps)
        rows, _ = rest_rows(bench.rests, P["REST_W"], P["SLOTS"], bench.keeps if P.get("KEEPS") else None)
        rows += [0] * (P["ROWS"] - len(rows))
        for row, word in enumerate(rows):
            await port.write(row, word)
        assert [await port.read(row) for row in range(P["ROWS"])] == rows
        await bench.check(4 * P["DEPTH"], stall=0.3)


@cocotb.test(skip=not P.get("LOADABLE"))
async def a_damaged_row_is_lost_until_the_next_round_at_most(dut):
    bench = await start(dut)
    port = SecondPort(dut, "b", lambda: bench.cycle(0))
    clean = await port.read(0)
    await port.write(0, clean ^ (1 << len(dut.b_wdata_i) - 1))  # the address of its word
    for _ in range(2 * P["DEPTH"]):
        await bench.cycle(1)
    while bench.address:
        await bench.cycle(1)
    await port.write(0, clean)
    await bench.cycle(0)
    await bench.check(3 * P["DEPTH"], stall=0.3)


def random_rests(p, rng):
    """DEPTH words of LANES rests; the one at (0, 0) is never zero, and none is where it is zero."""
    values = [code for code in random_codes(rng, 4 * p["LANES"] * p["DEPTH"], p["REST_W"], signed=True) if code]
    rests = [[values.pop() if rng.random() < p["share"] else 0 for _ in range(p["LANES"])] for _ in range(p["DEPTH"])]
    if p.get("ends"):
        rests[0], rests[-1] = [values.pop() for _ in rests[0]], [values.pop() for _ in rests[-1]]
    rests[p["DEPTH"] // 3][-1] = -(1 << (p["REST_W"] - 1))
    return rests


def _keep(p, rng):
    """Whether an entry is a kept weight."""
    return {0: 0, 1: rng.randint(0, 1), 2: 1}[p.get("KEEPS", 0)]


@pytest.mark.parametrize(
    ("name", "simulator"),
    [
        *((name, "icarus") for name in CONFIGS),
        ("several_in_a_word", "verilator"),
        ("some_kept", "verilator"),
    ],
)
def test_outliers(tmp_path, name, simulator):
    p = DEFAULTS | CONFIGS[name]
    rng = random.Random(name)
    rests = random_rests(p, rng)
    keeps = [[_keep(p, rng) if rest else 0 for rest in word] for word in rests]
    if p.get("KEEPS"):
        kept = next((word, lane) for word, lanes in enumerate(keeps) for lane, keep in enumerate(lanes) if keep)
        rests[kept[0]][kept[1]] = 0  # a weight of zero is kept, too
    rows, slots = rest_rows(rests, p["REST_W"], keeps=keeps if p.get("KEEPS") else None)
    (tmp_path / "rests.hex").write_text("".join(f"{row:x}\n" for row in rows))
    overrides = {key: p[key] for key in (*DEFAULTS, "LOADABLE", "KEEPS") if key in p}
    overrides |= {"ROWS": len(rows), "SLOTS": slots, "REST_FILE": f'"{tmp_path / "rests.hex"}"'}
    run_tb(
        "hwflow_outliers",
        rtl("outliers"),
        overrides,
        __name__,
        simulator,
        tmp_path,
        extra={"rests": rests, "keeps": keeps},
    )
