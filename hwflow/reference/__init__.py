"""The reference executor: the graph in exact integer arithmetic, and in float64 for calibration."""

from hwflow.reference.integer import IntegerExecutor
from hwflow.reference.real import RealExecutor

__all__ = ["IntegerExecutor", "RealExecutor"]
