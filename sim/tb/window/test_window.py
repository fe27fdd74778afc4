"""hwflow_window: window contents, the promised NEED and LIMIT of its header, throughput, bad parameters."""

import cocotb
import pytest
from common import TB, gaps, pack, parameters, random_codes, rtl, run_tb

from hwflow.rtl.timing import timing

P = parameters()
POSITIONS = P.get("POSITIONS", 1)
CELLS = rtl("window", "lines", "banks", "turn", "ram", "delay", "catch", "fifo")

DEFAULTS = {
    "W": 8, "LANES": 1, "CHANNELS": 1, "IN_H": 6, "IN_W_PX": 7, "K_H": 3, "K_W": 3, "STRIDE_H": 1, "STRIDE_W": 1,
    "PAD_T": 0, "PAD_B": 0, "PAD_L": 0, "PAD_R": 0, "PAD_VALUE": 0,
}  # fmt: skip
SAME = {"PAD_T": 1, "PAD_B": 1, "PAD_L": 1, "PAD_R": 1}

CONFIGS = {
    "valid": {},
    "same": {**SAME, "CHANNELS": 4, "LANES": 2},
    "same_all_lanes": {**SAME, "CHANNELS": 3, "LANES": 3, "IN_H": 8, "IN_W_PX": 8},
    "same_stride_2": {**SAME, "STRIDE_H": 2, "STRIDE_W": 2, "CHANNELS": 2, "PAD_T": 0, "PAD_L": 0},
    "max_pool_3x3": {**SAME, "STRIDE_H": 2, "STRIDE_W": 2, "PAD_VALUE": 0x80, "IN_H": 7},
    "pool_2x2_odd_image": {"K_H": 2, "K_W": 2, "STRIDE_H": 2, "STRIDE_W": 2, "IN_H": 7, "CHANNELS": 2},
    "pointwise_stride_2": {"K_H": 1, "K_W": 1, "STRIDE_H": 2, "STRIDE_W": 2, "CHANNELS": 2, "LANES": 2},
    "pointwise": {"K_H": 1, "K_W": 1},
    "stride_beyond_kernel": {"K_H": 2, "K_W": 1, "STRIDE_H": 3, "STRIDE_W": 4, "IN_H": 9, "IN_W_PX": 10},
    "stride_beyond_kernel_padded": {**SAME, "K_H": 2, "K_W": 2, "STRIDE_H": 5, "STRIDE_W": 3, "IN_H": 12},
    "asymmetric": {"PAD_T": 2, "PAD_R": 3, "K_H": 4, "K_W": 2, "STRIDE_W": 2, "CHANNELS": 2, "PAD_VALUE": 7},
    "padding_beyond_kernel": {"PAD_T": 3, "PAD_B": 4, "PAD_L": 5, "PAD_R": 4, "K_H": 2, "IN_H": 3, "IN_W_PX": 2},
    "kernel_is_image": {"K_H": 6, "K_W": 7, "CHANNELS": 2},
    "kernel_is_padded_image": {**SAME, "K_H": 5, "K_W": 4, "IN_H": 3, "IN_W_PX": 2, "PAD_VALUE": 3},
    "one_pixel": {**SAME, "IN_H": 1, "IN_W_PX": 1, "W": 5, "PAD_VALUE": 0x10},
    "one_row": {"IN_H": 1, "K_H": 1, "PAD_L": 2, "PAD_R": 2, "K_W": 5},
    "one_column": {"IN_W_PX": 1, "K_W": 1, "STRIDE_H": 2, "PAD_B": 1},
    "most_unused": {"K_H": 1, "K_W": 2, "STRIDE_H": 9, "STRIDE_W": 9, "IN_H": 5, "IN_W_PX": 5, "CHANNELS": 2},
    "buffered_deeper": {**SAME, "BUF_ROWS": 5},
    "buffer_of_block_ram": {**SAME, "CHANNELS": 8, "LANES": 4, "W": 10, "IN_W_PX": 8},
    "buffer_of_one_window": {**SAME, "STRIDE_H": 2, "BUF_ROWS": 3},
    "buffer_of_two_images": {**SAME, "K_H": 5, "PAD_T": 2, "PAD_B": 2, "IN_H": 2, "IN_W_PX": 3, "BUF_ROWS": 4},
    "buffer_of_several_images": {"IN_H": 3, "IN_W_PX": 4, "CHANNELS": 2, "BUF_ROWS": 11},
}  # fmt: skip

# Several kernel positions a beat, whole rows of the kernel
SEVERAL = {
    "row_same": {**SAME, "POSITIONS": 3, "CHANNELS": 3, "LANES": 3, "IN_H": 8, "IN_W_PX": 8, "BUF_ROWS": 4},
    "row_stride_2": {**SAME, "PAD_L": 0, "POSITIONS": 3, "STRIDE_H": 2, "STRIDE_W": 2, "IN_H": 9, "BUF_ROWS": 5},
    "row_is_kernel": {"POSITIONS": 5, "K_H": 1, "K_W": 5, "IN_H": 3, "PAD_L": 2, "PAD_R": 2, "PAD_VALUE": 0x80},
    "row_of_one": {"POSITIONS": 2, "K_H": 2, "K_W": 1, "STRIDE_W": 2, "PAD_T": 1, "CHANNELS": 2, "LANES": 2},
    "rows": {**SAME, "POSITIONS": 8, "K_H": 4, "K_W": 4, "PAD_T": 2, "STRIDE_W": 3, "IN_H": 7, "IN_W_PX": 11},
    "all_same": {**SAME, "POSITIONS": 9, "CHANNELS": 2, "LANES": 2, "IN_H": 8, "IN_W_PX": 8, "BUF_ROWS": 4},
    "all_stride_2": {**SAME, "POSITIONS": 9, "STRIDE_H": 2, "STRIDE_W": 2, "IN_H": 7, "BUF_ROWS": 5, "PAD_VALUE": 9},
    "all_of_7x7": {"POSITIONS": 49, "K_H": 7, "K_W": 7, "STRIDE_H": 2, "STRIDE_W": 2, "IN_H": 11, "IN_W_PX": 10,
                   "PAD_T": 3, "PAD_B": 2, "PAD_L": 3, "PAD_R": 3},
    "all_stride_beyond": {**SAME, "POSITIONS": 4, "K_H": 2, "K_W": 2, "STRIDE_H": 5, "STRIDE_W": 3, "IN_H": 12},
    "all_padding_beyond": {"POSITIONS": 6, "PAD_T": 3, "PAD_B": 4, "PAD_L": 5, "PAD_R": 4, "K_H": 2, "K_W": 3,
                           "IN_H": 3, "IN_W_PX": 2},
    "all_is_padded_image": {**SAME, "POSITIONS": 20, "K_H": 5, "K_W": 4, "IN_H": 3, "IN_W_PX": 2, "PAD_VALUE": 3},
    "row_of_two_images": {**SAME, "POSITIONS": 3, "IN_H": 2, "IN_W_PX": 2, "BUF_ROWS": 4},
    "all_of_several_images": {"POSITIONS": 9, "IN_H": 4, "IN_W_PX": 5, "BUF_ROWS": 11},
    "all_of_one_pixel": {**SAME, "POSITIONS": 9, "IN_H": 1, "IN_W_PX": 1, "W": 5, "PAD_VALUE": 0x10},
}  # fmt: skip
CONFIGS |= SEVERAL


class Golden:
    """What the parameters ask for; all counts are of one image."""

    def __init__(self, p):
        self.p = p
        self.beats = p["CHANNELS"] // p["LANES"]  # of a pixel
        self.image = p["IN_H"] * p["IN_W_PX"]
        self.rows = p.get("BUF_ROWS", min(p["K_H"], p["IN_H"]) + min(p["K_H"], p["STRIDE_H"]) - 1)
        self.held = timing("hwflow_window", p | {"BUF_ROWS": self.rows}).capacity  # beats behind the buffer
        out_h = (p["IN_H"] + p["PAD_T"] + p["PAD_B"] - p["K_H"]) // p["STRIDE_H"] + 1
        out_w = (p["IN_W_PX"] + p["PAD_L"] + p["PAD_R"] - p["K_W"]) // p["STRIDE_W"] + 1
        self.corners = [
            (oy * p["STRIDE_H"] - p["PAD_T"], ox * p["STRIDE_W"] - p["PAD_L"])
            for oy in range(out_h)
            for ox in range(out_w)
        ]
        self.window = p["K_H"] * p["K_W"] * self.beats // POSITIONS

    def outputs(self, pixels):
        """Output beats for an image, given as a list of pixels, each a list of beats."""
        p = self.p
        padding = [pack([p["PAD_VALUE"]] * p["LANES"], p["W"])] * self.beats
        beats = []
        for top, left in self.corners:
            for y in range(top, top + p["K_H"]):
                for x in range(left, left + p["K_W"]):
                    inside = 0 <= y < p["IN_H"] and 0 <= x < p["IN_W_PX"]
                    beats += pixels[y * p["IN_W_PX"] + x] if inside else padding
        width = p["LANES"] * p["W"]
        return [pack(beats[i : i + POSITIONS], width) for i in range(0, len(beats), POSITIONS)]

    def needs(self):
        """Pixels to be accepted before each output pixel, as the module's header has it."""
        p, needs = self.p, []
        for top, left in self.corners:
            row = min(max(top + p["K_H"] - 1, 0), p["IN_H"] - 1)
            col = min(max(left + p["K_W"] - 1, 0), p["IN_W_PX"] - 1)
            needs.append(max([row * p["IN_W_PX"] + col + 1, *needs[-1:]]))
        return needs

    def limits(self):
        """Pixels that can be accepted while each output pixel is next, as the module's header has it."""
        p, limits = self.p, []
        for top, left in self.corners:
            freed = min(max(left, 0), p["IN_W_PX"]) if -p["STRIDE_H"] < top < p["IN_H"] else 0
            limits.append((min(max(top, 0), p["IN_H"]) + self.rows) * p["IN_W_PX"] + freed)
        return limits

    def images(self, rng, count):
        """Random images, as lists of pixels."""
        p, images = self.p, []
        for _ in range(count):
            codes = random_codes(rng, self.image * self.beats * p["LANES"], p["W"], signed=False)
            beats = [pack(codes[i : i + p["LANES"]], p["W"]) for i in range(0, len(codes), p["LANES"])]
            images.append([beats[i : i + self.beats] for i in range(0, len(beats), self.beats)])
        return images


def flat(images):
    return [beat for image in images for pixel in image for beat in pixel]


async def match(dut, source_stall, sink_stall, count=3):
    golden = Golden(P)
    tb = TB(dut)
    source, sink = tb.source("s", source_stall), tb.sink("m", sink_stall)
    await tb.reset()
    images = golden.images(tb.rng, count)
    source.send(flat(images))
    expected = [beat for image in images for beat in golden.outputs(image)]
    assert await tb.collect(sink, len(expected)) == expected
    for _ in range(20 * golden.image * golden.beats):
        if source.empty:
            break
        await tb.step()
    assert source.empty, "the end of the last image was not taken in"
    return source, sink


@cocotb.test()
async def windows_under_stalls(dut):
    await match(dut, 0.4, 0.4)


@cocotb.test()
async def windows_of_a_slow_input(dut):
    await match(dut, 0.7, 0.0)


@cocotb.test()
async def windows_into_a_slow_output(dut):
    await match(dut, 0.0, 0.6)


@cocotb.test()
async def full_throughput(dut):
    golden = Golden(P)
    count = 4
    source, sink = await match(dut, 0.0, 0.0, count)
    # From the first beat in to the last one out; only the wait for each image's first window is lost, and 2 cycles an
    # image where input and output wait for one another.
    busy = count * max(golden.image * golden.beats, len(golden.corners) * golden.window)
    lost = count * golden.needs()[0] * golden.beats
    assert sink.cycles[-1] - source.cycles[0] <= busy + lost + golden.held - 3 + 2 * count
    assert set(gaps(source.cycles[: golden.needs()[0] * golden.beats])) <= {1}


@cocotb.test()
async def output_starts_with_exactly_the_pixels_it_needs(dut):
    golden = Golden(P)
    tb = TB(dut)
    source, sink = tb.source("s"), tb.sink("m")
    await tb.reset()
    images = golden.images(tb.rng, 2)
    needs = [image * golden.image + need for image in (0, 1) for need in golden.needs()]
    accepted = 0
    for image in images:
        for pixel in image:
            source.send(pixel)
            accepted += 1
            expected = golden.window * sum(need <= accepted for need in needs)
            for _ in range(golden.beats + golden.window * len(golden.corners) + 8):
                await tb.step()
                if source.empty and len(sink.beats) >= expected:
                    break
            await tb.step(4)
            assert len(sink.beats) == expected, f"after {accepted} pixels"


@cocotb.test()
async def input_runs_ahead_exactly_to_the_limit(dut):
    golden = Golden(P)
    tb = TB(dut)
    source = tb.source("s")
    dut.m_tready.value = 0
    await tb.reset()
    images = golden.images(tb.rng, 4 + golden.rows // P["IN_H"])
    source.send(flat(images))
    limits = [image * golden.image + limit for image in (0, 1, 2) for limit in golden.limits()]
    for left in range(golden.held, 2 * len(golden.corners) * golden.window):  # beats that left the buffer
        expected = golden.beats * limits[left // golden.window]
        if left == golden.held or left % golden.window in (0, golden.window - 1):
            for _ in range(golden.beats * (golden.image * 3 + golden.rows * P["IN_W_PX"]) + 8):
                await tb.step()
                if len(source.cycles) >= expected:
                    break
            await tb.step(3)
            assert len(source.cycles) == expected, f"when {left} beats have left the buffer"
        dut.m_tready.value = 1
        for _ in range(golden.beats * golden.image * 3 + 8):
            await tb.step()
            if int(dut.m_tvalid.value):
                break
        dut.m_tready.value = 0


@cocotb.test()
async def reset_forgets_the_image(dut):
    golden = Golden(P)
    tb = TB(dut)
    source, sink = tb.source("s"), tb.sink("m")
    await tb.reset()
    images = golden.images(tb.rng, 2)
    source.send(flat(images[:1])[: golden.image * golden.beats // 2 + 1])
    await tb.step(golden.image)
    await tb.reset()
    sink.beats.clear()
    source.send(flat(images[1:]))
    expected = golden.outputs(images[1])
    assert await tb.collect(sink, len(expected)) == expected


@pytest.mark.parametrize("name", CONFIGS)
def test_window(tmp_path, name):
    run_tb(
        "hwflow_window",
        CELLS,
        {**DEFAULTS, **CONFIGS[name]},
        __name__,
        "icarus",
        tmp_path,
    )


@pytest.mark.parametrize("name", ["same_stride_2", "all_same"])
def test_window_verilator(tmp_path, name):
    run_tb(
        "hwflow_window",
        CELLS,
        {**DEFAULTS, **CONFIGS[name]},
        __name__,
        "verilator",
        tmp_path,
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"CHANNELS": 3, "LANES": 2}, "must divide CHANNELS"),
        ({"STRIDE_H": 0}, "must be positive"),
        ({"PAD_L": -1}, "must not be negative"),
        ({"K_H": 9}, "larger than the padded image"),
        ({"BUF_ROWS": 2}, "cannot hold one window"),
        ({"POSITIONS": 2}, "POSITIONS (2) must be 1, or rows"),
        ({"POSITIONS": 6}, "POSITIONS (6) must be 1, or rows"),
        ({"POSITIONS": 3, "CHANNELS": 2}, "with all CHANNELS"),
    ],
)
def test_bad_parameters_are_refused(tmp_path, capfd, wrong, message):
    with pytest.raises((SystemExit, RuntimeError, AssertionError)):
        run_tb("hwflow_window", CELLS, {**DEFAULTS, **wrong}, __name__, "icarus", tmp_path)
    assert message in capfd.readouterr().out
