"""A Keras or QKeras model as hls4ml's layer list: nested models unfolded, every call of a layer a layer of its own.

hls4ml's own walk over a model drops the second call of a layer, reads QKeras' weights by their configuration and
loses arguments. Here the walk follows Keras' tensors, and weights are what the layer's own quantisers make of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from hls4ml.converters.keras_v2_to_hls import get_layer_handlers
from hls4ml.model.quantizers import Quantizer
from hls4ml.model.types import FixedPrecisionType

from hwflow.errors import HwflowError
from hwflow.frontends.activations import LAYERS as ACTIVATIONS
from hwflow.frontends.activations import Activation, activation_of
from hwflow.frontends.handed import Handed
from hwflow.frontends.keras_attributes import config_of
from hwflow.frontends.keras_layers import TRAINING_ONLY, check_layer
from hwflow.frontends.keras_versions import Node, is_built, is_network, nodes, numbers, weight_of
from hwflow.frontends.rules import KerasLayer
from hwflow.graph import Derived

KerasModel = Any

PLAIN = {
    "QConv1D": "Conv1D",
    "QConv2D": "Conv2D",
    "QConv2DBatchnorm": "Conv2D",
    "QDepthwiseConv2D": "DepthwiseConv2D",
    "QSeparableConv2D": "SeparableConv2D",
    "QSeparableConv1D": "SeparableConv1D",
    "QDense": "Dense",
    "QBatchNormalization": "BatchNormalization",
}
"""Quantised layers, and the layers that they are once their weights are quantised."""
_SIDES = {
    "Conv1D": (("width",), ("left", "right")),
    "Conv2D": (("height", "width"), ("top", "bottom", "left", "right")),
}
"""What hls4ml calls the sides of the tensors of a convolution, and the ends that are padded."""
CHAINED = frozenset(("Add", "Maximum", "Minimum", "Multiply", "Concatenate"))
"""Merges of any number of tensors that are as many merges of two."""


@dataclass(frozen=True)
class Call:
    """One call of a layer.

    Attributes:
        layer: the Keras layer.
        inputs: keys of the calls whose outputs it reads, in order; none for the network's input.
        key: names its output: the name of the last layer in hls4ml's list that belongs to it.
        shape: of its output without the batch axis.
    """

    layer: KerasLayer
    inputs: tuple[str, ...]
    key: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class KerasCalls:
    """A model as a sequence of calls.

    Attributes:
        name: the model's name.
        calls: in the order of computation.
        output: key of the call that computes the output.
        layers: the same for hls4ml, activations as layers of their own, layers for training alone left out.
    """

    name: str
    calls: tuple[Call, ...]
    output: str
    layers: tuple[dict[str, Any], ...]

    @property
    def output_layer(self) -> str:
        """Name of the layer in ``layers`` that computes the output."""
        return _resolve(self.output, {call.key: call for call in self.calls})


def read_network(model: KerasModel) -> KerasCalls:
    """The calls of a built model with one input and one output.

    Raises:
        HwflowError: a layer, an attribute or a structure that is not supported, by the layer's name.
    """
    if not is_built(model):
        raise HwflowError(f"{model.name}: the model is not built; give its first layer an input_shape, or call it once")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise HwflowError(
            f"the network has {len(model.inputs)} inputs and {len(model.outputs)} outputs; one of each is supported"
        )
    walk = _Walk(model.name)
    return walk.network(model)


class _Walk:
    """Follows the tensors of a model and of the models in it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: list[Call] = []
        self.layers: list[dict[str, Any]] = []
        self.taken: set[str] = set()
        self.owned: set[str] = set()
        self.by_key: dict[str, Call] = {}

    def network(self, model: KerasModel) -> KerasCalls:
        tensors: dict[int, str] = {}
        self.owned |= set(_layer_names(model))
        self._model(model, tensors)
        output = tensors[id(model.outputs[0])]
        return KerasCalls(self.name, tuple(self.calls), output, tuple(self.layers))

    def _model(self, model: KerasModel, tensors: dict[int, str]) -> None:
        """Append the calls of ``model``; ``tensors`` tells the key of each Keras tensor by its id."""
        for node in _nodes(model):
            layer = node.layer
            if id(node.outputs[0]) in tensors:  # the input of a nested model
                continue
            inputs = tuple(tensors[id(tensor)] for tensor in node.inputs)
            _check_arguments(node)
            if is_network(layer):
                self._nested(layer, node, inputs, tensors)
                continue
            check_layer(layer)
            key = self._call(layer, node, inputs)
            tensors[id(node.outputs[0])] = key

    def _nested(self, model: KerasModel, node: Node, inputs: tuple[str, ...], tensors: dict[int, str]) -> None:
        inner = {id(tensor): key for tensor, key in zip(model.inputs, inputs, strict=True)}
        self._model(model, inner)
        found = [inner[id(tensor)] for tensor in model.outputs]
        tensors |= {id(tensor): key for tensor, key in zip(node.outputs, found, strict=True)}

    def _call(self, layer: KerasLayer, node: Node, inputs: tuple[str, ...]) -> str:
        name, call = self._name(layer.name), layer
        if type(layer).__name__ == "TimeDistributed":  # of a layer on the last axis, which takes rows as it is
            layer = layer.layer
        kind = type(layer).__name__
        if kind in TRAINING_ONLY:
            return self._put(Call(call, inputs, name, tuple(node.outputs[0].shape[1:])))
        sources = [_resolve(source, self.by_key) for source in inputs]
        shapes = [list(tensor.shape) for tensor in node.inputs]
        activation = activation_of(layer) if hasattr(layer, "activation") or kind in ACTIVATIONS else None
        if kind in ACTIVATIONS:
            assert activation is not None
            self.layers.append(_activation_entry(name, activation, sources))
            return self._put(Call(call, inputs, name, tuple(node.outputs[0].shape[1:])))
        if kind == "LayerNormalization":
            self.layers.append(_norm_entry(layer, name, sources, int(node.outputs[0].shape[-1])))
            return self._put(Call(call, inputs, name, tuple(node.outputs[0].shape[1:])))
        if kind in CHAINED:
            sources, shapes = self._chained(layer, kind, name, sources, shapes)
        entry = _entry(layer, kind, name, sources, shapes)
        if entry["class_name"].startswith("SeparableConv"):
            self.layers += _separated(entry, self._name(f"{name}_depthwise", own=False))
        else:
            self.layers.append(entry)
        if activation is not None and activation.kind != "linear":
            source, name = name, self._name(f"{name}_{activation.suffix}", own=False)
            self.layers.append(_activation_entry(name, activation, [source]))
        return self._put(Call(call, inputs, name, tuple(node.outputs[0].shape[1:])))

    def _chained(
        self, layer: KerasLayer, kind: str, name: str, sources: list[str], shapes: list[list[Any]]
    ) -> tuple[list[str], list[list[Any]]]:
        """A merge of more than two tensors as pairs, all but the last of which are put here; what that one merges."""
        while len(sources) > 2:
            pair = self._name(f"{name}_pair", own=False)
            self.layers.append(_entry(layer, kind, pair, sources[:2], shapes[:2]))
            if kind == "Concatenate":
                merged = list(shapes[0])
                merged[layer.axis] += shapes[1][layer.axis]
            else:
                merged = [None, *np.broadcast_shapes(*(shape[1:] for shape in shapes[:2]))]
            sources, shapes = [pair, *sources[2:]], [merged, *shapes[2:]]
        return sources, shapes

    def _put(self, call: Call) -> str:
        self.calls.append(call)
        self.by_key[call.key] = call
        return call.key

    def _name(self, name: str, own: bool = True) -> str:
        """``name``, with a number if it is taken: a layer may be called again, or stand in two models.

        A name that is not a layer's ``own`` gives way to those that are.
        """
        unique, number = name, 1
        while unique in self.taken or (unique in self.owned and not (own and number == 1)):
            number += 1
            unique = f"{name}_call{number}"
        self.taken.add(unique)
        return unique


def _layer_names(model: KerasModel) -> Iterator[str]:
    """The names of the layers of a model and of the models in it."""
    for layer in model.layers:
        yield layer.name
        if is_network(layer):
            yield from _layer_names(layer)


def _nodes(model: KerasModel) -> Iterator[Node]:
    """The calls of a model's layers in topological order, in the order of its layers as far as that goes."""
    place = {id(layer): index for index, layer in enumerate(model.layers)}
    for level in nodes(model):
        yield from sorted(level, key=lambda node: place.get(id(node.layer), -1))


def _check_arguments(node: Node) -> None:
    """Refuse a call with arguments that the walk would lose."""
    if node.is_input:
        return
    given = {name: value for name, value in node.kwargs.items() if value is not None and value is not False}
    if given or len(node.args) != 1:
        what = ", ".join(f"{name}={value}" for name, value in given.items()) or "constants"
        raise HwflowError(f"{node.layer.name}: a call with further arguments ({what}) is not supported")


def _resolve(key: str, by_key: dict[str, Call]) -> str:
    """The layer of hls4ml's list whose output a call passes on."""
    while type(by_key[key].layer).__name__ in TRAINING_ONLY:
        key = by_key[key].inputs[0]
    return key


class _Effective:
    """Hands hls4ml a layer's weights as inference uses them, quantised by the layer's own quantisers."""

    def __init__(self, layer: KerasLayer) -> None:
        self.layer = layer

    def get_weights_data(self, _layer_name: str, name: str) -> np.ndarray | Handed | None:
        if hasattr(self.layer, "get_folded_weights"):
            weight = self.layer.get_folded_weights()[("kernel", "bias").index(name)]
        else:
            weight = weight_of(self.layer, name)
        if weight is None:
            return None
        of = name.removeprefix("moving_").removesuffix("_kernel")  # depthwise_kernel, pointwise_kernel
        quantizer = getattr(self.layer, f"{of}_quantizer_internal", None)
        values = numbers(weight if quantizer is None else quantizer(weight))
        # A kernel is most of what a layer has, and may stay where it is.
        return Handed(Derived(values)) if name == "kernel" else values.astype(np.float64)


class _Quantised(Quantizer):
    """Says that weights are on a grid of their own, so that batch normalisation is not multiplied into them."""

    def __init__(self) -> None:
        super().__init__(8, FixedPrecisionType(8, 1))

    def __call__(self, data: Any) -> Any:
        return data


def _entry(layer: KerasLayer, kind: str, name: str, sources: list[str], shapes: list[list[Any]]) -> dict[str, Any]:
    """hls4ml's description of a layer without its activation."""
    plain = PLAIN.get(kind, kind)
    config = {key: _as_bool(key, value) for key, value in config_of(layer).items()} | {"name": name}
    config.pop("activation", None)
    if hasattr(layer, "get_folded_weights"):
        config["use_bias"] = True  # of the batch normalisation
    if kind == "InputLayer":
        config["batch_input_shape"] = shape = list(config["batch_input_shape"])
        if None in shape[1:]:
            raise HwflowError(f"{layer.name}: the input has the shape {tuple(shape[1:])}; give the model a fixed size")
    if len(sources) > 2:
        raise HwflowError(f"{layer.name}: {kind} of {len(sources)} tensors is not supported, only of two")
    entry, _ = get_layer_handlers()[plain](
        {"class_name": plain, "config": config, "name": name}, sources or None, shapes, _Effective(layer)
    )
    if config.get("padding") == "causal":
        entry["pad_left"] = entry["filt_width"] - 1  # hls4ml pads less where the stride exceeds one
    if plain != kind and plain != "BatchNormalization":
        for of in ("kernel", "depthwise", "pointwise", "bias"):
            if getattr(layer, f"{of}_quantizer", None) is not None:
                entry[f"{'weight' if of == 'kernel' else of}_quantizer"] = _Quantised()
    if plain == "Dot":  # hls4ml cannot infer the precision of its own
        return dict(entry) | {"class_name": "Merge", "op": "multiply", "hwflow_dot": True}
    if plain.startswith("DepthwiseConv"):
        return _depthwise(entry)
    return _pointwise(entry, shapes[0]) if plain == "Dense" and len(shapes[0]) > 2 else dict(entry)


def _depthwise(entry: dict[str, Any]) -> dict[str, Any]:
    """With weights ``(..., 1, out)``: batch normalisation is multiplied into the last axis."""
    weight = entry["depthwise_data"]
    quantizer = {"weight_quantizer": entry["depthwise_quantizer"]} if "depthwise_quantizer" in entry else {}
    return dict(entry) | {"depthwise_data": weight.reshape(*weight.shape[:-2], 1, -1)} | quantizer


def _separated(entry: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """A separable convolution as a depthwise one called ``name``, without biases, and a pointwise one."""
    own = ("depthwise_data", "depthwise_quantizer", "pointwise_data", "pointwise_quantizer", "bias_data")
    shared = {key: value for key, value in entry.items() if key not in (*own, "bias_quantizer")}
    filters = entry["n_chan"] * entry["depth_multiplier"]
    first = {key: entry[key] for key in own if key.startswith("depthwise") and key in entry}
    axes = entry["class_name"].removeprefix("Separable")
    sides, ends = _SIDES[axes]
    depthwise = _depthwise(shared | first | {"class_name": f"Depthwise{axes}", "name": name, "n_filt": filters})
    depthwise |= {"bias_data": None, "use_bias": False}
    pointwise = shared | {"class_name": axes, "inputs": [name], "n_chan": filters}
    pointwise |= {"weight_data": entry["pointwise_data"], "bias_data": entry["bias_data"]}
    pointwise |= {f"in_{side}": entry[f"out_{side}"] for side in sides}
    pointwise |= {f"{of}_{side}": 1 for of in ("filt", "stride") for side in sides}
    pointwise |= {f"pad_{end}": 0 for end in ends}
    quantised = {"weight": entry.get("pointwise_quantizer"), "bias": entry.get("bias_quantizer")}
    pointwise |= {f"{of}_quantizer": quantizer for of, quantizer in quantised.items() if quantizer is not None}
    return [depthwise, pointwise]


def _pointwise(dense: dict[str, Any], shape: list[Any]) -> dict[str, Any]:
    """A dense layer on the last axis as a convolution of one pixel.

    hls4ml would make one itself, but of the weights from before it fused batch normalisation with them.
    """
    if len(shape) > 4:
        raise HwflowError(f"{dense['name']}: Dense on a tensor of {len(shape) - 1} axes is not supported, on 1 to 3")
    kind = f"Conv{len(shape) - 2}D"
    sides, ends = _SIDES[kind]
    conv = {key: value for key, value in dense.items() if key not in ("n_in", "n_out")}
    conv |= {"class_name": kind, "n_chan": shape[-1], "n_filt": dense["n_out"]}
    conv["weight_data"] = dense["weight_data"].reshape(*(1 for _ in sides), *dense["weight_data"].shape)
    for side, size in zip(sides, shape[1:-1], strict=True):
        conv |= {f"in_{side}": size, f"out_{side}": size, f"filt_{side}": 1, f"stride_{side}": 1}
    return conv | {f"pad_{end}": 0 for end in ends}


def _activation_entry(name: str, activation: Activation, sources: list[str]) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": name, "inputs": sources, "data_format": "channels_last"}
    if activation.kind == "softmax":
        return entry | {"class_name": "Softmax", "activation": "softmax", "axis": -1}
    # Others are sigmoids to hls4ml, which then leaves them alone.
    own = activation.kind in ("leaky", "lookup", "cast")
    entry |= {"class_name": "Activation", "activation": "sigmoid" if own else activation.kind}
    told: dict[str, Any] = {"hwflow_limit": activation.limit}
    if own:
        told |= {"hwflow_kind": activation.kind, "hwflow_function": activation.function}
        told |= {"hwflow_slope": list(activation.slope), "hwflow_threshold": activation.threshold}
    told["hwflow_type"] = None if activation.type is None else str(activation.type)
    return entry | {name: value for name, value in told.items() if value is not None}


def _norm_entry(layer: KerasLayer, name: str, sources: list[str], channels: int) -> dict[str, Any]:
    """A layer normalisation, which hls4ml is told to be an activation."""
    weights = dict(zip([of for of in ("scale", "center") if getattr(layer, of)], layer.get_weights(), strict=True))
    gamma, beta = weights.get("scale", np.ones(channels)), weights.get("center", np.zeros(channels))
    told = {"hwflow_kind": "layer_norm", "hwflow_gamma": gamma.tolist(), "hwflow_beta": beta.tolist()}
    entry = {"name": name, "inputs": sources, "data_format": "channels_last", "hwflow_epsilon": float(layer.epsilon)}
    return entry | told | {"class_name": "Activation", "activation": "sigmoid"}


def _as_bool(name: str, value: Any) -> Any:
    """Some public files have 1 for True; hls4ml takes booleans only."""
    return bool(value) if name in ("use_bias", "scale", "center", "keepdims") else value
