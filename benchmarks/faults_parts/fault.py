"""What is tried: a verb, and a fault of what surrounds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Fault", "NotHere", "Place", "Surroundings", "Verb", "every", "names", "with_limits"]


@dataclass(frozen=True)
class Verb:
    """A command.

    Attributes:
        name: of the row in the table.
        line: what follows ``pdeinv``; ``{ready}`` is a folder of inputs, ``{out}`` the one of its
            outputs.
        writes: whether it has outputs.
        resumes: whether it has ``--resume``.
        solves: whether it compiles forms.
        learns: whether it loads torch.
    """

    name: str
    line: str
    writes: bool = True
    resumes: bool = False
    solves: bool = False
    learns: bool = False


@dataclass(frozen=True)
class Place:
    """Where one verb runs: a folder of its own, and in it the one of its outputs."""

    folder: Path
    out: Path


@dataclass(frozen=True)
class Surroundings:
    """How the process of a verb is started.

    Attributes:
        env: environment variables on top of the usual ones; None takes one away.
        under: words before the command, of a program that starts it.
        more: words behind the command.
        stdout: file that it prints to, where that is not looked at.
        stderr: the same for the other stream.
    """

    env: Mapping[str, str | None] = field(default_factory=dict)
    under: tuple[str, ...] = ()
    more: tuple[str, ...] = ()
    stdout: Path | None = None
    stderr: Path | None = None


class NotHere(Exception):
    """The fault cannot be made on this machine."""


def every(_: Verb) -> bool:
    """All verbs."""
    return True


def names(*wanted: str) -> Callable[[Verb], bool]:
    """The verbs of these names."""
    return lambda verb: verb.name in wanted


def with_limits(*limits: str) -> tuple[str, ...]:
    """Words that start a command under limits of the shell, "-n 30" say."""
    return ("bash", "-c", "".join(f"ulimit {x}; " for x in limits) + 'exec "$@"', "bash")


@dataclass(frozen=True)
class Fault:
    """Something that is wrong around a verb, and what may become of the verb.

    Attributes:
        name: of the column in the table.
        part: of the table: "storage" or "process".
        around: makes the surroundings in the place of a run, and takes them away again.
        codes: the exit codes that are right.
        says: patterns of which one is in the one line where the exit code is not 0.
        on: which verbs it can hit.
        shown: whether stderr can be read, so that the line is judged.
        again: whether the same command works once the fault is gone; with ``--resume`` where the
            verb has that.
    """

    name: str
    part: str
    around: Callable[[Place], AbstractContextManager[Surroundings]]
    codes: frozenset[int]
    says: tuple[str, ...] = ()
    on: Callable[[Verb], bool] = every
    shown: bool = True
    again: bool = True
