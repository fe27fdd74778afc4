"""The project folder: firmware by hls4ml and RTL, both of one design and with one set of reuse factors.

It holds

    project.json  which design, which reuse factors, sizes
    firmware/     the Vitis HLS project
    rtl/          SystemVerilog and memory images
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hwflow.cost.layers import LayerCost
from hwflow.errors import HwflowError
from hwflow.files.folders import (
    FILES,
    PROJECT,
    content_hash,
    read_json,
    sha256_file,
)
from hwflow.folders.design import Design
from hwflow.show import Shown
from hwflow.version import __version__


@dataclass(frozen=True, repr=False)
class Project(Shown):
    """A generated project.

    Attributes:
        path: the folder.
        design_sha256: content hash of the design that it was made from.
        io_type: hls4ml's interface style.
        reuse: reuse factors by layer.
        layers: a row for every weight layer.
        sizes: bytes on disk of ``firmware`` and ``rtl``, whichever were generated.
        notes: what was chosen differently from what was asked.
        refused: ``rtl``, if it was asked for and the RTL lacks something that the design needs, and the reason.
        area: what the RTL takes of an FPGA, by the estimate and by Yosys, if it ran, see ``docs/json.md``.
        pace: clock cycles of ``one_image`` alone and from ``image_to_image`` of the RTL; None where that is not known.
    """

    path: Path
    design_sha256: str
    io_type: str
    reuse: Mapping[str, int]
    layers: tuple[LayerCost, ...]
    sizes: Mapping[str, int]
    notes: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)
    area: Mapping[str, Any] = field(default_factory=dict)
    pace: Mapping[str, float] | None = None

    def facts(self) -> dict[str, object]:
        """The folder and what is in it."""
        parts = {name: f"{size / 2**20:.1f} MiB" for name, size in self.sizes.items()}
        return {"path": str(self.path), "io_type": self.io_type, **parts, **self.refused}

    def rows(self) -> list[dict[str, Any]]:
        """A row for every weight layer."""
        return [asdict(cost) for cost in self.layers]

    def part(self, name: str) -> Path:
        """The folder ``firmware`` or ``rtl``.

        Raises:
            HwflowError: the project was generated without it; why, if it could not be made.
        """
        if name in self.refused:
            raise HwflowError(f"{self.path}: has no {name}, which cannot be made of this design: {self.refused[name]}")
        if name not in self.sizes:
            raise HwflowError(f"{self.path}: generated without {name}; generate the project again with it")
        return self.path / name

    def to_json(self) -> dict[str, Any]:
        """The project as JSON data."""
        return {
            "project": str(self.path),
            "design_sha256": self.design_sha256,
            "io_type": self.io_type,
            "layers": [asdict(cost) for cost in self.layers],
            "bytes": dict(self.sizes),
            "notes": list(self.notes),
            "refused": dict(self.refused),
            "area": dict(self.area),
            "pace": self.pace,
        }


def load_project(path: str | Path, design: Design) -> Project:
    """Open a project folder, whose files are known to be what hwflow wrote.

    Files that a build or a simulation added later are not looked at.

    Raises:
        HwflowError: it is not one, it was made from another design or by another version, or a file of it was
            changed or is missing, which is named.
    """
    path = Path(path)
    if not PROJECT.describes(path):
        raise HwflowError(f"{path}: not a project folder; make one with 'hwflow generate {design.path} -o {path}'")
    manifest = read_json(path / PROJECT.manifest)
    if (manifest.get("hwflow"), manifest.get("design_sha256")) != (__version__, design.sha256):
        raise HwflowError(
            f"{path}: generated from another design or by another version; "
            f"run 'hwflow generate {design.path} -o FOLDER', and give that one"
        )
    _check_files(path, manifest)
    try:
        layers = tuple(LayerCost(**row) for row in manifest["layers"])
        reuse = {cost.name: cost.reuse_factor for cost in layers}
        notes = tuple(manifest["notes"])
        sizes, refused = dict(manifest["bytes"]), dict(manifest["refused"])
        area, pace = dict(manifest["area"]), manifest["pace"]
        return Project(path, design.sha256, manifest["io_type"], reuse, layers, sizes, notes, refused, area, pace)
    except (KeyError, TypeError, ValueError) as error:
        raise HwflowError(f"{path / PROJECT.manifest}: damaged; generate the project again with --force") from error


def _check_files(path: Path, manifest: Mapping[str, Any]) -> None:
    """Refuse a project of which a file, or the manifest, is not what hwflow wrote.

    Raises:
        HwflowError: the first such file is named.
    """
    again = "generate the project again with --force"
    files = manifest.get(FILES)
    if manifest.get("sha256") != content_hash(manifest) or not isinstance(files, dict):
        raise HwflowError(f"{path / PROJECT.manifest}: changed or damaged since hwflow wrote it (SHA-256); {again}")
    for name, expected in files.items():
        file = path / name
        if not file.is_file():
            raise HwflowError(f"{file}: missing from the project; {again}")
        if file.stat().st_size != expected["bytes"] or sha256_file(file) != expected["sha256"]:
            raise HwflowError(f"{file}: changed since hwflow wrote it (SHA-256); {again}")
