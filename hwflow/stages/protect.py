"""Protect: the weights that matter most, kept in side memories that faults do not reach."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from hwflow.errors import HwflowError
from hwflow.files.folders import DESIGN, check_output, new_folder
from hwflow.folders.design import Design, content_of, load_design, open_design, write_graph, write_manifest
from hwflow.graph import FloatArray, Graph, Kept, WeightLayer
from hwflow.progress import no_progress
from hwflow.reference import IntegerExecutor
from hwflow.stages.flip_estimates import layer_powers, weight_estimates
from hwflow.stages.sensitivity import Sensitivity

IMAGES = 64


def protect(
    design: Design | str | Path, found: Sensitivity, fraction: float, output: str | Path, *, force: bool = False
) -> Design:
    """Write a design whose most critical weights come from side memories, and open it.

    Args:
        design: a design or its folder.
        found: what :func:`hwflow.sensitivity` found of it.
        fraction: of all weights, above 0 and at most 1.
        output: the new design folder.
        force: replace an existing design folder.

    Raises:
        HwflowError: another fraction, a design that has kept weights already, weights of which the code leaves nothing
            to protect, or the folder exists.
    """
    design, output = open_design(design), Path(output)
    check_output(output, DESIGN, force)
    graph = keep_critical(design.graph, found.weights, fraction)
    about = {
        "kept": {
            "fraction": fraction,
            "weights": kept_weights(graph),
            "side_bits": sum(layer.side_bits for layer in graph.weight_layers),
            "data": found.data,
            "images": found.images,
            "design_sha256": design.sha256,
        }
    }
    with new_folder(output, DESIGN, force) as folder:
        write_graph(folder, graph)
        shutil.copyfile(design.path / "model.h5", folder / "model.h5")
        write_manifest(folder, {**content_of(design.manifest), **about}, graph)
    return load_design(output)


def keep_critical(graph: Graph, estimates: Mapping[str, FloatArray], fraction: float) -> Graph:
    """The graph with the weights kept that have the largest estimates.

    Args:
        graph: a typed graph.
        estimates: of all weights, ``(weights,)`` in storage order, by layer.
        fraction: of all weights, above 0 and at most 1. Weights whose estimate is 0 are not kept.

    Raises:
        HwflowError: another fraction, no estimate above 0, or a graph that has kept weights already.
    """
    check_fraction("fraction", fraction)
    refuse_kept(graph)
    layers = graph.weight_layers
    flat = np.concatenate([estimates[layer.name] for layer in layers])
    count = min(max(1, round(fraction * len(flat))), np.count_nonzero(flat))
    if not count:
        raise HwflowError(f"{graph.name}: its storage codes leave nothing of a few flips; there is nothing to protect")
    chosen = np.sort(np.argsort(-flat, kind="stable")[:count])
    ends = np.cumsum([layer.weight.size for layer in layers])
    kept = {}
    for layer, end in zip(layers, ends.tolist(), strict=True):
        index = chosen[(chosen >= end - layer.weight.size) & (chosen < end)] - (end - layer.weight.size)
        if len(index):
            kept[layer.name] = Kept(index)
    nodes = (replace(n, kept=kept.get(n.name)) if isinstance(n, WeightLayer) else n for n in graph)
    return Graph(tuple(nodes), graph.name)


def critical_weights(graph: Graph, images: FloatArray, threads: int | None = None) -> dict[str, FloatArray]:
    """Estimates of all weights of a typed graph for :func:`keep_critical`, by runs on images ``(n, *input shape)``.

    Up to ``IMAGES`` of them are taken, evenly spread.
    """
    runner = IntegerExecutor(graph.logits, threads)
    count = min(IMAGES, len(images))
    codes = runner.encode(images[np.arange(count) * len(images) // count])
    return weight_estimates(graph.logits, layer_powers(graph.logits, runner, codes, no_progress))


def kept_weights(graph: Graph) -> int:
    """How many weights side memories hold whole."""
    return sum(0 if layer.kept is None else len(layer.kept.index) for layer in graph.weight_layers)


def refuse_kept(graph: Graph) -> None:
    """Refuse a graph that has kept weights.

    Raises:
        HwflowError: it has.
    """
    if kept_weights(graph):
        raise HwflowError(f"{graph.name}: it has kept weights already; protect the design that it was made of")


def check_fraction(name: str, fraction: float) -> None:
    """Refuse a fraction that is not above 0 and at most 1.

    Raises:
        HwflowError: it is another one.
    """
    if not 0 < fraction <= 1:
        raise HwflowError(f"{name}={fraction:g} must be above 0 and at most 1")
