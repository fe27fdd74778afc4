"""Upsets of registers: found, flipped, classed, and gone after a reset."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwflow
from hwflow.cost.reuse import choose_reuse
from hwflow.errors import HwflowError
from hwflow.graph import Constant, Graph
from hwflow.hardening import HardenOptions, ScalingOptions, harden
from hwflow.reference import IntegerExecutor
from hwflow.rtl import generate
from hwflow.rtl.simulator import Build, failure, run_upsets
from hwflow.sim import RtlDesign
from hwflow.sim.registers import assigned_registers, refuse_unknown
from hwflow.sim.state import Register, draw, matching, verdict
from hwflow.stages.upsets import Share, simulate_upsets
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
    upset = next(each for each in draw(found, 100, range(1, 2), 1) if flip(net, each))
    assert flip(net, upset)
    assert (await net.run(images) == clean).all()
    outcomes = {}
    room = next(each for each in found if each.path.endswith("room_o"))
    fold = next(each for each in found if each.path.endswith("first_beat_reg"))
    chosen = [StateUpset(register, 0, 0, cycle) for register in (room, fold) for cycle in range(1, 13)]
    for upset in (*chosen, *draw(found, 8, range(1, first), 3)):
        outcome = await replay(net, images, clean, [upset], 4 * end)
        assert outcome.recovered <= (outcome.worst != "hang")
        name = f"{upset.register.path} {upset.word} {upset.bit} {upset.cycle}"
        outcomes[name] = [*outcome.images, outcome.recovered, outcome.where]
    assert (await replay(net, images, clean, [], 4 * end)).worst == "masked"
    together = await replay(net, images, clean, draw(found, 50, range(1, first), 4), 4 * end)
    outcomes["together"] = [*together.images, together.recovered, together.where]
    names = [[each.path, each.bits, each.words] for each in found]
    Path(OUTPUT).write_text(json.dumps(names) + "\\n" + json.dumps(outcomes))
"""


@pytest.fixture(scope="module")
def graph() -> Graph:
    net = NetworkBuilder(np.random.default_rng(3), (4,))
    net.dense(net.relu(net.dense(net.nodes[0], 4)), 3)
    graph = net.graph("small")
    return harden(graph, random_images(1, graph, 8)).graph


@pytest.fixture(scope="module", params=["icarus", pytest.param("verilator", marks=pytest.mark.slow)])
def build(request: pytest.FixtureRequest, graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> Build:
    folder = tmp_path_factory.mktemp("state") / "rtl"
    generate(graph, folder, choose_reuse(graph, reuse=2))
    build = Build(request.param, RtlDesign.load(folder), registers=True)
    build.build()
    return build


def test_registers_are_upset(build: Build, tmp_path: Path) -> None:
    (tmp_path / "upsets_test.py").write_text(f"OUTPUT = {str(tmp_path / 'out.json')!r}\n{TEST}")
    (tmp_path / "work").mkdir()
    log = tmp_path / "log"
    build.run("upsets_test", tmp_path / "work", log=log, path=(tmp_path,))
    assert (tmp_path / "out.json").exists(), log.read_text()[-3000:]
    found, outcomes = map(json.loads, (tmp_path / "out.json").read_text().splitlines())
    paths = [path for path, _, _ in found]
    assert len(set(paths)) == len(paths)
    assert not any(path.endswith(("bias_mem", "_weights.memory.mem")) for path in paths)
    refuse_unknown(paths, build.design.folder)  # of none that there is
    for part in ("guard", "_weights.beat_reg", "m_tvalid", "free_reg"):
        assert any(part in path for path in paths), (part, paths)
    wheres = [each[-1] for each in outcomes.values() if each[-1] is not None]
    assert any("stream s_" in where and "layer " in where for where in wheres), outcomes
    assert any(each[:-2] == ["masked"] * 6 for each in outcomes.values())
    assert any(each[-2] for name, each in outcomes.items() if "first_beat_reg" in name), outcomes


ONE_BY_ONE = """
import json
from dataclasses import asdict
import cocotb, numpy as np
from hwflow.sim import Network
from hwflow.sim.state import draw, matching, measure, registers, replay

@cocotb.test()
async def one_by_one(dut):
    net = Network(dut)
    await net.reset()
    images, clean = np.load("images.npy"), np.load("clean.npy")
    found = matching(registers(net), ["*valid", "*room_o", "*beat_reg"])
    measured = json.load(open("upsets.json"))
    runs, cycles = measured["trials"], range(measured["first"], measured["last"] + 1)
    chosen = np.arange(measured["per_run"]) % len(images)
    assert (await net.run(images[chosen]) == clean[chosen]).all()
    assert (net.finished[0] + 1, net.finished[1]) == (cycles[0], cycles[-1])
    assert (net.begun >= net.finished[1]).sum() == 2
    outcomes = []
    for upset, run in zip(draw(found, len(runs), cycles, 5), runs, strict=True):
        chosen = run["images"]
        outcomes.append(await replay(net, images[chosen], clean[chosen], [upset], 4 * measured["run_cycles"]))
    print(outcomes)
    assert [list(each.images) for each in outcomes] == [run["outcome"]["images"] for run in runs]
    assert [each.where for each in outcomes] == [run["outcome"]["where"] for run in runs]
    again = await measure(net, images, clean, found, len(runs), 5)
    assert json.loads(json.dumps(asdict(again)))["trials"] == runs
"""


def measured(build: Build, graph: Graph, work: Path, **job: Any) -> dict[str, Any]:
    """What 24 upsets did, or what ``job`` says instead."""
    work.mkdir(exist_ok=True)
    codes = IntegerExecutor(graph).encode(random_images(2, graph, 7))
    np.save(work / "images.npy", codes)
    np.save(work / "clean.npy", job.pop("clean", IntegerExecutor(graph).run(codes)))
    (work / "job.json").write_text(
        json.dumps(
            {
                "patterns": ["*valid", "*room_o", "*beat_reg"],
                "rounds": 24,
                "seed": 5,
                "most": 99,
                "threshold": None,
                **job,
            }
        )
    )
    return run_upsets(build, work)


def test_upsets_by_their_seed(build: Build, graph: Graph, tmp_path: Path) -> None:
    work = tmp_path / "work"
    first = measured(build, graph, work)
    trials = first["trials"]
    assert len({tuple(trial["images"]) for trial in trials}) > 10
    assert all(first["first"] <= trial["upset"]["cycle"] <= first["last"] < first["run_cycles"] for trial in trials)
    assert all(trial["outcome"]["images"][0] == "masked" for trial in trials)  # it was out before
    assert len({verdict for trial in trials for verdict in trial["outcome"]["images"]}) >= 3
    (tmp_path / "one_by_one.py").write_text(ONE_BY_ONE)
    cases = build.run("one_by_one", work, log=tmp_path / "log", path=(tmp_path,))
    assert cases is not None
    assert failure(cases["one_by_one"]) is None, (tmp_path / "log").read_text()[-3000:]


def test_rtl_that_is_wrong_without_upsets(build: Build, graph: Graph, tmp_path: Path) -> None:
    with pytest.raises(HwflowError, match="before the upsets, images without any"):
        measured(build, graph, tmp_path / "work", clean=np.zeros((7, 3), np.int64))


def test_registers_by_their_paths_and_upsets_by_their_seed() -> None:
    found = [Register("u_a.gen_x[0].busy_reg", 1), Register("u_a.gen_x[1].mem", 8, 4), Register("guard.late_o", 1)]
    assert matching(found, ["guard*", "*x[0]*"]) == (found[0], found[2])
    with pytest.raises(HwflowError, match=r"busy\*: no register has such a path; there are 3, among them u_a"):
        matching(found, ["guard*", "busy*"])
    assert draw(found, 9, range(1, 50), 5) == draw(found, 9, range(1, 50), 5) != draw(found, 9, range(1, 50), 6)
    words = Counter(each.word for each in draw(found, 1000, range(1, 50), 5) if each.register == found[1])
    assert sum(words.values()) > 900  # 32 of 34 bits
    assert len(words) == 4


def test_patterns_that_no_register_can_match_are_refused_before_the_build(
    build: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = build.design.folder
    for pattern, word in {"nothing": "nothing", "u_dense1.not_here": "not_here", "*gard*": "gard"}.items():
        with pytest.raises(HwflowError, match=f"no register has such a path: nothing in the RTL is called {word};"):
            refuse_unknown(["*guard*", pattern], folder)
    refuse_unknown(["u_d*beat_reg", "u_dense1.gen_output[*].gen_product[0].*", "*[0]*", "*", "?uard.*"], folder)

    monkeypatch.setattr(Build, "build", lambda _: pytest.fail("it was built"))
    with pytest.raises(HwflowError, match="upset=state names every register"):
        simulate_upsets(tmp_path, "digits", upset=["state", "u_dense1*"])
    with pytest.raises(HwflowError, match="nothing: no register has such a path"):
        simulate_upsets(hwflow.harden("digits_cnn", tmp_path / "design"), "digits", upset=["nothing"], images=4)


LASTING = """
import cocotb, numpy as np
from hwflow.sim import Network
from hwflow.sim.state import Register, StateUpset, flip, registers

LASTING = [
    Register("u_relu2.gen_register.limit_reg", 8),
    Register("u_dense3_compensation.gen_register.word_reg", 51),
    Register("u_dense1_compensation.gen_ram.ram", 36, 2),
    Register("u_dense3_weights.gen_decoders.gen_word[0].gen_table.decode.gen_ram.ram", 8, 256),
]

@cocotb.test()
async def lasting(dut):
    net = Network(dut)
    await net.reset()
    type_ = net.design.input.type
    images = np.random.default_rng(1).integers(type_.min_code, type_.max_code + 1, (2, *net.design.input.shape))
    clean = await net.run(images)
    found = registers(net)

    async def changes(register):
        upsets = [
            StateUpset(register, word, bit, 1) for word in range(register.words) for bit in range(register.bits)
        ]
        done = [upset for upset in upsets if flip(net, upset)]
        await net.reset()
        changed = bool((await net.run(images, timeout_cycles=4000) != clean).any())
        return done, changed

    for register in LASTING:
        assert register.path not in {each.path for each in found}
        done, changed = await changes(register)
        assert done and changed, register
        for upset in done:
            flip(net, upset)
    assert len(found) > 100
    for register in found:
        _, changed = await changes(register)
        assert not changed, register
"""


def test_what_the_bus_loads_lasts_and_all_else_is_gone_after_a_reset(tmp_path: Path) -> None:
    net = NetworkBuilder(np.random.default_rng(5), (4,))
    x = net.relu(net.dense(net.nodes[0], 4))
    net.nodes[-1] = x = replace(x, limit=Constant(np.array([0.3])))
    net.dense(x, 3)
    graph = net.graph("loaded")
    scaling = ScalingOptions(granularity="channel", compensation="layer")
    graph = harden(graph, random_images(1, graph, 8), HardenOptions(scaling=scaling, storage="cosq:1e-2")).graph
    generate(graph, tmp_path / "rtl", choose_reuse(graph, reuse=2), loadable=True)
    build = Build("icarus", RtlDesign.load(tmp_path / "rtl"), registers=True)
    build.build()
    (tmp_path / "lasting_test.py").write_text(LASTING)
    (tmp_path / "work").mkdir()
    cases = build.run("lasting_test", tmp_path / "work", log=tmp_path / "log", path=(tmp_path,))
    assert cases is not None
    assert failure(cases["lasting"]) is None, (tmp_path / "log").read_text()[-3000:]


def test_what_an_image_comes_to() -> None:
    three, other = np.array([1, 5, 2]), np.array([1, 4, 2])
    assert [verdict(each, three) for each in (three, other, other[::-1], np.array([6, 5, 2]))] == [
        "masked", "wrong logits", "wrong logits", "wrong class",
    ]  # fmt: skip
    half = np.array([129])
    assert [verdict(np.array([code]), half, 128.0) for code in (129, 130, 128)] == [
        "masked", "wrong logits", "wrong class",
    ]  # fmt: skip
    assert verdict(np.zeros((2, 3)), np.ones((2, 3))) == "wrong logits"


def test_shares_have_wilsons_interval() -> None:
    # Newcombe 1998, table I.
    for hits, count, low, high in (
        (81, 263, 25.53, 36.62),
        (15, 148, 6.24, 16.05),
        (0, 20, 0.0, 16.11),
        (1, 29, 0.61, 17.18),
    ):
        share = Share.of(hits, count)
        assert (round(share.low, 2), round(share.high, 2)) == (low, high)
        assert share.percent == 100 * hits / count
    assert Share.of(0, 0) == Share(0, 0, 0.0, 100.0)


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
