"""What Keras 3 writes otherwise than Keras 2, where renaming an attribute is not enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OPERATIONS = ("Add", "Subtract", "Multiply", "Maximum", "Minimum")
"""Operations on two tensors of as many axes, such as ``a + b``, that are what the layer of the same name does."""
_OPERATIONS_HOME = "keras.src.ops.numpy"
_FORWARD, _BACKWARD = "forward_", "backward_"


def is_operation(kind: str, module: Any) -> bool:
    """Whether a JSON object is one of `OPERATIONS`; in ``.h5`` nothing but its calls tells it from a layer."""
    return kind in OPERATIONS and module == _OPERATIONS_HOME


def bidirectional(config: Mapping[str, Any]) -> dict[str, Any]:
    """A Bidirectional's configuration as Keras 2 writes it.

    Keras 3 writes both directions, under the names that Keras 2 gives them; a backward layer that is the forward
    one but for its direction is what Keras 2 makes by itself.
    """
    forward, backward = (_renamed(config.get(key), prefix) for key, prefix in _PREFIXES.items())
    translated = {**config, "layer": forward, "backward_layer": backward}
    if _direction_apart(forward) is not None and _direction_apart(forward) == _direction_apart(backward, True):
        del translated["backward_layer"]
    return translated


_PREFIXES = {"layer": _FORWARD, "backward_layer": _BACKWARD}
# Numbers of objects, and what was derived when the layer was built.
_VOLATILE = ("shared_object_id", "build_config")


def _renamed(layer: Any, prefix: str) -> Any:
    if not isinstance(layer, dict) or not isinstance(layer.get("config"), dict):
        return layer
    config = layer["config"]
    name = config.get("name")
    if isinstance(name, str) and name.startswith(prefix):
        config = config | {"name": name.removeprefix(prefix)}
    # What the wrapper sets by itself.
    config = {key: value for key, value in config.items() if key != "zero_output_for_mask"}
    return layer | {"config": config}


def _direction_apart(layer: Any, reverse: bool = False) -> Any:
    """A layer's JSON without what differs from object to object; with the other direction if asked for."""
    if not isinstance(layer, dict) or not isinstance(layer.get("config"), dict):
        return None
    config = layer["config"] | {"go_backwards": bool(layer["config"].get("go_backwards")) != reverse}
    return _lasting(layer | {"config": config})


def _lasting(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _lasting(value) for key, value in data.items() if key not in _VOLATILE}
    return [_lasting(item) for item in data] if isinstance(data, list) else data
