"""Upsets of registers: found, flipped, classed, and gone after a reset."""

import json
from pathlib import Path

import numpy as np
import pytest

from hwflow.cost.reuse import choose_reuse
from hwflow.hardening import harden
from hwflow.rtl import generate
from hwflow.rtl.simulator import Build
from hwflow.sim import RtlDesign
from hwflow.sim.registers import assigned_registers
from tests.networks import NetworkBuilder, random_images

TEST = """
import json
from collections import Counter
from pathlib import Path
import cocotb, numpy as np
from hwflow.sim import Network
from hwflow.sim.state import Register, StateUpset, draw, flip, registers, replay

@cocotb.test()
async def upsets(dut):
    net = Network(dut)
    await net.reset()
    type_ = net.design.input.type
    images = np.random.default_rng(1).integers(type_.min_code, type_.max_code + 1, (6, *net.design.input.shape))
    clean = await net.run(images)
    first, end = int(net.finished[0]), int(net.finished[-1])
    found = registers(net)
    # Twice the same bit is none.
    upset = next(each for each in draw(found, 100, 1, 1) if flip(net, each))
    assert flip(net, upset)
    assert (await net.run(images) == clean).all()
    outcomes = {}
    room = next(each for each in found if each.path.endswith("room_o"))
    fold = next(each for each in found if each.path.endswith("first_beat_reg"))
    chosen = [StateUpset(register, 0, 0, cycle) for register in (room, fold) for cycle in range(1, 13)]
    for upset in (*chosen, *draw(found, 8, first, 3)):
        outcome = await replay(net, images, clean, [upset], 4 * end)
        assert outcome.recovered <= (outcome.worst != "hang")
        name = f"{upset.register.path} {upset.word} {upset.bit} {upset.cycle}"
        outcomes[name] = [*outcome.images, outcome.recovered, outcome.where]
    assert (await replay(net, images, clean, [], 4 * end)).worst == "masked"
    together = await replay(net, images, clean, draw(found, 50, first, 4), 4 * end)
    outcomes["together"] = [*together.images, together.recovered, together.where]
    names = [[each.path, each.bits, each.words] for each in found]
    Path(OUTPUT).write_text(json.dumps(names) + "\\n" + json.dumps(outcomes))
"""


@pytest.mark.parametrize("simulator", ["icarus", pytest.param("verilator", marks=pytest.mark.slow)])
def test_registers_are_upset(simulator: str, tmp_path: Path) -> None:
    net = NetworkBuilder(np.random.default_rng(3), (4,))
    net.dense(net.relu(net.dense(net.nodes[0], 4)), 3)
    graph = net.graph("small")
    graph = harden(graph, random_images(1, graph, 8)).graph
    generate(graph, tmp_path / "rtl", choose_reuse(graph, reuse=2))
    build = Build(simulator, RtlDesign.load(tmp_path / "rtl"), registers=True)
    build.build()
    (tmp_path / "upsets_test.py").write_text(f"OUTPUT = {str(tmp_path / 'out.json')!r}\n{TEST}")
    (tmp_path / "work").mkdir()
    log = tmp_path / "log"
    build.run("upsets_test", tmp_path / "work", log=log, path=(tmp_path,))
    assert (tmp_path / "out.json").exists(), log.read_text()[-3000:]
    found, outcomes = map(json.loads, (tmp_path / "out.json").read_text().splitlines())
    paths = [path for path, _, _ in found]
    assert len(set(paths)) == len(paths)
    assert not any(path.endswith(("bias_mem", "_weights.memory.mem")) for path in paths)
    for part in ("guard", "_weights.beat_reg", "m_tvalid", "free_reg"):
        assert any(part in path for path in paths), (part, paths)
    wheres = [each[-1] for each in outcomes.values() if each[-1] is not None]
    assert any("stream s_" in where and "layer " in where for where in wheres), outcomes
    assert any(each[:-2] == ["masked"] * 6 for each in outcomes.values())
    assert any(each[-2] for name, each in outcomes.items() if "first_beat_reg" in name), outcomes


def test_what_a_module_assigns() -> None:
    source = """
        // not_this <= 1;
        always_ff @(posedge clk_i) begin
            if (a <= b) first_reg <= c; else second_reg[3:0] <= d;
            mem[address] <= e;
        end
        assign third = f;
    """
    assert assigned_registers(source) == {"first_reg", "second_reg", "mem"}
