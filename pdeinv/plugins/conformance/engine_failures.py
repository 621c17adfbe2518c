"""Failures: an engine goes on, or ends in one line, where solves or derivatives fail."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import numpy as np

from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.errors import PdeinvError, SolverDiverged
from pdeinv.model.forward import ForwardModel, Linearization, Rows, RowsLinearization
from pdeinv.model.rows import linearize_each, rows_each
from pdeinv.rng import stream
from pdeinv.typing import Array

from .clauses import Table, hold, one_line
from .engine_case import PROTOCOL, Case

__all__ = ["CLAUSES", "Failing", "partly"]

CLAUSES: Table[Case] = Table(PROTOCOL)

NAMES = {"value": "solve", "tangent": "tangent", "adjoint": "adjoint"}


class Failing:
    """A model that fails where the first unknown is large, by an error or by NaN.

    Args:
        inner: the model.
        above: where it begins to fail.
        parts: what fails there: ``value``, ``tangent``, ``adjoint``.
        as_nan: whether the numbers are NaN instead of an error.
    """

    def __init__(
        self, inner: ForwardModel, above: float, parts: Collection[str], as_nan: bool = False
    ) -> None:
        self.inner, self.above, self.parts, self.as_nan = inner, above, parts, as_nan
        self.m_space, self.d_space, self.kind = inner.m_space, inner.d_space, inner.kind
        self.capabilities = inner.capabilities - {"batch"}
        self.n_failed = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def _tried(self, part: str, m: Array, numbers: Callable[[], Array]) -> Array:
        if part not in self.parts or m[0] < self.above:
            return numbers()
        self.n_failed += 1
        if self.as_nan:
            return np.full_like(numbers(), np.nan)
        raise SolverDiverged(f"this {NAMES[part]} fails on purpose")

    def __call__(self, m: Array, /) -> Array:
        """G(m), or the failure."""
        return self._tried("value", m, lambda: self.inner(m))

    def linearize(self, m: Array, /) -> Linearization:
        """Likewise, each part by itself."""
        at, m = self.inner.linearize(m), m.copy()
        return Linearization(
            self._tried("value", m, lambda: at.value),
            lambda dm: self._tried("tangent", m, lambda: at.jvp(dm)),
            lambda w: self._tried("adjoint", m, lambda: at.vjp(w)),
        )

    def rows(self, ms: Array, /) -> Rows[Array]:
        """One by one."""
        return rows_each(self, ms)

    def linearize_rows(self, ms: Array, /) -> RowsLinearization:
        """One by one."""
        return linearize_each(self, ms)


def partly(on: Posterior, parts: Collection[str], share: float = 0.2) -> Posterior:
    """The same posterior with a model that fails for that share of the prior."""
    assert isinstance(on.model, WhitenedModel)
    xi = stream(0, "conformance").standard_normal((200, on.dim))
    above = float(np.quantile(on.prior.unwhiten(xi)[:, 0], 1 - share))
    return replace(on, model=replace(on.model, model=Failing(on.model.model, above, parts)))


def _survived(case: Case, parts: Collection[str]) -> str | None:
    if not isinstance(case.on.model, WhitenedModel):
        return "the model is one of the whitened unknown"
    on = partly(case.build(), parts)
    twin = replace(case, build=lambda: on)
    try:
        found = twin.outcome
    except PdeinvError as error:
        hold(one_line(error), f"the message must be one line, got {str(error)!r}")
        return None
    hold(np.isfinite(found.stats["misfit"]).all(), "a misfit is not finite")
    return None


@CLAUSES.clause(
    "failed-solves", "a run in which some solves fail ends with finite draws and misfits, or with "
    "a typed error in one line", needs=("outcome",), where="pdeinv.engines.requests",
)  # fmt: skip
def failed_solves(case: Case) -> str | None:
    return _survived(case, {"value"})


@CLAUSES.clause(
    "failed-derivatives", "so does a run in which some tangents or adjoints fail",
    needs=("outcome",), where="pdeinv.engines.requests",
)  # fmt: skip
def failed_derivatives(case: Case) -> str | None:
    for parts in ({"adjoint"}, {"tangent"}):
        skipped = _survived(case, parts)
        if skipped:
            return skipped
    return None
