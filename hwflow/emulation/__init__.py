"""hls4ml's C simulation in NumPy: a ModelGraph that hwflow did not make, in hls4ml's own types, bit for bit."""

from hwflow.emulation.emulator import Emulator, Operation, emulate

__all__ = ["Emulator", "Operation", "emulate"]
