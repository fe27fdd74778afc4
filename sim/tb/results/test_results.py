"""hwflow_results: tlast, the flags of damaged images, and last beats that wait for the end of their image."""

import cocotb
import pytest
from common import TB, gaps, parameters, rtl, run_tb

P = parameters()
LAST, USER = 1 << P.get("WIDTH", 0), 2 << P.get("WIDTH", 0)


class Results(TB):
    def __init__(self, dut, stall=0.0):
        super().__init__(dut, stall)
        self.s, self.m = self.source("s"), self.sink("m", flags=("tlast", "tuser"))
        dut.ended_i.value, dut.damaged_i.value = 0, 0

    def images(self, count):
        """Beats of images."""
        return [self.rng.getrandbits(P["WIDTH"]) for _ in range(count * P["BEATS"])]

    async def end(self, damaged):
        """An image ends at the guard."""
        self.dut.ended_i.value, self.dut.damaged_i.value = 1, int(damaged)
        await self.step()
        self.dut.ended_i.value, self.dut.damaged_i.value = 0, self.rng.getrandbits(1)


def marked(beats):
    """Beats with their tlast."""
    return [beat | LAST * (i % P["BEATS"] == P["BEATS"] - 1) for i, beat in enumerate(beats)]


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.4])
async def flags_belong_to_their_images(dut, stall):
    tb = Results(dut, stall)
    await tb.reset()
    beats, damaged = tb.images(150), [tb.rng.random() < 0.3 for _ in range(150)]
    tb.s.send(beats)
    for flag in damaged:
        for _ in range(500):
            if not dut.full_o.value:
                break
            await tb.step()
        assert not dut.full_o.value, "damaged images stay"
        await tb.end(flag)
        await tb.step(tb.rng.choice([0, 0, 1, P["BEATS"], 3 * P["BEATS"]]))
    out = await tb.collect(tb.m, len(beats))
    assert [beat & ~USER for beat in out] == marked(beats)
    assert [bool(beat & USER) for beat in out[P["BEATS"] - 1 :: P["BEATS"]]] == damaged
    for image, flag in enumerate(damaged):  # an earlier beat may miss its flag, and has no other image's
        assert flag or not any(beat & USER for beat in out[image * P["BEATS"] : (image + 1) * P["BEATS"]])
    assert not dut.inside_o.value


@cocotb.test()
async def a_last_beat_waits_for_its_image(dut):
    tb = Results(dut)
    await tb.reset()
    beats = tb.images(2)
    tb.s.send(beats)
    await tb.step(30 + 2 * P["BEATS"])
    assert tb.m.beats == marked(beats)[: P["BEATS"] - 1]
    await tb.end(True)
    await tb.step(30 + 2 * P["BEATS"])
    assert [beat & ~USER for beat in tb.m.beats] == marked(beats)[: 2 * P["BEATS"] - 1]
    assert tb.m.beats[P["BEATS"] - 1] & USER
    await tb.end(False)
    assert (await tb.collect(tb.m, len(beats)))[-1] == marked(beats)[-1]


@cocotb.test()
async def full_before_flags_are_lost(dut):
    tb = Results(dut)
    tb.m._stall._probability = 1.0
    await tb.reset()
    tb.s.send(tb.images(20))
    ended = 0
    while not dut.full_o.value:
        await tb.end(True)
        ended += 1
        assert ended < 20
    for _ in range(2):  # what the guard may still end before it sees full_o
        await tb.end(True)
    tb.m._stall._probability = 0.0
    out = await tb.collect(tb.m, (ended + 2) * P["BEATS"] + P["BEATS"] - 1)
    assert all(beat & USER for beat in out[P["BEATS"] - 1 :: P["BEATS"]])
    assert not dut.full_o.value


@cocotb.test()
async def full_throughput(dut):
    tb = Results(dut)
    await tb.reset()
    for _ in range(20):
        await tb.end(False)
    beats = tb.images(20)
    tb.s.send(beats)
    assert await tb.collect(tb.m, len(beats)) == marked(beats)
    assert set(gaps(tb.m.cycles)) <= {1}
    assert tb.m.cycles[0] - tb.s.cycles[0] == 3


@pytest.mark.parametrize(("width", "beats", "simulator"), [(8, 5, "icarus"), (1, 1, "icarus"), (9, 2, "verilator")])
def test_results(tmp_path, width, beats, simulator):
    p = {"WIDTH": width, "BEATS": beats}
    run_tb("hwflow_results", rtl("results", "fifo", "ram"), p, __name__, simulator, tmp_path)
