"""Generating a project: firmware by hls4ml and RTL, both of one design and with one set of reuse factors."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from hwflow.cost import DEFAULT_PART
from hwflow.cost.layers import layer_costs
from hwflow.data import DataLike, data_path
from hwflow.errors import HwflowError
from hwflow.files.folders import (
    FILES,
    PROJECT,
    check_output,
    content_hash,
    file_hashes,
    folder_bytes,
    json_text,
    new_folder,
)
from hwflow.files.outputs import check_outputs
from hwflow.firmware.project import IOType
from hwflow.folders.design import Design, open_design
from hwflow.folders.project import Project, load_project
from hwflow.graph import Graph
from hwflow.progress import Step, silent
from hwflow.reference.stimuli import Stimuli
from hwflow.stages.area import Synthesiser, area_json, check_synthesis, synthesis_json
from hwflow.stages.folding import choose_folding
from hwflow.stages.stimuli import stimuli_for
from hwflow.version import __version__


def generate(
    design: Design | str | Path,
    output: str | Path,
    *,
    io_type: IOType = "io_stream",
    reuse: int | None = None,
    target_cycles: int | None = None,
    part: str | None = None,
    bram_ports: bool = False,
    loadable: bool = False,
    uram: bool = False,
    data: DataLike | None = None,
    firmware: bool = True,
    rtl: bool = True,
    synth: Synthesiser | None = None,
    force: bool = False,
    step: Step = silent,
) -> Project:
    """Write the HLS project and the RTL of a design.

    The RTL of a network that ends in a softmax of more than 511 classes ends at its logits. If there can be no RTL of
    the design, the firmware is written all the same, and a note says why.

    Args:
        design: a design or its folder.
        output: the project folder to write.
        io_type: ``io_stream`` or ``io_parallel``, for the firmware.
        reuse: reuse factor wanted for every layer; the nearest valid one is taken.
        target_cycles: cycles an image instead, see :func:`hwflow.stages.reaching.reach`.
        part: FPGA that the projects are for; without reuse factor or cycles, the design is the fastest that fits it,
            see :mod:`hwflow.stages.folding`. By default a Zynq UltraScale+, which has no say in the folding.
        bram_ports: weights of the firmware as external block-RAM ports instead of inside.
        loadable: outliers' rests, decoder tables, rescaling constants and limits of the RTL can be written over the
            bus, as weights can, so that it loads any network of the same shape and types; see docs/registers.md.
        uram: weights of the RTL may lie in the URAM of ``part`` where its block RAM has no room for them. They are
            loaded before the first image, see docs/registers.md.
        data: images for the tests inside the project, see :func:`hwflow.stages.stimuli.stimuli_for`.
        firmware: write ``firmware/``.
        rtl: write ``rtl/``.
        synth: ``yosys``: synthesise the RTL, and keep beside the estimate what it takes.
        force: replace an existing project folder.
        step: called with the name of each step.

    Raises:
        HwflowError: an option, a layer or a folder that stands in the way; a design that does not fit the
            part; or an operation that the RTL lacks, unless there is firmware.
    """
    if not (firmware or rtl):
        raise HwflowError("nothing to generate: leave out --no-firmware or --no-rtl")
    if loadable and not rtl:
        raise HwflowError("--loadable is for the RTL; leave out --no-rtl")
    if uram and not rtl:
        raise HwflowError("--uram is for the RTL; leave out --no-rtl")
    if synth is not None:
        check_synthesis(synth, rtl)
    if io_type not in get_args(IOType):
        raise HwflowError(f"io_type {io_type!r} is unknown; choose one of {', '.join(get_args(IOType))}")
    output = Path(output)
    check_outputs({"design": design, "data": data_path(data)}, folders={"output": output})
    check_output(output, PROJECT, force)
    design = open_design(design)
    if part is not None:
        step("choosing what fits the part")
    folding = choose_folding(design.graph, reuse, target_cycles, part, loadable, uram, rtl)
    factors, part = folding.factors, part or DEFAULT_PART
    costs = layer_costs(design.graph, factors)
    stimuli = stimuli_for(design, data)
    notes = list(folding.notes)
    refused: dict[str, str] = {}
    area: dict[str, Any] = {}
    pace: dict[str, float] | None = None
    with new_folder(output, PROJECT, force) as folder:
        if rtl:
            step("writing the RTL")
            try:
                written_rtl = _write_rtl(design.graph, folder / "rtl", factors, part, stimuli, loadable, uram)
                notes += written_rtl["notes"]
                area, pace = area_json(written_rtl), written_rtl["pace"]
            except HwflowError as error:
                if not firmware:
                    raise
                refused["rtl"] = str(error)
                notes.append(f"there is no RTL: {error}; the firmware is complete, and --no-rtl asks for it alone")
        if synth is not None and area:
            step("synthesising the RTL with Yosys")
            area |= synthesis_json(folder / "rtl", written_rtl, part)
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
                stimuli=stimuli,
            )
            notes += written.notes
        manifest: dict[str, Any] = {
            "format": PROJECT.format,
            "hwflow": __version__,
            "design_sha256": design.sha256,
            "io_type": io_type,
            "part": part,
            "bram_ports": bram_ports,
            "loadable": loadable,
            "uram": uram,
            "layers": [asdict(cost) for cost in costs],
            "bytes": {name: folder_bytes(folder / name) for name in ("firmware", "rtl") if (folder / name).exists()},
            "notes": notes,
            "refused": refused,
            "area": area,
            "pace": pace,
            FILES: file_hashes(folder),
        }
        manifest["sha256"] = content_hash(manifest)
        (folder / PROJECT.manifest).write_text(json_text(manifest), encoding="utf-8")
    return load_project(output, design)


def _write_rtl(
    graph: Graph, folder: Path, reuse: Mapping[str, int], part: str, stimuli: Stimuli, loadable: bool, uram: bool
) -> dict[str, Any]:
    """Write the RTL, completely or not at all; what it is, with a note if it ends before the network does."""
    from hwflow import rtl as rtl_backend

    try:
        written = rtl_backend.generate(graph, folder, reuse, part=part, stimuli=stimuli, loadable=loadable, uram=uram)
    except HwflowError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if graph.in_rtl is graph:
        return written
    ends = f"{graph.output.name}: the RTL ends at the logits before it, as its table is too large; the firmware has it"
    return {**written, "notes": [*written["notes"], ends]}


@contextmanager
def project_for(
    design: Design, project: str | Path | None, parts: Sequence[str], step: Step = silent
) -> Iterator[Project | None]:
    """The given project, or a temporary one with some parts that lasts as long as the block; ``None`` without parts.

    Raises:
        HwflowError: it is not the design's, or a part cannot be made of the design.
    """
    if project is not None:
        yield load_project(project, design)
        return
    if not parts:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="hwflow-", ignore_cleanup_errors=True) as folder:
        firmware, rtl = "firmware" in parts, "rtl" in parts
        made = generate(design, Path(folder) / "project", firmware=firmware, rtl=rtl, step=step)
        if "rtl" in made.refused:
            raise HwflowError(f"{design.path}: there is no RTL to simulate: {made.refused['rtl']}")
        yield made
