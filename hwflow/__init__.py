"""Neural networks on FPGAs whose memory flips bits: hardening, firmware, a bit-exact reference and RTL.

The stages of the command line are functions here, with the same names: :func:`harden`,
:func:`load_design`, :func:`generate`, :func:`evaluate` and :func:`simulate`. :func:`emulate` executes hls4ml's
ModelGraphs that hwflow did not make, in hls4ml's own types.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hwflow.version import __version__

if TYPE_CHECKING:
    from hwflow.campaign.advice import advise
    from hwflow.emulation import Emulator, emulate
    from hwflow.errors import HwflowError
    from hwflow.fixed import FixedType
    from hwflow.folders.design import Design, load_design
    from hwflow.hardening import HardenOptions
    from hwflow.hardening.options import ScalingOptions
    from hwflow.stages.evaluate import evaluate
    from hwflow.stages.generate import generate
    from hwflow.stages.harden import harden
    from hwflow.stages.simulate import simulate

_HOMES = {
    "Design": "hwflow.folders.design",
    "FixedType": "hwflow.fixed",
    "HardenOptions": "hwflow.hardening",
    "Emulator": "hwflow.emulation",
    "HwflowError": "hwflow.errors",
    "ScalingOptions": "hwflow.hardening",
    "advise": "hwflow.campaign.advice",
    "emulate": "hwflow.emulation",
    "evaluate": "hwflow.stages.evaluate",
    "generate": "hwflow.stages.generate",
    "harden": "hwflow.stages.harden",
    "load_design": "hwflow.folders.design",
    "simulate": "hwflow.stages.simulate",
}

__all__ = [
    "Design",
    "Emulator",
    "FixedType",
    "HardenOptions",
    "HwflowError",
    "ScalingOptions",
    "__version__",
    "advise",
    "emulate",
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
