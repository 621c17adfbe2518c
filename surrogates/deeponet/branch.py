"""What the branch of a deep operator network reads: xi, or the coefficient on a coarse grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pdeinv.bayes.prior import Prior
from pdeinv.model.forward import Linearization
from pdeinv.plugins.problem import Problem
from pdeinv.typing import Array

from ..common.bound import Emulator

__all__ = ["Branch", "BranchKind"]

BranchKind = Literal["xi", "coefficient"]


@dataclass(frozen=True)
class _OnCoefficient:
    """An emulator of the coefficient on a grid as one of xi."""

    prior: Prior
    to_grid: Any
    log: bool
    emulator: Emulator

    def __call__(self, xi: Array) -> Array:
        m = self.prior.unwhiten(xi.reshape(-1, xi.shape[-1]))
        values = np.asarray((self.to_grid @ m.T).T).reshape(*xi.shape[:-1], -1)
        return self.emulator(np.log(values) if self.log else values)

    def linearize(self, xi: Array) -> Linearization:
        values = np.asarray(self.to_grid @ self.prior.unwhiten(xi))
        slope = 1.0 / values if self.log else np.ones_like(values)
        at = self.emulator.linearize(np.log(values) if self.log else values)
        back = self.to_grid.T.tocsr()
        return Linearization(
            at.value,
            lambda v: at.jvp(slope * (self.to_grid @ self.prior.unwhiten_jvp(xi, v))),
            lambda w: self.prior.unwhiten_vjp(xi, back @ (slope * at.vjp(w))),
        )


@dataclass(frozen=True)
class Branch:
    """From xi to the inputs of the branch network.

    Attributes:
        kind: ``xi`` or ``coefficient``.
        shape: of the grid that the coefficient is read on.
        log: whether its logarithm is read.
    """

    kind: BranchKind
    shape: tuple[int, ...]
    log: bool

    @classmethod
    def of(cls, problem: Problem, kind: BranchKind, shape: tuple[int, ...], xi: Array) -> Branch:
        """For a problem; the logarithm is read where all training coefficients are positive."""
        branch = cls(kind, shape, False)
        return cls(
            kind, shape, kind == "coefficient" and bool((branch.read(problem, xi) > 0).all())
        )

    def read(self, problem: Problem, xi: Array) -> Array:
        """Branch inputs (n, n_in) of (n, dim)."""
        if self.kind == "xi":
            return xi
        prior, to_grid = problem.prior(), problem.grid_operator(self.shape)
        values = np.asarray((to_grid @ prior.unwhiten(xi).T).T)
        return np.log(values) if self.log else values

    def before(self, emulator: Emulator, problem: Problem, prior: Prior) -> Emulator:
        """``emulator`` of branch inputs as one of xi."""
        if self.kind == "xi":
            return emulator
        return _OnCoefficient(prior, problem.grid_operator(self.shape), self.log, emulator)

    def as_json(self) -> dict[str, Any]:
        """JSON data."""
        return {"kind": self.kind, "shape": list(self.shape), "log": self.log}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Branch:
        """The inverse of :meth:`as_json`."""
        return cls(data["kind"], tuple(data["shape"]), bool(data["log"]))
