"""The RTL executor: a SystemVerilog dataflow design of the graph, simulated under cocotb; and its port on a board."""

from hwflow.rtl.device import Device
from hwflow.rtl.executor import RtlExecutor
from hwflow.rtl.project import generate

__all__ = ["Device", "RtlExecutor", "generate"]
