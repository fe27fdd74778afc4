"""What every weight layer takes in hardware."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hwflow.cost.packing import packing
from hwflow.cost.reuse import layer_fold
from hwflow.graph import Graph, WeightLayer


@dataclass(frozen=True)
class LayerCost:
    """What one weight layer takes.

    Attributes:
        name: the layer.
        reuse_factor: cycles a matrix-vector product.
        pe: outputs handled in a cycle.
        simd: inputs handled in a cycle.
        words: words of its weight memory in hardware.
        word_bits: bits of such a word.
        bram_kbit: ``words`` x ``word_bits``, in units of 1024 bits.
        cycles_per_image: cycles that its multipliers are busy for one image.
        outliers: weights that a side memory completes.
        kept: weights that it holds whole.
        side_bits: bits of that memory, which faults do not reach.
    """

    name: str
    reuse_factor: int
    pe: int
    simd: int
    words: int
    word_bits: int
    bram_kbit: float
    cycles_per_image: int
    outliers: int
    kept: int
    side_bits: int


def layer_costs(graph: Graph, reuse: Mapping[str, int]) -> tuple[LayerCost, ...]:
    """What every weight layer takes with its reuse factor."""
    return tuple(_layer_cost(graph, layer, reuse[layer.name]) for layer in graph.weight_layers)


def _layer_cost(graph: Graph, layer: WeightLayer, reuse_factor: int) -> LayerCost:
    pe, simd = layer_fold(graph, layer, reuse_factor)
    memory = packing(layer, "weight", pe, simd)
    return LayerCost(
        name=layer.name,
        reuse_factor=reuse_factor,
        pe=pe,
        simd=simd,
        words=memory.depth,
        word_bits=memory.width,
        bram_kbit=memory.depth * memory.width / 1024,
        cycles_per_image=layer.vectors * reuse_factor,
        outliers=0 if layer.outliers is None else len(layer.outliers.index),
        kept=0 if layer.kept is None else len(layer.kept.index),
        side_bits=layer.side_bits,
    )
