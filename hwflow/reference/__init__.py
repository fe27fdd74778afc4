"""The reference executor: the graph in exact integer arithmetic, and in float64 for calibration.

:func:`emulate` executes hls4ml ModelGraphs that hwflow did not make, in hls4ml's own types.
"""

from typing import Any

from hwflow.reference.integer import IntegerExecutor
from hwflow.reference.real import RealExecutor

__all__ = ["Emulator", "IntegerExecutor", "RealExecutor", "emulate"]


def __getattr__(name: str) -> Any:
    """Import on first use: the reference itself never waits for hls4ml."""
    if name not in ("Emulator", "emulate"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from hwflow import emulation

    return getattr(emulation, name)
