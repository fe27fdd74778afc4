"""A PyTorch network as the Keras model that computes the same, channels last.

Everything behind it then knows Keras alone: the comparison layer by layer, campaigns, and the reports. Where PyTorch's
``(channels, height, width)`` is flattened, the next linear layer's columns take the other order in.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.frontends._tf import listed
from hwflow.frontends.keras_versions import maker_of
from hwflow.frontends.onnx_file import read_onnx, reference_outputs
from hwflow.frontends.torch_archive import read_archive, read_program
from hwflow.frontends.torch_operators import OPERATORS
from hwflow.frontends.torch_translation import Tensor, Translation

KerasModel = Any
TOLERANCE = 1e-4
"""Largest difference from PyTorch, in parts of the range of the output; both compute in float32."""


def is_module(model: object) -> bool:
    """Whether it is a ``torch.nn.Module``; PyTorch is not imported for it."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def from_file(path: Path) -> KerasModel:
    """The Keras model of a program that ``torch.export.save`` wrote; PyTorch is not needed.

    Raises:
        HwflowError: as :func:`read_program`, or an operator or one of its arguments is not supported.
    """
    return Translation(read_program(path), path.stem).model(OPERATORS)


def from_onnx(path: Path) -> KerasModel:
    """The Keras model of an ``.onnx`` file, compared with ONNX's own reference evaluator on a random input.

    Raises:
        HwflowError: as :func:`read_onnx`, or the Keras model computes something else.
    """
    program, source = read_onnx(path)
    translation = Translation(program, path.stem)
    model = translation.model(OPERATORS)
    if len(program.inputs) == 1:
        shape = program.shapes[program.inputs[0]]
        x = np.random.default_rng(0).uniform(-1, 1, (shape[0] or 1, *shape[1:])).astype(np.float32)
        _check(model, x, reference_outputs(source, x), translation.results, path.stem)
    return model


def from_module(module: Any, example: Any) -> KerasModel:
    """The Keras model of a ``torch.nn.Module``, compared with it on an example.

    Args:
        module: in evaluation mode or not; it is exported in evaluation mode.
        example: a batch of inputs as the module takes it, a tensor or an array.

    Raises:
        HwflowError: there is no example, the module cannot be exported, an operator is not supported, or the Keras
            model computes something else.
    """
    import torch

    if example is None:
        raise HwflowError(f"{type(module).__name__}: give an example of its input, example=torch.zeros(1, 3, 32, 32)")
    name = type(module).__name__
    x = torch.as_tensor(np.asarray(example), dtype=torch.float32)
    training = module.training
    try:
        module.eval()
        exported = torch.export.export(module, (x,))
        with torch.no_grad():
            expected = module(x)
    except Exception as error:  # whatever a user's module raises, or PyTorch's exporter
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise HwflowError(f"{name}: torch.export cannot export it ({text})") from error
    finally:
        module.train(training)
    file = io.BytesIO()
    torch.export.save(exported, file)
    translation = Translation(read_archive(file, name), name)
    model = translation.model(OPERATORS)
    _check(model, x.numpy(), [each.numpy() for each in listed(expected)], translation.results, name)
    return model


def _check(
    model: KerasModel,
    x: npt.NDArray[np.float32],
    expected: list[npt.NDArray[np.float32]],
    results: list[Tensor],
    name: str,
) -> None:
    got = listed(model(_channels_last(x), training=False))
    for ours, theirs, result in zip(got, expected, results, strict=True):
        right = _channels_last(theirs).reshape(len(theirs), -1)
        wrong = np.abs(np.asarray(ours).reshape(right.shape) - right)
        largest = float(wrong.max(initial=0.0))
        if not largest <= TOLERANCE * max(float(np.ptp(right)), float(np.abs(right).max(initial=0.0))):
            raise HwflowError(
                f"{name}: its output {maker_of(result.keras).name} is off by {largest:.3g} once translated, so that "
                "the hardened network would be another one; report it"
            )


def _channels_last(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.moveaxis(x, 1, -1) if x.ndim > 2 else x
