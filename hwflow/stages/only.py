"""One layer or block of a design in RTL, with what enters it in the reference."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hwflow.cost.reuse import choose_reuse
from hwflow.data import DataLike, Preprocessing
from hwflow.doctor import require_simulator
from hwflow.errors import HwflowError
from hwflow.executors import encode
from hwflow.folders.design import Design, open_design
from hwflow.graph import Graph
from hwflow.graph.block import ancestors, block
from hwflow.progress import Step, silent
from hwflow.reference import IntegerExecutor
from hwflow.rtl import RtlExecutor, generate
from hwflow.rtl.executor import Simulator
from hwflow.stages.inputs import fitting, open_for

RANGE = ".."
"""Between the first and the last layer of a block."""


@dataclass(frozen=True)
class BlockComparison:
    """The RTL of a block against the reference.

    Attributes:
        layers: of the block, in order.
        input: the tensor that enters it.
        images: how many were run.
        output_codes: codes that were compared.
        differing_codes: those that differ.
        cycles_per_image: of the RTL.
    """

    layers: tuple[str, ...]
    input: str
    images: int
    output_codes: int
    differing_codes: int
    cycles_per_image: float

    def to_json(self) -> dict[str, Any]:
        """As the command writes it."""
        return asdict(self)

    def check(self) -> None:
        """Raise if a code differs.

        Raises:
            HwflowError: with the number of codes.
        """
        if self.differing_codes:
            counts = f"{self.differing_codes} of {self.output_codes}"
            raise HwflowError(f"{self.layers[-1]}: {counts} output codes differ from the reference")


def simulate_only(
    design: Design | str | Path,
    only: str,
    data: DataLike,
    *,
    preprocessing: Preprocessing | str | None = None,
    images: int | None = 1,
    simulator: Simulator = "verilator",
    step: Step = silent,
) -> BlockComparison:
    """Simulate the RTL of one layer or block alone: the reference gives what enters it, and what must come out.

    Args:
        design: a design or its folder.
        only: a layer, or the first and the last one of a block, ``FIRST..LAST``. A merge, and a block with several
            inputs, reach back to where their branches part; see :func:`hwflow.graph.block.block`.
        data: images for the whole network.
        preprocessing: of a folder's images.
        images: only so many.
        simulator: ``verilator`` or ``icarus``.
        step: called with the name of each step.

    Raises:
        HwflowError: no such layer, images that do not fit, or a tool that is missing.
    """
    require_simulator(simulator)
    design = open_design(design)
    graph = design.graph.in_rtl
    first, separator, last = only.rpartition(RANGE)
    part = block(graph, last, first if separator else None)
    codes = encode(
        design.graph, fitting(open_for(design, data, None, preprocessing, images), images, design.graph).images
    )
    step("reference")
    if part.input.name != graph.input.name:
        codes = IntegerExecutor(Graph(ancestors(graph, part.input.name), graph.name)).run(codes)
    expected = IntegerExecutor(part).run(codes)
    with tempfile.TemporaryDirectory(prefix="hwflow-", ignore_cleanup_errors=True) as folder:
        step("generating the RTL")
        reuse = choose_reuse(graph)
        generate(part, Path(folder) / "rtl", {layer.name: reuse[layer.name] for layer in part.weight_layers})
        executor = RtlExecutor(Path(folder) / "rtl", part, simulator)
        step(f"building the {simulator} simulation")
        executor.build()
        step(simulator)
        outputs = executor.run(codes)
        return BlockComparison(
            tuple(node.name for node in part.nodes[1:]),
            part.input.name,
            len(codes),
            expected.size,
            int(np.count_nonzero(outputs != expected)),
            executor.cycles_per_image,
        )
