"""Weights of a network from HDF5: Keras' older layout by layer name, and the newer one by class and position."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import h5py

from hwflow.errors import HwflowError
from hwflow.frontends import _hdf5
from hwflow.frontends._values import short
from hwflow.frontends.keras_versions import assign, own_variables

_CONTAINERS = ("layers", "_layer_checkpoint_dependencies")
# Objects inside a layer that have variables of their own, by attribute and by name in the file.
_PARTS = ("cell", "forward_layer", "backward_layer", "layer", "batchnorm")


@dataclass
class Network:
    """A built network's layers in the order of its file, which decides where the weights of each are.

    Attributes:
        layers: by network, nested ones included.
    """

    layers: dict[int, list[Any]]

    def of(self, model: Any) -> list[Any]:
        """The layers of a network, in the order of the file."""
        return self.layers[id(model)]

    def is_network(self, layer: Any) -> bool:
        """Whether a layer is a network of its own."""
        return id(layer) in self.layers


def load_weights(file: str, group: h5py.Group, model: Any, network: Network) -> None:
    """Set every variable of ``model`` from the file.

    Args:
        file: what messages call it.
        group: the file, or the group in it that holds the weights.
        model: the network.
        network: the order of its layers.

    Raises:
        HwflowError: a layer's weights are missing, left over, or of another shape; the layer is named.
        ValueError: the file is damaged.
    """
    listed = _hdf5.names(group, "layer_names")
    if listed is not None:
        _load_by_layer(file, group, listed, model, network)
    elif (container := _container(group)) is not None:
        _load_container(file, container, network.of(model), network, "")
    else:
        raise HwflowError(f"{file}: holds no weights that Keras wrote")


def _load_by_layer(file: str, group: h5py.Group, listed: Sequence[str], model: Any, network: Network) -> None:
    """The older layout: a group a layer of the network, with the names of its weights in their order."""
    stored: dict[str, list[h5py.Dataset]] = {}
    for name in listed:
        inner = _hdf5.subgroup(group, name)
        weight_names = None if inner is None else _hdf5.names(inner, "weight_names")
        if inner is None or weight_names is None:
            raise ValueError(f"the weights of {short(name)} are missing")
        found = [_hdf5.dataset(inner, weight) for weight in weight_names]
        if any(weight is None for weight in found):
            raise ValueError(f"a weight of {short(name)} is missing")
        if found:
            stored[name] = [weight for weight in found if weight is not None]
    layers = {layer.name: _ordered(layer, network) for layer in network.of(model)}
    layers = {name: variables for name, variables in layers.items() if variables}
    # Layers that were renamed after the weights were saved keep their order, which is how Keras loads them.
    pairs = zip(layers, layers if set(layers) <= set(stored) else stored, strict=False)
    if len(layers) != len(stored):
        here = [name for name in [*layers, *stored] if (name in layers) != (name in stored)]
        raise HwflowError(
            f"{file}: not the weights of this network: {len(stored)} layers have weights in the file, {len(layers)} "
            f"in the network; layer {short(here[0] if here else '?')} is only in one of them"
        )
    for name, source in pairs:
        _assign(file, name, layers[name], stored[source])


def _ordered(layer: Any, network: Network) -> list[Any]:
    """The variables of a layer in the order of the older layout."""
    trainable, fixed = _split(layer, network)
    return trainable + fixed


def _split(layer: Any, network: Network) -> tuple[list[Any], list[Any]]:
    if not network.is_network(layer):
        return list(layer.trainable_weights), list(layer.non_trainable_weights)
    trainable: list[Any] = []
    fixed: list[Any] = []
    for inner in network.of(layer):
        first, second = _split(inner, network)
        trainable += [variable for variable in first if not _among(variable, trainable)]
        fixed += [variable for variable in second if not _among(variable, fixed)]
    return trainable, fixed


def _among(variable: Any, others: Sequence[Any]) -> bool:
    return any(variable is other for other in others)


def _container(group: h5py.Group) -> h5py.Group | None:
    return next((found for name in _CONTAINERS if (found := _hdf5.subgroup(group, name)) is not None), None)


def _load_container(file: str, group: h5py.Group, layers: Sequence[Any], network: Network, inside: str) -> None:
    """The newer layout: a group a layer, named after its class and counted, or after the layer itself."""
    keys = list(_keys(layers))
    wanted = [(key, layer) for key, layer in zip(keys, layers, strict=True) if layer.weights]
    if any(key not in group for key, _ in wanted) and all(layer.name in group for _, layer in wanted):
        wanted = [(layer.name, layer) for _, layer in wanted]
    done: list[Any] = []
    for key, layer in wanted:
        if _among(layer, done):
            continue
        done.append(layer)
        inner = _hdf5.subgroup(group, key)
        if inner is None:
            raise HwflowError(f"{file}: layer {short(inside + layer.name)}: its weights are missing from the file")
        _load_part(file, inner, layer, network, inside + layer.name)


def _load_part(file: str, group: h5py.Group, part: Any, network: Network, name: str) -> None:
    """The variables of a layer, or of a network that stands where a layer stands."""
    if not network.is_network(part):
        _load_object(file, group, part, network, name)
        return
    container = _container(group)
    if container is None:
        raise HwflowError(f"{file}: layer {short(name)}: its weights are missing from the file")
    _load_container(file, container, network.of(part), network, f"{name}/")


def _keys(layers: Sequence[Any]) -> Iterator[str]:
    """The groups' names: the class in snake case, with a number from the second layer of a class on."""
    counts: dict[str, int] = {}
    for layer in layers:
        kind = type(layer).__name__
        name = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=.)(?=[A-Z][a-z])", "_", kind).lower()
        number = counts.get(name, 0)
        counts[name] = number + 1
        yield f"{name}_{number}" if number else name


def _load_object(file: str, group: h5py.Group, layer: Any, network: Network, name: str) -> None:
    """The variables of one layer: its own, and those of the cells and layers inside it."""
    own = own_variables(layer)
    parts = {part: inner for part in _PARTS if (inner := getattr(layer, part, None)) is not None}
    if "forward_layer" in parts:
        parts.pop("layer", None)  # the layer that the two directions were made from
    parts = {part: inner for part, inner in parts.items() if getattr(inner, "weights", ())}
    if own:
        found = _hdf5.subgroup(group, "vars")
        stored = [] if found is None else [_hdf5.dataset(found, key) for key in sorted(found, key=_numbers_first)]
        if any(weight is None for weight in stored):
            raise HwflowError(f"{file}: layer {short(name)}: its weights are damaged")
        _assign(file, name, own, [weight for weight in stored if weight is not None])
    for part, inner in parts.items():
        below = _hdf5.subgroup(group, part)
        if below is None:
            raise HwflowError(f"{file}: layer {short(name)}: its weights are missing from the file")
        _load_part(file, below, inner, network, name)


def _numbers_first(key: str) -> tuple[bool, int, str]:
    """Variables are numbered; qkeras-v3 names its counter, the last one."""
    return not key.isdecimal(), int(key) if key.isdecimal() and len(key) < 9 else 0, key


def _assign(file: str, name: str, variables: Sequence[Any], stored: Sequence[h5py.Dataset]) -> None:
    if len(variables) != len(stored):
        raise HwflowError(
            f"{file}: layer {short(name)} has {len(variables)} weights, the file has {len(stored)} for it"
        )
    for variable, weight in zip(variables, stored, strict=True):
        if tuple(variable.shape) != weight.shape:
            raise HwflowError(
                f"{file}: layer {short(name)}: a weight has shape {weight.shape} in the file, not "
                f"{tuple(variable.shape)}"
            )
    for variable, weight in zip(variables, stored, strict=True):
        assign(variable, _hdf5.read(weight))
