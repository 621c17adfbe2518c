"""The protocols as executable checks, for authors of plug-ins and for our own tests."""

from .common.clauses import Clause, Finding, Report
from .problem.kit import check_problem

__all__ = ["Clause", "Finding", "Report", "check_problem"]
