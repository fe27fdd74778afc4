"""A Keras or QKeras model from a file, with one clear line for whatever is wrong with it."""

import json
import zipfile
from pathlib import Path
from typing import Any

from hwflow.errors import HwflowError
from hwflow.models._tf import qkeras, tensorflow
from hwflow.models._weights import READ_ERRORS, first_line

SUFFIXES = (".h5", ".hdf5", ".keras", ".json")
# What Keras raises for a malformed file depends on where it stumbles.
_LOAD_ERRORS = (*READ_ERRORS, TypeError, AttributeError, IndexError, RuntimeError, ImportError)


def load_file(path: Path) -> Any:
    """Return the model that `path` holds, uncompiled, QKeras layers included.

    Args:
        path: ``.h5``, ``.hdf5`` or ``.keras``, or the architecture ``X.json`` with its weights beside it
            in ``X_weights.h5`` or ``X.weights.h5``.

    Raises:
        HwflowError: the file or its weights are missing or corrupt, it holds weights only, a type of layer
            is unknown, or a Lambda layer (which is Python code that loading would run).
    """
    if not path.exists():
        raise HwflowError(f"{path}: no such model file")
    if path.suffix not in SUFFIXES or not path.is_file():
        raise HwflowError(f"{path}: not a model file; give one of {', '.join(SUFFIXES)}")
    weights = _weights_beside(path) if path.suffix == ".json" else None
    try:
        text = _architecture(path)
        _refuse_lambda(path, json.loads(text))
        if weights is None:
            return qkeras().utils.load_qmodel(str(path), compile=False)
        model = qkeras().utils.quantized_model_from_json(text)
        if not isinstance(model, tensorflow().keras.Model):
            raise HwflowError(f"{path}: cannot load the model (not the architecture of a Keras model)")
    except HwflowError:
        raise
    except _LOAD_ERRORS as error:
        raise HwflowError(f"{path}: cannot load the model ({first_line(error)})") from error
    try:
        model.load_weights(str(weights))
    except _LOAD_ERRORS as error:
        raise HwflowError(f"{weights}: not the weights of {path.name} ({first_line(error)})") from error
    return model


def _weights_beside(path: Path) -> Path:
    names = [f"{path.stem}_weights.h5", f"{path.stem}.weights.h5"]
    for name in names:
        if (found := path.with_name(name)).is_file():
            return found
    raise HwflowError(f"{path}: the weights are missing; put {names[0]} beside it")


def _architecture(path: Path) -> str:
    """Return the model's architecture as Keras' JSON text."""
    if path.suffix == ".json":
        return path.read_text(encoding="utf-8")
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            return archive.read("config.json").decode("utf-8")
    import h5py

    with h5py.File(path, "r") as file:
        if "model_config" not in file.attrs:
            raise HwflowError(f"{path}: holds weights only; save the whole model, or give its .json")
        config = file.attrs["model_config"]
        return config if isinstance(config, str) else config.decode("utf-8")


def _refuse_lambda(path: Path, config: Any) -> None:
    if isinstance(config, dict):
        if config.get("class_name") == "Lambda":
            raise HwflowError(f"{path}: a Lambda layer is Python code and is not loaded; replace it")
        config = list(config.values())
    if isinstance(config, list):
        for item in config:
            _refuse_lambda(path, item)
