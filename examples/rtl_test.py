"""A test of one's own on the RTL of the digits network: hwflow simulate DESIGN --test examples/rtl_test.py."""

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge

from hwflow.sim import Network, StreamSink, StreamSource


def images(net: Network, count: int) -> np.ndarray:
    """Random input codes, the same in every run."""
    type_ = net.design.input.type
    return np.random.default_rng(1).integers(0, type_.max_code + 1, (count, *net.design.input.shape))


@cocotb.test()
async def a_flip_and_its_undoing(dut):
    net = Network(dut)
    await net.reset()
    codes = images(net, 2)
    clean = await net.run(codes)
    layer = net.layers[0]
    word = net.read(layer, 0)
    for bit in (7, 6):
        net.flip(layer, 0, bit)
    assert net.read(layer, 0) == word ^ 0b1100_0000
    assert (await net.run(codes) != clean).any()
    net.write(layer, 0, word)
    assert (await net.run(codes) == clean).all()


@cocotb.test()
async def an_upset_while_images_run(dut):
    net = Network(dut)
    await net.reset()
    codes = images(net, 8)
    clean = await net.run(codes)
    cycle = int(net.finished[1]) + 1
    run = cocotb.start_soon(net.run(codes))
    assert await net.until(cycle)
    for index in range(9):
        net.flip(net.layers[0], index, 7)
    upset = await run
    assert (upset[:2] == clean[:2]).all()
    assert (upset[2:] != clean[2:]).any()
    for index in range(9):
        net.flip(net.layers[0], index, 7)


@cocotb.test()
async def streams_of_ones_own(dut):
    """With --dut top, Python moves every beat; in the bench there are no ports to drive."""
    net = Network(dut)
    await net.reset()
    codes = images(net, 2)
    clean = await net.run(codes)
    if net.top is not dut:
        return
    source = StreamSource(dut, "s_axis", dut.clk_i, pause=0.3, beats_per_image=net.design.input.beats)
    sink = StreamSink(dut, "m_axis", dut.clk_i, pause=0.3)
    await FallingEdge(dut.clk_i)
    source.send(net.design.input.words(codes))
    beats = await sink.receive(2 * net.design.output.beats)
    assert (net.design.output.codes(beats) == clean).all()
