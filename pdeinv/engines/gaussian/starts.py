"""Further searches of an engine that looks for one minimum, and what they found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from pydantic import Field

from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import cost
from pdeinv.engines.agreement import Agreement
from pdeinv.engines.gaussian.minimize import Minimum, OptimizerConfig
from pdeinv.engines.gaussian.optima import FEW, Optima, Optimum, found_optima, masses, optimum_at
from pdeinv.engines.requests import Steps
from pdeinv.rng import set_aside
from pdeinv.typing import Array

__all__ = [
    "Found",
    "StartsConfig",
    "another",
    "comparable",
    "first_found",
    "optima_group",
    "told",
]

SEARCHES = 8, 4
"""Of few unknowns, and of more."""

COMPARABLE = 0.05
"""A second minimum with this share of the mass of all makes a posterior of several modes."""


class StartsConfig(OptimizerConfig):
    """Options of the engines that look for the best of several minima."""

    starts: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="searches: the first from 'start', the others from prior draws, each ended "
        "where it meets a known minimum (about 50 gradients); unset: 8 for at most 20 unknowns, "
        "else 4",
    )

    @property
    def most_starts(self) -> int:
        """The most searches, whatever the number of unknowns."""
        return max(SEARCHES) if self.starts is None else self.starts

    def starts_for(self, dim: int) -> int:
        """The searches in so many dimensions."""
        return SEARCHES[dim > FEW] if self.starts is None else self.starts


@dataclass(frozen=True)
class Found:
    """The minima that are known after some searches."""

    optima: Optima
    searches: int

    @classmethod
    def first(cls, optimum: Optimum) -> Found:
        """Of one search."""
        return cls(Optima.of([optimum], len(optimum.xi)), 1)

    @classmethod
    def nothing(cls, dim: int) -> Found:
        """Before the first search has ended."""
        return cls(Optima.of([], dim), 0)

    @classmethod
    def alone(cls, dim: int, searches: int) -> Found:
        """Of a first search whose minimum has no Hessian to tell others by: no more follow."""
        return cls(Optima.of([], dim), searches)

    @property
    def any(self) -> bool:
        """Whether there is a minimum with its Gaussian."""
        return len(self.optima.xi) > 0

    @property
    def best(self) -> Optimum:
        """That of the lowest J, the first of equals."""
        return min(self.optima.listed(), key=lambda o: o.objective)

    @property
    def masses(self) -> Array:
        """Of each minimum, by its Laplace evidence."""
        return masses([o.log_evidence for o in self.optima.listed()])

    def chosen(self, first: Minimum) -> Minimum:
        """The best minimum, told as the end of the first search."""
        if not self.any or not self.best.objective < first.objective:
            return first
        best = self.best
        misfit = best.objective - float(cost(best.xi))
        return replace(first, xi=best.xi, objective=best.objective, misfit=misfit)

    @property
    def agreement(self) -> Agreement:
        """What the ends of the searches say of one another."""
        return Agreement.of(np.repeat(self.optima.objective, self.optima.hits.astype(int)))

    @property
    def summary(self) -> dict[str, float]:
        """The number of minima, where there was a search for several."""
        return {"optima": float(len(self.optima.xi))} if self.any and self.searches > 1 else {}

    def due(self, first: Minimum, config: StartsConfig) -> bool:
        """Whether another search follows; none does where the first did not converge."""
        n = config.starts_for(len(first.xi))
        return n > 1 and first.ended.converged and self.searches < n


def first_found(posterior: Posterior, first: Minimum, rng: np.random.Generator) -> Steps[Found]:
    """The end of the first search with its Gaussian.

    Raises:
        SolverDiverged: the linearization there failed.
    """
    return Found.first((yield from optimum_at(posterior, first.xi, first.objective, rng)))


def another(
    posterior: Posterior, found: Found, rng: np.random.Generator, start: Array | None = None
) -> Steps[Found]:
    """With one more search from ``start``, else a prior draw; ``rng`` is left where it is."""
    known, aside = found.optima.listed(), set_aside(rng, found.searches)
    optima = yield from found_optima(posterior, 1, aside, known, start)
    return Found(Optima.of(optima, posterior.dim), found.searches + 1)


def comparable(found: Found) -> bool:
    """Whether a second minimum holds a share of the mass that cannot be left out."""
    return found.any and bool(np.sort(found.masses)[:-1].sum() > COMPARABLE)


def told(found: Found, first: Minimum, config: StartsConfig) -> str:
    """One clause on what the searches found; empty where one was asked for."""
    left = found.due(first, config)
    of = f" of {config.starts_for(len(first.xi))}" if left else ""
    if left and not found.any:
        return f"; {found.searches}{of} searches are done"
    if not found.any or (found.searches < 2 and not left):
        return ""
    n = len(found.optima.xi)
    by = f"{found.searches}{of} searches found {n} distinct optim{'um' if n == 1 else 'a'}"
    if n == 1:
        return f"; {by}"
    order = np.argsort(found.optima.objective)
    text = f"; {by} with objectives {_listed(found.optima.objective[order], '.4g')}"
    text += f" and shares {_listed(found.masses[order], '.2f')} of the mass"
    if comparable(found):
        text += ": the posterior has several modes, see engine hmc"
    agreement = found.agreement
    if agreement.scattered and not agreement.doubtful:
        text += f"; {agreement.words}, so that others may be unseen"
    return text


def _listed(values: Sequence[float] | Array, kind: str) -> str:
    return ", ".join(format(float(v), kind) for v in values)


def optima_group(found: Found) -> xr.Dataset:
    """The minima, the best first, as a group of the result file."""
    order = np.argsort(found.optima.objective, kind="stable")
    all_of = found.optima.listed()
    evidence = np.array([o.log_evidence for o in all_of])
    return xr.Dataset(
        {
            "xi": (("optimum", "xi_dim"), found.optima.xi[order]),
            "objective": ("optimum", found.optima.objective[order]),
            "log_evidence": ("optimum", evidence[order]),
            "mass": ("optimum", found.masses[order]),
            "searches": ("optimum", found.optima.hits[order]),
        }
    )
