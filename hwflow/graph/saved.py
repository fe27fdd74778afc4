"""Nodes as JSON data and arrays: codes where they are typed, else real values."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.codes import CodeSpec
from hwflow.errors import HwflowError
from hwflow.fixed import FixedType
from hwflow.graph.constants import Constant, FloatArray, IntArray, Kept, Outliers
from hwflow.graph.layers import Window
from hwflow.graph.node import Node
from hwflow.graph.nodes import OPERATIONS


class SavedArrays(Mapping[str, FloatArray | IntArray]):
    """The arrays of a graph by name: codes where they are typed, else real values, made when one is taken."""

    def __init__(self) -> None:
        self._held: dict[str, Constant | FloatArray | IntArray] = {}

    def __getitem__(self, name: str) -> FloatArray | IntArray:
        found = self._held[name]
        if not isinstance(found, Constant):
            return found
        return found.values if found.type is None else found.codes

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def put(self, name: str, array: Constant | FloatArray | IntArray) -> None:
        """Add an array."""
        self._held[name] = array


def node_to_dict(node: Node, arrays: SavedArrays) -> dict[str, Any]:
    """A node as JSON data; its arrays are put into ``arrays``."""
    entry: dict[str, Any] = {"op": node.op}
    for item in dataclasses.fields(node):
        value = getattr(node, item.name)
        if isinstance(value, FixedType):
            value = {"type": str(value)}
        elif isinstance(value, Window):
            value = {"window": dataclasses.asdict(value)}
        elif isinstance(value, Constant):
            key = f"{node.name}.{item.name}"
            arrays.put(key, value)
            value = {"constant": key, "type": None if value.type is None else str(value.type)}
        elif isinstance(value, Outliers):
            key = f"{node.name}.{item.name}"
            arrays.put(f"{key}.index", value.index)
            arrays.put(f"{key}.rest", value.rest)
            value = {"outliers": key, "type": str(value.rest.type)}
        elif isinstance(value, Kept):
            key = f"{node.name}.{item.name}"
            arrays.put(key, value.index)
            value = {"kept": key}
        elif item.name == "kept":
            continue  # nodes without any are written, and hashed, as before there were any
        elif isinstance(value, CodeSpec):
            keys = {name: f"{node.name}.{item.name}.{name}" for name in value.tables}
            for name, table in value.tables.items():
                arrays.put(keys[name], table)
            value = {"code": value.name, "tables": keys} if keys else value.name
        entry[item.name] = value
    return entry


def node_from_dict(entry: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> Node:
    """Inverse of :func:`node_to_dict`.

    Raises:
        HwflowError: an unknown operation.
        KeyError, TypeError: an entry or an array is missing or of a wrong kind.
    """
    if entry["op"] not in OPERATIONS:
        raise HwflowError(f"{entry.get('name')}: unknown operation {entry['op']!r}; was it made by a newer hwflow?")
    values = {}
    for key, value in entry.items():
        if key == "op":
            continue
        if isinstance(value, Mapping) and "constant" in value:
            array = np.asarray(arrays[value["constant"]])
            if value["type"] is None:
                value = Constant(array.astype(np.float64))
            else:
                value = Constant.from_codes(array, FixedType.parse(value["type"]))
        elif isinstance(value, Mapping) and "outliers" in value:
            index, codes = (np.asarray(arrays[f"{value['outliers']}.{part}"]) for part in ("index", "rest"))
            rest = Constant.from_codes(codes, FixedType.parse(value["type"]))
            value = Outliers(index.astype(np.int64), rest)
        elif isinstance(value, Mapping) and "kept" in value:
            value = Kept(np.asarray(arrays[value["kept"]]).astype(np.int64))
        elif key == "storage":
            name, keys = (value, {}) if isinstance(value, str) else (value["code"], value["tables"])
            value = CodeSpec(name, {table: np.asarray(arrays[at]).astype(np.int64) for table, at in keys.items()})
        elif isinstance(value, Mapping) and "window" in value:
            value = Window(**{name: tuple(size) for name, size in value["window"].items()})
        elif isinstance(value, Mapping):
            value = FixedType.parse(value["type"])
        elif isinstance(value, list):
            value = tuple(value)
        values[key] = value
    return OPERATIONS[entry["op"]](**values)
