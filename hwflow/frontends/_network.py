"""Networks from their configurations: Sequential and Functional, nested, shared layers called again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hwflow.errors import HwflowError
from hwflow.frontends._keras3 import OPERATIONS
from hwflow.frontends._layers import Build, check_inputs, check_outputs, counted_variables, head, make_layer
from hwflow.frontends._table import MODELS
from hwflow.frontends._tf import keras, tensorflow
from hwflow.frontends._values import Dialect, Refused, boolean, plain, shape, short, text
from hwflow.frontends.keras_versions import append, append_input, finish, has_input, is_built

_TENSOR = "__keras_tensor__"
MOST_CALLS = 100_000


@dataclass(frozen=True)
class _Reference:
    """A tensor: output number ``tensor`` of call number ``node`` of a layer."""

    layer: str
    node: int
    tensor: int


@dataclass(frozen=True)
class _Call:
    """One call of a layer: its inputs, nested as the layer takes them, and whether a flag says training."""

    inputs: Any
    keywords: Mapping[str, Any]


def check_network(build: Build, data: Any) -> None:
    """Refuse a file's JSON that is no network.

    Raises:
        HwflowError: it is none.
    """
    kind, _, _ = head(build, data)
    if kind not in MODELS:
        raise HwflowError(f"{build.file}: cannot load the model (a {kind} is not the architecture of a Keras model)")


def make_model(build: Build, data: Any) -> Any:
    """The network of a whole file, whose JSON `check_network` accepts.

    Raises:
        HwflowError: a layer is refused.
    """
    return _make_network(build, data, 0)


def _make_network(build: Build, data: Mapping[str, Any], depth: int) -> Any:
    kind, config, name = head(build, data)
    with build.doing(name, kind):
        if kind == "Sequential":
            return _sequential(build, data["config"], depth)
        return _functional(build, config, name, depth)


def _sequential(build: Build, config: Any, depth: int) -> Any:
    """A chain of layers; the oldest files have a list of them in place of a configuration."""
    listed = config if isinstance(config, list) else config.get("layers")
    name = None if isinstance(config, list) or config.get("name") is None else text(config["name"], Dialect())
    if not isinstance(listed, list) or not listed:
        raise Refused("has no layers")
    model = keras().Sequential(name=name)
    build.order[id(model)] = []
    outputs: list[Any] = []
    for data in listed:
        kind, _, layer_name = head(build, data)
        layer = make_layer(build, data, depth + 1, _make_network)
        build.order[id(model)].append(layer)
        with build.doing(layer_name, kind), counted_variables(build, [layer_name]):
            begins = kind != "InputLayer" and len(build.order[id(model)]) == 1
            if begins and data["config"].get("batch_input_shape") is not None:
                given = shape(data["config"]["batch_input_shape"], Dialect())
                outputs = append_input(model, given, layer.dtype, layer.name)
            check_inputs(build, layer_name, kind, layer, outputs)
            outputs = append(model, layer, outputs)
            check_outputs(build, layer_name, kind, outputs)
    with counted_variables(build, [model.name]):
        finish(model)
    found = None if isinstance(config, list) else config.get("build_input_shape")
    if not is_built(model) and found is not None:
        with counted_variables(build, [model.name]):
            model.build(shape(found, Dialect()))
    return model


def _functional(build: Build, config: Mapping[str, Any], name: str, depth: int) -> Any:
    listed = config.get("layers")
    if not isinstance(listed, list) or not listed:
        raise Refused("has no layers")
    layers: dict[str, Any] = {}
    waiting: dict[str, list[_Call]] = {}
    kinds: dict[str, str] = {}
    outputs: dict[tuple[str, int], list[Any]] = {}
    called: dict[str, int] = {}
    for data in listed:
        kind, _, layer_name = head(build, data)
        if layer_name in layers:
            raise build.refusal(layer_name, kind, "has the name of another layer of its network")
        layer = make_layer(build, data, depth + 1, _make_network)
        layers[layer_name], kinds[layer_name] = layer, kind
        with build.doing(layer_name, kind):
            waiting[layer_name] = _calls(data.get("inbound_nodes"), kind)
        called[layer_name] = _first_call(build, layer)
        if kind == "InputLayer":
            outputs[layer_name, 0] = tensorflow().nest.flatten(layer.output)
            check_outputs(build, layer_name, kind, layer.output)
    _call_all(build, layers, kinds, waiting, outputs, called)
    ends = []
    for key in ("input_layers", "output_layers"):
        references = _references(config.get(key))
        if references is None or not _known(references, outputs):
            raise Refused(f"with {key}={short(config.get(key))}: names a tensor that its layers do not make")
        ends.append(_tensors(references, outputs))
    given = config.get("name")
    model = keras().Model(*ends, name=None if given is None else text(given, Dialect()))
    build.order[id(model)] = list(layers.values())
    return model


def _first_call(build: Build, layer: Any) -> int:
    """The number of a layer's first call; Keras 2 counts the making of a network with inputs as a call of it."""
    if build.keras3:
        return 0
    if isinstance(layer, keras().Sequential):
        return int(has_input(layer))
    return int(isinstance(layer, keras().Model))


def _call_all(
    build: Build,
    layers: Mapping[str, Any],
    kinds: Mapping[str, str],
    waiting: dict[str, list[_Call]],
    outputs: dict[tuple[str, int], list[Any]],
    called: dict[str, int],
) -> None:
    """Make every call whose inputs exist, until all are made; a layer's calls stay in their order."""
    total = sum(map(len, waiting.values()))
    if total > MOST_CALLS:
        raise Refused(f"has {total} calls of layers, more than {MOST_CALLS}")
    while waiting:
        progress = False
        for name in list(waiting):
            calls = waiting[name]
            while calls and _known(calls[0].inputs, outputs):
                call = calls.pop(0)
                with build.doing(name, kinds[name]), counted_variables(build, [name]):
                    inputs = _tensors(call.inputs, outputs)
                    check_inputs(build, name, kinds[name], layers[name], inputs)
                    made = layers[name](inputs, **call.keywords)
                    check_outputs(build, name, kinds[name], made)
                outputs[name, called[name]] = tensorflow().nest.flatten(made)
                called[name] += 1
                progress = True
            if not calls:
                del waiting[name]
        if waiting and not progress:
            name = next(iter(waiting))
            raise build.refusal(name, kinds[name], "reads a tensor that no layer makes, or that it makes itself")


def _calls(nodes: Any, kind: str) -> list[_Call]:
    """The calls of a layer, as Keras 2 or Keras 3 writes them."""
    if nodes is None:
        return []
    if not isinstance(nodes, list):
        raise Refused(f"with inbound_nodes={short(nodes)}: not a list of calls")
    return [_call3(node, kind) if isinstance(node, dict) and "args" in node else _call2(node) for node in nodes]


def _call2(node: Any) -> _Call:
    """A call as Keras 2 writes it: nested lists whose leaves are [layer, node, tensor, keywords]."""
    keywords: dict[str, Any] = {}
    inputs = _references(node, keywords)
    if inputs is None:
        raise Refused(f"with inbound_nodes={short(node)}: not a call of it")
    return _Call(inputs[0] if isinstance(inputs, list) and len(inputs) == 1 else inputs, keywords)


def _call3(node: Mapping[str, Any], kind: str) -> _Call:
    """A call as Keras 3 writes it: arguments in which tensors are objects."""
    arguments = node["args"]
    shapes = [_shape(item) for item in arguments] if isinstance(arguments, list) else []
    if kind in OPERATIONS and len(shapes) == 2:
        if None in shapes or len(shapes[0]) != len(shapes[1]):
            raise Refused("is an operation on something else than two tensors of as many axes; use layers")
        arguments = [arguments]
    inputs = _references(arguments[0]) if isinstance(arguments, list) and len(arguments) == 1 else None
    if inputs is None:
        raise Refused(f"is called with arguments other than tensors: {short(arguments)}")
    return _Call(inputs, _keywords(node.get("kwargs") or {}))


def _shape(data: Any) -> Any:
    """The shape that Keras 3 writes with a tensor; None of anything else."""
    config = data.get("config") if isinstance(data, dict) and data.get("class_name") == _TENSOR else None
    return config.get("shape") if isinstance(config, dict) else None


def _references(data: Any, keywords: dict[str, Any] | None = None) -> Any:
    """The tensors that nested lists of leaves name, nested alike; None if there is anything else in them."""
    data = plain(data)
    if isinstance(data, dict):
        if data.get("class_name") == _TENSOR:
            config = data.get("config")
            return _leaf(config.get("keras_history") if isinstance(config, dict) else None)
        inner: Any = {key: _references(item, keywords) for key, item in data.items()}
        return None if None in inner.values() or not inner else inner
    if not isinstance(data, list) or not data:
        return None
    if isinstance(data[0], str):
        if len(data) == 4 and keywords is not None and isinstance(data[3], dict):
            keywords.update(_keywords(data[3]))
            data = data[:3]
        return _leaf(data)
    inner = [_references(item, keywords) for item in data]
    return None if any(item is None for item in inner) else inner


def _leaf(data: Any) -> _Reference | None:
    if not isinstance(data, Sequence) or len(data) != 3 or not isinstance(data[0], str):
        return None
    if not all(
        isinstance(index, int) and not isinstance(index, bool) and 0 <= index < MOST_CALLS for index in data[1:]
    ):
        return None
    return _Reference(data[0], data[1], data[2])


def _keywords(data: Mapping[str, Any]) -> dict[str, Any]:
    """The keywords of a call; hls4ml ignores all of them, so that only those without effect are taken."""
    if not isinstance(data, dict):
        raise Refused("is called with keywords that are none")
    for key, value in data.items():
        if key == "mask" and isinstance(value, list) and not any(value):  # of several tensors
            continue
        if key not in ("training", "mask") or value not in (None, False, 0):
            raise Refused(f"is called with {short(key)}={short(value)}, which is not supported")
    return {"training": boolean(data["training"], Dialect())} if data.get("training") is not None else {}


def _known(references: Any, outputs: Mapping[tuple[str, int], list[Any]]) -> bool:
    return all(
        (reference.layer, reference.node) in outputs
        and reference.tensor < len(outputs[reference.layer, reference.node])
        for reference in _flat(references)
    )


def _flat(references: Any) -> list[_Reference]:
    if isinstance(references, _Reference):
        return [references]
    items = references.values() if isinstance(references, dict) else references
    return [leaf for item in items for leaf in _flat(item)]


def _tensors(references: Any, outputs: Mapping[tuple[str, int], list[Any]]) -> Any:
    if isinstance(references, _Reference):
        return outputs[references.layer, references.node][references.tensor]
    if isinstance(references, dict):
        return {key: _tensors(item, outputs) for key, item in references.items()}
    return [_tensors(item, outputs) for item in references]
