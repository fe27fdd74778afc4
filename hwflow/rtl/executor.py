"""Runs the RTL project in a simulator under cocotb."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from hwflow import resources
from hwflow.cost.packing import packing
from hwflow.errors import HwflowError
from hwflow.faults import FaultList
from hwflow.fixed import FixedType
from hwflow.graph import Graph, IntArray, WeightLayer
from hwflow.memory import check_faults
from hwflow.rtl.memory_image import read_hex, write_hex
from hwflow.rtl.project import METADATA
from hwflow.rtl.simulator import build, run

BoolArray = npt.NDArray[np.bool_]
Simulator = Literal["verilator", "icarus"]

BENCH = "hwflow_bench"
CAPACITY_BEATS = 1 << 20
"""Beats that the source and the sink hold: what bounds the images of one simulation."""


@dataclass(frozen=True)
class Expectation:
    """What the bench holds the outputs against.

    Attributes:
        codes: what the RTL must give under the faults of the run, ``(n, *output shape)``.
        clean: the same without faults, where an upset strikes in mid-run.
        labels: ``(n,)``, if they are known.
        keras: ``(n,)``, the largest class of the float network, if the network classifies.
        max_loss: percentage points of top-1 that may be lost against the float network; without labels, percent
            of the images whose largest class may differ.
        min_accuracy: top-1 in percent that there must be; only with labels.
    """

    codes: IntArray
    clean: IntArray | None = None
    labels: IntArray | None = None
    keras: IntArray | None = None
    max_loss: float | None = None
    min_accuracy: float | None = None

    def to_json(self) -> dict[str, Any]:
        """What the bench reads."""
        return {
            "expected": self.codes.reshape(len(self.codes), -1).tolist(),
            "expected_clean": None if self.clean is None else self.clean.reshape(len(self.clean), -1).tolist(),
            "labels": None if self.labels is None else self.labels.tolist(),
            "keras": None if self.keras is None else self.keras.tolist(),
            "limits": {"max_loss": self.max_loss, "min_accuracy": self.min_accuracy},
        }


@dataclass(frozen=True)
class RunStatistics:
    """What a simulation measured.

    Cycles are numbered by their rising clock edges; at edge 0 the first beat of the first image is offered.

    Attributes:
        images: images run.
        begun: first edge at which each image's first beat was offered to the design.
        finished: edge at which each image's last beat came out.
        xunit: cocotb's report, XML.
        failures: what the bench's tests of the outputs say, by name of the test; empty if there were none.
    """

    images: int
    begun: tuple[int, ...]
    finished: tuple[int, ...]
    xunit: str = ""
    failures: Mapping[str, str] = field(default_factory=dict)

    def sides(self, upset_cycle: int) -> tuple[BoolArray, BoolArray]:
        """Which images an upset in mid-run leaves clean, and which it faults wholly; the others it finds inside.

        The upset strikes while the clock is low between the edges ``upset_cycle - 1`` and ``upset_cycle``, and all
        of its words change in no simulated time. An image is clean if its last beat came out at an earlier edge. It
        is faulted if its first beat was offered at edge ``upset_cycle`` for the first time, or later: what meets a
        beat is read from a weight memory at the edge at which the unit takes the beat, and from a bias memory some
        edges later, never ahead of it (a memory is read at every edge, but a word read before that one is not used; a
        window emits
        nothing, padding neither, before it has a pixel of that image), so that even a read at that very edge sees the
        flipped word. When the beat was taken would be too late: a fork at the input hands a beat to the branch that
        is ready, and takes it only when the other is. An image that was offered at edge ``upset_cycle - 1`` may have
        met the old word at that edge, so it was inside.

        Returns:
            Two masks ``(images,)``: clean, and faulted.
        """
        return np.array(self.finished) < upset_cycle, np.array(self.begun) >= upset_cycle

    @property
    def cycles_per_image(self) -> float:
        """Cycles from one image's end to the next one's; for a single image, from its start."""
        if self.images < 2:
            return float(self.finished[-1])
        return (self.finished[-1] - self.finished[0]) / (self.images - 1)


class RtlExecutor:
    """Simulates an RTL project that :func:`hwflow.rtl.generate` wrote.

    Its outputs are those of ``graph.logits``. The simulation is built on first use and kept in the project's
    folder ``build``.

    Args:
        project: the project folder.
        graph: the graph that it was made from.
        simulator: ``verilator`` or ``icarus``.

    Raises:
        HwflowError: no such project, a project of another graph, or a missing simulator.
    """

    def __init__(self, project: Path, graph: Graph, simulator: Simulator = "verilator") -> None:
        if simulator not in get_args(Simulator):
            raise HwflowError(f"simulator {simulator!r} is unknown; choose verilator or icarus")
        try:
            self.metadata: dict[str, Any] = json.loads((project / METADATA).read_text())
        except (OSError, ValueError) as error:
            raise HwflowError(f"{project}: no RTL project ({METADATA} cannot be read); run hwflow generate") from error
        if self.metadata["graph"] != graph.digest:
            raise HwflowError(f"{project}: made from another design; run hwflow generate again")
        self.project = project.resolve()
        self.graph = graph
        self.simulator = simulator
        self.statistics: RunStatistics | None = None
        self._built = False

    @property
    def cycles_per_image(self) -> float:
        """Cycles an image in the last run."""
        if self.statistics is None:
            raise HwflowError("cycles are known after a run")
        return self.statistics.cycles_per_image

    @property
    def capacity(self) -> int:
        """Images that one simulation takes."""
        beats = max(self.metadata["input"]["beats"], self.metadata["output"]["beats"])
        return int(max(1, CAPACITY_BEATS // beats))

    def build(self) -> None:
        """Build the simulation, unless this executor has done so."""
        if self._built:
            return
        sim = resources.folder("sim")
        bench = [sim / f"{name}.sv" for name in ("hwflow_pause", "hwflow_source", "hwflow_sink", BENCH)]
        sources = [*sorted(self.project.glob("*.sv")), *bench]
        parameters = {
            "IN_BITS": self.metadata["input"]["bus_bits"],
            "IN_BEATS": self.metadata["input"]["beats"],
            "IN_DEPTH": self.metadata["input"]["beats"] * self.capacity,
            "OUT_BITS": self.metadata["output"]["bus_bits"],
            "OUT_BEATS": self.metadata["output"]["beats"],
            "OUT_DEPTH": self.metadata["output"]["beats"] * self.capacity,
        }
        build(self.simulator, sources, BENCH, parameters, {"HWFLOW_TOP": self.metadata["top"]}, self._build_dir)
        self._built = True

    @property
    def _build_dir(self) -> Path:
        return self.project / "build" / self.simulator

    def run(
        self,
        codes: IntArray,
        faults: FaultList | None = None,
        upset_cycle: int | None = None,
        stall_percent: int = 0,
        seed: int = 1,
        expected: Expectation | None = None,
    ) -> IntArray:
        """Output codes ``(n, *output shape)`` of input codes ``(n, *input shape)``; before a softmax, the logits.

        Args:
            codes: codes of the input type.
            faults: upsets of stored words.
            upset_cycle: the faults strike just before this clock edge, where edge 0 is the first that offers a
                beat; by default they are there before the run. See :meth:`RunStatistics.sides`.
            stall_percent: how often source and sink pause, in percent of the cycles.
            seed: seed of these pauses.
            expected: what the bench is to judge the outputs by; its verdicts are in ``statistics`` and raise
                nothing.

        Raises:
            HwflowError: codes of another shape, faults of another design, or a simulation that fails.
        """
        if codes.shape[1:] != self.graph.input.shape:
            raise HwflowError(f"inputs have shape {codes.shape[1:]}, but the network takes {self.graph.input.shape}")
        flips = [] if faults is None else self._flips(faults)
        if len(codes) > self.capacity:
            raise HwflowError(f"{len(codes)} images are more than the {self.capacity} of one simulation; run fewer")
        self.build()
        with tempfile.TemporaryDirectory(prefix="hwflow-sim-") as folder:
            work = Path(folder)
            for image in self.project.glob("*.mem"):
                (work / image.name).symlink_to(image)
            write_hex(work / "input.mem", self._beats(codes), self.metadata["input"]["bus_bits"])
            job = {
                "in_beats": len(codes) * self.metadata["input"]["beats"],
                "out_beats": len(codes) * self.metadata["output"]["beats"],
                "flips": flips,
                "upset_cycle": upset_cycle,
                "stall_percent": stall_percent,
                "seed": seed,
                "timeout_cycles": self._timeout(len(codes), stall_percent),
                "output": self._output_port(),
                "check": None if expected is None else expected.to_json(),
            }
            (work / "job.json").write_text(json.dumps(job))
            report = run(self.simulator, BENCH, self._build_dir, work)
            begun, finished = read_hex(work / "begun.mem"), read_hex(work / "cycles.mem")
            outputs = self._outputs(read_hex(work / "output.mem"), len(codes))
        self.statistics = RunStatistics(len(codes), tuple(begun), tuple(finished), report.xunit, report.failures)
        return outputs

    def _output_port(self) -> dict[str, Any]:
        """How the bench takes beats apart."""
        port = self.metadata["output"]
        type_ = FixedType.parse(port["type"])
        return {"width": type_.width, "signed": type_.signed, "lanes": port["lanes"], "beats": port["beats"]}

    def _flips(self, faults: FaultList) -> list[tuple[str, int, str]]:
        """Faults as (path of the memory, address, XOR mask in hexadecimal)."""
        check_faults(self.graph, faults)
        units = {unit["layer"]: unit for unit in self.metadata["layers"]}
        flips = []
        for memory in faults.memories:
            layer_name, kind = memory.name.rsplit(".", 1)
            layer, unit = self.graph[layer_name], units[layer_name]
            assert isinstance(layer, WeightLayer)
            path = f"dut.{unit['instance']}." + ("memory.mem" if kind == "weight" else "bias_mem")
            layout = packing(layer, kind, unit["pe"], unit["simd"])
            masks: dict[int, int] = {}
            words, bits = faults.for_memory(memory.name)
            for address, bit in zip(*layout.place(words, bits.astype(np.int64)), strict=True):
                masks[int(address)] = masks.get(int(address), 0) ^ (1 << int(bit))
            flips += [(path, address, f"{mask:x}") for address, mask in sorted(masks.items())]
        return flips

    def _beats(self, codes: IntArray) -> list[int]:
        port = self.metadata["input"]
        width = FixedType.parse(port["type"]).width
        lanes = (codes & ((1 << width) - 1)).reshape(-1, port["lanes"]).tolist()
        return [sum(code << (lane * width) for lane, code in enumerate(beat)) for beat in lanes]

    def _outputs(self, words: list[int], images: int) -> IntArray:
        port = self.metadata["output"]
        type_ = FixedType.parse(port["type"])
        if len(words) != images * port["beats"]:
            raise HwflowError(f"the simulation gave {len(words)} output beats instead of {images * port['beats']}")
        mask = (1 << type_.width) - 1
        flat = np.array([(word >> (lane * type_.width)) & mask for word in words for lane in range(port["lanes"])])
        if type_.signed:
            flat = np.where(flat > type_.max_code, flat - mask - 1, flat)
        return flat.astype(np.int64).reshape(images, *self.graph.logits.output.shape)

    def _timeout(self, images: int, stall_percent: int) -> int:
        """Cycles after which a simulation is stuck: many times what every layer takes one after the other."""
        busy = sum(layer["vectors"] * layer["reuse_factor"] for layer in self.metadata["layers"])
        moved = sum(int(np.prod(node.shape)) for node in self.graph) * 64
        return int((images + 2) * (busy + moved) * 10 / (1 - min(stall_percent, 90) / 100)) + 10_000
