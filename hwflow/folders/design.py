"""The design folder: a hardened network with all that later steps need, checked when it is opened.

It holds

    design.json   manifest: versions, options, scale plan, calibration, the SHA-256 of every file and of itself
    graph.json    the typed graph (:meth:`hwflow.graph.Graph.to_dict`)
    arrays.npz    its constants, as integer codes
    model.h5      the Keras model
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwflow.errors import HwflowError
from hwflow.files.arrays import read_npz
from hwflow.files.folders import DESIGN, content_hash, json_text, read_json, sha256_file
from hwflow.files.npz import npz_bytes
from hwflow.graph import Graph
from hwflow.graph.naming import identifier
from hwflow.show import Shown
from hwflow.version import __version__

if TYPE_CHECKING:
    from hwflow.models import KerasModel

FORMAT_VERSION = 2
RECORDED_VERSIONS = ("hls4ml", "tensorflow-cpu", "keras", "qkeras", "qkeras-v3", "numpy")

_FILES = ("graph.json", "arrays.npz", "model.h5")


@dataclass(frozen=True, eq=False, repr=False)
class Design(Shown):
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

    def facts(self) -> dict[str, object]:
        """The network and its size."""
        weights = self.graph.weight_layers
        return {
            "name": self.graph.name,
            "path": str(self.path),
            "input": self.graph.input.shape,
            "outputs": self.graph.output.shape[-1],
            "layers": len(weights),
            "weights": sum(layer.weight.codes.size for layer in weights),
            "weight_type": " ".join(sorted({str(layer.weight.type) for layer in weights})),
            "storage": " ".join(sorted({layer.storage.name for layer in weights})),
        }

    def rows(self) -> list[dict[str, Any]]:
        """As :meth:`layers`."""
        return self.layers()

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
                    "kept": 0 if layer.kept is None else len(layer.kept.index),
                    "side_bits": layer.side_bits,
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
    (folder / "arrays.npz").write_bytes(npz_bytes(arrays, narrow=True))


def write_manifest(folder: Path, content: Mapping[str, Any], graph: Graph) -> None:
    """Write ``design.json`` over the files that ``folder`` holds."""
    manifest: dict[str, Any] = {
        "format": DESIGN.format,
        "format_version": FORMAT_VERSION,
        "hwflow": __version__,
        "versions": {name: found for name in RECORDED_VERSIONS if (found := _version(name)) is not None},
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


def content_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a manifest was written with, without what :func:`write_manifest` says by itself."""
    own = ("format", "format_version", "hwflow", "versions", "name", "graph_sha256", "files", "sha256")
    return {key: value for key, value in manifest.items() if key not in own}


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
