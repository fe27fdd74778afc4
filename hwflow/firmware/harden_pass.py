"""Hardening switched on from an hls4ml script: ``config["Model"]["Hardening"] = {...}``."""

from __future__ import annotations

import difflib
import typing
import warnings
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from hls4ml.model.flow import get_flow, update_flow
from hls4ml.model.optimizer import ModelOptimizerPass, register_pass

from hwflow.codes import PLAIN
from hwflow.cost.reuse import choose_reuse
from hwflow.errors import HwflowError
from hwflow.files.arrays import read_npy
from hwflow.firmware.apply import apply_graph, firmware_reuse
from hwflow.firmware.layers import register_layers
from hwflow.firmware.remade import fits, remake
from hwflow.fixed import FixedType, Rounding
from hwflow.frontends import depthwise_weights
from hwflow.frontends.keras_agreement import measure
from hwflow.frontends.keras_check import check, check_images
from hwflow.frontends.keras_graph import network_graph
from hwflow.frontends.keras_network import read_network
from hwflow.frontends.model_graph import read_graph
from hwflow.graph import Graph
from hwflow.hardening import Hardened, HardenOptions, harden
from hwflow.hardening.options import ScalingOptions
from hwflow.hardening.remedies import remedies

PASS = "hwflow_harden"
FLOW = "optimize"
KEY = "Hardening"
CALIBRATION = "Calibration"
RTL_BACKEND = "hwflow"
"""The backend of :mod:`hwflow.backend`."""


class HardenPass(ModelOptimizerPass):
    """Hardens a ModelGraph whose configuration asks for it."""

    def __init__(self) -> None:
        self.name = PASS

    def transform(self, model: Any) -> bool:
        """Harden ``model`` in place; its plan and typed graph become ``model.hwflow``.

        Where it was made from a Keras model, the graph is compared with that first; what was measured of the
        hardened network becomes ``model.hwflow_check``.

        Raises:
            HwflowError: an option, the calibration images or a layer that cannot be hardened.
        """
        if model.config.backend.name == RTL_BACKEND:
            return False  # hardens by itself
        result = harden_model(model)
        if result is None:
            return False
        wanted = _requested_reuse(result.graph, model)
        factors, notes = firmware_reuse(result.graph, wanted, model.config.get_config_value("IOType"))
        for note in notes:
            warnings.warn(note, stacklevel=2)
        graph, names = result.graph, {layer.name: layer.name for layer in result.graph}
        if not fits(graph, model):
            graph, names = remake(graph, model, (PASS,))
        apply_graph(graph, model, {names[name]: factor for name, factor in factors.items()})
        model.hwflow = result
        return True


def harden_model(model: Any) -> Hardened | None:
    """Harden the network of a ModelGraph whose configuration asks for it, and leave the ModelGraph as it is.

    Returns:
        The hardened graph; ``None`` if the configuration does not ask for it. What was measured of it becomes
        ``model.hwflow_check``, where the ModelGraph was made from a Keras model.

    Raises:
        HwflowError: an option, the calibration images or a layer that cannot be hardened.
    """
    model_config = model.config.config["HLSConfig"].get("Model", {})
    entries = model_config.get(KEY)
    if entries is None:
        return None
    images, options = parse_options(entries)
    if options.storage != PLAIN.name:
        raise HwflowError(
            f"{KEY}: Storage={options.storage!r} cannot be written by an hls4ml script; "
            "use 'hwflow harden' and 'hwflow generate'"
        )
    result = _hardened(model, images, options)
    plain = {key: _plain(value) for key, value in entries.items()}
    model.config.config["HLSConfig"]["Model"] = model_config | {KEY: plain}
    return result


def _hardened(model: Any, images: npt.NDArray[Any], options: HardenOptions) -> Hardened:
    keras_model = model.config.config.get("KerasModel")
    if not hasattr(keras_model, "layers"):
        return harden(read_graph(model), images, options)
    network = read_network(keras_model)
    graph = network_graph(network)
    checked = images[: check_images(len(images))]
    error = check(graph, network, checked, keras_model)
    result = harden(graph, images, options)
    model.hwflow_check = measure(result.graph, network, checked, error, remedies(options))
    if model.hwflow_check.warning is not None:
        warnings.warn(model.hwflow_check.warning, stacklevel=2)
    return result


def register() -> None:
    """Make hls4ml obey ``config["Model"]["Hardening"]``; a second call does nothing.

    The entries are ``Calibration`` (images: an array, or the path of an ``.npy`` or of an ``.npz`` with an
    array ``x``) and the options of :class:`~hwflow.hardening.scaling.ScalingOptions` and
    :class:`~hwflow.hardening.HardenOptions` by their names in CamelCase, e.g. ``WeightType``, ``Scale``,
    ``Align``, ``Compensation``, ``ActivationBits``. The backend must be Vitis. hls4ml's own ``ReuseFactor``
    is taken to the nearest valid one, and the strategy is always Resource.
    """
    register_layers()
    depthwise_weights.register()
    if PASS not in get_flow(FLOW).optimizers:
        register_pass(PASS, HardenPass)
        update_flow(FLOW, add_optimizers=[PASS])


def hardened(model: Any) -> Hardened:
    """The scale plan, calibration and typed graph of a ModelGraph that was converted with ``Hardening``.

    Raises:
        HwflowError: it was converted without.
    """
    result = getattr(model, "hwflow", None)
    if not isinstance(result, Hardened):
        raise HwflowError(
            f'the model is not hardened; call hwflow.firmware.register() and set config["Model"]["{KEY}"] before '
            "converting it"
        )
    return result


def parse_options(entries: Mapping[str, Any]) -> tuple[npt.NDArray[Any], HardenOptions]:
    """Calibration images and options of a ``Hardening`` entry.

    Raises:
        HwflowError: an unknown key, a value of a wrong kind, or no calibration images.
    """
    if not isinstance(entries, Mapping):
        raise HwflowError(f"{KEY}: must be a dictionary, not {type(entries).__name__}")
    kinds = _kinds(ScalingOptions) | _kinds(HardenOptions)
    for key in entries:
        if key not in (CALIBRATION, *kinds):
            near = difflib.get_close_matches(str(key), [CALIBRATION, *kinds], n=1, cutoff=0.0)
            raise HwflowError(f"{KEY}: {key!r} is not an option; did you mean {near[0]!r}?")
    if CALIBRATION not in entries:
        raise HwflowError(f"{KEY}: {CALIBRATION!r} is missing; give images of the training set, or their file")
    values = {key: _value(key, entries[key], *kinds[key]) for key in entries if key != CALIBRATION}
    scaling = {kinds[key][0]: values[key] for key in _kinds(ScalingOptions) if key in values}
    other = {kinds[key][0]: values[key] for key in _kinds(HardenOptions) if key in values}
    return _images(entries[CALIBRATION]), HardenOptions(scaling=ScalingOptions(**scaling), **other)


def _kinds(options: type) -> dict[str, tuple[str, Any]]:
    """Field names and types by their names in CamelCase; an option that holds options is left out."""
    hints = typing.get_type_hints(options)
    return {
        "".join(part.capitalize() for part in field.name.split("_")): (field.name, hints[field.name])
        for field in fields(options)
        if hints[field.name] is not ScalingOptions
    }


def _value(key: str, value: Any, _: str, kind: Any) -> Any:
    if kind is FixedType:
        return value if isinstance(value, FixedType) else FixedType.parse(str(value))
    if kind is Rounding:
        names = [mode.value for mode in Rounding]
        name = value.value if isinstance(value, Rounding) else str(value).upper().removeprefix("AP_")
        if name not in names:
            raise HwflowError(f"{KEY}: {key}={value!r} is not one of {', '.join(names)}")
        return Rounding(name)
    accepted = {bool: (bool,), int: (int,), float: (float, int), float | None: (int, float, type(None))}.get(
        kind, (str,)
    )
    if not isinstance(value, accepted) or (isinstance(value, bool) and bool not in accepted):
        raise HwflowError(f"{KEY}: {key}={value!r} must be of type {accepted[0].__name__}")
    return value


def _plain(value: Any) -> Any:
    """What hls4ml writes into its YAML file for an option."""
    if isinstance(value, bool | int | float | str | None):
        return value
    return str(value) if isinstance(value, Path | FixedType) else f"an array of shape {np.shape(value)}"


def _images(source: Any) -> npt.NDArray[Any]:
    if not isinstance(source, str | Path):
        return np.asarray(source)
    if Path(source).suffix != ".npy":
        from hwflow.data import load_data

        return load_data(str(source), "train", labels=False).images
    return read_npy(source)


def _requested_reuse(graph: Graph, model: Any) -> dict[str, int]:
    """hls4ml's own reuse factors, each taken to the nearest that is valid."""
    return {
        layer.name: choose_reuse(graph, configured_reuse(model, layer.name))[layer.name]
        for layer in graph.weight_layers
    }


def configured_reuse(model: Any, name: str) -> int:
    """The reuse factor that the configuration gives a layer of the graph, also one that hls4ml calls otherwise."""
    config = model.config
    if name in model.graph:
        return int(config.get_reuse_factor(model.graph[name]))
    return int(config.layer_name_rf.get(name.lower(), config.model_rf or 1))
