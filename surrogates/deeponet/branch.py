"""What the branch of a deep operator network reads: xi, or the coefficient on a coarse grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pdeinv.bayes.prior import Prior
from pdeinv.plugins.problem import Problem
from pdeinv.typing import Array

from ..common.bound import Emulator
from ..operators.emulator import OnGrid

__all__ = ["Branch", "BranchKind"]

BranchKind = Literal["xi", "coefficient"]


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
        return OnGrid(prior, problem.grid_operator(self.shape), emulator, self.log)

    def as_json(self) -> dict[str, Any]:
        """JSON data."""
        return {"kind": self.kind, "shape": list(self.shape), "log": self.log}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Branch:
        """The inverse of :meth:`as_json`."""
        return cls(data["kind"], tuple(data["shape"]), bool(data["log"]))
