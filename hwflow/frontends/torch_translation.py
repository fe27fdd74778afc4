"""A program of ``torch.export`` as Keras layers: the tensors of both, and what an operator is given.

A PyTorch tensor ``(n, channels, height, width)`` is Keras' ``(n, height, width, channels)``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.frontends._tf import keras, listed
from hwflow.frontends.torch_archive import Operation, Program, Ref
from hwflow.graph.naming import Unique

KerasModel = Any


@dataclass(frozen=True)
class Tensor:
    """A PyTorch tensor and the Keras tensor that stands for it.

    Attributes:
        keras: Keras' tensor. Of ``(n, channels, height, width)`` it is ``(n, height, width, channels)``, or
            ``(n, channels)`` where height and width are 1 after pooling; of ``(n, channels, length)``
            ``(n, length, channels)``.
        shape: PyTorch's shape without the batch axis.
        order: of a flattened tensor, the place in Keras' of each element of PyTorch's; ``None`` if it is the same.
        nonnegative: whether no element can be below zero.
    """

    keras: Any
    shape: tuple[int, ...]
    order: npt.NDArray[np.int64] | None = None
    nonnegative: bool = False

    @property
    def is_pooled(self) -> bool:
        """Whether Keras has left out axes of length 1."""
        return len(self.shape) > 1 and len(self.keras.shape) == 2


class Translation:
    """Follows the operators of a program."""

    def __init__(self, program: Program, name: str) -> None:
        self.keras = keras()
        self.layers = self.keras.layers
        self.program = program
        self.name = name
        self.tensors: dict[str, Tensor] = {}
        self.names = Unique()
        self.weights: list[tuple[Any, list[npt.NDArray[Any]]]] = []
        self.results: list[Tensor] = []

    def model(self, operators: Mapping[str, Translate]) -> KerasModel:
        """The Keras model, by what each operator becomes; an in-place one's underscore is left out."""
        inputs = []
        for name in self.program.inputs:
            shape = self.program.shapes[name][1:]
            if not all(shape):
                raise HwflowError(f"{name}: the input has no fixed size {shape}; export the network with one")
            given = self.keras.Input((*shape[1:], shape[0]), name=self.unique(name))
            self.tensors[name] = Tensor(given, shape)
            inputs.append(given)
        for operation in self.program.operations:
            translate = operators.get(operation.kind.rstrip("_"))
            if translate is None:
                raise HwflowError(f"{operation.output}: the operator {operation.kind} is not supported")
            self.tensors[operation.output] = translate(self, Arguments(operation, self))
        self.results = [self._plain(self.tensor(name), name) for name in self.program.outputs]
        model = self.keras.Model(inputs, [result.keras for result in self.results], name=self.name)
        for layer, arrays in self.weights:
            layer.set_weights(arrays)
        return model

    def put(self, layer: Any, x: Tensor | list[Tensor], shape: tuple[int, ...], **changes: Any) -> Tensor:
        """Call a layer; the tensor of PyTorch's ``shape`` that it gives."""
        sources = [each.keras for each in x] if isinstance(x, list) else x.keras
        return replace(Tensor(layer(sources), shape), **changes)

    def tensor(self, name: str) -> Tensor:
        """A tensor that was given or computed.

        Raises:
            HwflowError: it is a constant.
        """
        if name not in self.tensors:
            raise HwflowError(f"{name}: a constant in the place of a tensor is not supported")
        return self.tensors[name]

    def unique(self, name: str) -> str:
        """``name`` as Keras takes it, with a number if a layer has it."""
        name = re.sub(r"[^\w.-]", "_", name.replace("/", ".")).lstrip("_.-") or "layer"
        return self.names(name)

    def _plain(self, tensor: Tensor, name: str) -> Tensor:
        if tensor.order is not None:
            raise HwflowError(f"{name}: a flattened image is the output; end the network before it, or linearly")
        return tensor


class Arguments:
    """The arguments of an operator, and what its layer is called."""

    def __init__(self, operation: Operation, net: Translation) -> None:
        self.operation = operation
        self.net = net

    @property
    def shape(self) -> tuple[int, ...]:
        """PyTorch's shape of the output without the batch axis.

        Raises:
            HwflowError: it is not known, or not fixed.
        """
        shape = self.net.program.shapes.get(self.operation.output, (0, 0))[1:]
        if not all(shape):
            raise self.refuse("an output of unknown size")
        return shape

    def name(self) -> str:
        """The module's name if the operator has a weight of it, else the tensor's, made unique."""
        weight = self.operation.arguments.get("weight")
        parameter = self.net.program.parameters.get(weight.name) if isinstance(weight, Ref) else None
        module = "" if parameter is None else parameter.rpartition(".")[0]
        return self.net.unique(module or self.operation.output)

    def refuse(self, what: str) -> HwflowError:
        """What to raise if the operator has something that is not supported."""
        return HwflowError(f"{self.operation.output}: {what} of {self.operation.kind} is not supported")

    def value(self, name: str, default: Any = None) -> Any:
        """An argument as the program has it."""
        return self.operation.arguments.get(name, default)

    def tensor(self, name: str = "") -> Tensor:
        """A tensor that was computed, by default the one that the operator is first given.

        Raises:
            HwflowError: it is a number or a constant.
        """
        name = name or ("self" if "self" in self.operation.arguments else "input")
        given = self.operation.arguments.get(name)
        found = self.net.tensors.get(given.name) if isinstance(given, Ref) else None
        if found is None:
            raise self.refuse(f"a constant as {name}")
        return found

    def weight(self, name: str) -> npt.NDArray[Any] | None:
        """Values of a parameter or a buffer; ``None`` if there is none.

        Raises:
            HwflowError: it is computed by the network.
        """
        given = self.operation.arguments.get(name)
        if given is None:
            return None
        if not isinstance(given, Ref) or given.name not in self.net.program.weights:
            raise self.refuse(f"a computed {name}")
        return self.net.program.weights[given.name].astype(np.float32)

    def ints(self, name: str, default: int, count: int) -> tuple[int, ...]:
        """``count`` whole numbers, of one for all or each."""
        given = self.value(name)
        values = [default] if given is None or given == [] else listed(given)
        return tuple(int(value) for value in (values * count if len(values) == 1 else values))

    def only(self, name: str, *allowed: Any) -> None:
        """Refuse any other value of an argument."""
        if (value := self.value(name, allowed[0])) not in allowed:
            raise self.refuse(f"{name}={value}")


Translate = Callable[[Translation, Arguments], Tensor]
"""Puts the layers of an operator, and gives its output."""
