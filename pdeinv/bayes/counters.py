"""How often each kind of solve ran, and who pays for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields

from pdeinv.model.forward import ForwardModel, HiddenCost, ModelKind

__all__ = ["Counters", "forgiving"]


@dataclass
class Counters:
    """How often each kind of solve ran.

    Attributes:
        n_forward: reference solves.
        n_tangent: directional derivatives of the reference model.
        n_adjoint: adjoint actions of the reference model.
        n_surrogate: surrogate evaluations (derivative actions included).
        n_failed: reference solves, tangents and adjoint actions that failed or were not finite;
            each counted above too. Trials of a search in m itself that leave its values are none.
        n_surrogate_failed: surrogate evaluations that failed; likewise.
    """

    n_forward: int = 0
    n_tangent: int = 0
    n_adjoint: int = 0
    n_surrogate: int = 0
    n_failed: int = 0
    n_surrogate_failed: int = 0

    def count(
        self,
        kind: ModelKind,
        *,
        forward: int = 0,
        tangent: int = 0,
        adjoint: int = 0,
        failed: int = 0,
    ) -> None:
        """Add solves of a model of that kind."""
        if kind == "surrogate":
            self.n_surrogate += forward + tangent + adjoint
            self.n_surrogate_failed += failed
            return
        self.n_forward += forward
        self.n_tangent += tangent
        self.n_adjoint += adjoint
        self.n_failed += failed

    def count_hidden(self, model: ForwardModel) -> None:
        """Add what the model did beyond what it was asked for (finite differences)."""
        hidden: HiddenCost | None = getattr(model, "hidden_cost", None)
        if hidden is not None:
            forward, tangent, adjoint = hidden.take()
            self.count(model.kind, forward=forward, tangent=tangent, adjoint=adjoint)

    def add(self, other: Counters) -> None:
        """Add the counts of ``other``."""
        for f in fields(self):
            setattr(self, f.name, getattr(self, f.name) + getattr(other, f.name))

    def as_dict(self) -> dict[str, int]:
        """The counts by name."""
        return {f.name: int(getattr(self, f.name)) for f in fields(self)}


@contextmanager
def forgiving(counters: Sequence[Counters]) -> Iterator[None]:
    """Solves meanwhile are counted, and failures among them are not."""
    before = [(c, c.n_failed, c.n_surrogate_failed) for c in counters]
    try:
        yield
    finally:
        for c, failed, surrogate_failed in before:
            c.n_failed, c.n_surrogate_failed = failed, surrogate_failed
