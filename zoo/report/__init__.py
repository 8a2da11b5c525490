"""The report of a run and its proof: one page of HTML that needs nothing beside itself, and its pictures."""

from zoo.report.page import Report, write_report

__all__ = ["Report", "write_report"]
