"""A retrained network over AXI4-Lite: rests, tables, rescaling constants and limits besides weights and biases.

The test builds the design of one network, and runs the cocotb tests of this file in the simulator; cocotbext-axi is the
bus master.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import cocotb
import numpy as np
import pytest

from hwflow.codes import CodeSpec, Protections, Table
from hwflow.cost.reuse import choose_reuse
from hwflow.errors import HwflowError
from hwflow.fixed import FixedType
from hwflow.graph import Constant, Graph, IntArray, Kept, Lookup, Outliers, ReLU, Rescale, WeightLayer
from hwflow.hardening import HardenOptions, ScalingOptions, harden
from hwflow.hardening.compensation import rounded
from hwflow.memory import layer_storage
from hwflow.reference import IntegerExecutor
from hwflow.rtl import Device, generate
from hwflow.rtl.address_map import AddressMap, address_map
from hwflow.rtl.memory_image import side_memory, table_codes
from hwflow.rtl.netlist import build_netlist
from hwflow.rtl.structure import Loadable
from tests.exact.agreement import with_kept, with_outliers
from tests.exact.test_axi_lite import PROJECT, Bench, Memory, identity, run_tb
from tests.networks import NetworkBuilder, random_images, same

STORAGE = {"conv1": "plain", "conv3": "cosq:1e-2", "dense6": "bch32-20:1e-2"}


@cache
def network() -> Graph:
    """A convolution with outliers, one behind a table, a dense layer behind words of BCH, some of it kept; constants,
    limit, tanh."""
    net = NetworkBuilder(np.random.default_rng(5), (4, 4, 2))
    x = net.relu(net.conv(net.nodes[0], 4, same((4, 4), (3, 3), (1, 1))))
    net.nodes[-1] = x = replace(x, limit=Constant(np.array([0.3])))
    y = net.add(net.conv(x, 4, same((4, 4), (1, 1), (1, 1))), x)
    net.lookup(net.dense(net.flat(y, average=False), 3), "tanh")
    graph = net.graph("loaded")
    assert [layer.name for layer in graph.weight_layers] == list(STORAGE)
    storage = ",".join(f"{name}={code}" for name, code in STORAGE.items())
    scaling = ScalingOptions(weight_type=FixedType(4, 1), granularity="channel", compensation="layer", align="multiply")
    graph = harden(
        graph, random_images(1, graph, 8), HardenOptions(scaling=scaling, storage=storage, table_bits=8)
    ).graph
    first, _, last = (layer.name for layer in graph.weight_layers)
    others = {first: with_outliers(graph, 0.1, 3)[first], last: with_kept(graph, 0.1, 3)[last]}
    return Graph(tuple(others.get(node.name, node) for node in graph), graph.name)


@cache
def retrained(seed: int = 6, outliers: bool = True) -> Graph:
    """The same structure with all that can be loaded drawn anew."""
    rng = np.random.default_rng(seed)

    def other(constant: Constant) -> Constant:
        low, high = constant.codes.min(), constant.codes.max()
        return _typed(rng.integers(low, high, constant.codes.shape, endpoint=True), constant)

    def retrain(node):
        match node:
            case WeightLayer():
                weights = rng.laplace(0, 0.5, (node.rows, node.weight.size // node.rows))
                assert node.weight.type is not None
                stored = Protections.parse(STORAGE[node.name]).of(node.name).fit(weights, node.weight.type)
                codes = rounded(stored, weights, None)
                weight = _typed(np.moveaxis(codes, 0, -1).reshape(node.weight.shape), node.weight)
                node = replace(node, weight=weight, bias=other(node.bias), storage=stored.spec)
                if node.kept is not None:
                    node = replace(node, kept=_elsewhere(node, rng))
                return (
                    node if node.outliers is None else replace(node, outliers=_fewer(node, rng) if outliers else None)
                )
            case Rescale():
                top = 1 << node.factor.codes.max().item().bit_length()
                return replace(node, factor=_typed(rng.integers(1, top, node.factor.codes.shape), node.factor))
            case Lookup(table=Constant()):
                return replace(node, table=_typed(rng.permutation(node.table.codes), node.table))
            case ReLU(limit=Constant()):
                return replace(node, limit=_typed(node.limit.codes * 3 // 4, node.limit))
        return node

    return Graph(tuple(map(retrain, network())), network().name)


def _typed(codes: IntArray, like: Constant) -> Constant:
    assert like.type is not None
    return Constant.from_codes(codes, like.type)


def _fewer(layer: WeightLayer, rng: np.random.Generator) -> Outliers:
    """One outlier less, elsewhere, each in another output."""
    assert layer.outliers is not None
    count = min(len(layer.outliers.index) - 1, layer.n_out)
    outputs = np.sort(rng.choice(layer.n_out, count, replace=False))
    index = outputs * layer.n_in + rng.integers(0, layer.n_in, count)
    return Outliers(index, _typed(layer.outliers.rest.codes[:count], layer.outliers.rest))


def _elsewhere(layer: WeightLayer, rng: np.random.Generator) -> Kept:
    """As many kept weights, at other places."""
    assert layer.kept is not None
    return Kept(np.sort(rng.choice(layer.weight.size, len(layer.kept.index), replace=False)))


def damaged(graph: Graph, node: str, **changes) -> Graph:
    return Graph(tuple(replace(each, **changes) if each.name == node else each for each in graph), graph.name)


@cocotb.test()
async def a_retrained_network_loads_and_every_bit_counts(dut):
    bench = Bench(dut, graph=network(), count=2)
    device = await bench.start()
    await bench.check()
    graph = retrained()
    await bench.call(device.load, graph)
    await bench.check(graph)
    assert await bench.call(lambda: device.design) == graph.digest[:16]
    held = await bench.call(device.read_back)
    regions = {(region.layer, region.kind): region for region in device.addresses.regions}
    kinds = [kind for _, kind in regions]
    assert [kinds.count(kind) for kind in ("weight", "bias", "rest", "table", "constant")] == [3, 3, 2, 2, 5]
    assert held == {name: device._image(graph, region) for name, region in regions.items()}
    bench.reference = IntegerExecutor(graph)

    # The rest of the first outlier, in slot 0 of row 0.
    first, second = graph.weight_layers[:2]
    side = side_memory(first, *_fold(first.name))
    assert first.outliers is not None
    assert side is not None
    lead = int(np.lexsort(side.layout.locate(first.outliers.index)[::-1])[0])
    rests = first.outliers.rest.codes.copy()
    rests[lead] ^= 2
    flipped = damaged(graph, first.name, outliers=Outliers(first.outliers.index, _typed(rests, first.outliers.rest)))
    await _flips(bench, device, (first.name, "rest", 0, 1), flipped)

    # An entry of the table, for all weights that are stored as it.
    code = layer_storage(second)
    assert isinstance(code, Table)
    entry = int(code.encode(second.weight.codes.reshape(-1, 1))[0, 0])
    codes = np.where(second.weight.codes == code.decoder[entry], second.weight.codes ^ 4, second.weight.codes)
    flipped = damaged(graph, second.name, weight=_typed(codes, second.weight), storage=CodeSpec("plain"))
    await _flips(bench, device, (second.name, "table", entry, 2), flipped)

    # The constant of the last channel, a limit, and an entry that an image comes to.
    for name in (name for name, kind in regions if kind == "constant"):
        node = graph[name]
        field = {Rescale: "factor", ReLU: "limit", Lookup: "table"}[type(node)]
        constant, region = getattr(node, field), regions[name, "constant"]
        codes, channel, lanes = constant.codes.copy(), len(constant.codes) - 1, len(constant.codes) // region.words
        if isinstance(node, Lookup):
            channel = int(np.flatnonzero(codes == bench.reference.run(bench.codes)[0, 0])[0])
        codes[channel] ^= 1 << constant.type.width - 3
        bit = channel % lanes * (region.width // lanes) + constant.type.width - 3
        flipped = damaged(graph, name, **{field: _typed(codes, constant)})
        await _flips(bench, device, (name, "constant", channel // lanes, bit), flipped)


async def _flips(bench: Bench, device: Device, where, flipped: Graph) -> None:
    reference = IntegerExecutor(flipped)
    assert (reference.run(bench.codes) != bench.reference.run(bench.codes)).any(), where
    await bench.call(device.flip, *where)
    await bench.check(flipped)
    await bench.call(device.flip, *where)
    await bench.check()


def _fold(layer: str) -> tuple[int, int]:
    units = json.loads((PROJECT / "rtl.json").read_text())["layers"]
    return next((unit["pe"], unit["simd"]) for unit in units if unit["layer"] == layer)


@pytest.mark.parametrize("simulator", ["icarus", pytest.param("verilator", marks=pytest.mark.slow)])
def test_the_whole_design(simulator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = network()
    project = tmp_path / "rtl"
    top = generate(graph, project, choose_reuse(graph), loadable=True)["top"]
    build = tmp_path / "build"
    build.mkdir()
    for image in project.glob("*.mem"):
        shutil.copy(image, build)
    monkeypatch.setenv("HWFLOW_TEST_PROJECT", str(project))
    run_tb(top, sorted(project.glob("*.sv")), {}, __name__, simulator, build)


def test_what_can_be_loaded_is_not_structure() -> None:
    first, second = network(), retrained()
    reuse = choose_reuse(first)

    def structures(loadable: Loadable | None) -> list[str]:
        return [address_map(g, build_netlist(g, reuse, loadable)).structure for g in (first, second)]

    rests = {unit.layer: unit.rests for unit in build_netlist(first, reuse, Loadable()).units if unit.rests is not None}
    assert len(set(structures(Loadable(rests)))) == 1
    assert len(set(structures(None))) == 2


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    graph = network()
    metadata = generate(graph, tmp_path / "rtl", choose_reuse(graph), loadable=True)
    bus = Memory(identity(AddressMap.from_json(metadata["addresses"])))
    device = Device(bus, tmp_path / "rtl", graph)
    before = dict(bus.words)
    layer = graph.weight_layers[0]
    assert layer.outliers is not None
    assert layer.outliers.rest.type is not None
    places = np.arange(layer.weight.size)
    many = Outliers(places, _typed(np.ones_like(places), layer.outliers.rest))
    with pytest.raises(
        HwflowError, match=rf"{layer.name}: its outliers are in \d+ words, .*; the hardware has room for"
    ):
        device.load(damaged(graph, layer.name, outliers=many))
    second = graph.weight_layers[1]
    rest = _typed(np.array([1]), layer.outliers.rest)
    with pytest.raises(HwflowError, match=f"{second.name}: .*the hardware has none"):
        device.load(damaged(graph, second.name, outliers=Outliers(np.array([0]), rest)))
    with pytest.raises(HwflowError, match="storage codes are not those"):
        device.load(damaged(graph, second.name, storage=CodeSpec("plain")))
    with pytest.raises(HwflowError, match=r"no bit 0 of word 0 of a memory conv1\.table"):
        device.flip("conv1", "table", 0, 0)
    assert bus.words == before
    last = graph.weight_layers[2]
    some = Kept(np.arange(last.weight.size))
    with pytest.raises(HwflowError, match=rf"{last.name}: its kept weights are in .*; the hardware has room for"):
        device.load(damaged(graph, last.name, kept=some))
    with pytest.raises(HwflowError, match=rf"{layer.name}: its outliers or kept weights are .* \d+ outliers with"):
        device.load(damaged(graph, layer.name, kept=Kept(np.array([0]))))
    device.load(retrained())
    assert bus.words != before
    assert table_codes(retrained().weight_layers[1]) != table_codes(second)
