"""Candidates of an advice on images: hardened, and run under fault lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hwflow.campaign.advised import Candidate, Tried, interval
from hwflow.campaign.trials import NetworkData, ReferenceNetwork
from hwflow.faults import round_seed, sample_ber
from hwflow.graph import Graph
from hwflow.hardening import HardenOptions, harden
from hwflow.memory import memories
from hwflow.stages.protect import critical_weights, keep_critical


def hardening_of(options: HardenOptions, protection: str, granularity: Any) -> HardenOptions:
    """The options of a candidate."""
    return replace(options, scaling=replace(options.scaling, granularity=granularity), storage=protection)


def try_candidate(
    network: NetworkData,
    options: HardenOptions,
    candidate: Candidate,
    kept: Sequence[float],
    ber: float,
    accuracy: float,
    rounds: int,
    seed: int,
) -> list[Tried]:
    """A candidate on the images; or with weights kept, once for every fraction, if its code leaves any critical."""
    assert network.graph is not None and network.calibration is not None
    hardening = hardening_of(options, candidate.protection, candidate.granularity)
    graph = harden(network.graph, network.calibration, hardening).graph
    ways = [(candidate, graph)]
    if kept:
        estimates = critical_weights(graph, network.calibration)
        critical = any(each.any() for each in estimates.values())
        graphs = [(each, keep_critical(graph, estimates, each)) for each in kept] if critical else []
        ways = [(_with_kept(candidate, each, graph), graph) for each, graph in graphs]
    found, total = [], len(network.labels)
    for way, graph in ways:
        subject = ReferenceNetwork(graph)
        seeds = [round_seed(seed, each) for each in range(rounds)]
        lists = [sample_ber(memories(graph), ber, each, subject.digest) for each in seeds]
        clean, *faulted = (
            100 * subject.evaluate(network.images, network.labels, faults).correct / total for faults in (None, *lists)
        )
        low, high = interval(faulted, accuracy, total) or (None, None)
        found.append(Tried(way, accuracy - clean, accuracy - float(np.mean(faulted)), low, high))
    return found


def _with_kept(candidate: Candidate, fraction: float, graph: Graph) -> Candidate:
    """A candidate of whose graph so many weights are kept."""
    layers = graph.weight_layers
    side = sum(layer.side_bits for layer in layers) / sum(layer.weight.size for layer in layers)
    return replace(candidate, bits=candidate.bits + side, kept=fraction)
