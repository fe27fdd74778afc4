"""hwflow_guard: whole images leave, whatever beats are lost or surplus, and the image after is right."""

import cocotb
import pytest
from common import TB, gaps, parameters, rtl, run_tb

P = parameters()


class Guard(TB):
    """The module, and what its flags said of the images that have ended."""

    def __init__(self, dut, stall=0.0, check=1):
        super().__init__(dut, stall)
        self.s, self.m = self.source("s", flags=("tlast",)), self.sink("m")
        self.flags = []
        dut.check_i.value, dut.enable_i.value = check, 1

    async def step(self, cycles=1):
        for _ in range(cycles):
            await super().step()
            early, late = int(self.dut.early_o.value), int(self.dut.late_o.value)
            if self.dut.ended_o.value:
                self.flags.append((early, late))
            else:
                assert not early
                assert not late

    def image(self, length):
        """The beats of an image with tlast on the last one."""
        beats = [self.rng.getrandbits(P["WIDTH"]) for _ in range(length)]
        return [*beats[:-1], beats[-1] | 1 << P["WIDTH"]]


def given(beats):
    """What must leave for the beats of an image, and its flags."""
    plain = [beat & ((1 << P["WIDTH"]) - 1) for beat in beats]
    filled = plain[: P["BEATS"]] + [0] * (P["BEATS"] - len(plain))
    return filled, (int(len(beats) < P["BEATS"]), int(len(beats) > P["BEATS"]))


@cocotb.test()
@cocotb.parametrize(stall=[0.0, 0.4])
async def damaged_images_shift_nothing(dut, stall):
    tb = Guard(dut, stall)
    await tb.reset()
    beats, flags = [], []
    for _ in range(60):
        length = P["BEATS"] + tb.rng.choice([0, 0, 0, -1, 1, tb.rng.randint(-P["BEATS"], 2 * P["BEATS"])])
        image = tb.image(max(1, length))
        expected, flag = given(image)
        tb.s.send(image)
        beats += expected
        flags.append(flag)
    assert await tb.collect(tb.m, len(beats)) == beats
    assert tb.flags == flags
    assert {(0, 0), (0, 1)} <= set(flags)
    assert (1, 0) in flags or P["BEATS"] == 1
    await tb.step(3)
    assert not dut.busy_o.value


@cocotb.test()
async def a_lost_last_beat_costs_the_image_after_it(dut):
    tb = Guard(dut)
    await tb.reset()
    first, second, third = (tb.image(P["BEATS"] + (i == 0)) for i in range(3))
    tb.s.send([*first[:-1], *second, *third])
    assert await tb.collect(tb.m, 2 * P["BEATS"]) == first[:-1] + given(third)[0]
    assert tb.flags == [(0, 1), (0, 0)]


@cocotb.test()
async def without_tlast_images_are_counted(dut):
    tb = Guard(dut, stall=0.3, check=0)
    await tb.reset()
    beats = [tb.rng.getrandbits(P["WIDTH"]) for _ in range(7 * P["BEATS"])]
    tb.s.send(beat | tb.rng.getrandbits(1) << P["WIDTH"] for beat in beats)
    assert await tb.collect(tb.m, len(beats)) == beats
    assert tb.flags == [(0, 0)] * 7


@cocotb.test()
async def full_throughput(dut):
    tb = Guard(dut)
    await tb.reset()
    images = [tb.image(P["BEATS"]) for _ in range(20)]
    tb.s.send(beat for image in images for beat in image)
    assert await tb.collect(tb.m, 20 * P["BEATS"]) == [beat for image in images for beat in given(image)[0]]
    assert set(gaps(tb.m.cycles)) <= {1}
    assert tb.m.cycles[0] - tb.s.cycles[0] == 3


@cocotb.test()
async def disabled_it_begins_no_image(dut):
    tb = Guard(dut)
    await tb.reset()
    images = [tb.image(P["BEATS"]) for _ in range(4)]
    tb.s.send(beat for image in images for beat in image)
    await tb.step(P["BEATS"] + 5)
    dut.enable_i.value = 0
    await tb.step(20 + 4 * P["BEATS"])
    whole = len(tb.m.beats)
    assert whole < 4 * P["BEATS"] or P["BEATS"] == 1
    assert whole % P["BEATS"] == 0
    assert not dut.busy_o.value
    dut.enable_i.value = 1
    assert await tb.collect(tb.m, 4 * P["BEATS"]) == [beat for image in images for beat in given(image)[0]]


@cocotb.test()
async def reset_forgets_an_image(dut):
    tb = Guard(dut)
    await tb.reset()
    tb.s.send(tb.image(P["BEATS"] + 3)[: P["BEATS"] + 1])
    await tb.step(P["BEATS"] + 3)
    await tb.reset()
    tb.m.beats.clear()
    tb.flags.clear()
    image = tb.image(P["BEATS"])
    tb.s.send(image)
    assert await tb.collect(tb.m, P["BEATS"]) == given(image)[0]
    assert tb.flags == [(0, 0)]


@pytest.mark.parametrize(
    ("width", "beats", "simulator"), [(8, 5, "icarus"), (1, 1, "icarus"), (20, 16, "icarus"), (9, 2, "verilator")]
)
def test_guard(tmp_path, width, beats, simulator):
    p = {"WIDTH": width, "BEATS": beats}
    run_tb("hwflow_guard", rtl("guard", "fifo", "ram"), p, __name__, simulator, tmp_path)
