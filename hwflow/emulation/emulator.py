"""Runs an hls4ml ModelGraph with hls4ml's own types, bit for bit as its C simulation does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from hls4ml.model.graph import ModelGraph

from hwflow.emulation.activations import ACTIVATIONS
from hwflow.emulation.matrix import convolution, dense, depthwise
from hwflow.emulation.node import Node, Signal
from hwflow.emulation.pooling import global_pooling, pooling
from hwflow.emulation.recurrent import bidirectional, recurrent
from hwflow.emulation.shapes import SHAPES
from hwflow.emulation.softmax import softmax
from hwflow.errors import HwflowError
from hwflow.fixed import Codes

Function = Callable[..., Codes]
Floats = npt.NDArray[np.floating[Any]]

FUNCTIONS: Mapping[str, Callable[[Node], Function]] = {
    "dense": dense,
    "conv_1d_cl": convolution,
    "conv_2d_cl": convolution,
    "pointwise_conv_1d_cl": convolution,
    "pointwise_conv_2d_cl": convolution,
    "depthwise_conv_1d_cl": depthwise,
    "depthwise_conv_2d_cl": depthwise,
    "pooling1d_cl": pooling,
    "pooling2d_cl": pooling,
    "global_pooling1d_cl": global_pooling,
    "global_pooling2d_cl": global_pooling,
    "lstm_stack": recurrent,
    "gru_stack": recurrent,
    "bidirectional_stack": bidirectional,
    "softmax": softmax,
    "softmax_multidim": softmax,
    **ACTIVATIONS,
    **SHAPES,
}
"""What computes as a function of hls4ml's headers does, by the function's name."""

_AT_ONCE = 1 << 18
"""Elements of the largest tensor of the images that are computed together."""

BACKENDS = ("Vitis", "Vivado")


@dataclass(frozen=True)
class Operation:
    """One layer, ready to run.

    Attributes:
        name: of the layer.
        kind: hls4ml's class of layers.
        inputs: names of the tensors that it reads.
        outputs: names of the tensors that it writes, all with the same content.
        signal: what it writes.
        function: from flat input codes ``(n, size)`` to flat output codes; ``None`` where the C++ does nothing.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    signal: Signal
    function: Function | None


def emulate(model: ModelGraph) -> Emulator:
    """The emulator of a converted ModelGraph.

    Args:
        model: what ``hls4ml.converters`` return; it need be neither written nor compiled.

    Raises:
        HwflowError: a layer, type or option that cannot be emulated exactly; the line names the layer.
    """
    return Emulator(model)


class Emulator:
    """hls4ml's C simulation without C++.

    Its results are those of ``model.predict`` and ``model.trace`` in every bit: default types, sums that
    wrap, products that are cut, tables, io_parallel and io_stream.

    Args:
        model: a converted ModelGraph of the Vitis or the Vivado backend, which compute the same.

    Raises:
        HwflowError: as for :func:`emulate`.
    """

    def __init__(self, model: ModelGraph) -> None:
        backend, io_type = (str(model.config.config.get(key, "none")) for key in ("Backend", "IOType"))
        if backend not in BACKENDS:
            raise HwflowError(f"the backend is {backend}; only {' and '.join(BACKENDS)} are emulated")
        self.inputs: tuple[tuple[str, Signal], ...] = ()
        steps = []
        for layer in model.get_layers():
            if io_type == "io_stream" and str(layer.get_attr("implementation", "")).lower() == "encoded":
                raise HwflowError(f"{layer.name}: ConvImplementation Encoded is not emulated; use LineBuffer")
            steps.append(_step(Node(layer), tuple(layer.outputs)))
        self.steps: tuple[Operation, ...] = tuple(steps)
        signals = {name: step.signal for step in self.steps for name in step.outputs}
        self.inputs = tuple((name, signals[name]) for name in model.inputs)
        self.outputs = tuple((name, signals[name]) for name in model.outputs)
        self._check()

    def predict(self, x: Floats | Sequence[Floats]) -> Any:
        """Outputs as ``model.predict`` returns them.

        Args:
            x: float32 or float64 ``(n, *input shape)``; for several inputs, a list.

        Returns:
            ``(n, size)`` in the type of ``x``, without the first axis if n is 1; for several outputs, a list.

        Raises:
            HwflowError: other shapes or types, NaN, or an infinite value.
        """
        dtype, codes = self._encoded(x)
        outputs = self.run(codes)
        return self._returned(outputs, dtype)

    def trace(self, x: Floats | Sequence[Floats]) -> tuple[Any, dict[str, Floats]]:
        """Outputs as of :meth:`predict`, and every layer's values ``(n, *output shape)`` by its name.

        Raises:
            HwflowError: as for :meth:`predict`.
        """
        dtype, codes = self._encoded(x)
        outputs, layers = self.run_traced(codes)
        signals = {step.name: step.signal for step in self.steps}
        values = {
            name: signals[name].reals(each, dtype).reshape(-1, *signals[name].shape) for name, each in layers.items()
        }
        return self._returned(outputs, dtype), values

    def run(self, codes: Sequence[Codes]) -> list[Codes]:
        """Output codes ``(n, size)`` of input codes ``(n, size)``, one array an input or output."""
        largest = max(step.signal.size for step in self.steps)
        count, step = len(codes[0]), max(1, _AT_ONCE // largest)
        parts = [self._run([each[start : start + step] for each in codes]) for start in range(0, count, step)]
        return [np.concatenate([part[name] for part in parts]) for name, _ in self.outputs]

    def run_traced(self, codes: Sequence[Codes]) -> tuple[list[Codes], dict[str, Codes]]:
        """As :meth:`run`, with the codes ``(n, size)`` of every layer that the C++ computes, by its name."""
        tensors = self._run(codes, keep=True)
        layers = {step.name: tensors[step.outputs[0]] for step in self.steps if step.function is not None}
        return [tensors[name] for name, _ in self.outputs], layers

    def _run(self, codes: Sequence[Codes], keep: bool = False) -> dict[str, Codes]:
        tensors = {name: each for (name, _), each in zip(self.inputs, codes, strict=True)}
        last = {name: index for index, step in enumerate(self.steps) for name in step.inputs}
        last |= {name: len(self.steps) for name, _ in self.outputs}
        for index, step in enumerate(self.steps):
            if step.inputs:
                arguments = [tensors[name] for name in step.inputs]
                result = arguments[0] if step.function is None else step.function(*arguments)
                tensors |= dict.fromkeys(step.outputs, result)
            for name in () if keep else set(step.inputs):  # a merge may read one tensor twice
                if last[name] == index:
                    del tensors[name]
        return tensors

    def _check(self) -> None:
        """Run one image, so that whatever cannot be computed is refused before anything is."""
        tensors = {name: np.zeros((1, signal.size), dtype=np.int64) for name, signal in self.inputs}
        for step in self.steps:
            if not step.inputs:
                continue
            try:
                arguments = [tensors[name] for name in step.inputs]
                result = arguments[0] if step.function is None else step.function(*arguments)
            except HwflowError as error:
                raise HwflowError(f"{step.name}: {error}") from error
            if result.shape != (1, step.signal.size):
                raise HwflowError(f"{step.name}: has {result.shape[1]} outputs where {step.signal.size} were expected")
            tensors |= dict.fromkeys(step.outputs, result)

    def _encoded(self, x: Floats | Sequence[Floats]) -> tuple[np.dtype[Any], list[Codes]]:
        arrays = [np.asarray(each) for each in ([x] if len(self.inputs) == 1 else x)]
        if len(arrays) != len(self.inputs):
            raise HwflowError(f"{len(arrays)} arrays given, but the network has {len(self.inputs)} inputs")
        dtype = arrays[0].dtype
        if dtype not in (np.float32, np.float64) or any(each.dtype != dtype for each in arrays):
            raise HwflowError(f"inputs must be float32 or float64, not {dtype}")
        codes = []
        for array, (name, signal) in zip(arrays, self.inputs, strict=True):
            if array.size == 0 or array.size % signal.size:
                raise HwflowError(f"{name}: takes (n, {', '.join(map(str, signal.shape))}), not {array.shape}")
            codes.append(signal.type.encode(array).reshape(-1, signal.size))
        if len({len(each) for each in codes}) != 1:
            raise HwflowError("the inputs have different numbers of images")
        return dtype, codes

    def _returned(self, outputs: Sequence[Codes], dtype: np.dtype[Any]) -> Any:
        values = [signal.reals(codes, dtype) for codes, (_, signal) in zip(outputs, self.outputs, strict=True)]
        if len(values[0]) == 1:
            values = [each[0] for each in values]
        return values[0] if len(values) == 1 else values


def _step(node: Node, outputs: tuple[str, ...]) -> Operation:
    function: Function | None = None
    if node.function:
        if node.function not in FUNCTIONS:
            raise node.refusal(f"{node.kind} ({node.function}) is not emulated")
        try:
            function = FUNCTIONS[node.function](node)
        except HwflowError as error:
            named = str(error).startswith(f"{node.name}: ")
            raise (error if named else node.refusal(str(error))) from error
    elif not node.is_input and node.kind != "Reshape":
        raise node.refusal("has no C++ yet, as the model was changed by hand; write it first")
    return Operation(node.name, node.kind, node.input_names, outputs, node.output, function)
