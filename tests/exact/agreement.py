"""The one check that every network and every operator goes through: all executors give the same codes."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from hwflow.faults import FaultList, sample_ber
from hwflow.graph import Graph, IntArray
from hwflow.memory import memories
from hwflow.reference import IntegerExecutor
from hwflow.reuse import valid_reuse_factors
from hwflow.rtl import RtlExecutor, generate


class Executor(Protocol):
    """Integer input codes and an optional fault list in, integer output codes out."""

    def run(self, codes: IntArray, faults: FaultList | None = None) -> IntArray: ...


def random_reuse(graph: Graph, seed: int) -> dict[str, int]:
    """A valid reuse factor for every layer, at random."""
    rng = np.random.default_rng([20261125, seed])
    return {layer.name: int(rng.choice(valid_reuse_factors(layer))) for layer in graph.weight_layers}


def rtl(graph: Graph, folder: Path, seed: int, simulator: str = "icarus") -> RtlExecutor:
    """The RTL of a graph with random reuse factors, in a new folder."""
    generate(graph, folder, random_reuse(graph, seed))
    return RtlExecutor(folder, graph, simulator)  # type: ignore[arg-type]  # a plain string, checked by it


def assert_agree(
    graph: Graph,
    images: np.ndarray,
    *executors: Executor,
    bers: tuple[float, ...] = (0.002, 0.05),
    seed: int = 1,
    faulty_biases: bool = True,
) -> None:
    """Every executor equals the reference on ``images``, fault-free and under one fault list a BER.

    Fails as well if no fault list changes any output, for then the comparison could not see a
    difference.
    """
    reference = IntegerExecutor(graph)
    codes = reference.encode(images)
    clean = reference.run(codes)
    places = memories(graph, faulty_biases)
    lists = [sample_ber(places, ber, seed + i, graph.digest) for i, ber in enumerate(bers)]
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
