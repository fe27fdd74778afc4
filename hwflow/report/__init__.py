"""The report of a campaign, and the comparison of several: self-contained HTML pages, and the numbers as JSON."""

from hwflow.files.folders import REPORT
from hwflow.report.comparison import Comparison, compare_results
from hwflow.report.comparison_page import write_comparison
from hwflow.report.page import write_report
from hwflow.report.results import CampaignResults, load_results
from hwflow.report.tables import to_json

__all__ = [
    "REPORT", "CampaignResults", "Comparison", "compare_results", "load_results", "to_json", "write_comparison",
    "write_report",
]  # fmt: skip
