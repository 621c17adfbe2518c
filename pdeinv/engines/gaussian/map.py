"""The maximum a posteriori point in whitened coordinates, by Gauss-Newton-CG or L-BFGS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import xarray as xr
from pydantic import Field, model_validator

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.base import Chain, Engine, Outcome
from pdeinv.engines.gaussian.minimize import Minimum, OptimizerConfig, first_minimum, improved
from pdeinv.engines.requests import Steps
from pdeinv.model.forward import DERIVATIVES

__all__ = ["Map", "MapConfig"]


class MapConfig(OptimizerConfig):
    """Options of ``map``."""

    starts: int = Field(1, ge=1, description="independent starts; the best one wins")

    @model_validator(mode="after")
    def _distinct_starts(self) -> Self:
        if self.starts > 1 and self.start == "mean":
            raise ValueError(
                "several starts from the prior mean are all the same; use start = 'prior'"
            )
        return self


class Map(Engine[Minimum]):
    """argmin Φ(xi) + ½ ‖xi‖², one outer iteration per step.

    The point of highest density in xi. It depends on the coordinates: under a nonlinear transform
    it is not the mode of m. Reference: Nocedal and Wright (2006, §7.1, §7.2).
    """

    name = "map"
    produces = "point"
    requires = DERIVATIVES
    Config = MapConfig
    config: MapConfig

    @property
    def n_chains(self) -> int:
        """One per start."""
        return self.config.starts

    def init(self, posterior: Posterior, rng: np.random.Generator) -> Steps[Minimum]:
        """The prior mean for one start, prior draws for several."""
        several = self.config.starts > 1
        from_prior = self.config.start == "prior" or (self.config.start is None and several)
        return first_minimum(posterior, self.config, rng, from_prior=from_prior)

    def step(
        self, posterior: Posterior, state: Minimum, rng: np.random.Generator
    ) -> Steps[Minimum]:
        """One outer iteration."""
        return improved(state, self.config)

    def record(self, state: Minimum, step: int) -> Mapping[str, Any] | None:
        """The course of the minimization."""
        return {"objective": state.objective, "gradient_norm": state.gradient_norm}

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """The best of the starts; all of them in the group ``starts``."""
        best: Minimum = min((c.state for c in chains), key=lambda s: s.objective)
        return Outcome(
            xi=best.xi[None, None, :],
            stats={"misfit": np.array([[best.misfit]]), "lp": np.array([[-best.objective]])},
            ended=best.ended,
            message=best.message(self.config.method, posterior.n_data),
            summary=best.summary(posterior.n_data),
            groups={"starts": _starts(chains)},
        )


def _starts(chains: Sequence[Chain]) -> xr.Dataset:
    courses = [c.records.get("objective", np.zeros(0)) for c in chains]
    course = np.full((len(chains), max(map(len, courses))), np.nan)
    for row, values in zip(course, courses, strict=True):
        row[: len(values)] = values
    states: list[Minimum] = [c.state for c in chains]
    return xr.Dataset(
        {
            "xi": (("start", "xi_dim"), np.stack([s.xi for s in states])),
            "objective": ("start", [s.objective for s in states]),
            "misfit": ("start", [s.misfit for s in states]),
            "gradient_norm": ("start", [s.gradient_norm for s in states]),
            "iterations": ("start", [s.n for s in states]),
            "converged": ("start", [int(s.ended.converged) for s in states]),
            "objective_course": (("start", "iteration"), course),
        }
    )
