"""The project folder: firmware by hls4ml and RTL, both of one design and with one set of reuse factors.

It holds

    project.json  which design, which reuse factors, sizes
    firmware/     the Vitis HLS project
    rtl/          SystemVerilog and memory images
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from hwflow.design import Design, Step, open_design, silent
from hwflow.errors import HwflowError
from hwflow.files import (
    FILES,
    PROJECT,
    check_output,
    content_hash,
    file_hashes,
    folder_bytes,
    json_text,
    new_folder,
    read_json,
    sha256_file,
)
from hwflow.graph import Graph, WeightLayer
from hwflow.memory import layer_storage
from hwflow.outputs import check_outputs
from hwflow.reuse import choose_reuse, fold
from hwflow.version import __version__

IOType = Literal["io_stream", "io_parallel"]
DEFAULT_PART = "xczu7ev-ffvc1156-2-e"
"""A mid-size Zynq UltraScale+."""


@dataclass(frozen=True)
class LayerCost:
    """What one weight layer takes.

    Attributes:
        name: the layer.
        reuse_factor: cycles a matrix-vector product.
        pe: outputs handled in a cycle.
        simd: inputs handled in a cycle.
        words: words of its weight memory in hardware.
        word_bits: bits of such a word.
        bram_kbit: ``words`` x ``word_bits``, in units of 1024 bits.
        cycles_per_image: cycles that its multipliers are busy for one image.
        outliers: weights that a side memory completes.
        side_bits: bits of that memory, which faults do not reach.
    """

    name: str
    reuse_factor: int
    pe: int
    simd: int
    words: int
    word_bits: int
    bram_kbit: float
    cycles_per_image: int
    outliers: int
    side_bits: int


@dataclass(frozen=True)
class Project:
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
    """

    path: Path
    design_sha256: str
    io_type: str
    reuse: Mapping[str, int]
    layers: tuple[LayerCost, ...]
    sizes: Mapping[str, int]
    notes: tuple[str, ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)

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
        }


def generate(
    design: Design | str | Path,
    output: str | Path,
    *,
    io_type: IOType = "io_stream",
    reuse: int | None = None,
    target_cycles: int | None = None,
    part: str = DEFAULT_PART,
    bram_ports: bool = False,
    firmware: bool = True,
    rtl: bool = True,
    force: bool = False,
    step: Step = silent,
) -> Project:
    """Write the HLS project and the RTL of a design.

    The RTL of a network that ends in a softmax ends at its logits. If there can be no RTL of the design, the
    firmware is written all the same, and a note says why.

    Args:
        design: a design or its folder.
        output: the project folder to write.
        io_type: ``io_stream`` or ``io_parallel``, for the firmware.
        reuse: reuse factor wanted for every layer; the nearest valid one is taken.
        target_cycles: cycles an image instead, see :func:`hwflow.reuse.choose_reuse`.
        part: FPGA that the HLS project is for.
        bram_ports: weights of the firmware as external block-RAM ports instead of inside.
        firmware: write ``firmware/``.
        rtl: write ``rtl/``.
        force: replace an existing project folder.
        step: called with the name of each step.

    Raises:
        HwflowError: an option, a layer or a folder that stands in the way; or an operation that the RTL lacks,
            unless there is firmware.
    """
    if not (firmware or rtl):
        raise HwflowError("nothing to generate: leave out --no-firmware or --no-rtl")
    if io_type not in get_args(IOType):
        raise HwflowError(f"io_type {io_type!r} is unknown; choose one of {', '.join(get_args(IOType))}")
    output = Path(output)
    check_outputs({"design": design}, folders={"output": output})
    check_output(output, PROJECT, force)
    design = open_design(design)
    factors = choose_reuse(design.graph, reuse, target_cycles)
    costs = layer_costs(design.graph, factors)
    notes = _missed(costs, target_cycles)
    refused: dict[str, str] = {}
    with new_folder(output, PROJECT, force) as folder:
        if rtl:
            step("writing the RTL")
            try:
                notes += _write_rtl(design.graph, folder / "rtl", factors)
            except HwflowError as error:
                if not firmware:
                    raise
                refused["rtl"] = str(error)
                notes.append(f"there is no RTL: {error}; the firmware is complete, and --no-rtl asks for it alone")
        if firmware:
            step("writing the firmware with hls4ml")
            from hwflow import firmware as firmware_backend

            written = firmware_backend.generate(
                design.graph,
                None,  # the graph says everything, and TensorFlow stays out of it
                folder / "firmware",
                io_type=io_type,
                reuse=factors,
                part=part,
                bram_ports=bram_ports,
            )
            notes += written.notes
        manifest: dict[str, Any] = {
            "format": PROJECT.format,
            "hwflow": __version__,
            "design_sha256": design.sha256,
            "io_type": io_type,
            "part": part,
            "bram_ports": bram_ports,
            "layers": [asdict(cost) for cost in costs],
            "bytes": {name: folder_bytes(folder / name) for name in ("firmware", "rtl") if (folder / name).exists()},
            "notes": notes,
            "refused": refused,
            FILES: file_hashes(folder),
        }
        manifest["sha256"] = content_hash(manifest)
        (folder / PROJECT.manifest).write_text(json_text(manifest), encoding="utf-8")
    return load_project(output, design)


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
            f"run 'hwflow generate {design.path} -o {path} --force'"
        )
    _check_files(path, manifest)
    try:
        layers = tuple(LayerCost(**row) for row in manifest["layers"])
        reuse = {cost.name: cost.reuse_factor for cost in layers}
        notes = tuple(manifest["notes"])
        sizes, refused = dict(manifest["bytes"]), dict(manifest["refused"])
        return Project(path, design.sha256, manifest["io_type"], reuse, layers, sizes, notes, refused)
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


def _write_rtl(graph: Graph, folder: Path, reuse: Mapping[str, int]) -> list[str]:
    """Write the RTL, completely or not at all; a note if it ends before the network does."""
    from hwflow import rtl as rtl_backend

    try:
        rtl_backend.generate(graph, folder, reuse)
    except HwflowError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if graph.logits is graph:
        return []
    return [f"{graph.output.name}: the RTL ends at the logits before it; it has no softmax, the firmware has"]


def layer_costs(graph: Graph, reuse: Mapping[str, int]) -> tuple[LayerCost, ...]:
    """What every weight layer takes with its reuse factor."""
    return tuple(_layer_cost(layer, reuse[layer.name]) for layer in graph.weight_layers)


def _missed(costs: tuple[LayerCost, ...], target_cycles: int | None) -> list[str]:
    """A note for every layer that even its smallest reuse factor leaves above the target."""
    if target_cycles is None:
        return []
    return [
        f"{cost.name}: takes {cost.cycles_per_image} cycles an image, more than {target_cycles}; "
        f"{cost.reuse_factor} is its smallest reuse factor"
        for cost in costs
        if cost.cycles_per_image > target_cycles
    ]


def _layer_cost(layer: WeightLayer, reuse_factor: int) -> LayerCost:
    pe, simd = fold(layer, reuse_factor)
    word_bits = pe * simd * layer_storage(layer).bits
    return LayerCost(
        name=layer.name,
        reuse_factor=reuse_factor,
        pe=pe,
        simd=simd,
        words=reuse_factor,
        word_bits=word_bits,
        bram_kbit=reuse_factor * word_bits / 1024,
        cycles_per_image=layer.vectors * reuse_factor,
        outliers=0 if layer.outliers is None else len(layer.outliers.index),
        side_bits=layer.side_bits,
    )
