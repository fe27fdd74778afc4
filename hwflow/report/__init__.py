"""The report of a campaign: one self-contained HTML page, its figures, and the numbers as JSON."""

from hwflow.report.page import REPORT, write_report
from hwflow.report.results import CampaignResults, load_results
from hwflow.report.tables import to_json

__all__ = ["REPORT", "CampaignResults", "load_results", "to_json", "write_report"]
