"""The backend and the writer that hls4ml registers: conversion, writing, simulation in Verilator, prediction."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from hls4ml.backends.fpga.fpga_backend import FPGABackend
from hls4ml.model.flow import register_flow
from hls4ml.model.optimizer import ModelOptimizerPass
from hls4ml.writer.writers import Writer

from hwflow.backend import NAME
from hwflow.cost import DEFAULT_PART
from hwflow.errors import HwflowError
from hwflow.frontends import depthwise_weights

if TYPE_CHECKING:
    from hwflow.graph import Graph
    from hwflow.rtl import RtlExecutor

CLOCK_PERIOD = 5.0
RTL = "rtl"
"""The folder of the RTL in the output folder."""


@dataclass
class Converted:
    """What the backend keeps of a ModelGraph, as its attribute ``hwflow_rtl``.

    Attributes:
        graph: in the types that the RTL computes in, up to the logits.
        reuse: reuse factor by layer.
        executor: runs the written RTL, once it is compiled.
    """

    graph: Graph
    reuse: dict[str, int]
    executor: RtlExecutor | None = field(default=None)


class TypedGraph(ModelOptimizerPass):
    """The last step of a conversion: what the RTL is made from, or a refusal by the layer's name."""

    def __init__(self) -> None:
        self.name = "typed_graph"

    def transform(self, model: Any) -> bool:
        """Leave a :class:`Converted` in ``model.hwflow_rtl``; with ``Hardening`` also the results of that.

        Raises:
            HwflowError: a layer that the RTL lacks, or an option or type that cannot be honoured.
        """
        from hwflow.backend.conversion import convert

        graph, reuse, notes = convert(model)
        for note in notes:
            warnings.warn(note, stacklevel=2)
        model.hwflow_rtl = Converted(graph, reuse)
        return False


class RtlWriter(Writer):
    """Writes the RTL project and hls4ml's configuration."""

    def write_hls(self, model: Any) -> None:
        """Write ``hls4ml_config.yml`` and ``rtl/`` into the output folder, in the place of what was written before.

        Raises:
            HwflowError: the output folder holds files that hwflow did not write.
        """
        from hwflow.backend.conversion import write

        converted = _converted(model)
        converted.executor = None
        write(model, converted.graph, converted.reuse, Path(model.config.get_output_dir()))


class HwflowBackend(FPGABackend):
    """hls4ml's backend ``hwflow``."""

    def __init__(self) -> None:
        super().__init__(name=NAME)
        depthwise_weights.register()
        self.register_pass("typed_graph", TypedGraph)
        self._default_flow = register_flow("ip", [f"{NAME}:typed_graph"], requires=["optimize"], backend=self.name)

    def get_default_flow(self) -> str:
        """The flow that a conversion ends with."""
        return str(self._default_flow)

    def create_initial_config(
        self,
        part: str | None = None,
        clock_period: float | None = None,
        io_type: str | None = None,
        **others: Any,
    ) -> dict[str, Any]:
        """hls4ml's configuration of a new conversion.

        Args:
            part: the FPGA that Vivado's scripts are for.
            clock_period: in ns; what placement and routing aim at.
            io_type: ``io_stream``, which is what the RTL has.
            others: of other backends; refused unless they say nothing.

        Raises:
            HwflowError: an option that has no effect.
        """
        if io_type not in (None, "io_stream"):
            raise HwflowError(f"io_type={io_type!r}: the RTL of backend hwflow has streams; leave it out")
        for name, value in others.items():
            if value is not None:
                raise HwflowError(f"{name}={value!r}: has no effect with backend hwflow; leave it out")
        return {
            "Part": part or DEFAULT_PART,
            "ClockPeriod": CLOCK_PERIOD if clock_period is None else clock_period,
            "IOType": "io_stream",
            "HLSConfig": {},
        }

    def write(self, model: Any) -> None:
        """Write the RTL project; see :class:`RtlWriter`."""
        self.writer.write_hls(model)

    def compile(self, model: Any) -> None:
        """Build the simulation of the written RTL in Verilator.

        Returns:
            ``None``, which makes hls4ml load no library.

        Raises:
            HwflowError: Verilator is missing, or the build fails.
        """
        from hwflow.rtl import RtlExecutor

        converted = _converted(model)
        executor = RtlExecutor(Path(model.config.get_output_dir()) / RTL, converted.graph)
        executor.build()
        converted.executor = executor

    def predict(self, model: Any, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Outputs of the RTL, in simulation.

        Args:
            model: the ModelGraph, compiled.
            x: ``(n, *input shape)`` in float32 or float64, or one image without the first axis.

        Returns:
            ``(n, outputs)``, as hls4ml gives them, or ``(outputs,)`` of one image; of the type of ``x``. A network that
            ends in a softmax gives its logits.

        Raises:
            HwflowError: it was not compiled, or ``x`` has another shape or type.
        """
        converted = _converted(model)
        executor = converted.executor
        if executor is None:
            raise HwflowError("the model is not compiled; call compile() before predict()")
        x = np.asarray(x)
        shape = converted.graph.input.shape
        if x.dtype not in (np.float32, np.float64):
            raise HwflowError(f"x has the type {x.dtype}; give float32 or float64")
        if not x.size or x.size % int(np.prod(shape)):
            raise HwflowError(f"x has the shape {x.shape}, but the network takes images of shape {shape}")
        codes = converted.graph.input.resolved.encode(x.reshape(-1, *shape).astype(np.float64))
        runs = [
            executor.run(codes[start : start + executor.capacity]) for start in range(0, len(codes), executor.capacity)
        ]
        values = converted.graph.output.resolved.decode(np.concatenate(runs)).reshape(len(codes), -1).astype(x.dtype)
        result: npt.NDArray[Any] = values[0] if len(values) == 1 else values
        return result

    def build(self, model: Any, timing: bool = True) -> dict[str, Any]:
        """Synthesise the written RTL with Yosys; see :func:`hwflow.backend.report.build`.

        Args:
            model: the ModelGraph.
            timing: place and route it with nextpnr for an ECP5 too, if nextpnr is there.
        """
        from hwflow.backend.report import build

        converted = _converted(model)
        folder = Path(model.config.get_output_dir())
        if not (folder / RTL).is_dir():
            self.write(model)
        period = float(model.config.get_config_value("ClockPeriod"))
        return build(folder, converted.graph, converted.reuse, period, timing, converted.executor)


def _converted(model: Any) -> Converted:
    result = getattr(model, "hwflow_rtl", None)
    if not isinstance(result, Converted):
        raise HwflowError('the model was converted for another backend; convert it with backend="hwflow"')
    return result
