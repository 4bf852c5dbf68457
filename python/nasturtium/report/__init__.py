"""The report of a run: one page that opens offline, and the statistics behind its verdict."""

from nasturtium.report.data import Predictions, ReportData, TrialRow, net_from_json, net_to_json
from nasturtium.report.loader import load
from nasturtium.report.page import compose, render

__all__ = [
    "Predictions",
    "ReportData",
    "TrialRow",
    "compose",
    "load",
    "net_from_json",
    "net_to_json",
    "render",
]
