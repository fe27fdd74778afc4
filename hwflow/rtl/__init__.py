"""The RTL executor: a SystemVerilog dataflow design of the graph, simulated under cocotb."""

from hwflow.rtl.executor import RtlExecutor
from hwflow.rtl.project import generate

__all__ = ["RtlExecutor", "generate"]
