"""Writes a hardened graph onto hls4ml's ModelGraph: weights, types, reuse factors, inserted layers."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import numpy as np
from hls4ml.model.types import FixedPrecisionType, NamedType

from hwflow.cost.reuse import valid_reuse_factors
from hwflow.errors import HwflowError
from hwflow.firmware import depthwise
from hwflow.firmware.activations import activation_attributes
from hwflow.firmware.layers import BACKEND, register_layers
from hwflow.firmware.outliers import add_tables, has_tables
from hwflow.firmware.shapes import is_free
from hwflow.firmware.storage import is_stored, mark_stored
from hwflow.fixed import FixedType
from hwflow.graph import (
    Affine,
    AveragePool2D,
    Constant,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Flatten,
    GlobalAveragePool2D,
    Graph,
    Input,
    LeakyReLU,
    Lookup,
    MaxPool2D,
    Node,
    ReLU,
    Rescale,
    Softmax,
    WeightLayer,
    Window,
)
from hwflow.graph.naming import identifier

Layer = Any
"""An hls4ml layer; hls4ml carries no types."""

SOFTMAX_TYPES = {
    "inp_norm_t": "norm",
    "exp_table_t": "exp_table",
    "accum_t": "accum",
    "inv_inp_t": "inv_input",
    "inv_table_t": "inv_table",
}
"""hls4ml's names of softmax's types, and the graph's."""


def apply_graph(graph: Graph, model: Any, reuse: Mapping[str, int]) -> None:
    """Make a ModelGraph compute exactly what a hardened graph says.

    Every type of the ModelGraph is set, weights and biases become values on their grid, layers that only
    the graph has (alignment, compensation) are inserted, and weight layers get the Resource strategy,
    which keeps their weights in block RAM.

    Args:
        graph: a typed graph whose nodes are ``model``'s layers and inserted :class:`Rescale` nodes.
        model: hls4ml's ModelGraph after its ``optimize`` flow and before its backend's.
        reuse: a reuse factor for every weight layer, see :func:`firmware_reuse`.

    Raises:
        HwflowError: graph and ModelGraph are of different networks, two names differ in case only, a reuse factor is
            missing or invalid, or the backend is not Vitis.
    """
    if model.config.backend.name.lower() != BACKEND:
        raise HwflowError(f"backend {model.config.backend.name} is not supported; use backend='Vitis'")
    if not graph.is_typed:
        raise HwflowError("only a hardened graph can be written; harden the network first")
    register_layers()
    _check_names(graph)
    _match(graph, model)
    for layer in graph.of_type(WeightLayer):
        if isinstance(layer, Affine):
            _replace_weights(layer, "HwflowAffine", {"n_in": math.prod(layer.shape), "n_filt": layer.n_out}, model)
        elif isinstance(layer, DepthwiseConv2D):
            shape = graph.inputs_of(layer)[0].shape
            _replace_weights(layer, "HwflowDepthwiseConv2D", depthwise.sizes(layer, shape), model)
    _rewire(graph, model)
    _clear_target_cycles(model.config)
    nodes = [node for node in graph if not is_free(node, graph)]
    for node in nodes:
        _set_output_type(model.graph[node.name], node)
        _set_parameters(graph, node, model.graph[node.name])
        if isinstance(node, WeightLayer):
            _set_strategy(node, model.config, reuse)
            mark_stored(model.graph[node.name], node)
    for node in nodes:
        layer = model.graph[node.name]
        if isinstance(node, WeightLayer) and node.outliers is not None and len(node.outliers.index):
            add_tables(layer, node)
        if isinstance(node, Conv2D | Dense) and (is_stored(layer) or has_tables(layer)):
            _replace(model, node, "HwflowKernelConv2D" if isinstance(node, Conv2D) else "HwflowKernelDense")
        elif isinstance(node, ReLU) and node.limit is not None:
            _replace_relu(model, node)
        elif isinstance(node, Lookup | LeakyReLU):
            _replace_activation(model, node)
        elif model.config.get_config_value("IOType") == "io_stream":
            _replace_for_streams(graph, node, model)
        elif isinstance(node, MaxPool2D | AveragePool2D) and any(node.window.padding):
            _replace(model, node, "HwflowWindowPooling2D")


def firmware_reuse(graph: Graph, reuse: Mapping[str, int], io_type: str) -> tuple[dict[str, int], list[str]]:
    """Reuse factors that hls4ml computes right with.

    In io_parallel its convolution reads past the window's end when R exceeds the window (``n_in``), so
    such a factor is lowered to ``n_in``.

    Returns:
        Factors by layer name, and a line for each that was lowered.

    Raises:
        HwflowError: a layer has no factor or an invalid one.
    """
    chosen: dict[str, int] = {}
    notes = []
    for layer in graph.weight_layers:
        factor = reuse.get(layer.name)
        valid = valid_reuse_factors(layer)
        if factor not in valid:
            choices = ", ".join(map(str, valid))
            raise HwflowError(f"{layer.name}: reuse factor {factor} is not valid; choose from {choices}")
        if io_type == "io_parallel" and isinstance(layer, Conv2D) and factor > layer.n_in:
            lowered = max(value for value in valid if value <= layer.n_in)
            notes.append(
                f"{layer.name}: reuse factor {factor} lowered to {lowered}, hls4ml's limit for io_parallel convolutions"
            )
            factor = lowered
        chosen[layer.name] = factor
    return chosen, notes


def precision(type_: FixedType) -> FixedPrecisionType:
    """hls4ml's description of a type; always a new object, because hls4ml converts them in place."""
    return FixedPrecisionType(
        type_.width,
        type_.integer,
        type_.signed,
        rounding_mode=type_.rounding.value,
        saturation_mode=type_.overflow.value,
    )


def _check_names(graph: Graph) -> None:
    """Refuse names that only an hls4ml script can bring: hls4ml looks its settings up by names in lower case."""
    names: dict[str, str] = {}
    for node in graph:
        if names.setdefault(node.name.lower(), node.name) != node.name:
            raise HwflowError(f"{node.name}: hls4ml cannot tell it from {names[node.name.lower()]}; rename one")


def _match(graph: Graph, model: Any) -> None:
    for name, layer in list(model.graph.items()):
        if layer.class_name in ("ZeroPadding1D", "ZeroPadding2D") and name not in graph:
            # The windows after it have it; _rewire connects them to what it read.
            del model.graph[name]
        elif layer.class_name == "ApplyAlpha" and name not in graph:
            # QKeras' scales: the graph has them in the weights.
            del model.graph[name]
        elif name not in graph:
            raise HwflowError(f"{name}: the hardened graph has no such layer; it was made from another network")
    for node in graph:
        if node.name not in model.graph and not isinstance(node, Rescale) and not is_free(node, graph):
            raise HwflowError(f"{node.name}: the network has no such layer; the graph was made from another network")


def _rewire(graph: Graph, model: Any) -> None:
    """Insert the layers that only the graph has, and connect all layers as the graph does."""
    layers: OrderedDict[str, Layer] = OrderedDict()
    stands: dict[str, str] = {}
    for node in graph:
        if is_free(node, graph):
            stands[node.name] = stands.get(node.inputs[0], node.inputs[0])
            continue
        sources = [layers[stands.get(name, name)].outputs[0] for name in node.inputs]
        if node.name in model.graph and not isinstance(node, Rescale):
            layer = model.graph[node.name]
            if sources:
                layer.inputs = sources
        else:
            layer = _make_rescale(node, model, sources)
            model.graph[node.name] = layer
        layers[node.name] = layer
    model.graph = layers
    last = layers[stands.get(graph.output.name, graph.output.name)]
    model.outputs = [last.outputs[0]]
    for layer in layers.values():
        variable = layer.get_output_variable()
        if layer is last:
            variable.type.name = "result_t"
        elif variable.type.name == "result_t":
            variable.type.name = f"layer{layer.index}_t"


def _replace_weights(node: WeightLayer, kind: str, sizes: Mapping[str, int], model: Any) -> None:
    """Put hwflow's layer ``kind`` where hls4ml's would keep its weights in registers, or lacks what it needs."""
    layer = model.graph[node.name]
    attributes: dict[str, Any] = dict(sizes)
    for name, constant in (("weight", node.weight), ("bias", node.bias)):
        assert constant.type is not None
        attributes |= {f"{name}_data": constant.values.reshape(-1), f"{name}_precision": precision(constant.type)}
    new = model.make_node(kind, node.name, attributes, layer.inputs.copy(), outputs=layer.outputs.copy())
    model.replace_node(layer, new)


def _make_rescale(node: Node, model: Any, sources: list[str]) -> Layer:
    assert isinstance(node, Rescale)
    assert node.factor.type is not None
    attributes = {
        "n_in": int(np.prod(node.shape)),
        "factor_data": node.factor.values,
        "factor_precision": precision(node.factor.type),
    }
    return model.make_node("HwflowRescale", node.name, attributes, sources)


def _set_output_type(layer: Layer, node: Node) -> None:
    variable = layer.get_output_variable()
    variable.type.precision = precision(node.resolved)
    if isinstance(node, Input):
        variable.name = identifier(node.name)
    for key, type_ in layer.types.items():
        # hls4ml names some types after the layer, so that those of two layers may have the same name.
        if type_.name.startswith(f"{layer.name.lower()}_"):
            type_.name = f"layer{layer.index}_{key}"


def _set_parameters(graph: Graph, node: Node, layer: Layer) -> None:
    match node:
        case WeightLayer():
            _set_weights(layer, "weight", "w{index}", node.weight)
            _set_weights(layer, "bias", "b{index}", node.bias)
            _set_type(layer, "accum_t", node.accum)
            if isinstance(node, Conv2D):
                _set_window(layer, node.window, graph.inputs_of(node)[0].shape)
        case MaxPool2D():
            # hls4ml takes the maximum in accum_t
            _set_type(layer, "accum_t", graph.inputs_of(node)[0].resolved)
            _set_window(layer, node.window, graph.inputs_of(node)[0].shape)
        case AveragePool2D() | GlobalAveragePool2D():
            _set_type(layer, "accum_t", node.accum)
            if isinstance(node, AveragePool2D):
                _set_window(layer, node.window, graph.inputs_of(node)[0].shape)
                layer.set_attr("count_pad", node.counts_padding)
        case Softmax():
            for name, attribute in SOFTMAX_TYPES.items():
                _set_type(layer, name, getattr(node, attribute))
            layer.set_attr("exp_table_size", node.exp_size)
            layer.set_attr("inv_table_size", node.inv_size)
            layer.set_attr("implementation", "stable")
            layer.set_attr("n_outer", math.prod(node.shape[:-1]))
            layer.set_attr("skip", False)


def _set_window(layer: Layer, window: Window, shape: tuple[int, ...]) -> None:
    """Padding and the size of the image, which zero padding that was a layer of its own had changed."""
    layer.set_attr("in_height", shape[0])
    layer.set_attr("in_width", shape[1])
    for side, pixels in zip(("top", "bottom", "left", "right"), window.padding, strict=True):
        layer.set_attr(f"pad_{side}", pixels)


def _set_weights(layer: Layer, name: str, variable: str, constant: Constant) -> None:
    assert constant.type is not None
    layer.set_attr(f"{name}_data", constant.values)
    layer.set_attr(f"{name}_quantizer", None)
    layer.add_weights_variable(
        name=name,
        var_name=variable,
        type_name=f"{name}{{index}}_t",
        precision=precision(constant.type),
        data=constant.values,
    )


def _set_type(layer: Layer, name: str, type_: FixedType | None) -> None:
    if type_ is None:
        raise HwflowError(f"{layer.name}: its {name} is not resolved; harden the graph first")
    layer.set_attr(name, NamedType(f"layer{layer.index}_{name}", precision(type_)))


def _set_strategy(node: WeightLayer, config: Any, reuse: Mapping[str, int]) -> None:
    # hls4ml looks both up by the name in lower case
    config.layer_name_rf[node.name.lower()] = reuse[node.name]
    config.layer_name_strategy[node.name.lower()] = "resource"
    config.layer_name_compression[node.name.lower()] = False


def _clear_target_cycles(config: Any) -> None:
    """A target would make hls4ml replace the reuse factors."""
    config.model_targ_cycles = None
    config.layer_name_targ_cycles.clear()
    if config.model_rf is None:
        config.model_rf = 1


def _replace_for_streams(graph: Graph, node: Node, model: Any) -> None:
    """Put another layer where hls4ml's own would abort, or compute something else."""
    match node:
        case MaxPool2D() | AveragePool2D() if node.window.kernel != node.window.strides or any(node.window.padding):
            _replace(model, node, "HwflowWindowPooling2D")
        case Conv2D() if node.window.kernel[0] == 1:
            _replace(model, node, "HwflowRowConv2D")
        case Flatten() if graph.consumers[node.name] and not isinstance(graph.sole_consumer(node), Dense):
            # hls4ml flattens by passing the stream on as it is, which only a dense layer can read
            layer = model.graph[node.name]
            repack = model.make_node("Repack", node.name, {"target_shape": list(node.shape)}, layer.inputs.copy())
            model.replace_node(layer, repack)
            _set_output_type(repack, node)


def _replace_relu(model: Any, node: ReLU) -> None:
    """Put hwflow's layer where hls4ml's own would let values beyond the limit through."""
    assert node.limit is not None
    old = model.graph[node.name]
    attributes = {"n_in": int(np.prod(node.shape)), "limit": int(node.limit.codes[0])}
    new = model.make_node("HwflowClippedReLU", node.name, attributes, old.inputs.copy(), outputs=old.outputs.copy())
    model.replace_node(old, new)
    _set_output_type(new, node)


def _replace_activation(model: Any, node: Lookup | LeakyReLU) -> None:
    """Put hwflow's layer where hls4ml has one of its own, or one with another name."""
    old = model.graph[node.name]
    kind, attributes = activation_attributes(node)
    new = model.make_node(kind, node.name, attributes, old.inputs.copy(), outputs=old.outputs.copy())
    model.replace_node(old, new)
    _set_output_type(new, node)


def _replace(model: Any, node: Node, kind: str) -> None:
    """Replace a layer by one of ``kind`` with the same attributes, which include its variables and types."""
    layer = model.graph[node.name]
    attributes = layer.attributes.attributes.copy()
    new = model.make_node(kind, layer.name, attributes, layer.inputs.copy(), outputs=layer.outputs.copy())
    model.replace_node(layer, new)
