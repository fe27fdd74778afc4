"""The memories of a design: what is stored where, in the coordinates that fault lists use.

A weight memory holds the layer's weights output by output, ``(out, kernel_h, kernel_w, in)`` row-major,
through the layer's storage code. Biases are registers; they become memories only when asked for.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.faults import FaultList, Memory
from hwflow.fixed import FixedType
from hwflow.graph import Constant, Graph, IntArray, WeightLayer
from hwflow.protect import StorageCode, storage_code


def layer_storage(layer: WeightLayer, kind: str = "weight") -> StorageCode:
    """The storage code of a layer's ``weight`` or ``bias`` memory; biases are stored plainly."""
    if kind == "weight":
        return storage_code(layer.storage, _type(layer, layer.weight))
    return storage_code("plain", layer_bias_type(layer))


def layer_bias_type(layer: WeightLayer) -> FixedType:
    """The type of a hardened layer's bias."""
    return _type(layer, layer.bias)


def memories(graph: Graph, faulty_biases: bool = False) -> tuple[Memory, ...]:
    """The fault-prone memories of a typed graph, ``<layer>.weight`` and on demand ``<layer>.bias``."""
    kinds = ("weight", "bias") if faulty_biases else ("weight",)
    return tuple(_memory(layer, kind) for layer in graph.weight_layers for kind in kinds)


def memory_of(graph: Graph, name: str) -> Memory:
    """The memory called ``name``.

    Raises:
        HwflowError: the design has no such memory.
    """
    layer_name, _, kind = name.rpartition(".")
    layer = graph.get(layer_name)
    if not isinstance(layer, WeightLayer) or kind not in ("weight", "bias"):
        raise HwflowError(f"memory {name!r} is not in this design; its memories are LAYER.weight and LAYER.bias")
    return _memory(layer, kind)


def stored_words(layer: WeightLayer, kind: str = "weight") -> IntArray:
    """The words ``(words,)`` that a memory holds, fault-free."""
    codes = canonical(layer.weight.codes) if kind == "weight" else layer.bias.codes
    return layer_storage(layer, kind).encode(codes)


def canonical(weight: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Weights ``(..., out)`` as ``(out * ...,)``: the order in which a memory stores them."""
    return np.moveaxis(weight, -1, 0).reshape(-1)


def read_with_faults(layer: WeightLayer, kind: str, faults: FaultList) -> tuple[IntArray, IntArray]:
    """What reading the words that ``faults`` touches gives; costs as much as there are faults.

    Returns:
        Indices ``(m,)`` of weights in storage order and their codes ``(m,)``.
    """
    code = layer_storage(layer, kind)
    words, masks = faults.masks(f"{layer.name}.{kind}")
    if not len(words):
        return words, words
    per_word = code.weights_per_word
    index = (words[:, None] * per_word + np.arange(per_word)).reshape(-1)
    constant = layer.weight if kind == "weight" else layer.bias
    ordered = np.moveaxis(constant.values, -1, 0)  # a view: only what is touched is copied
    values = ordered[np.unravel_index(index, ordered.shape)]
    stored = code.encode(_type(layer, constant).encode(values))
    return index, code.decode(stored ^ masks.astype(np.int64))


def _memory(layer: WeightLayer, kind: str) -> Memory:
    code = layer_storage(layer, kind)
    count = layer.weight.values.size if kind == "weight" else layer.n_out
    return Memory(f"{layer.name}.{kind}", -(-count // code.weights_per_word), code.bits)


def _type(layer: WeightLayer, constant: Constant) -> FixedType:
    if constant.type is None:
        raise HwflowError(f"{layer.name}: its constants have no type yet; harden the graph first")
    return constant.type
