"""The design folder: a hardened network with all that later steps need, checked when it is opened.

It holds

    design.json   manifest: versions, options, scale plan, calibration, the SHA-256 of every file and of itself
    graph.json    the typed graph (:meth:`hwflow.graph.Graph.to_dict`)
    arrays.npz    its constants, as integer codes
    model.h5      the Keras model
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from hwflow.arrays import read_npz
from hwflow.errors import HwflowError
from hwflow.files import DESIGN, check_output, content_hash, json_text, new_folder, read_json, sha256_file
from hwflow.graph import Graph
from hwflow.hardening import HardenOptions, summary
from hwflow.hardening import harden as harden_graph
from hwflow.naming import identifier
from hwflow.npz import npz_bytes
from hwflow.outputs import check_outputs, data_path, model_paths
from hwflow.version import __version__

if TYPE_CHECKING:
    from hwflow.data import Data, Float32, Preprocessing, Unreadable
    from hwflow.models import KerasModel

FORMAT_VERSION = 2
CALIBRATION_IMAGES = 256
RECORDED_VERSIONS = ("hls4ml", "tensorflow-cpu", "keras", "qkeras", "numpy")

_FILES = ("graph.json", "arrays.npz", "model.h5")

Step = Callable[[str], None]
"""Called with what happens next, for a progress display."""


def silent(_: str) -> None:
    """Show no progress."""


@dataclass(frozen=True, eq=False)
class Design:
    """An opened and verified design folder.

    Attributes:
        path: the folder.
        graph: the typed graph.
        manifest: the content of ``design.json``.
    """

    path: Path
    graph: Graph
    manifest: Mapping[str, Any]

    @property
    def sha256(self) -> str:
        """Content hash of the whole folder."""
        return str(self.manifest["sha256"])

    @property
    def source(self) -> str:
        """The model that was hardened, as it was named then."""
        return str(self.manifest["source"])

    def layers(self) -> list[dict[str, Any]]:
        """A row for every weight layer: what scaling did to it, and its types."""
        rows = []
        for scaled, layer in zip(self.manifest["plan"]["layers"], self.graph.weight_layers, strict=True):
            rows.append(
                {
                    "name": layer.name,
                    "weights": scaled["weights"],
                    "max_abs": scaled["max_abs"],
                    "c": scaled["c"],
                    "c_largest": scaled["c_largest"],
                    "log2_scale": math.log2(scaled["scale"]),
                    "bits_used": scaled["bits_used"],
                    "quantisation_error": scaled["quantisation_error"],
                    "alignment": scaled["alignment"],
                    "outliers": scaled["outliers"],
                    "side_bits": scaled["side_bits"],
                    "weight_type": str(layer.weight.type),
                    "accum_type": str(layer.accum),
                    "output_type": str(layer.type),
                }
            )
        return rows

    def keras_model(self) -> KerasModel:
        """The Keras model that was hardened."""
        from hwflow.models import load_model

        model = load_model(self.path / "model.h5")
        # Keras takes any name for a model, but then cannot run it in a TensorFlow graph.
        model._name = identifier(self.graph.name)
        return model


def harden(
    model: str | Path | KerasModel,
    output: str | Path,
    options: HardenOptions | None = None,
    *,
    torch_weights: str | Path | None = None,
    classes: int | None = None,
    image_size: int | None = None,
    calibration: str | Path | Data | None = None,
    preprocessing: str | Preprocessing | None = None,
    calibration_images: int = CALIBRATION_IMAGES,
    seed: int = 0,
    force: bool = False,
    step: Step = silent,
) -> Design:
    """Scale, quantise and calibrate a network, and write a design folder.

    Args:
        model: an embedded network's or a port's name, a model file, or a Keras model.
        output: the design folder to write.
        options: see :class:`~hwflow.hardening.HardenOptions`.
        torch_weights: state dict of a port, see :func:`hwflow.models.load_torchvision`.
        classes: of a port, by default as in the original.
        image_size: pixels a side of a port's image, by default as in the original.
        calibration: images that the activation types come from: ``digits``, an ``.npz``, a folder of images,
            or a data set; embedded networks have the training split of the digits as default.
        preprocessing: of a folder's images, see :data:`hwflow.data.PRESETS`; by default ``cifar`` for
            images of up to 64 pixels, else ``imagenet``.
        calibration_images: how many of them, drawn at random if there are more.
        seed: seed of that draw.
        force: replace an existing design folder.
        step: called with the name of each step.

    Raises:
        HwflowError: the model, the images or the options cannot be hardened, or the folder exists.
    """
    output = Path(output)
    options = options or HardenOptions()
    reads = {**model_paths(model), "state dict": torch_weights, "calibration data": data_path(calibration)}
    check_outputs(reads, folders={"output": output})
    check_output(output, DESIGN, force)
    source = str(model) if isinstance(model, str | Path) else str(getattr(model, "name", "model"))
    if calibration_images < 1:
        raise HwflowError(f"calibration needs at least one image, not {calibration_images}")
    data = _calibration_data(source, calibration, preprocessing)

    step("loading the model")
    keras_model = _load(model, torch_weights, classes, image_size)
    step("reading it with hls4ml")
    from hwflow.data import suited
    from hwflow.firmware.convert import network_graph
    from hwflow.frontends.keras_agreement import measure
    from hwflow.frontends.keras_check import check, check_images
    from hwflow.frontends.keras_network import read_network

    network = read_network(keras_model)
    graph = network_graph(network)
    step("reading the calibration images")
    if isinstance(calibration, str | Path) and preprocessing is None:
        data = suited(data, graph.input.shape)
    images, about = _draw(data, calibration_images, seed, graph.input.shape)
    step("comparing it with the Keras model")
    checked = images[: check_images(len(images))]
    unscaled_error = check(graph, network, checked, keras_model)
    step("scaling and calibrating")
    hardened = harden_graph(graph, images, options)
    step("comparing the hardened network with the Keras model")
    agreement = measure(hardened.graph, network, checked, unscaled_error, options.scaling.granularity == "layer")
    step("writing the design")
    content = summary(hardened)
    content["calibration"].update(about)
    with new_folder(output, DESIGN, force) as folder:
        write_graph(folder, hardened.graph)
        _save_keras(keras_model, folder / "model.h5")
        origin = {"source": source, "torch_weights": None if torch_weights is None else _named(Path(torch_weights))}
        about = {**origin, "options": describe(options), **content, "check": agreement.to_json()}
        write_manifest(folder, about, hardened.graph)
    return load_design(output)


def load_design(path: str | Path) -> Design:
    """Open a design folder.

    Raises:
        HwflowError: it is not a design folder, was made by another version, or its content is not what
            was written.
    """
    path = Path(path)
    manifest = _read_manifest(path)
    for name, expected in manifest["files"].items():
        file = path / name
        if not file.is_file():
            raise HwflowError(f"{file}: missing from the design; harden the model again")
        if sha256_file(file) != expected["sha256"]:
            raise HwflowError(f"{file}: changed or damaged since hwflow wrote it (SHA-256); harden the model again")
    return Design(path, _read_graph(path), manifest)


def open_design(design: Design | str | Path) -> Design:
    """``design`` itself, or the design in that folder."""
    return design if isinstance(design, Design) else load_design(design)


def write_graph(folder: Path, graph: Graph) -> None:
    """Write ``graph.json`` and ``arrays.npz``; equal graphs give equal bytes."""
    data, arrays = graph.to_dict()
    (folder / "graph.json").write_text(json_text(data), encoding="utf-8")
    # A narrow type halves the time of a large network: zlib would find the zeros, but one byte at a time.
    (folder / "arrays.npz").write_bytes(npz_bytes({name: _narrow(array) for name, array in arrays.items()}))


def _narrow(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Integers in the smallest type that holds them; real values as they are."""
    if array.dtype.kind != "i" or not array.size:
        return array
    return array.astype(np.min_scalar_type(min(int(array.min()), -1 - int(array.max()))))


def write_manifest(folder: Path, content: Mapping[str, Any], graph: Graph) -> None:
    """Write ``design.json`` over the files that ``folder`` holds."""
    manifest: dict[str, Any] = {
        "format": DESIGN.format,
        "format_version": FORMAT_VERSION,
        "hwflow": __version__,
        "versions": {name: _version(name) for name in RECORDED_VERSIONS},
        "name": graph.name,
        "graph_sha256": graph.digest,
        **content,
        "files": {
            name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_file(folder / name)}
            for name in _FILES
            if (folder / name).exists()
        },
    }
    manifest["sha256"] = content_hash(manifest)
    (folder / DESIGN.manifest).write_text(json_text(manifest), encoding="utf-8")


def describe(options: HardenOptions) -> dict[str, Any]:
    """Hardening options as JSON data."""
    scaling = options.scaling
    return {
        "weights": str(scaling.weight_type),
        "t": scaling.target,
        "scale": scaling.scale,
        "align": scaling.align,
        "compensation": scaling.compensation,
        "saturate": scaling.saturate,
        "granularity": scaling.granularity,
        "absorb": scaling.absorb,
        "renormalise": scaling.renormalise,
        "outliers": scaling.outliers,
        "activation_bits": options.activation_bits,
        "guard_bits": options.guard_bits,
        "rounding": options.rounding.value,
        "storage": options.storage,
    }


def _load(
    model: str | Path | KerasModel, torch_weights: str | Path | None, classes: int | None, image_size: int | None
) -> KerasModel:
    from hwflow.models import load_model

    if isinstance(model, str | Path):
        return load_model(model, torch_weights, classes, image_size)
    if (torch_weights, classes, image_size) != (None, None, None):
        raise HwflowError("a Keras model brings its weights and shape; leave out torch_weights, classes and image_size")
    return model


def _named(path: Path) -> dict[str, str]:
    """A file as the manifest tells of it."""
    return {"file": path.name, "sha256": sha256_file(path)}


def _calibration_data(
    source: str, calibration: str | Path | Data | None, preprocessing: str | Preprocessing | None
) -> Data:
    from hwflow.data import DIGITS, open_images
    from hwflow.models import EMBEDDED

    if calibration is None:
        if source not in EMBEDDED:
            raise HwflowError(
                f"{source}: activation types need images; give --calibration {DIGITS}, an .npz or a folder of images"
            )
        calibration = DIGITS
    if isinstance(calibration, str | Path):
        return open_images(calibration, "train", preprocessing)
    if preprocessing is not None:
        raise HwflowError(f"{calibration.name}: preprocessing is for a folder that is opened here")
    return calibration


def _draw(data: Data, count: int, seed: int, shape: tuple[int, ...]) -> tuple[Float32, dict[str, Any]]:
    """The calibration images, and what the manifest tells about them."""
    from hwflow.data import ImageSet, check_shape, drawn, preset_name, unreadable_text

    chosen = drawn(data, count, seed)
    name: str | None = None
    unreadable: list[Unreadable] = []
    if isinstance(chosen, ImageSet):
        (batch,) = chosen.batches(len(chosen))
        images, unreadable = batch.images, list(batch.unreadable)
        name = preset_name(chosen.preprocessing)
        if not len(images):
            raise HwflowError(f"{data.name}: {unreadable_text(unreadable, len(chosen))}")
    else:
        images = chosen.images
    try:
        check_shape(images, shape)
    except HwflowError as error:
        raise HwflowError(f"{data.name}: {error}") from error
    return images, {
        "data": data.name,
        "seed": seed,
        "preprocessing": name,
        "unreadable": [{"path": str(each.path), "reason": each.reason} for each in unreadable],
    }


def _save_keras(model: KerasModel, path: Path) -> None:
    import warnings

    import h5py

    # In memory first: where a disk is full, HDF5 ends the process.
    with h5py.File(path.name, "w", driver="core", backing_store=False) as file, warnings.catch_warnings():
        # Keras calls HDF5 legacy; QKeras reads nothing else back reliably.
        warnings.simplefilter("ignore", UserWarning)
        model.save(file, include_optimizer=False)
        file.flush()
        content = file.id.get_file_image()
    path.write_bytes(content)


def _read_manifest(path: Path) -> dict[str, Any]:
    file = path / DESIGN.manifest
    if not path.exists():
        raise HwflowError(f"{path}: no such design folder; make one with 'hwflow harden MODEL -o {path}'")
    if not file.is_file():
        raise HwflowError(f"{path}: not a design folder, it has no {DESIGN.manifest}; make one with 'hwflow harden'")
    try:
        manifest = read_json(file)
    except HwflowError as error:
        raise HwflowError(f"{error}; harden the model again") from error
    if not isinstance(manifest, dict) or manifest.get("format") != DESIGN.format:
        raise HwflowError(f"{file}: not the manifest of a design; make one with 'hwflow harden'")
    ours = (FORMAT_VERSION, __version__)
    theirs = (manifest.get("format_version"), manifest.get("hwflow"))
    if theirs != ours:
        raise HwflowError(
            f"{path}: made by hwflow {theirs[1]} (format {theirs[0]}), this is {ours[1]} (format {ours[0]}); "
            "harden the model again"
        )
    if manifest.get("sha256") != content_hash(manifest) or set(manifest.get("files", ())) != set(_FILES):
        raise HwflowError(f"{file}: changed or damaged since hwflow wrote it (SHA-256); harden the model again")
    return manifest


def _read_graph(path: Path) -> Graph:
    try:
        data = read_json(path / "graph.json")
        return Graph.from_dict(data, read_npz(path / "arrays.npz"))
    except ValueError as error:
        raise HwflowError(f"{path}: its graph cannot be read ({error}); harden the model again") from error


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
