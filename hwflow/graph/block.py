"""A layer or a block of a network as a network of its own."""

from __future__ import annotations

from hwflow.errors import HwflowError
from hwflow.graph.graph import Graph
from hwflow.graph.node import Input, Node


def block(graph: Graph, last: str, first: str | None = None) -> Graph:
    """The smallest part of a network that ends with one layer and has a single input.

    That of a layer with one input is the layer itself. That of a merge reaches back to where its branches part, and so
    does that of a layer whose block is to begin with another one, ``first``.

    Args:
        graph: a typed graph.
        last: the layer whose output is the block's.
        first: a layer that must be in it.

    Returns:
        A graph whose input has the name and type of the tensor that enters the block.

    Raises:
        HwflowError: there is no such layer, or the first one does not lead to the last one.
    """
    for name in (last, first):
        if name is not None and graph.get(name) is None:
            raise HwflowError(f"no layer is named {name!r}; there are {', '.join(node.name for node in graph)}")
    if isinstance(graph[last], Input):
        raise HwflowError(f"{last}: this is the network's input, which computes nothing")
    if first is not None and first not in {node.name for node in ancestors(graph, last)}:
        raise HwflowError(f"{first} does not lead to {last}")
    place = {node.name: position for position, node in enumerate(graph)}
    inside, outside = {last}, set(graph[last].inputs)
    while len(outside) > 1 or (first is not None and first not in inside):
        latest = max(outside, key=place.__getitem__)
        inside.add(latest)
        outside = (outside | set(graph[latest].inputs)) - inside
    nodes = [node for node in graph if node.name in inside]
    if outside:
        source = graph[outside.pop()]
        nodes.insert(0, Input(name=source.name, shape=source.shape, type=source.resolved, scale=source.scale))
    return Graph(tuple(nodes), graph.name)


def ancestors(graph: Graph, name: str) -> tuple[Node, ...]:
    """The layers that lead to a tensor, and the one that makes it, in order."""
    needed = {name}
    for node in reversed(graph.nodes):
        if node.name in needed:
            needed.update(node.inputs)
    return tuple(node for node in graph if node.name in needed)
