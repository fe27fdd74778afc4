"""The testbench of a Vitis project: real inputs, and what the reference makes of them without and with faults."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from hwflow.faults import FaultList
from hwflow.faults.sampling import sample_count
from hwflow.firmware.project import FirmwareProject
from hwflow.firmware.writer import decimal, definition
from hwflow.fixed import FixedType
from hwflow.graph import Graph, IntArray
from hwflow.memory import memories
from hwflow.reference import IntegerExecutor
from hwflow.reference.stimuli import Stimuli
from hwflow.resources import markdown, render
from hwflow.version import __version__

FEWEST_FLIPS, MOST_FLIPS = 16, 4096
FLIPPED_SHARE = 1e-4
"""Of the stored bits, between those two."""


def write_testbench(
    graph: Graph, model: Any, names: Mapping[str, str], project: FirmwareProject, stimuli: Stimuli, folder: Path
) -> None:
    """Write the testbench, its data and the project's README.

    Args:
        graph: the typed graph.
        model: hls4ml's ModelGraph of it.
        names: of the layers in ``model``, by those in ``graph``.
        project: what was written of it.
        stimuli: the images.
        folder: the project's folder.
    """
    faults = _faults(graph)
    reference, data = IntegerExecutor(graph), folder / "tb_data"
    output = graph.output.resolved
    _write_rows(data / "tb_input_features.dat", stimuli.codes, graph.input.resolved)
    _write_rows(data / "tb_output_predictions.dat", reference.run(stimuli.codes), output)
    _write_rows(data / "tb_output_faulted.dat", reference.run(stimuli.codes, faults), output)
    lines = []
    for memory in faults.memories:
        words, bits = faults.for_memory(memory.name)
        symbol = project.memories[memory.name].symbol
        lines += [f"{symbol} {word} {bit}" for word, bit in zip(words.tolist(), bits.tolist(), strict=True)]
    (data / "faults.dat").write_text("".join(f"{line}\n" for line in lines), encoding="ascii")
    faults.save(data / "faults.json")

    arrays = [model.graph[names[layer.name]].get_weights("weight") for layer in graph.weight_layers]
    ports = [variable for variable in arrays if variable.storage == "bram"]  # all of them, or none
    (source,), (result,) = model.get_input_variables(), model.get_output_variables()
    values = {
        "name": project.name,
        "ports": ports,
        "memories": arrays,
        "input": source,
        "output": result,
        "definition": definition,
        "arguments": ", ".join(["x", "y", *(variable.name for variable in ports)]),
        "title": markdown(graph.name) if graph.name.isprintable() and graph.name.strip() else project.name,
        "version": __version__,
        "hls4ml": metadata.version("hls4ml"),
        "digest": graph.digest,
        "io_type": project.io_type,
        "part": project.part,
        "clock_period": f"{project.clock_period:g}",
        "source": markdown(stimuli.source),
        "flips": len(faults),
        "rows": [
            {
                "layer": markdown(layer.name),
                "memory": project.memories[f"{layer.name}.weight"],
                "reuse": project.reuse[layer.name],
            }
            for layer in graph.weight_layers
        ],
    }
    for template, path in (("testbench.cpp", f"{project.name}_test.cpp"), ("README.md", "README.md")):
        (folder / path).write_text(render(f"project/firmware/{template}.j2", values), encoding="utf-8")


def _faults(graph: Graph) -> FaultList:
    stored = memories(graph)
    bits = sum(memory.words * memory.bits for memory in stored)
    count = min(bits, max(FEWEST_FLIPS, min(MOST_FLIPS, round(FLIPPED_SHARE * bits))))
    return sample_count(stored, count, 0, graph.digest)


def _write_rows(path: Path, codes: IntArray, type_: FixedType) -> None:
    """Write the exact values of codes ``(n, ...)``, a line for each of the n."""
    rows = type_.decode(codes).reshape(len(codes), -1)
    distinct = np.unique(rows)
    words = dict(zip(distinct.tolist(), map(decimal, distinct.tolist()), strict=True))
    path.write_text("".join(" ".join(map(words.__getitem__, row)) + "\n" for row in rows.tolist()), encoding="ascii")
