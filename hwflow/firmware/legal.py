"""Graphs whose names hls4ml, C++ and its file names can take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from hwflow.graph import Graph
from hwflow.naming import identifier, identifiers


def legal(graph: Graph, others: Iterable[str] = ()) -> tuple[Graph, dict[str, str]]:
    """The network under names that are legal and differ in more than case, and these names by the user's.

    Args:
        graph: any graph.
        others: names beside the nodes' that the mapping is to have.
    """
    names = identifiers([*(node.name for node in graph), *others])
    return renamed(graph, names, identifier(graph.name)), names


def renamed(graph: Graph, names: Mapping[str, str], name: str) -> Graph:
    """The network under other names.

    Args:
        graph: any graph.
        names: new names by old ones; a node that is missing there keeps its name.
        name: of the network.
    """
    nodes = [
        replace(node, name=names.get(node.name, node.name), inputs=tuple(names.get(each, each) for each in node.inputs))
        for node in graph
    ]
    return Graph(tuple(nodes), name)
