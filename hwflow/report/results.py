"""Results files as a program or a notebook opens them."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from hwflow.campaign.export import Results, read_results
from hwflow.report.figures import report_figures


@dataclass(frozen=True, repr=False)
class CampaignResults(Results):
    """What a results file holds; a notebook shows the figures of its report."""

    def figure(self) -> str:
        """The figures of the report."""
        return "".join(figure.svg for figure in report_figures(self))


def load_results(path: str | Path) -> CampaignResults:
    """Open the results file of a campaign, finished or not; every value is held against its checksum.

    Raises:
        HwflowError: missing, not a results file, or one whose head is damaged.
    """
    found = read_results(path)
    return CampaignResults(**{each.name: getattr(found, each.name) for each in fields(Results)})
