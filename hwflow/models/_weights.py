"""Weights in an ``.npz``, one array a variable, named ``layer/variable``; and their sanity."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hwflow.errors import HwflowError
from hwflow.files.arrays import read_npz


def variables(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield (``layer/variable``, Keras variable) for everything `model` stores, batch statistics included."""
    for layer in model.layers:
        for variable in layer.weights:
            yield f"{layer.name}/{variable.name.split('/')[-1].split(':')[0]}", variable


def save_weights(model: Any, path: Path) -> None:
    """Write every variable of `model` to `path`; equal weights give equal bytes."""
    np.savez_compressed(path, **{key: variable.numpy() for key, variable in variables(model)})


def load_weights(model: Any, path: Path) -> None:
    """Set every variable of `model` by name from a file of `save_weights`.

    Raises:
        HwflowError: the file is missing or corrupt, or does not hold exactly the variables of `model`.
    """
    arrays = read_npz(path)
    targets = dict(variables(model))
    if wrong := sorted(targets.keys() ^ arrays.keys()):
        raise HwflowError(f"{path}: not the weights of {model.name}, {wrong[0]!r} is only in one of them")
    for key, variable in targets.items():
        if tuple(variable.shape) != arrays[key].shape:
            raise HwflowError(f"{path}: {key!r} has shape {arrays[key].shape}, not {tuple(variable.shape)}")
        variable.assign(arrays[key])


def check_finite(model: Any, source: str) -> None:
    """Raise HwflowError, naming the layer, if a variable of `model` is NaN or infinite."""
    for layer in model.layers:
        for variable in layer.weights:
            values = variable.numpy()
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise HwflowError(f"{source}: layer {layer.name!r} has NaN or infinite weights")
