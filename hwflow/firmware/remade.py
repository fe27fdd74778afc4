"""A ModelGraph with the layers of a hardened graph, where hls4ml's own cannot become them."""

from __future__ import annotations

from typing import Any

from hls4ml.model.flow import get_flow
from hls4ml.model.optimizer import optimize_model

from hwflow.firmware.build import layer_list
from hwflow.firmware.shapes import describe_shape, is_free
from hwflow.frontends.legal import legal
from hwflow.graph import Graph, MaxPool2D, Node, Rescale


def fits(graph: Graph, model: Any) -> bool:
    """Whether :func:`hwflow.firmware.apply.apply_graph` can write a graph onto a ModelGraph as it is.

    It cannot where hwflow reads a layer its own way: one-dimensional layers, global maxima, layers that move elements,
    and where one has other names.
    """
    return not any(_is_not_hls4mls(node, graph, model.graph.get(node.name)) for node in graph)


def remake(graph: Graph, model: Any, passes: tuple[str, ...]) -> tuple[Graph, dict[str, str]]:
    """Give a ModelGraph the layers of a graph in the place of its own.

    Args:
        graph: typed.
        model: the ModelGraph.
        passes: of hls4ml's flows, that are left out.

    Returns:
        The graph under the names that the layers have, and these by its own.
    """
    given, names = legal(graph)
    model.graph.clear()
    model.output_vars.clear()
    layers = layer_list(given)
    model.inputs, model.outputs = [layers[0]["name"]], [layers[-1]["name"]]
    model._make_graph(layers)
    for flow in ("convert", "optimize"):
        optimize_model(model, [name for name in get_flow(flow).optimizers if name not in passes])
    return given, names


def _is_not_hls4mls(node: Node, graph: Graph, layer: Any) -> bool:
    if is_free(node, graph):
        return False
    if layer is None:
        return not isinstance(node, Rescale)
    if "1D" in layer.class_name or (isinstance(node, MaxPool2D) and "Global" in layer.class_name):
        return True
    moved = describe_shape(node, graph.inputs_of(node)[0].shape) if node.inputs else None
    return moved is not None and layer.class_name != moved["class_name"]
