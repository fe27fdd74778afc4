"""ModelGraphs to emulate: from a Keras or QKeras model, or from a project folder that hls4ml wrote."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import hls4ml
import numpy as np
import yaml
from hls4ml.model.graph import ModelGraph

from hwflow.emulation.names import ATTRIBUTE, LegalModel
from hwflow.emulation.pasted import check_pasted, check_project_name, short
from hwflow.errors import HwflowError
from hwflow.files.arrays import parse_json
from hwflow.firmware.project import IOType
from hwflow.frontends.quiet import quiet
from hwflow.models import load_model

Granularity = Literal["model", "type", "name"]

CONFIG = "hls4ml_config.yml"
DEFAULT_PRECISION = "fixed<16,6>"
LARGEST_YAML = 8 * 2**20


@dataclass(frozen=True)
class Options:
    """How a model is converted; each default is hls4ml's.

    Attributes:
        precision: the default type, such as ``fixed<16,6>``.
        io_type: ``io_parallel`` or ``io_stream``.
        granularity: of the configuration: ``model`` gives every tensor the default type, ``name`` lets hls4ml infer.
        hls_config: a YAML or JSON file with hls4ml's configuration, instead of precision and granularity.
    """

    precision: str | None = None
    io_type: IOType | None = None
    granularity: Granularity | None = None
    hls_config: Path | None = None


def open_graph(source: str | Path, options: Options | None = None) -> ModelGraph:
    """hls4ml's converted ModelGraph of a model file, an embedded network or an hls4ml project.

    Args:
        source: a Keras or QKeras file (see :func:`hwflow.models.load_model`), or a folder that hls4ml wrote.
        options: of a model; a project has its own.

    Raises:
        HwflowError: nothing there, hls4ml cannot convert it, options for a project, or a project whose files are
            not what its model converts to.
    """
    path, options = Path(source), options or Options()
    if path.is_dir():
        if options != Options():
            raise HwflowError(f"{source}: a project has its own options; leave out {', '.join(_given(options))}")
        return _project(path)
    if options.hls_config is not None and (options.precision or options.granularity):
        raise HwflowError(f"{options.hls_config}: says the precisions itself; leave out --precision and --granularity")
    given = None if options.hls_config is None else _read_config(options.hls_config)
    model = LegalModel(_load(str(source)))
    how = "" if options.hls_config is None else f" with {options.hls_config}"
    with quiet(f"{source}: hls4ml cannot convert it{how}", model.restored):
        config = _default_config(model, options) if given is None else model.config(given)
        graph = _convert(model, config, options.io_type or "io_parallel")
    # hls4ml would write the model into the project that it writes for the C simulation.
    graph.config.config["KerasModel"] = None
    setattr(graph, ATTRIBUTE, model)
    return graph


def _load(source: str) -> Any:
    """A Keras model without dilated convolutions, from which hls4ml would silently take their dilation."""
    model = load_model(source)
    for layer in model.submodules:
        rates = np.atleast_1d(getattr(layer, "dilation_rate", 1))
        if (rates != 1).any():
            raise HwflowError(f"{layer.name}: hls4ml drops its dilation_rate={layer.dilation_rate}; replace the layer")
    return model


def _given(options: Options) -> list[str]:
    return [f"--{name.replace('_', '-')}" for name, value in vars(options).items() if value is not None]


def _default_config(model: Any, options: Options) -> dict[str, Any]:
    config: dict[str, Any] = hls4ml.utils.config_from_keras_model(
        model,
        granularity=options.granularity or "model",
        backend="Vitis",
        default_precision=options.precision or DEFAULT_PRECISION,
    )
    return config


def _convert(model: Any, config: Mapping[str, Any], io_type: str, **settings: Any) -> ModelGraph:
    settings = {"backend": "Vitis", "output_dir": "unused", **settings}
    return hls4ml.converters.convert_from_keras_model(model, hls_config=dict(config), io_type=io_type, **settings)


def _read_config(path: Path) -> dict[str, Any]:
    """An HLSConfig, by itself or inside a project's whole configuration."""
    if not path.is_file():
        raise HwflowError(f"{path}: no such configuration file")
    config = _load_config(path)
    if isinstance(config, dict):
        config = config.get("HLSConfig", config)
    if not isinstance(config, dict) or "Model" not in config:
        raise HwflowError(f"{path}: no hls4ml configuration: it lacks 'Model'")
    check_pasted(path, config)
    return config


def _project(path: Path) -> ModelGraph:
    if not (path / CONFIG).is_file():
        hint = "; evaluate hwflow's designs with 'hwflow evaluate'" if (path / "project.json").is_file() else ""
        raise HwflowError(f"{path}: not a project folder of hls4ml, it has no {CONFIG}{hint}")
    config = _load_config(path / CONFIG)
    if not isinstance(config, dict) or not isinstance(config.get("HLSConfig"), dict):
        raise HwflowError(f"{path / CONFIG}: no hls4ml configuration: it lacks 'HLSConfig'")
    backend = str(config.get("Backend"))
    if backend not in ("Vitis", "Vivado"):
        raise HwflowError(f"{path}: its backend is {backend}; only Vitis and Vivado are emulated")
    saved = config.get("KerasModel")
    if not isinstance(saved, str):
        raise HwflowError(
            f"{path}: keeps no Keras model; give the model file itself, with --hls-config {path / CONFIG}"
        )
    name, io_type = config.get("ProjectName", "myproject"), config.get("IOType", "io_parallel")
    check_project_name(path / CONFIG, name)
    if io_type not in get_args(IOType):
        raise HwflowError(f"{path / CONFIG}: its IOType is {short(io_type)}, not {' or '.join(get_args(IOType))}")
    check_pasted(path / CONFIG, config["HLSConfig"])
    file = path / Path(saved).name
    if not file.is_file():
        raise HwflowError(
            f"{path}: its model {short(saved)} is not in the folder; give the model file itself, with --hls-config "
            f"{path / CONFIG}"
        )
    model = _load(str(file))
    with quiet(f"{path}: hls4ml cannot convert its model"):
        graph = _convert(model, config["HLSConfig"], io_type, project_name=name, backend=backend)
    _check_same(path, graph)
    return graph


def _check_same(path: Path, graph: ModelGraph) -> None:
    """Refuse a project whose types, layers or weights were changed after its model was converted."""
    with tempfile.TemporaryDirectory(prefix="hwflow-emulate-") as folder:
        again = Path(folder) / "project"
        graph.config.config["OutputDir"] = str(again)
        with quiet(f"{path}: hls4ml cannot write the project"):
            graph.write()
        for written in sorted(_sources(again, graph.config.get_project_name())):
            found = path / written.relative_to(again)
            if not found.is_file():
                raise HwflowError(f"{found}: missing; write the project again")
            if found.read_bytes() != written.read_bytes():
                raise HwflowError(
                    f"{found}: not what hls4ml writes for the project's model and configuration, so that the C++ "
                    "would compute something else; give the model file with --hls-config"
                )


def _sources(project: Path, name: str) -> Iterator[Path]:
    """The files that decide what the C++ computes, in simulation and in synthesis."""
    firmware = project / "firmware"
    yield from (firmware / file for file in (f"{name}.cpp", f"{name}.h", "defines.h", "parameters.h"))
    yield from (file for file in (firmware / "weights").iterdir() if file.suffix in (".txt", ".h"))


def _load_config(path: Path) -> Any:
    """YAML or JSON; hls4ml's tag for a saved Keras model is read as its path, and no other object is made.

    Raises:
        HwflowError: it cannot be read.
    """

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!keras_model", lambda loader, node: loader.construct_scalar(node))
    try:
        content = path.read_bytes()
        if path.suffix == ".json":
            return parse_json(content)
        if len(content) > LARGEST_YAML:
            raise ValueError(f"more than {LARGEST_YAML} bytes of YAML")
        return yaml.load(content, Loader=Loader)
    except (OSError, ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        raise HwflowError(f"{path}: not a readable configuration ({' '.join(str(error).split())})") from error
