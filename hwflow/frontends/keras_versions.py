"""Keras 2 and Keras 3 as one: what is called differently in the two, and nothing else.

Everything else of the package uses what both have in common, or asks here. Which of them it is decides the
installation, not a file: files of either are read with either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from hwflow.frontends._tf import keras, listed, tensorflow

KerasModel = Any
KerasLayer = Any
KerasTensor = Any
Zeros = Callable[[tuple[int, ...]], None]


def is_keras3() -> bool:
    """Whether Keras 3 is installed, or a later one."""
    return int(keras().__version__.split(".")[0]) >= 3


@dataclass(frozen=True)
class Node:
    """A call of a layer in a network.

    Attributes:
        layer: what is called, a network among them.
        inputs: the tensors that it reads; none for an input of the network.
        outputs: the tensors that it makes.
        args: positional arguments, with the tensors in them.
        kwargs: keyword arguments; in Keras 3 without masks of several tensors that are none.
    """

    layer: KerasLayer
    inputs: tuple[KerasTensor, ...]
    outputs: tuple[KerasTensor, ...]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]

    @property
    def is_input(self) -> bool:
        """Whether it is an input of its network."""
        return not self.inputs


def _node(node: Any) -> Node:
    if hasattr(node, "operation"):  # Keras 3
        arguments = node.arguments
        read = tuple(arguments.keras_tensors)
        said = {
            name: value for name, value in arguments.kwargs.items() if any(each is not None for each in listed(value))
        }
        return Node(node.operation, read, tuple(node.outputs), tuple(arguments.args), said)
    read = () if node.is_input else tuple(node.keras_inputs)
    return Node(node.layer, read, tuple(listed(node.outputs)), tuple(node.call_args), node.call_kwargs)


def _function(model: KerasModel) -> Any:
    """What has the graph of a network: itself, or what a Sequential of Keras 3 has inside."""
    return getattr(model, "_functional", None) or model


def is_network(layer: KerasLayer) -> bool:
    """Whether a layer is a network of layers whose calls are known."""
    return hasattr(_function(layer), "_nodes_by_depth")


def is_built(model: KerasModel) -> bool:
    """Whether the inputs and the calls of a model are known."""
    return is_network(model) and bool(_function(model).inputs)


def nodes(model: KerasModel) -> Iterator[list[Node]]:
    """The calls of a network by depth, those of the inputs first."""
    found = _function(model)._nodes_by_depth
    for depth in sorted(found, reverse=True):
        yield [_node(node) for node in found[depth]]


def input_shape(layer: KerasLayer) -> Any:
    """The shape that a layer reads in its first call, with the batch axis; a list of them where it reads several.

    ``None`` of a layer that no network calls, such as one in a wrapper.
    """
    if not layer._inbound_nodes:
        return None
    shapes = [tuple(tensor.shape) for tensor in _node(layer._inbound_nodes[0]).inputs]
    return shapes[0] if len(shapes) == 1 else shapes


def output_shape(layer: KerasLayer) -> Any:
    """The shape that a layer makes in its first call, as `input_shape`."""
    shapes = [tuple(tensor.shape) for tensor in _node(layer._inbound_nodes[0]).outputs]
    return shapes[0] if len(shapes) == 1 else shapes


def source_of(layer: KerasLayer) -> KerasLayer | None:
    """The layer whose output a layer reads in its first call; ``None`` if it reads none, or several."""
    read = _node(layer._inbound_nodes[0]).inputs
    return maker_of(read[0]) if len(read) == 1 else None


def maker_of(tensor: KerasTensor) -> KerasLayer:
    """The layer that makes a tensor of a network."""
    history = tensor._keras_history
    return history.operation if hasattr(history, "operation") else history.layer


def append(model: KerasModel, layer: KerasLayer, outputs: list[KerasTensor]) -> list[KerasTensor]:
    """Add a layer to a Sequential; the outputs of the network so far, which the next call is given.

    Keras 3 makes the whole network anew with every layer, unless it is made once by `finish`.
    """
    if not is_keras3():
        model.add(layer)
        return list(model.outputs or [])
    if not model.layers and not outputs and is_network(layer):
        first = _function(layer).inputs[0]
        outputs = append_input(model, first.shape, first.dtype, layer.name)
    model.add(layer, rebuild=False)
    if isinstance(layer, keras().layers.InputLayer):
        return listed(layer.output)
    return listed(layer(outputs[0])) if outputs else []


def append_input(model: KerasModel, shape: Sequence[int | None], dtype: Any, name: str) -> list[KerasTensor]:
    """Begin a Sequential whose first layer has the shape of the input; Keras 2 does so by itself."""
    if not is_keras3():
        return []
    return append(model, keras().layers.InputLayer(batch_shape=tuple(shape), dtype=dtype, name=f"{name}_input"), [])


def finish(model: KerasModel) -> None:
    """Make the network of a Sequential to which all layers were added."""
    if is_keras3() and has_input(model):
        model.build(model._layers[0].batch_shape)


def has_input(model: KerasModel) -> bool:
    """Whether a Sequential's first layer is its input."""
    layers = model._layers if is_keras3() else model._self_tracked_trackables
    return bool(layers) and isinstance(layers[0], keras().layers.InputLayer)


def own_variables(layer: KerasLayer) -> list[Any]:
    """The variables of a layer itself, not those of layers inside, in the order of Keras' newer files."""
    if is_keras3():
        return [*layer._trainable_variables, *layer._non_trainable_variables]
    return [*layer._trainable_weights, *layer._non_trainable_weights]


def assign(variable: Any, values: npt.NDArray[Any]) -> None:
    """Set a variable to values of its shape."""
    variable.assign(np.asarray(values, dtype=getattr(variable.dtype, "name", variable.dtype)))


@contextmanager
def zero_variables(count: Zeros) -> Iterator[None]:
    """Start every variable at zero while the block runs.

    Args:
        count: is told each one's shape before memory is taken, and may refuse it.
    """
    tf = tensorflow()
    if is_keras3():
        variable_class = keras().Variable
        usual = variable_class._initialize_with_initializer

        def start(variable: Any, initializer: Any) -> None:
            shape, dtype = tuple(variable._shape), variable._dtype
            count(shape)
            usual(variable, lambda *_args, **_kwargs: tf.zeros(shape, dtype))

        variable_class._initialize_with_initializer = start
        try:
            yield
        finally:
            variable_class._initialize_with_initializer = usual
        return

    def creator(next_creator: Callable[..., Any], **arguments: Any) -> Any:
        shape = arguments.get("shape")
        if shape is not None and callable(arguments.get("initial_value")):
            shape = tf.TensorShape(shape)
            if shape.is_fully_defined():
                count(tuple(shape))
                dtype = arguments.get("dtype") or "float32"
                arguments["initial_value"] = lambda: tf.zeros(shape, dtype)
        return next_creator(**arguments)

    with tf.variable_creator_scope(creator):
        yield


def save_h5(model: KerasModel, file: h5py.File) -> None:
    """Write a model without its optimizer into an open HDF5 file, which Keras 3's own ``save`` does not take."""
    if is_keras3():
        from keras.src.legacy.saving.legacy_h5_format import save_model_to_hdf5

        save_model_to_hdf5(model, file, include_optimizer=False)
    else:
        model.save(file, include_optimizer=False)


def weight_of(layer: KerasLayer, name: str) -> Any:
    """A weight of a layer by Keras 2's name for it; ``None`` if it has none."""
    found = getattr(layer, name, None)
    return getattr(layer, "kernel", None) if found is None and name == "depthwise_kernel" else found


def numbers(weight: Any) -> npt.NDArray[Any]:
    """What a variable or a tensor holds now, where it is: TensorFlow's own memory, read in place.

    It stays as it is: TensorFlow gives a variable new memory when it is set while somebody else has the old.
    """
    return np.asarray(tensorflow().convert_to_tensor(weight))


def quantizer_of(layer: KerasLayer) -> Any:
    """The function of a QActivation, of which QKeras 0.9 keeps the text as well."""
    return layer.activation if is_keras3() else layer.quantizer


def leaky_slope(layer: KerasLayer) -> float:
    """The slope of a LeakyReLU where its input is negative."""
    return float(layer.negative_slope if is_keras3() else layer.alpha)
