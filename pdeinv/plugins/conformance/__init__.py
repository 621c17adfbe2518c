"""Does a plug-in keep its protocol? Every clause of it as a check with a sentence.

``pdeinv check --plugin NAME`` and our own contract tests call the same functions as the author of
a plug-in does (docs/plugins.md).
"""

from .clauses import Clause, Finding, Report
from .engine_kit import check_engine
from .named import check_plugin
from .problem_kit import check_problem
from .surrogate_kit import check_surrogate

__all__ = [
    "Clause",
    "Finding",
    "Report",
    "check_engine",
    "check_plugin",
    "check_problem",
    "check_surrogate",
]
