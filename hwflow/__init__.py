"""Neural networks on FPGAs whose memory flips bits: hardening, firmware, a bit-exact reference and RTL.

What the command line does is here as functions of the same names; those of a campaign are :func:`load_spec`,
:func:`run_campaign`, :func:`load_results`, :func:`compare_results` and :func:`write_report`, those of the paper are in
:mod:`hwflow.paper`.
Data are names, paths, arrays or iterables of batches (:data:`hwflow.data.DataLike`); results have a short ``repr``, a
form for notebooks, ``to_json()``, and where they hold rows ``to_pandas()``.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hwflow.version import __version__

if TYPE_CHECKING:
    from hwflow.campaign.advice import advise
    from hwflow.campaign.run import run_campaign
    from hwflow.campaign.spec import CampaignSpec
    from hwflow.campaign.spec_file import load_spec
    from hwflow.data import Dataset, load_data, load_digits, load_images
    from hwflow.emulation import Emulator, emulate
    from hwflow.errors import HwflowError
    from hwflow.faults import FaultList, sample_ber
    from hwflow.fixed import FixedType
    from hwflow.folders.design import Design, load_design
    from hwflow.folders.project import Project, load_project
    from hwflow.hardening import HardenOptions
    from hwflow.hardening.options import ScalingOptions
    from hwflow.memory import memories
    from hwflow.progress import progress_bar
    from hwflow.report import Comparison, compare_results, load_results, write_comparison, write_report
    from hwflow.stages.demo import demo
    from hwflow.stages.deviation import deviations
    from hwflow.stages.evaluate import evaluate
    from hwflow.stages.generate import generate
    from hwflow.stages.harden import harden
    from hwflow.stages.only import simulate_only
    from hwflow.stages.protect import protect
    from hwflow.stages.sensitivity import sensitivity
    from hwflow.stages.simulate import simulate
    from hwflow.stages.upsets import simulate_upsets

_HOMES = {
    "CampaignSpec": "hwflow.campaign.spec",
    "Comparison": "hwflow.report",
    "Dataset": "hwflow.data",
    "Design": "hwflow.folders.design",
    "Emulator": "hwflow.emulation",
    "FaultList": "hwflow.faults",
    "FixedType": "hwflow.fixed",
    "HardenOptions": "hwflow.hardening",
    "HwflowError": "hwflow.errors",
    "Project": "hwflow.folders.project",
    "ScalingOptions": "hwflow.hardening",
    "advise": "hwflow.campaign.advice",
    "compare_results": "hwflow.report",
    "demo": "hwflow.stages.demo",
    "deviations": "hwflow.stages.deviation",
    "emulate": "hwflow.emulation",
    "evaluate": "hwflow.stages.evaluate",
    "generate": "hwflow.stages.generate",
    "harden": "hwflow.stages.harden",
    "load_data": "hwflow.data",
    "load_design": "hwflow.folders.design",
    "load_digits": "hwflow.data",
    "load_images": "hwflow.data",
    "load_project": "hwflow.folders.project",
    "load_results": "hwflow.report",
    "load_spec": "hwflow.campaign.spec_file",
    "memories": "hwflow.memory",
    "progress_bar": "hwflow.progress",
    "protect": "hwflow.stages.protect",
    "run_campaign": "hwflow.campaign.run",
    "sample_ber": "hwflow.faults",
    "sensitivity": "hwflow.stages.sensitivity",
    "simulate": "hwflow.stages.simulate",
    "simulate_only": "hwflow.stages.only",
    "simulate_upsets": "hwflow.stages.upsets",
    "write_comparison": "hwflow.report",
    "write_report": "hwflow.report",
}

__all__ = [
    "CampaignSpec",
    "Comparison",
    "Dataset",
    "Design",
    "Emulator",
    "FaultList",
    "FixedType",
    "HardenOptions",
    "HwflowError",
    "Project",
    "ScalingOptions",
    "__version__",
    "advise",
    "compare_results",
    "demo",
    "deviations",
    "emulate",
    "evaluate",
    "generate",
    "harden",
    "load_data",
    "load_design",
    "load_digits",
    "load_images",
    "load_project",
    "load_results",
    "load_spec",
    "memories",
    "progress_bar",
    "protect",
    "run_campaign",
    "sample_ber",
    "sensitivity",
    "simulate",
    "simulate_only",
    "simulate_upsets",
    "write_comparison",
    "write_report",
]


def __dir__() -> list[str]:
    """The public names, for editors and notebooks: they are imported on first use only."""
    return __all__


def __getattr__(name: str) -> Any:
    """Import a public name on first use, which keeps ``import hwflow`` quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'hwflow' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
