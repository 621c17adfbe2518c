"""The errors that pdeinv raises on purpose; the command line maps them to exit codes.

Every message is one line that says what is wrong, what was expected, what was got and what to do.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = [
    "CapabilityError",
    "ConfigError",
    "DataSchemaError",
    "MissingDependency",
    "OutputBusy",
    "OutputExists",
    "PdeinvError",
    "BudgetSpent",
    "Preempted",
    "RunFailed",
    "ShapeError",
    "SolverDiverged",
    "SurrogateRejected",
    "SystemFault",
    "UnknownPlugin",
    "hint",
    "reason",
]


class PdeinvError(Exception):
    """Base of all errors that a user can cause or mend; ``exit_code`` is what the shell sees."""

    exit_code = 2


class ConfigError(PdeinvError):
    """A configuration value is missing, unknown, of the wrong type or out of range.

    Attributes:
        unknown: the key that a table does not have, where that is what is wrong; else empty.
        key: the whole key whose value is wrong, where the message begins with it; else empty.
        of: the configuration that has no such key, or refuses its value; None where not known.
    """

    def __init__(self, message: str = "", unknown: str = "", key: str = "", of: Any = None) -> None:
        super().__init__(message)
        self.unknown, self.key, self.of = unknown, key, of


class UnknownPlugin(ConfigError):
    """No problem, surrogate or engine is registered under the name."""


class CapabilityError(PdeinvError):
    """An engine needs something that the model or prior does not offer (a derivative, say)."""


class ShapeError(PdeinvError):
    """An array does not have the shape that its space prescribes."""


class DataSchemaError(PdeinvError):
    """A file does not follow its documented layout."""


class OutputBusy(PdeinvError):
    """Another run is writing the output."""


class OutputExists(PdeinvError):
    """The output is already there and neither ``--overwrite`` nor ``--resume`` was given."""


class MissingDependency(PdeinvError):
    """An optional package is not installed; the message names the extra that brings it."""


class SurrogateRejected(PdeinvError):
    """A surrogate does not belong to this run, or fails the admission test for it."""


class SolverDiverged(PdeinvError):
    """A linear or nonlinear solve failed; engines count it and follow their failed-solve policy."""

    exit_code = 1


class RunFailed(PdeinvError):
    """The run started well and could not be finished."""

    exit_code = 1


class SystemFault(RunFailed):
    """A disk, a limit or a permission of the system stopped it; it works once that is mended."""


class BudgetSpent(RunFailed):
    """The budget ended the run before there was anything to write; it can be resumed."""


class Preempted(PdeinvError):
    """The run was asked to stop, saved its state and can be resumed."""

    exit_code = 75


def reason(error: BaseException) -> str:
    """The first line of an error's text, or its type where it has none."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def hint(name: str, known: Iterable[str], more: Iterable[str] = ()) -> str:
    """What to write instead of an unknown name: the nearest of ``known``, else all there are."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1)
    return (
        f"did you mean '{near[0]}'?" if near else f"known: {', '.join([*names, *more]) or 'none'}"
    )
