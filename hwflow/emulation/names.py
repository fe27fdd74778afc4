"""Keras models under names that hls4ml can take, and its layers under the names that the user gave.

hls4ml pastes layers' names into C++, tells layers apart by them in lower case, makes new names out of them that may be
those of other layers, and looks for a layer's weights by a word in their names that may stand in the layer's, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hls4ml.model.graph import ModelGraph

from hwflow.errors import HwflowError

_TOKEN = re.compile(r"k(\d+)k")
ATTRIBUTE = "hwflow_legal"
"""Of a ModelGraph: the LegalModel that it was made of."""
_NETWORKS = ("Sequential", "Functional", "Model")


class LegalModel:
    """What hls4ml asks of a Keras model, with names of one form for all layers: ``k0k``, ``k1k`` and so on.

    Args:
        model: a built Keras or QKeras model.
    """

    def __init__(self, model: Any) -> None:
        self.name = "network"
        self.names: list[str] = []
        architecture = json.loads(model.to_json())
        self._layers = self._network(architecture, model)
        self._json = json.dumps(architecture)

    def to_json(self) -> str:
        """The architecture, as of Keras' method of this name."""
        return self._json

    def get_layer(self, name: str) -> _Layer:
        """The layer of a legal name."""
        return self._layers[name]

    def restored(self, text: str) -> str:
        """A text of hls4ml with the user's names in it."""
        return _TOKEN.sub(lambda match: self._name(int(match[1]), match[0]), text)

    def config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """hls4ml's configuration for this model, of one for the user's names."""
        layers = config.get("LayerName")
        if not isinstance(layers, Mapping):
            return dict(config)
        return {**config, "LayerName": {self._legal(str(name)): entry for name, entry in layers.items()}}

    def users_names(self, names: Iterable[str]) -> dict[str, str]:
        """A name for every layer or tensor of what hls4ml made of this model: the user's, all of them different."""
        listed = list(dict.fromkeys(names))
        found: dict[str, str] = {}
        taken: set[str] = set()
        # The user's own names come before those that hls4ml made of them.
        for name in sorted(listed, key=lambda name: _TOKEN.fullmatch(name) is None):
            restored = found[name] = self.restored(name)
            number = 1
            while found[name] in taken:
                number += 1
                found[name] = f"{restored}_{number}"
            taken.add(found[name])
        return {name: found[name] for name in listed}

    def _name(self, index: int, default: str) -> str:
        return self.names[index] if index < len(self.names) else default

    def _legal(self, name: str) -> str:
        """The legal form of a configuration's key: a layer's name, with what hls4ml appends to it."""
        for fold in (str, str.lower):
            own = [(len(each), index) for index, each in enumerate(self.names) if fold(each) == fold(name)]
            made = [
                (len(each), index) for index, each in enumerate(self.names) if fold(name).startswith(fold(each) + "_")
            ]
            for length, index in (*own, *sorted(made, reverse=True)):
                return f"k{index}k{name[length:]}"
        return name

    def _new(self, name: str) -> str:
        self.names.append(name)
        return f"k{len(self.names) - 1}k"

    def _network(self, data: dict[str, Any], model: Any) -> dict[str, _Layer]:
        """Give all layers of a network new names in its JSON ``data``; the layers by them."""
        config = data["config"]
        entries = config["layers"]
        by_name = {layer.name: layer for layer in model.layers}
        legal = {entry["config"]["name"]: self._new(entry["config"]["name"]) for entry in entries}
        layers = {}
        for entry in entries:
            name = entry["config"]["name"]
            layer = by_name.get(name)  # Keras lists no InputLayer of a Sequential model
            entry["config"]["name"] = legal[name]
            if "name" in entry:
                entry["name"] = legal[name]
            if "inbound_nodes" in entry:
                entry["inbound_nodes"] = _replaced(entry["inbound_nodes"], legal)
            inner = self._network(entry, layer) if entry["class_name"] in _NETWORKS else {}
            layers[legal[name]] = _Layer(legal[name], layer, inner)
        for key in ("input_layers", "output_layers"):
            if key in config:
                config[key] = _replaced(config[key], legal)
        return layers


class _Layer:
    """What hls4ml's reader of weights asks of a layer or of a model in a model."""

    def __init__(self, name: str, layer: Any, layers: Mapping[str, _Layer]) -> None:
        self.name = name
        self.weights = [] if layer is None or layers else [_Weight(weight) for weight in layer.weights]
        self._layer = layer
        self._layers = layers

    @property
    def layer(self) -> Any:
        """The layer in a wrapper such as Bidirectional."""
        return self._layer.layer

    def get_layer(self, name: str) -> _Layer:
        """The layer of a legal name, of a model in a model."""
        return self._layers[name]


class _Weight:
    """A variable under its own name, without its layer's."""

    def __init__(self, variable: Any) -> None:
        self.name = variable.name.rpartition("/")[2]
        self.numpy = variable.numpy


@contextmanager
def in_users_words(graph: ModelGraph) -> Iterator[None]:
    """Give errors in the block the user's names of the layers of a graph that was made of a :class:`LegalModel`."""
    try:
        yield
    except HwflowError as error:
        model: LegalModel | None = getattr(graph, ATTRIBUTE, None)
        if model is None:
            raise
        raise HwflowError(model.restored(str(error))) from error


def users_names(graph: ModelGraph, names: Iterable[str]) -> dict[str, str]:
    """The user's names of layers or tensors of a graph."""
    model: LegalModel | None = getattr(graph, ATTRIBUTE, None)
    return {name: name for name in names} if model is None else model.users_names(names)


def _replaced(references: Any, legal: Mapping[str, str]) -> Any:
    """Nested lists whose leaves begin with a layer's name and a number."""
    if isinstance(references, list):
        if len(references) >= 3 and isinstance(references[0], str) and isinstance(references[1], int):
            return [legal.get(references[0], references[0]), *references[1:]]
        return [_replaced(each, legal) for each in references]
    return references
