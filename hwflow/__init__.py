"""Neural networks on FPGAs whose memory flips bits: hardening, firmware, a bit-exact reference and RTL.

The stages of the command line are functions here, with the same names: :func:`harden`,
:func:`load_design`, :func:`generate`, :func:`evaluate` and :func:`simulate`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hwflow.version import __version__

if TYPE_CHECKING:
    from hwflow.design import Design, harden, load_design
    from hwflow.errors import HwflowError
    from hwflow.evaluation import evaluate
    from hwflow.fixed import FixedType
    from hwflow.generation import generate
    from hwflow.hardening import HardenOptions
    from hwflow.scaling import ScalingOptions
    from hwflow.simulation import simulate

_HOMES = {
    "Design": "hwflow.design",
    "FixedType": "hwflow.fixed",
    "HardenOptions": "hwflow.hardening",
    "HwflowError": "hwflow.errors",
    "ScalingOptions": "hwflow.scaling",
    "evaluate": "hwflow.evaluation",
    "generate": "hwflow.generation",
    "harden": "hwflow.design",
    "load_design": "hwflow.design",
    "simulate": "hwflow.simulation",
}

__all__ = [
    "Design",
    "FixedType",
    "HardenOptions",
    "HwflowError",
    "ScalingOptions",
    "__version__",
    "evaluate",
    "generate",
    "harden",
    "load_design",
    "simulate",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use, which keeps ``import hwflow`` quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'hwflow' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
