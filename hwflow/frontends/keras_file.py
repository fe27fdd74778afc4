"""Keras and QKeras models from ``.h5``, ``.keras`` and JSON, of Keras 2 and Keras 3, read as data.

The architecture is JSON, checked against the table of `hwflow.frontends._table`, and built from the classes of that
table by hwflow itself; Keras' own deserialiser, which runs what a file names, is not used. Optimizer and training
state is ignored.
"""

from __future__ import annotations

import io
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import h5py

from hwflow.errors import HwflowError
from hwflow.files.arrays import READ_ERRORS, first_line, open_archive, parse_json
from hwflow.frontends import _hdf5
from hwflow.frontends._layers import Build
from hwflow.frontends._network import check_network, make_model
from hwflow.frontends._weights import Network, load_weights

SUFFIXES = (".h5", ".hdf5", ".keras", ".json")
_CONFIG, _METADATA, _WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_OLD_WEIGHTS = "model_weights"
# Numbers that a network may have beyond its file's, so that a file of other weights is refused by a layer's shapes.
_SPARE = 2**24


def read_keras_file(path: Path) -> Any:
    """The model that a file holds, uncompiled, QKeras layers included.

    Args:
        path: ``.h5``, ``.hdf5`` or ``.keras``, or the architecture ``X.json`` with its weights beside it
            in ``X_weights.h5`` or ``X.weights.h5``.

    Raises:
        HwflowError: the file or its weights are missing, damaged, or declare more than they hold; it holds weights
            only; or a layer's class or an attribute is none that hwflow knows, by the names of both.
    """
    if not path.exists():
        raise HwflowError(f"{path}: no such model file")
    if path.suffix not in SUFFIXES or not path.is_file():
        raise HwflowError(f"{path}: not a model file; give one of {', '.join(SUFFIXES)}")
    weights = _weights_beside(path) if path.suffix == ".json" else path
    with ExitStack() as stack:
        try:
            data, version = _architecture(path, stack)
            build = Build(str(path), _is_keras3(data, version))
            check_network(build, data)
            group = _weights(path, weights, stack)
            build.variables_left = _hdf5.numbers_stored(group) + _SPARE
        except HwflowError:
            raise
        except (*READ_ERRORS, AttributeError) as error:
            raise HwflowError(f"{path}: cannot load the model ({first_line(error)})") from error
        model = make_model(build, data)
        try:
            load_weights(str(weights), group, model, Network(build.order))
        except HwflowError:
            raise
        except (*READ_ERRORS, AttributeError) as error:
            raise HwflowError(f"{weights}: not the weights of {path.name} ({first_line(error)})") from error
    return model


def _architecture(path: Path, stack: ExitStack) -> tuple[Any, str]:
    """The architecture, and the version of Keras that wrote it as far as the file says."""
    if path.suffix == ".keras":
        archive = stack.enter_context(open_archive(stack.enter_context(path.open("rb"))))
        about = parse_json(archive.read(_METADATA)) if _METADATA in archive.namelist() else {}
        return parse_json(archive.read(_CONFIG)), _version(about)
    if path.suffix == ".json":
        data = parse_json(path.read_bytes())
        return data, _version(data)
    file = stack.enter_context(h5py.File(path, "r"))
    config = _hdf5.attribute(file, "model_config")
    if config is None:
        raise HwflowError(f"{path}: holds weights only; save the whole model, or give its .json")
    return parse_json(config), str(_hdf5.attribute(file, "keras_version"))


def _version(about: Any) -> str:
    return str(about.get("keras_version")) if isinstance(about, dict) else ""


def _weights(path: Path, weights: Path, stack: ExitStack) -> h5py.Group:
    """The HDF5 group of the weights."""
    if path.suffix == ".keras":
        archive = stack.enter_context(open_archive(stack.enter_context(path.open("rb"))))
        return stack.enter_context(h5py.File(io.BytesIO(archive.read(_WEIGHTS)), "r"))
    try:
        file = stack.enter_context(h5py.File(weights, "r"))
    except OSError as error:
        raise HwflowError(f"{weights}: not the weights of {path.name} ({first_line(error)})") from error
    return _hdf5.subgroup(file, _OLD_WEIGHTS) or file


def _is_keras3(data: Any, version: str) -> bool:
    """Whether Keras 3 wrote an architecture; its JSON by itself does not name the version."""
    if version[:1].isdigit():
        return int(version.split(".")[0]) >= 3
    return _mentions(data, ("batch_shape", "keras_history"))


def _mentions(data: Any, keys: tuple[str, ...]) -> bool:
    waiting = [data]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            if any(key in item for key in keys):
                return True
            waiting += item.values()
        elif isinstance(item, list):
            waiting += item
    return False


def _weights_beside(path: Path) -> Path:
    names = [f"{path.stem}_weights.h5", f"{path.stem}.weights.h5"]
    for name in names:
        if (found := path.with_name(name)).is_file():
            return found
    raise HwflowError(f"{path}: the weights are missing; put {names[0]} beside it")
