"""hls4ml's own C simulation of a ModelGraph: written by hls4ml, compiled, run in a child process, layer by layer."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from hls4ml.model.graph import ModelGraph

from hwflow.errors import HwflowError
from hwflow.firmware.csim import compiler, first_reason, run_worker
from hwflow.frontends.quiet import quiet

WORKER = Path(__file__).with_name("_csim_worker.py")

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Hls4mlSimulation:
    """A compiled C simulation.

    Attributes:
        library: shared library with hls4ml's bridge.
        project: name of the top function.
        outputs: sizes of the outputs.
        layers: sizes of the traced layers, by name.
    """

    library: Path
    project: str
    outputs: tuple[int, ...]
    layers: dict[str, int]

    def run(self, inputs: Sequence[Floats]) -> tuple[list[Floats], dict[str, Floats]]:
        """Outputs ``(n, size)`` and traced layers ``(n, size)`` of inputs ``(n, size)``.

        Raises:
            HwflowError: the simulation stops, for instance at one of hls4ml's assertions.
        """
        folder = self.library.parent
        request, result = folder / "request.npz", folder / "result.npz"
        names = list(self.layers)
        arrays = {f"input:{index}": np.ascontiguousarray(each, np.float64) for index, each in enumerate(inputs)}
        np.savez(
            request,
            outputs=np.array(self.outputs),
            layers=np.array(names, dtype="U"),
            sizes=np.array([self.layers[name] for name in names], dtype=np.int64),
            **arrays,
        )
        run_worker(WORKER, folder, self.library, self.project, request, result)
        with np.load(result) as arrays_back:
            outputs = [arrays_back[f"output:{index}"] for index in range(len(self.outputs))]
            return outputs, {name: arrays_back[f"layer:{name}"] for name in names}


def simulation(model: ModelGraph, folder: Path) -> Hls4mlSimulation:
    """Write a ModelGraph with hls4ml, every layer traced, and compile it.

    Args:
        model: a converted ModelGraph; its output folder and its layers' trace options are set.
        folder: empty folder for the project.

    Raises:
        HwflowError: hls4ml cannot write it, g++ is missing, or g++ refuses it.
    """
    command = [*compiler(folder), '-DWEIGHTS_DIR="weights"']
    model.config.config["OutputDir"] = str(folder)
    model.config.trace_output = True
    layers = {}
    for layer in model.get_layers():
        if layer.get_attr("function_cpp") and len(layer.get_variables()) == 1:
            layer.set_attr("trace", True)
            layers[layer.name] = math.prod(int(size) for size in layer.get_output_variable().shape)
        else:
            layer.set_attr("trace", False)
    with quiet(f"{folder}: hls4ml cannot write the project"):
        model.write()
    name = model.config.get_project_name()
    source, library = folder / "csim.cpp", folder / f"{name}.so"
    # One translation unit compiles in half the time of hls4ml's two.
    source.write_text(f'#include "firmware/{name}.cpp"\n#include "{name}_bridge.cpp"\n', encoding="utf-8")
    done = subprocess.run([*command, source, "-o", library], capture_output=True, text=True, check=False)
    if done.returncode:
        raise HwflowError(f"{folder}: g++ refuses hls4ml's project: {first_reason(done.stderr)}")
    outputs = tuple(int(variable.size()) for variable in model.get_output_variables())
    return Hls4mlSimulation(library, name, outputs, layers)
