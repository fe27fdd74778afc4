"""The one check that every network and every operator goes through: all executors give the same codes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from hwflow.codes import PLAIN
from hwflow.codes.layout import ordered, unordered
from hwflow.cost.reuse import choose_reuse, valid_reuse_factors
from hwflow.faults import FaultList, chosen, sample_ber
from hwflow.firmware import CsimExecutor, read_keras
from hwflow.firmware import generate as generate_firmware
from hwflow.firmware.project import IOType
from hwflow.fixed import FixedType
from hwflow.graph import Constant, Conv2D, Dense, DepthwiseConv2D, Graph, IntArray, Kept, Outliers, WeightLayer
from hwflow.hardening import harden
from hwflow.memory import layer_layout, layer_storage, memories
from hwflow.reference import IntegerExecutor
from hwflow.rtl import RtlExecutor, generate
from tests.networks import random_images, random_options, to_keras


class Executor(Protocol):
    """Integer input codes and an optional fault list in, integer output codes out."""

    def run(self, codes: IntArray, faults: FaultList | None = None) -> IntArray: ...


def random_reuse(graph: Graph, seed: int) -> dict[str, int]:
    """A valid reuse factor for every layer, at random, of up to 64 products a cycle: Icarus is slow with more."""
    rng = np.random.default_rng([20261125, seed])

    def drawn(layer: WeightLayer) -> int:
        valid = valid_reuse_factors(layer)
        return int(rng.choice([factor for factor in valid if layer.weight.size <= 64 * factor] or valid[-1:]))

    return {layer.name: drawn(layer) for layer in graph.weight_layers}


def rtl(graph: Graph, folder: Path, seed: int, simulator: str = "icarus") -> RtlExecutor:
    """The RTL of a graph with random reuse factors, in a new folder."""
    generate(graph, folder, random_reuse(graph, seed))
    return RtlExecutor(folder, graph, simulator)  # type: ignore[arg-type]  # a plain string, checked by it


def with_outliers(graph: Graph, fraction: float, seed: int) -> Graph:
    """The graph with outliers, at least one, in every convolution and dense layer: saturated cells and their rests.

    The largest and the smallest weights become them, and their rests take up to twice the memory's range. A table does
    not have the saturated weights: such layers are stored plainly instead.
    """
    rng = np.random.default_rng([20261122, seed])

    def give(layer: WeightLayer) -> WeightLayer:
        type_, accum = layer.weight.type, layer.accum
        assert type_ is not None
        assert accum is not None
        stored = ordered(layer.weight.codes, layer.channelwise).copy()
        count = max(1, round(fraction * stored.size))
        index = np.sort(np.argsort(-np.abs(stored), kind="stable")[:count])
        high = (stored[index] > 0) | (not type_.signed)
        stored[index] = np.where(high, type_.max_code, type_.min_code)
        wide = FixedType(type_.width + 1, type_.integer + 1)
        rest = np.where(high, 1, -1) * rng.integers(1, wide.max_code + 1, size=count)
        codes = unordered(stored, layer.weight.shape, layer.channelwise)
        return replace(
            layer,
            weight=Constant.from_codes(codes, type_),
            storage=PLAIN if layer.storage.tables else layer.storage,
            outliers=Outliers(index, Constant.from_codes(rest, wide)),
            accum=replace(accum, width=accum.width + 2, integer=accum.integer + 2),
        )

    kinds = Conv2D | DepthwiseConv2D | Dense
    return Graph(tuple(give(node) if isinstance(node, kinds) else node for node in graph), graph.name)


def with_kept(graph: Graph, fraction: float, seed: int) -> Graph:
    """The graph with kept weights, at least one, in every layer: among them, where there are outliers, one of them."""
    rng = np.random.default_rng([20261128, seed])

    def keep(layer: WeightLayer) -> WeightLayer:
        count = max(1, round(fraction * layer.weight.size))
        index = rng.choice(layer.weight.size, count, replace=False)
        if layer.outliers is not None:
            index = np.append(index, rng.choice(layer.outliers.index))
        return replace(layer, kept=Kept(np.unique(index)))

    return Graph(tuple(keep(node) if isinstance(node, WeightLayer) else node for node in graph), graph.name)


def kept_faults(graph: Graph, seed: int) -> FaultList:
    """Two flips or more in the word of every kept weight, so that codes that correct one do not hide them."""
    rng = np.random.default_rng([20261129, seed])
    flips = []
    for layer in graph.weight_layers:
        if layer.kept is not None:
            bits = layer_storage(layer).bits
            for word in np.unique(layer_layout(layer).place(layer.kept.index)[0]).tolist():
                chosen_bits = rng.choice(bits, rng.integers(min(2, bits), bits + 1), replace=False)
                flips += [(f"{layer.name}.weight", word, int(bit)) for bit in chosen_bits]
    return chosen(memories(graph), flips, graph.digest)


def outlier_faults(graph: Graph, seed: int) -> FaultList:
    """One flip in the cell of every outlier of a graph."""
    rng = np.random.default_rng([20261123, seed])
    flips = set()
    for layer in graph.weight_layers:
        if layer.outliers is not None:
            words = np.unique(layer_layout(layer).place(layer.outliers.index)[0])
            bits = rng.integers(layer_storage(layer).bits, size=len(words))
            flips |= {(f"{layer.name}.weight", int(word), int(bit)) for word, bit in zip(words, bits, strict=True)}
    return chosen(memories(graph), sorted(flips), graph.digest)


def flips_in_words(graph: Graph, seed: int) -> FaultList:
    """One to five flips in a word, each number in a word of every memory that has enough, its last one among them."""
    rng = np.random.default_rng([20261127, seed])
    flips = []
    for memory in memories(graph):
        others = rng.permutation(memory.words - 1)[:4].tolist()
        for count, word in zip(rng.permutation(5) + 1, [memory.words - 1, *others], strict=False):
            bits = rng.choice(memory.bits, min(int(count), memory.bits), replace=False)
            flips += [(memory.name, int(word), int(bit)) for bit in bits]
    return chosen(memories(graph), flips, graph.digest)


def assert_agree(
    graph: Graph,
    images: np.ndarray,
    *executors: Executor,
    bers: tuple[float, ...] = (0.002, 0.05),
    seed: int = 1,
    faulty_biases: bool = True,
) -> None:
    """Every executor equals the reference on ``images``, fault-free and under one fault list a BER.

    A graph with outliers also gets a flip in the cell of each, one with kept weights some in the words of all, one with
    a storage code one to five flips in some words. Fails as well if no fault list changes any output, for then the
    comparison could not see a difference.
    """
    reference = IntegerExecutor(graph)
    codes = reference.encode(images)
    clean = reference.run(codes)
    places = memories(graph, faulty_biases)
    lists = [sample_ber(places, ber, seed + i, graph.digest) for i, ber in enumerate(bers)]
    if any(layer.outliers is not None for layer in graph.weight_layers):
        lists.append(outlier_faults(graph, seed))
    if any(layer.kept is not None for layer in graph.weight_layers):
        lists.append(kept_faults(graph, seed))
    if any(layer.storage.name != "plain" for layer in graph.weight_layers):
        lists.append(flips_in_words(graph, seed))
    for faults in (None, *lists):
        expected = clean if faults is None else reference.run(codes, faults)
        for executor in executors:
            got = executor.run(codes, faults)
            differing = int((got != expected).sum())
            count = 0 if faults is None else len(faults)
            assert differing == 0, f"{executor}: {differing} of {got.size} codes differ under {count} faults"
    # Several lists, for in a network that ends in a ReLU all outputs may stay zero under one.
    heavy = (sample_ber(places, 0.3, seed + i, graph.digest) for i in range(8))
    assert any((reference.run(codes, faults) != clean).any() for faults in heavy), "the weights change nothing"


def check_executors(
    graph: Graph, images: npt.NDArray[Any], folder: Path, model: Any, io_types: Sequence[IOType], few: int = 2
) -> None:
    """The reference, by each of its engines, the C simulation and the RTL with stalls, on images; the RTL on a few."""
    reference = IntegerExecutor(graph)
    codes = reference.encode(images)
    expected = reference.run(codes)
    np.testing.assert_array_equal(IntegerExecutor(graph, engine="numpy").run(codes), expected)
    for io_type in io_types:
        project = generate_firmware(graph, model, folder / io_type, reuse=choose_reuse(graph), io_type=io_type)
        np.testing.assert_array_equal(CsimExecutor(project.path, graph).run(codes), expected)
    executor = rtl(graph, folder / "rtl", 1)
    np.testing.assert_array_equal(executor.run(codes[:few]), expected[:few])
    np.testing.assert_array_equal(executor.run(codes[:few], stall_percent=40, seed=2), expected[:few])


def hardened(graph: Graph, seed: int) -> Graph:
    """A graph with random options, by seed."""
    return harden(graph, random_images(seed + 1, graph, 8), random_options(seed)).graph


def check_rtl(original: Graph, seed: int, folder: Path) -> None:
    """The RTL of a graph that is hardened here, with faults, and with random stalls."""
    graph = hardened(original, seed)
    executor = rtl(graph, folder / "rtl", seed)
    images = random_images(seed, graph, 2)
    assert_agree(graph, images, executor, seed=seed)
    codes = IntegerExecutor(graph).encode(images)
    stalled = executor.run(codes, stall_percent=40, seed=seed + 1)
    np.testing.assert_array_equal(stalled, IntegerExecutor(graph).run(codes))
    shutil.rmtree(folder / "rtl")


def check_csim(original: Graph, seed: int, folder: Path, io_type: IOType) -> None:
    """C simulation of a network that went through Keras and hls4ml's front end."""
    model = to_keras(original)
    graph = hardened(read_keras(model), seed)
    generate_firmware(graph, model, folder / "csim", reuse=random_reuse(graph, seed), io_type=io_type)
    assert_agree(graph, random_images(seed, graph, 3), CsimExecutor(folder / "csim", graph), seed=seed)
    shutil.rmtree(folder / "csim")
