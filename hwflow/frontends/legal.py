"""Graphs whose names hls4ml, C++ and its file names can take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from hwflow.graph import Graph
from hwflow.graph.naming import identifier, identifiers, restored


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


def renamed_layers(layers: Iterable[Mapping[str, Any]], names: Mapping[str, str]) -> list[dict[str, Any]]:
    """hls4ml's descriptions of layers under other names.

    Args:
        layers: as its front ends make them.
        names: new names by old ones.
    """
    found = []
    for layer in layers:
        tensors = {key: [names[each] for each in layer[key]] for key in ("inputs", "outputs") if key in layer}
        found.append({**layer, "name": names[layer["name"]], **tensors})
    return found


def users_names(graph: Graph, names: Mapping[str, str]) -> dict[str, str]:
    """The user's names of the nodes of a graph under legal ones; what was made of them, e.g. ``x_image``, alike.

    Args:
        graph: under legal names, or longer ones that were made of them.
        names: legal names by the user's.
    """
    users = {legal: name for name, legal in names.items()}
    unique = set(names)
    found = {}
    for node in graph:
        name = users.get(node.name)
        if name is None:
            name = restored(node.name, names)
            while name in unique:
                name += "_"
            unique.add(name)
        found[node.name] = name
    return found
