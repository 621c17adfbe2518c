"""Clauses: what a protocol promises, in words and as a check, and the report of a whole table."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from pdeinv.errors import PdeinvError, RunFailed, reason

__all__ = [
    "Broken",
    "Clause",
    "Finding",
    "Report",
    "Table",
    "hold",
    "one_line",
    "other_global_random",
    "refused",
]


class Broken(Exception):
    """A clause does not hold; the text says what was found."""


def hold(condition: object, found: str) -> None:
    """Go on where ``condition`` is true.

    Raises:
        Broken: it is not; ``found`` says what is wrong.
    """
    if not condition:
        raise Broken(found)


def one_line(error: BaseException) -> bool:
    """Whether the text of an error is one line and no empty one."""
    text = str(error)
    return bool(text.strip()) and "\n" not in text


def refused(call: Callable[[], object], what: str, *kinds: type[PdeinvError]) -> PdeinvError:
    """The error by which ``call`` refuses what it is given.

    Raises:
        Broken: it refuses nothing, raises another error, or says more or less than one line.
    """
    wanted = " or ".join(k.__name__ for k in kinds)
    try:
        call()
    except kinds as error:
        hold(one_line(error), f"the message on {what} must be one line, got {str(error)!r}")
        return error
    except Exception as error:
        raise Broken(
            f"{what} must raise {wanted}, got {type(error).__name__}: {reason(error)}"
        ) from None
    raise Broken(f"{what} must raise {wanted}, and was accepted")


@contextmanager
def other_global_random() -> Iterator[None]:
    """NumPy's global generator in another state while the block runs, and as it was afterwards."""
    before = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(1234)  # noqa: NPY002
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


@dataclass(frozen=True)
class Finding:
    """What became of one clause.

    Attributes:
        clause: its id.
        ok: whether it holds; None where it was not tried: another one does not hold, or the caller
            left it out.
        sentence: the promise, and what was found where it is broken.
    """

    clause: str
    ok: bool | None
    sentence: str


@dataclass(frozen=True)
class Report:
    """Every clause of a protocol for one plug-in.

    Attributes:
        subject: what was checked, such as ``problem 'darcy'``.
        findings: one for each clause, in the order of the table.
    """

    subject: str
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether no clause is broken."""
        return not self.failures

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The clauses that do not hold; those that were skipped for them are left out."""
        return tuple(f for f in self.findings if f.ok is False)

    def raise_for_failures(self) -> None:
        """Go on where every clause holds.

        Raises:
            RunFailed: names each clause that does not, with what was found.
        """
        if not self.ok:
            text = "; ".join(f"[{f.clause}] {f.sentence}" for f in self.failures)
            raise RunFailed(f"{self.subject} breaks {len(self.failures)} clauses: {text}")


@dataclass(frozen=True)
class Clause[C]:
    """One promise of a protocol.

    Attributes:
        id: short name.
        promise: what the protocol promises.
        where: the module or class that says so.
        check: raises :class:`Broken` (or anything else) where it does not hold; a text that it
            returns says why there was nothing to check.
        needs: clauses without which this one cannot be tried.
    """

    id: str
    promise: str
    where: str
    check: Callable[[C], str | None]
    needs: tuple[str, ...] = ()

    def judged(self, case: C) -> Finding:
        """The check, with whatever it raises as a failure."""
        try:
            nothing = self.check(case)
        except Broken as error:
            return Finding(self.id, False, f"{self.promise}: {error} ({self.where})")
        except Exception as error:
            what = f"{type(error).__name__}: {reason(error)}"
            return Finding(self.id, False, f"{self.promise}: {what} ({self.where})")
        return Finding(self.id, True, f"{self.promise}: {nothing}" if nothing else self.promise)


@dataclass
class Table[C]:
    """Clauses of one protocol, in the order in which they are tried.

    Attributes:
        where: the class that promises what names no other.
        clauses: by id.
    """

    where: str
    clauses: dict[str, Clause[C]] = field(default_factory=dict)

    @classmethod
    def joined(cls, where: str, parts: Iterable[Table[C]]) -> Table[C]:
        """One table of several, each of which may need clauses of those before it."""
        whole = cls(where)
        for clause in (c for part in parts for c in part.clauses.values()):
            assert clause.id not in whole.clauses
            assert set(clause.needs) <= set(whole.clauses), clause
            whole.clauses[clause.id] = clause
        return whole

    def clause(
        self, id: str, promise: str, *, needs: tuple[str, ...] = (), where: str = ""
    ) -> Callable[[Callable[[C], str | None]], Callable[[C], str | None]]:
        """Enter the decorated check.

        Args:
            id: short name of the clause.
            promise: what is promised.
            needs: clauses above without which it cannot be tried.
            where: who promises it; the table's class where not given.
        """
        assert id not in self.clauses

        def enter(check: Callable[[C], str | None]) -> Callable[[C], str | None]:
            self.clauses[id] = Clause(id, promise, where or self.where, check, needs)
            return check

        return enter

    def report(self, subject: str, case: C, without: Collection[str] = ()) -> Report:
        """Every clause, tried on ``case``, but for those that the caller leaves out."""
        return Report(subject, tuple(self._findings(case, without)))

    def _findings(self, case: C, without: Collection[str]) -> Iterator[Finding]:
        lost: set[str] = set()
        for clause in self.clauses.values():
            missing = [n for n in clause.needs if n in lost]
            if clause.id in without:
                finding = Finding(clause.id, None, "skipped: left out by the caller")
            elif missing:
                finding = Finding(clause.id, None, f"skipped: needs {', '.join(missing)}")
            else:
                finding = clause.judged(case)
            if not finding.ok:
                lost.add(clause.id)
            yield finding
