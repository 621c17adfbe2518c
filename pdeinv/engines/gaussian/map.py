"""The maximum a posteriori point in whitened coordinates, by Gauss-Newton-CG or L-BFGS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import xarray as xr
from pydantic import Field, model_validator

from pdeinv.bayes.likelihood import LikelihoodKind
from pdeinv.bayes.posterior import Posterior
from pdeinv.config import Positive
from pdeinv.engines.bands import BandsConfig, Stages
from pdeinv.engines.base import Chain, Engine, Outcome
from pdeinv.engines.ended import Ended
from pdeinv.engines.gaussian.curvature import ESCAPES
from pdeinv.engines.gaussian.descent import Descended, Descent, DescentConfig, begun, continued
from pdeinv.engines.gaussian.minimize import Minimum, off_saddle
from pdeinv.engines.gaussian.starts import (
    Found,
    another,
    first_found,
    optima_group,
    told,
)
from pdeinv.engines.requests import Steps
from pdeinv.errors import ConfigError, SolverDiverged
from pdeinv.model.forward import DERIVATIVES
from pdeinv.model.learned import Role
from pdeinv.rng import set_aside
from pdeinv.typing import Array

__all__ = ["Map", "MapConfig", "MapState"]


class MapConfig(DescentConfig):
    """Options of ``map``."""

    discrepancy: Positive | None = Field(
        None,
        description="τ: the search, and each band of it, ends where Φ ≤ τ² n/2 for n data that "
        "count; an estimate then, and no minimum, of one search; unset: at the minimum",
    )

    @property
    def level(self) -> float:
        """τ²."""
        return (self.discrepancy or 0.0) ** 2

    @model_validator(mode="after")
    def _one_search(self) -> Self:
        """A search that stops before its minimum finds none that others could be compared with."""
        if self.discrepancy is not None and self.starts != 1:
            raise ValueError(
                "discrepancy ends a search before its minimum, and several searches compare "
                f"theirs: expected starts = 1, got {self.starts or 'none'}; set engine.starts = 1"
            )
        return self


@dataclass(frozen=True)
class MapState(Descended):
    """The first minimization, then the minima that further searches found."""

    found: Found

    @classmethod
    def nothing(cls, dim: int) -> MapState:
        """Before the first minimization."""
        nowhere = Descent(Minimum.nothing(dim), Stages.before(BandsConfig.model_validate({})))
        return cls(nowhere, Found.nothing(dim))


class Map(Engine[MapState]):
    """argmin Φ(xi) + ½ ‖xi‖², one outer iteration or one further search per step.

    The point of highest density in xi. It depends on the coordinates: under a nonlinear transform
    it is not the mode of m. Reference: Nocedal and Wright (2006, §7.1, §7.2).
    """

    name = "map"
    produces = "point"
    takes = LikelihoodKind.SCORE
    uses = frozenset({Role.INVERSE})
    requires = DERIVATIVES
    Config = MapConfig
    config: MapConfig

    @property
    def n_steps(self) -> int:
        """The minimization, the Hessian at its end or ends, and the further searches."""
        return self.config.most_descents + self.config.most_starts + 2 * ESCAPES + 1

    def init(
        self, posterior: Posterior, rng: np.random.Generator, start: Array | None = None
    ) -> Steps[MapState]:
        """``start``, else as configured.

        Raises:
            ConfigError: the discrepancy principle for data without additive noise.
        """
        if self.config.level and posterior.likelihood.kind is not LikelihoodKind.GAUSSIAN:
            raise ConfigError(
                "engine.discrepancy is a rule about additive noise, and these data are compared "
                "otherwise; leave it out, or use misfit 'least-squares'"
            )
        descent = yield from begun(posterior, self.config, rng, start)
        return MapState(descent, Found.nothing(posterior.dim))

    def step(
        self,
        posterior: Posterior,
        state: MapState,
        rng: np.random.Generator,
        starts: Array | None = None,
    ) -> Steps[MapState]:
        """One outer iteration; after the last, the Hessian there; then a search.

        The searches start from the rows of ``starts`` (k, dim), the first of which is that of the
        minimization, where these are given; else from prior draws.
        """
        if state.descent.on(self.config):
            further = yield from continued(posterior, self.config, state.descent, rng)
            return replace(state, descent=further)
        if state.found.searches:
            start = None if starts is None else starts[state.found.searches]
            return replace(state, found=(yield from another(posterior, state.found, rng, start)))
        try:
            return (yield from self._looked_at(posterior, state.descent, rng))
        except SolverDiverged:
            found = Found.alone(posterior.dim, self.config.starts_for(posterior.dim))
        return replace(state, found=found)

    def _looked_at(
        self, posterior: Posterior, at: Descent, rng: np.random.Generator
    ) -> Steps[MapState]:
        """The first minimum with its Gaussian; where it is a saddle point, on the way down.

        Raises:
            SolverDiverged: there is no Gaussian.
        """
        found = yield from first_found(posterior, at.minimum, set_aside(rng))
        root = found.best.laplace.root
        minimum = yield from off_saddle(posterior, at.minimum, self.config, root, rng)
        known = found if minimum is at.minimum else Found.nothing(posterior.dim)
        return MapState(replace(at, minimum=minimum), known)

    def finished(self, state: MapState) -> bool:
        """When all searches are done; there is one where the first did not converge."""
        first, found = state.minimum, state.found
        if state.descent.on(self.config):
            return False
        looked_at = found.searches > 0 and not found.due(first, self.config)
        return looked_at or first.ended is not Ended.CONVERGED

    def record(self, state: MapState, step: int) -> Mapping[str, Any] | None:
        """The course of the minimization."""
        return {
            "objective": state.minimum.objective,
            "gradient_norm": state.minimum.gradient_norm,
            "whole": state.descent.stages.over,
        }

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """The best minimum; all of them in the group ``optima``."""
        state: MapState = chains[0].state
        stages = state.descent.stages
        best = state.found.chosen(state.descent.ended(posterior))
        course = _course(chains[0].records, state)
        groups = {"course": xr.Dataset({"objective": ("iteration", course)}), **stages.groups()}
        if state.found.any:
            groups["optima"] = optima_group(state.found)
        message = best.message(self.config, posterior)
        outcome = Outcome(
            xi=best.xi[None, None, :],
            stats={"misfit": np.array([[best.misfit]]), "lp": np.array([[-best.objective]])},
            ended=best.ended,
            message=message + stages.told() + told(state.found, best, self.config),
            summary={**best.summary(posterior.n_counting), **state.found.summary},
            groups=groups,
            noise_factor=max(1.0, self.config.discrepancy or 1.0),
        )
        return state.found.agreement.judged(outcome)


def _course(records: Mapping[str, Array], state: MapState) -> Array:
    """J after each iteration of the last stage; that of a band is another."""
    none = np.zeros(0)
    course = np.asarray(records.get("objective", none))
    own = np.asarray(records.get("whole", none)).astype(bool)
    steps = state.minimum.n + 2 * state.minimum.saddles
    # the step that ended the last band shows where this stage began
    begins = int(len(state.descent.stages.corners) > 0)
    return np.asarray(course[own][begins:][:steps])
