"""What class the single output of a Keras model tells, where there is no graph of it."""

from __future__ import annotations

from typing import Any

from hwflow.frontends.activations import activation_of
from hwflow.graph.decision import probability

_SHAPES_ONLY = ("Reshape", "Flatten", "Dropout", "InputLayer")


def threshold(model: Any) -> float | None:
    """As :func:`hwflow.graph.decision.threshold` of the model's graph, by the layer that makes the output."""
    if tuple(model.output_shape[1:]) != (1,):
        return None
    layer = _last(model.output)
    activation = None if layer is None or not hasattr(layer, "activation") else activation_of(layer)
    return 0.5 if activation is not None and activation.function and probability(activation.function) else 0.0


def _last(tensor: Any) -> Any:
    """The layer that computes a tensor, inside nested models too; ``None`` of an input."""
    while True:
        layer, node, index = tensor._keras_history
        if hasattr(layer, "layers") and hasattr(layer, "outputs"):
            tensor = layer.outputs[index]
        elif type(layer).__name__ not in _SHAPES_ONLY:
            return layer
        elif type(layer).__name__ == "InputLayer":
            return None
        else:
            tensor = layer.inbound_nodes[node].keras_inputs[0]
