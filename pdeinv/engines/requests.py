"""What an engine asks of a posterior: it yields requests, and whoever drives it sends the answers.

An engine thus never knows how many chains run, nor whether its solves are made one by one, in
batches or elsewhere. A solve of one point that fails is raised at the ``yield``; among rows of
points it is a row that is not finite.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pdeinv.bayes.counters import forgiving
from pdeinv.bayes.jacobian import dense_jacobian, unwhitened
from pdeinv.bayes.likelihood import DataMisfit
from pdeinv.bayes.posterior import Counters, Posterior, PosteriorPoint
from pdeinv.bayes.products import Along, products_alone, products_together
from pdeinv.errors import SolverDiverged
from pdeinv.model.rows import by_rows
from pdeinv.typing import Array

__all__ = [
    "Curvature",
    "Jacobian",
    "Level",
    "Linearize",
    "Misfit",
    "Predict",
    "Request",
    "Steps",
    "advance",
    "answer",
    "answered",
    "asked_of",
    "begin",
    "drive",
    "on_coarse",
    "under",
]

Level = Literal["fine", "coarse", "unknown"]
"""Who is asked: the posterior, its coarse twin, or the posterior's model as a function of m."""


@dataclass(frozen=True)
class Request:
    """A question about the posterior; it carries all that an answer needs.

    Attributes:
        xi: where; with level ``unknown`` these are values of m.
        level: who is asked.
        trial: whether this is a step that may leave the values that m can have (no prior's map
            keeps it there) and is then shortened: where it fails, that is no failed solve.
        stage: what Φ is in place of the likelihood, in a stage of a search (:func:`under`).
    """

    xi: Array
    level: Level = "fine"
    trial: bool = field(default=False, kw_only=True)
    stage: DataMisfit | None = field(default=None, kw_only=True)

    @property
    def rows(self) -> int:
        """How many rows it asks for."""
        return 1 if self.xi.ndim == 1 else len(self.xi)


class Misfit(Request):
    """Φ at xi, a number for shape (dim,), shape (n,) for (n, dim); infinite where a solve fails."""


class Predict(Request):
    """G(m(xi)), shape (n_d,) or (n, n_d); not finite where a solve fails."""


class Linearize(Request):
    """Φ, its gradient and derivative actions at one xi, shape (dim,).

    The answer is a :class:`pdeinv.bayes.posterior.PosteriorPoint`. A solve that fails raises
    :class:`pdeinv.errors.SolverDiverged`.
    """


@dataclass(frozen=True)
class Curvature(Request):
    """J^T F J v at one xi, shape (dim,), for each of ``directions``, shape (k, dim).

    The answer has their shape; a row is not finite where that product failed. F is the Fisher
    information of the data, and the prior's identity is left out.

    Attributes:
        at: the answer to a :class:`Linearize` at ``xi``.
        directions: v, any number of them.
    """

    at: PosteriorPoint = field(kw_only=True)
    directions: Array = field(kw_only=True)

    @property
    def rows(self) -> int:
        """One for each direction."""
        return len(self.directions)

    def along(self, counters: Counters) -> Along:
        """The same for the posterior, with who pays."""
        return Along(self.xi, self.at, self.directions, counters)


@dataclass(frozen=True)
class Jacobian(Request):
    """G and its whole Jacobian at one xi, shape (dim,), or the ``part`` of its shorter side.

    The answer is a :class:`pdeinv.bayes.jacobian.DenseLinearization`; see
    :func:`pdeinv.bayes.jacobian.dense_jacobian`. A solve that fails raises
    :class:`pdeinv.errors.SolverDiverged`.
    """

    part: slice | None = None


type Steps[T] = Generator[Request, Any, T]
"""A computation that yields requests, is sent their answers and returns a T."""


def asked_of(posterior: Posterior, level: Level, stage: DataMisfit | None = None) -> Posterior:
    """The posterior that a request of that level and stage is put to."""
    if stage is not None:
        return replace(asked_of(posterior, level), stage=stage)
    if level == "fine":
        return posterior
    if level == "unknown":
        return unwhitened(posterior, "this engine")
    assert posterior.coarse is not None
    return posterior.coarse


def answer(posterior: Posterior, request: Request) -> Any:
    """The answer to one request, charged to the posterior's counters.

    Raises:
        CapabilityError: the model has no derivative, or is no model of m.
        SolverDiverged: a linearisation failed.
    """
    asked = asked_of(posterior, request.level, request.stage)
    with forgiving([asked.counters] if request.trial else []):
        return _answer(asked, request)


def _answer(asked: Posterior, request: Request) -> Any:
    match request:
        case Misfit():
            return asked.misfit(request.xi)
        case Predict():
            return asked.predict(request.xi)
        case Linearize():
            return asked.linearize(request.xi)
        case Curvature():
            along = request.along(asked.counters)
            if by_rows(asked.model) is None:
                return products_alone(along)
            return products_together(asked.model, asked.law, [along])[0]
        case Jacobian():
            return dense_jacobian(asked, request.xi, request.part)
    raise TypeError(f"no answer to a {type(request).__name__}")


def answered(posterior: Posterior, request: Request) -> Any:
    """The same, or the :class:`SolverDiverged` to be raised in its place."""
    try:
        return answer(posterior, request)
    except SolverDiverged as error:
        return error


def advance(steps: Steps[Any], found: Any) -> Request:
    """What ``steps`` ask for next, after an answer or the error in its place; None begins.

    Raises:
        StopIteration: they have ended.
    """
    return steps.throw(found) if isinstance(found, SolverDiverged) else steps.send(found)


def begin(posterior: Posterior, steps: Steps[Any], most: int) -> None:
    """Let ``steps`` run until they return or have asked for more than ``most`` solves.

    Raises:
        PdeinvError: what ``steps`` refuses until then.
    """
    found, asked = None, 0
    try:
        while True:
            request = advance(steps, found)
            asked += request.rows
            if asked > most:
                steps.close()
                return
            found = answered(posterior, request)
    except StopIteration:
        return


def drive[T](posterior: Posterior, steps: Steps[T]) -> T:
    """Answer the requests of ``steps`` one by one until it returns.

    Raises:
        PdeinvError: what ``steps`` raises, and what a request cannot be answered for.
    """
    found = None
    try:
        while True:
            found = answered(posterior, advance(steps, found))
    except StopIteration as end:
        value: T = end.value
        return value


def on_coarse[T](steps: Steps[T]) -> Steps[T]:
    """The same steps with all their requests made of the coarse twin."""
    return _changed(steps, {"level": "coarse"})


def under[T](steps: Steps[T], stage: DataMisfit | None) -> Steps[T]:
    """The same steps with another Φ in all their requests; None leaves them as they are."""
    return steps if stage is None else _changed(steps, {"stage": stage})


def _changed[T](steps: Steps[T], what: Mapping[str, Any]) -> Steps[T]:
    """The same steps with all their requests changed."""
    found = None
    try:
        while True:
            request = advance(steps, found)
            try:
                found = yield replace(request, **what)
            except SolverDiverged as error:
                found = error
    except StopIteration as end:
        value: T = end.value
        return value
