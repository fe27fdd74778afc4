"""The memories of a graph: stored words, and what an upset changes of what they give.

Biases are registers; they become memories only when asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hwflow.codes import PLAIN, StorageCode, Words, layout, storage_code
from hwflow.errors import HwflowError
from hwflow.faults import FaultList, Memory
from hwflow.fixed import FixedType
from hwflow.graph import BoolArray, Constant, Graph, IntArray, WeightLayer

KINDS = ("weight", "bias")


@dataclass(frozen=True, eq=False)
class Touched:
    """What a memory that faults hit gives instead of what was stored.

    Attributes:
        layer: whose memory.
        kind: ``weight`` or ``bias``.
        index: ``(m,)`` the weights or biases that are read as others, in storage order.
        codes: ``(m,)`` their codes as they are read.
    """

    layer: WeightLayer
    kind: str
    index: IntArray
    codes: IntArray

    @property
    def effective(self) -> IntArray:
        """``(m,)`` the codes in effect: with what outliers add."""
        outliers = self.layer.outliers if self.kind == "weight" else None
        return self.codes if outliers is None else self.codes + outliers.at(self.index)


def layer_storage(layer: WeightLayer, kind: str = "weight") -> StorageCode:
    """The storage code of a layer's ``weight`` or ``bias`` memory; biases are stored plainly."""
    constant = layer.weight if kind == "weight" else layer.bias
    return storage_code(layer.storage if kind == "weight" else PLAIN, _type(layer, constant))


def layer_layout(layer: WeightLayer, kind: str = "weight") -> layout.Layout:
    """How a layer's ``weight`` or ``bias`` memory is divided into words."""
    rows, columns = (1, layer.n_out) if kind == "bias" else (layer.rows, layer.weight.size // layer.rows)
    return layout.Layout(rows, columns, layer_storage(layer, kind).weights_per_word)


def layer_bias_type(layer: WeightLayer) -> FixedType:
    """The type of a hardened layer's bias."""
    return _type(layer, layer.bias)


def memories(graph: Graph, faulty_biases: bool = False) -> tuple[Memory, ...]:
    """The fault-prone memories of a typed graph, ``<layer>.weight`` and on demand ``<layer>.bias``."""
    kinds = KINDS if faulty_biases else ("weight",)
    return tuple(_memory(layer, kind) for layer in graph.weight_layers for kind in kinds)


def memory_of(graph: Graph, name: str) -> Memory:
    """The memory called ``name``.

    Raises:
        HwflowError: the design has no such memory.
    """
    return _memory(*owner(graph, name))


def stored_words(layer: WeightLayer, kind: str = "weight") -> Words:
    """The words ``(words, ceil(bits / 8))`` that a memory holds, fault-free."""
    return stored_at(layer, kind, np.arange(layer_layout(layer, kind).words))


def stored_at(layer: WeightLayer, kind: str, words: IntArray) -> Words:
    """Some words of a memory, fault-free."""
    return layer_storage(layer, kind).encode(held(layer, kind, words)[1])


def check_faults(graph: Graph, faults: FaultList) -> None:
    """Refuse faults of another design.

    Raises:
        HwflowError: a memory that this one does not have, or not so, or another model hash.
    """
    faults.check(tuple(memory_of(graph, memory.name) for memory in faults.memories), graph.digest)


def touched(graph: Graph, faults: FaultList) -> Iterator[Touched]:
    """What ``faults`` change, memory by memory, where they change anything; costs as much as there are faults.

    Raises:
        HwflowError: faults of another design.
    """
    check_faults(graph, faults)
    for memory in faults.memories:
        layer, kind = owner(graph, memory.name)
        words, masks = faults.masks(memory.name)
        if len(words):
            index, clean = held(layer, kind, words)
            code = layer_storage(layer, kind)
            codes = code.decode(code.encode(clean) ^ masks)
            changed = reached(layer, kind, index) & (codes != clean)
            if changed.any():
                yield Touched(layer, kind, index[changed], codes[changed])


def held(layer: WeightLayer, kind: str, words: IntArray) -> tuple[IntArray, IntArray]:
    """The weights of some words by index, see :meth:`~hwflow.codes.layout.Layout.indices`, and their codes."""
    index = layer_layout(layer, kind).indices(words)
    constant = layer.weight if kind == "weight" else layer.bias
    # Copies what is touched, and no more.
    codes = layout.at(constant.array, index.reshape(-1), layer.channelwise).reshape(index.shape)
    return index, np.where(index >= 0, codes, 0).astype(np.int64)


def reached(layer: WeightLayer, kind: str, index: IntArray) -> BoolArray:
    """Whether places of some words, see :func:`held`, hold a weight or bias that comes from there.

    A row's last word may have room to spare, and weights that the side memory keeps come from there.
    """
    used: BoolArray = index >= 0
    return used if kind == "bias" or layer.kept is None else used & ~layer.kept.holds(index)


def owner(graph: Graph, name: str) -> tuple[WeightLayer, str]:
    """The layer and the kind of the memory called ``name``.

    Raises:
        HwflowError: the design has no such memory.
    """
    layer_name, _, kind = name.rpartition(".")
    layer = graph.get(layer_name)
    if not isinstance(layer, WeightLayer) or kind not in KINDS:
        raise HwflowError(f"memory {name!r} is not in this design; its memories are LAYER.weight and LAYER.bias")
    return layer, kind


def _memory(layer: WeightLayer, kind: str) -> Memory:
    return Memory(f"{layer.name}.{kind}", layer_layout(layer, kind).words, layer_storage(layer, kind).bits)


def _type(layer: WeightLayer, constant: Constant) -> FixedType:
    if constant.type is None:
        raise HwflowError(f"{layer.name}: its constants have no type yet; harden the graph first")
    return constant.type
