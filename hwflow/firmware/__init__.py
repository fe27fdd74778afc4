"""The firmware executor: the Vitis project that hls4ml writes for a hardened graph, and its C simulation.

In an hls4ml script, :func:`register` switches on ``config["Model"]["Hardening"]``; hwflow's own commands
use :func:`read_keras`, :func:`generate` and :class:`CsimExecutor`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwflow.firmware.apply import apply_graph
    from hwflow.firmware.convert import generate, model_graph
    from hwflow.firmware.csim import CsimExecutor
    from hwflow.firmware.harden_pass import hardened, register
    from hwflow.firmware.project import FirmwareProject, open_project
    from hwflow.frontends.keras_graph import read_keras

_HOMES = {
    "CsimExecutor": "hwflow.firmware.csim",
    "FirmwareProject": "hwflow.firmware.project",
    "apply_graph": "hwflow.firmware.apply",
    "generate": "hwflow.firmware.convert",
    "hardened": "hwflow.firmware.harden_pass",
    "model_graph": "hwflow.firmware.convert",
    "open_project": "hwflow.firmware.project",
    "read_keras": "hwflow.frontends.keras_graph",
    "register": "hwflow.firmware.harden_pass",
}

__all__ = [
    "CsimExecutor",
    "FirmwareProject",
    "apply_graph",
    "generate",
    "hardened",
    "model_graph",
    "open_project",
    "read_keras",
    "register",
]


def __getattr__(name: str) -> Any:
    """Import on first use: C simulation of a written project then never waits for hls4ml."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
