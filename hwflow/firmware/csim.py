"""C simulation of a written Vitis project, bit for bit, with upsets in its stored words."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hwflow.errors import HwflowError
from hwflow.faults import FaultList
from hwflow.files import compiled
from hwflow.firmware.project import FirmwareProject, open_project
from hwflow.graph import Graph, IntArray
from hwflow.memory import check_faults

WORKER = Path(__file__).with_name("_csim_worker.py")
FLAGS = ("-std=c++17", "-O1", "-fPIC", "-shared", "-w")


class CsimExecutor:
    """Runs a project's C++ on integer codes.

    The project is compiled once, beside its sources, and compiled again when a source changes; weights
    are read from the project's text files on every run. Each run is a process of its own, because
    hls4ml's asserts abort theirs.

    Args:
        project: folder of a project written by :func:`hwflow.firmware.generate`.
        graph: the hardened graph that it was written from.

    Raises:
        HwflowError: no project there, or one of another graph.
    """

    def __init__(self, project: str | Path, graph: Graph) -> None:
        self.project: FirmwareProject = open_project(project)
        self.graph = graph
        if self.project.graph != graph.digest:
            raise HwflowError(f"{project}: written from another hardened graph; generate the project again")

    def run(self, codes: IntArray, faults: FaultList | None = None) -> IntArray:
        """Output codes ``(n, *output shape)`` of input codes ``(n, *input shape)``.

        Args:
            codes: codes of the input type.
            faults: upsets of the stored words, present for the whole run.

        Raises:
            HwflowError: codes of another shape, faults of another design, no compiler, or a simulation
                that stops.
        """
        if codes.shape[1:] != self.graph.input.shape:
            raise HwflowError(f"inputs have shape {codes.shape[1:]}, but the network takes {self.graph.input.shape}")
        shape = self.graph.output.shape
        request: dict[str, npt.NDArray[Any]] = {
            "codes": codes.reshape(len(codes), -1),
            "outputs": np.array(int(np.prod(shape))),
        }
        if faults is not None:
            request |= self._flips(faults)
        library = self.build()
        with tempfile.TemporaryDirectory(prefix="hwflow-csim-") as folder:
            arguments = Path(folder) / "request.npz"
            result = Path(folder) / "result.npy"
            np.savez(arguments, **request)
            run_worker(WORKER, self.project.path, library, arguments, result)
            outputs: IntArray = np.load(result)
        return outputs.reshape(len(codes), *shape)

    def build(self) -> Path:
        """Compile the project unless that is done, and return the shared library.

        Raises:
            HwflowError: g++ is missing, or it refuses the sources.
        """
        root = self.project.path.resolve()
        library = root / "csim" / f"{self.project.name}-{self._source_hash()}.so"
        if compiled.intact(library):
            return library
        command = [*compiler(root), str(root / "csim.cpp")]
        library.parent.mkdir(exist_ok=True)

        def compile_to(made: Path) -> None:
            done = subprocess.run([*command, "-o", made], capture_output=True, text=True, check=False)
            if done.returncode:
                raise HwflowError(f"{self.project.path}: g++ refuses the project: {first_reason(done.stderr)}")

        # The libraries of earlier sources stay: another process may be about to load one.
        compiled.build(library, compile_to)
        return library

    def _flips(self, faults: FaultList) -> dict[str, npt.NDArray[Any]]:
        """The words with faults and the bits to flip in them, by array of the C++."""
        check_faults(self.graph, faults)
        flips: dict[str, npt.NDArray[Any]] = {}
        for memory in faults.memories:
            words, masks = faults.masks(memory.name)
            if len(words):
                symbol = self.project.memories[memory.name].symbol
                flips[f"words:{symbol}"], flips[f"masks:{symbol}"] = words, masks
        return flips

    def _source_hash(self) -> str:
        """A hash of every source and flag; the weights' headers only matter to synthesis."""
        root = self.project.path
        sha = hashlib.sha256(" ".join(FLAGS).encode())
        sources = [root / "csim.cpp", root / "hwflow_csim.h"]
        sources += sorted((root / "firmware").glob("*.cpp")) + sorted((root / "firmware").glob("*.h"))
        sources += sorted((root / "firmware" / "nnet_utils").glob("*.h"))
        for source in sources:
            if not source.is_file():
                raise HwflowError(f"{source}: missing; generate the project again")
            sha.update(source.name.encode() + source.read_bytes())
        return sha.hexdigest()[:16]


def compiler(project: Path) -> list[str]:
    """g++ with the options by which the C simulation of a project in this folder is compiled.

    Raises:
        HwflowError: g++ is missing.
    """
    program = shutil.which("g++")
    if program is None:
        raise HwflowError("g++ is missing, which C simulation needs; install it (apt install g++)")
    return [program, *FLAGS, f"-I{project}", f"-I{project}/firmware/ap_types"]


def run_worker(script: Path, project: Path, *arguments: str | Path) -> None:
    """Run a script that loads a C simulation in a process of its own, which hls4ml's assertions may abort.

    Args:
        script: path of the script.
        project: the project's folder; the script runs in its ``firmware``, where the library finds its weights.
        arguments: of the script.

    Raises:
        HwflowError: the simulation stopped.
    """
    done = subprocess.run(
        [sys.executable, str(script), *map(str, arguments)],
        cwd=project / "firmware",
        capture_output=True,
        text=True,
        check=False,
    )
    # hls4ml reports a weight file of the wrong length and carries on
    if done.returncode or "ERROR" in done.stderr:
        ended = f"signal {-done.returncode}" if done.returncode < 0 else f"status {done.returncode}"
        raise HwflowError(f"{project}: C simulation stopped ({ended}): {first_reason(done.stderr)}")


def first_reason(text: str) -> str:
    """The line that says why: the first with "error" or "Assertion", else the last."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in lines:
        if "error" in line.lower() or "assertion" in line.lower():
            return line
    return lines[-1] if lines else "no message"
