"""A typed graph from the types that hls4ml's configuration gives a ModelGraph.

The RTL sums exactly and rounds once, where a layer's result is stored. hls4ml rounds every product and sum to
``accum_t`` first. Both are the same where ``accum_t`` loses nothing, which is what ``auto`` makes it; any other one is
refused by the layer's name.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from hwflow.errors import HwflowError
from hwflow.fixed import FixedType
from hwflow.graph import (
    Affine,
    AveragePool2D,
    Concatenate,
    Constant,
    Flatten,
    GlobalAveragePool2D,
    Graph,
    Input,
    IntArray,
    MaxPool2D,
    Merge,
    Move,
    Node,
    ReLU,
    Rescale,
    Reshape,
    WeightLayer,
)
from hwflow.hardening.types import accumulator_type

ONE = FixedType(1, 1, signed=False)
"""The type of the factor 1."""
Layer = Any
"""An hls4ml layer; hls4ml carries no types."""


def typed_graph(model: Any, graph: Graph) -> Graph:
    """A graph in the types of the ModelGraph that it was read off, after its ``optimize`` flow.

    Raises:
        HwflowError: a layer that the RTL lacks, or types that it cannot honour.
    """
    done: dict[str, Node] = {}
    for node in graph:
        done[node.name] = _typed(node, graph.inputs_of(node), [done[name].resolved for name in node.inputs], model)
    return Graph(tuple(done.values()), graph.name)


def _typed(node: Node, sources: tuple[Node, ...], inputs: list[FixedType], model: Any) -> Node:
    layer = model.graph.get(node.name)
    match node:
        case Input() | ReLU() | Merge() | Concatenate():
            return replace(node, type=_result(layer))
        case WeightLayer():
            return _weight_layer(node, inputs[0], layer)
        case Rescale():
            return replace(node, factor=Constant.from_codes(np.ones(1, dtype=np.int64), ONE), type=_result(layer))
        case Move():
            if layer is not None and not isinstance(node, Flatten | Reshape):
                _check_is(node.name, "result", _result(layer), inputs[0])
            return replace(node, type=inputs[0])
        case MaxPool2D():
            return _max_pool(node, inputs[0], layer)
        case AveragePool2D():
            return _average(node, math.prod(node.window.kernel), inputs[0], layer)
        case GlobalAveragePool2D():
            return _average(node, math.prod(sources[0].shape[:-1]), inputs[0], layer)
    raise HwflowError(f"{node.name}: the RTL has no {node.op}")


def _weight_layer(node: WeightLayer, x: FixedType, layer: Layer) -> Node:
    weight = layer.get_weights("scale" if isinstance(node, Affine) else "weight")
    declared = _type(node.name, "weight", weight.type.precision)
    # Codes of an unsigned type are the same with a sign bit before them.
    stored = FixedType(declared.width + (not declared.signed), declared.integer + (not declared.signed))
    codes = declared.encode(node.weight.values)
    node = replace(node, weight=Constant.from_codes(codes, stored), type=_result(layer))
    fraction = stored.fraction + x.fraction
    bias_type = _type(node.name, "bias", layer.get_weights("bias").type.precision)
    bias = bias_type.encode(node.bias.values)
    if not isinstance(node, Affine):  # there hls4ml multiplies and adds without an accumulator
        accum = _type(node.name, "accum", layer.get_attr("accum_t").precision)
        low, high = _sums(codes, x)
        lsb = 2.0**-fraction
        low += math.floor(min(0.0, float(node.bias.values.min())) / lsb)
        high += math.ceil(max(0.0, float(node.bias.values.max())) / lsb)
        _check_accumulator(node.name, accum, fraction, low, high)
        bias, bias_type = accum.cast(bias, bias_type), accum
    node = replace(node, bias=_on_grid(node.name, bias, bias_type, fraction))
    return replace(node, accum=accumulator_type(node, stored, x, node.bias))


def _sums(codes: IntArray, x: FixedType) -> tuple[int, int]:
    """The lowest and highest sum of any of an output's products, in their LSB."""
    weights = codes.reshape(-1, codes.shape[-1])
    products = np.stack([weights * x.min_code, weights * x.max_code, np.zeros_like(weights)])
    return int(products.min(axis=0).sum(axis=0).min()), int(products.max(axis=0).sum(axis=0).max())


def _check_accumulator(name: str, accum: FixedType, fraction: int, low: int, high: int) -> None:
    """Refuse an ``accum_t`` in which any order of summing might lose something.

    Args:
        name: the layer's.
        accum: its ``accum_t``.
        fraction: fraction bits of what is summed.
        low, high: of the sums, also of a part of the summands, in units of that.
    """
    finer = accum.fraction - fraction
    if finer < 0 or low << finer < accum.min_code or high << finer > accum.max_code:
        integer = max(-low - 1, high).bit_length() + 1 - fraction
        raise HwflowError(
            f"{name}: accum_t {accum} may round or overflow, which the RTL does only where the result is stored; "
            f"set it to {FixedType(integer + fraction, integer)}"
        )


def _on_grid(name: str, codes: IntArray, type_: FixedType, fraction: int) -> Constant:
    """A bias of ``type_`` as the RTL adds it: signed, on the grid of the products or a coarser one."""
    if type_.fraction > fraction:
        finer = type_.fraction - fraction
        if (codes & ((1 << finer) - 1)).any():
            raise HwflowError(
                f"{name}: its bias has {type_.fraction} fraction bits, but a product of input and weight only "
                f"{fraction}; set bias_t to {fraction} fraction bits or fewer"
            )
        codes, type_ = codes >> finer, FixedType(type_.width - finer, type_.integer, type_.signed)
    width = max(int(codes.max(initial=0)), int(-codes.min(initial=0)) - 1, 0).bit_length() + 1
    return Constant.from_codes(codes, FixedType(width, width - type_.fraction))


def _max_pool(node: MaxPool2D, x: FixedType, layer: Layer) -> Node:
    for kind, type_ in (
        ("accum", _type(node.name, "accum", layer.get_attr("accum_t").precision)),
        ("result", _result(layer)),
    ):
        _check_is(node.name, kind, type_, x)
    return replace(node, type=x)


def _check_is(name: str, kind: str, type_: FixedType, x: FixedType) -> None:
    """Refuse another type than a layer's input in one that computes nothing."""
    if (type_.width, type_.integer, type_.signed) != (x.width, x.integer, x.signed):
        raise HwflowError(f"{name}: {kind}_t {type_} is not the type of its input, which the RTL keeps; set it to {x}")


def _average(node: AveragePool2D | GlobalAveragePool2D, count: int, x: FixedType, layer: Layer) -> Node:
    accum = _type(node.name, "accum", layer.get_attr("accum_t").precision)
    _check_accumulator(node.name, accum, x.fraction, count * x.min_code, count * x.max_code)
    # Codes of an unsigned type are the same with a sign bit before them.
    signed = FixedType(accum.width + (not accum.signed), accum.integer + (not accum.signed))
    return replace(node, accum=signed, type=_result(layer))


def _result(layer: Layer) -> FixedType:
    return _type(layer.name, "result", layer.get_output_variable().type.precision)


def _type(name: str, kind: str, precision: Any) -> FixedType:
    try:
        return FixedType.parse(str(precision))
    except HwflowError as error:
        raise HwflowError(f"{name}: {kind}_t: {error}") from error
