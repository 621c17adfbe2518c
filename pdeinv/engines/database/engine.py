"""The most probable unknown from many simulations: all held against the data, the best refined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pdeinv import extras
from pdeinv.bayes.likelihood import LikelihoodKind
from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.base import Chain, Engine, Outcome
from pdeinv.engines.cma import Cma, CmaState
from pdeinv.engines.database.config import DatabaseConfig
from pdeinv.engines.database.hits import Hits
from pdeinv.engines.database.outcome import Before, best_hit, refined
from pdeinv.engines.ended import Ended
from pdeinv.engines.gaussian.curvature import ESCAPES
from pdeinv.engines.gaussian.map import Map, MapState
from pdeinv.engines.requests import Misfit, Steps, drive
from pdeinv.engines.solvable import ADVICE, unwatched
from pdeinv.errors import RunFailed
from pdeinv.model.forward import DERIVATIVES, require
from pdeinv.typing import Array

__all__ = ["Database", "DatabaseState"]

PARTS, MOST = 64, 32
"""Simulations are compared in so many steps, and made in as many or more, none of which makes more
of them than that; a run can be stopped after each."""


@dataclass(frozen=True)
class DatabaseState:
    """How many simulations are compared, the best of them, and where their refinement is.

    Attributes:
        hits: the best so far.
        total: how many simulations there are.
        done: how many are compared.
        solved: whether the run's own model has predicted the hits.
        by_slope: whether they are refined by slopes.
        begun: whether that has begun.
        local: the refinement by slopes, else nothing.
        search: the one without, else nothing.
    """

    hits: Hits
    total: int
    done: int
    solved: bool
    by_slope: bool
    begun: bool
    local: MapState
    search: CmaState

    @property
    def misfit(self) -> float | None:
        """Φ of the best point, for the progress line."""
        if self.begun:
            return self.local.misfit if self.by_slope else self.search.misfit
        return float(self.hits.misfit[0]) if len(self.hits) else None

    @property
    def objective(self) -> float:
        """Φ + R of the best point."""
        if self.begun:
            return self.local.minimum.objective if self.by_slope else self.search.best.height
        return float(self.hits.objective[0]) if len(self.hits) else np.inf


class Database(Engine[DatabaseState]):
    """argmin Φ(xi) + ½ ‖xi‖² from the best of many simulations, which stand for a global search.

    They are those of a file, or prior draws that are solved for here. The best are refined as
    ``map`` or ``cma`` would. Reference: Ezhov et al. (2022, "A for-loop is all you need").
    """

    name = "database"
    produces = "point"
    takes = LikelihoodKind.SCORE
    Config = DatabaseConfig
    config: DatabaseConfig
    _refiner: tuple[Array, Map | Cma] | None = None

    @property
    def simulations(self) -> Path | None:
        """The data set that was asked for."""
        return self.config.simulations

    @property
    def n_steps(self) -> int:
        """Comparisons, solves of the best, and the longest refinement."""
        refinement = self.config.max_iterations + self.config.starts + 2 * ESCAPES + 1
        made = self.simulations is None
        comparisons = -(-self.config.n // _rows(self.config.n, made)) if made else PARTS
        return comparisons + 2 + (0 if self.config.refine == "none" else refinement)

    def draws_kept(self, dim: int) -> int:
        """The best, and the simulations that it is the best of."""
        return 1 + self.config.keep

    def init(self, posterior: Posterior, rng: np.random.Generator) -> Steps[DatabaseState]:
        """Before the first simulation.

        Raises:
            CapabilityError: slopes are asked for and the model has none.
            MissingDependency: the package cma is needed and not there.
        """
        yield from ()
        by_slope = self._by_slope(posterior)
        held, dim = posterior.simulations, posterior.dim
        total = self.config.n if held is None else held.size
        nothing = MapState.nothing(dim), CmaState.nothing(dim)
        return DatabaseState(Hits.nothing(dim), total, 0, held is None, by_slope, False, *nothing)

    def _by_slope(self, posterior: Posterior) -> bool:
        how, has = self.config.refine, posterior.model.capabilities >= DERIVATIVES
        if how == "local":
            require(posterior.model, DERIVATIVES, "engine 'database' with refine 'local'")
        by_slope = has if how is None else how == "local"
        if not by_slope and how != "none":
            extras.require("cma", "engine 'database' with refine 'cma' needs")
        return by_slope

    def step(
        self, posterior: Posterior, state: DatabaseState, rng: np.random.Generator
    ) -> Steps[DatabaseState]:
        """Some more simulations; after the last, solves of the best; then their refinement.

        Raises:
            RunFailed: no simulation, or none of the best, can be solved.
        """
        if state.done < state.total:
            return (yield from self._compared(posterior, state, rng))
        if not state.solved:
            return (yield from _solved(state))
        return (yield from self._refined(posterior, state, rng))

    def _compared(
        self, posterior: Posterior, state: DatabaseState, rng: np.random.Generator
    ) -> Steps[DatabaseState]:
        """The next part of the simulations, from the file or from the prior."""
        held = posterior.simulations
        end = min(state.total, state.done + _rows(state.total, held is None))
        rows = range(state.done, end)
        if held is None:
            xi = rng.standard_normal((len(rows), posterior.dim))
            with unwatched(posterior):
                misfit = np.asarray((yield Misfit(xi)))
        else:
            xi, misfit = held.xi[rows.start : rows.stop], held.misfit(rows)
        hits = state.hits.best(Hits.of(rows.start, xi, misfit), self.config.keep)
        if end == state.total and not len(hits):
            raise RunFailed(f"none of {state.total} simulations can be solved; {ADVICE}")
        return replace(state, hits=hits, done=end)

    def _refined(
        self, posterior: Posterior, state: DatabaseState, rng: np.random.Generator
    ) -> Steps[DatabaseState]:
        """The start of the refinement, or one more step of it."""
        refiner, xi, begun = self._of(state), state.hits.xi, state.begun
        if isinstance(refiner, Map):
            first = None if begun else refiner.init(posterior, rng, xi[0])
            local = yield from first or refiner.step(posterior, state.local, rng, xi)
            return replace(state, begun=True, local=local)
        start = None if begun else refiner.init(posterior, rng, xi[0])
        search = yield from start or refiner.step(posterior, state.search, rng)
        return replace(state, begun=True, search=search)

    def _of(self, state: DatabaseState) -> Map | Cma:
        """What refines these hits: the one at hand, which may remember its search, or a new one."""
        hits = state.hits
        if self._refiner is None or self._refiner[0] is not hits.xi:
            new = (
                Map(self.config.of_map(len(hits)))
                if state.by_slope
                else Cma(self.config.of_cma(), hits.spread)
            )
            self._refiner = hits.xi, new
        return self._refiner[1]

    def finished(self, state: DatabaseState) -> bool:
        """When the best are refined, or need not be."""
        if state.done < state.total or not state.solved:
            return False
        if self.config.refine == "none":
            return True
        return state.begun and self._at_end(state)

    def _at_end(self, state: DatabaseState) -> bool:
        refiner = self._of(state)
        if isinstance(refiner, Map):
            return refiner.finished(state.local)
        return refiner.finished(state.search) or state.search.n >= refiner.n_steps

    def record(self, state: DatabaseState, step: int) -> Mapping[str, Any] | None:
        """The course: the best objective so far, and whether it is of the refinement."""
        return {"objective": state.objective, "refinement": state.begun}

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """The best point, with the simulations that were kept in the group ``hits``.

        Raises:
            RunFailed: a budget ended the run before the first simulation.
        """
        state: DatabaseState = chains[0].state
        if not len(state.hits):
            raise RunFailed(Ended.BUDGET.sentence("no simulation is compared yet"))
        if not state.solved:
            state = drive(posterior, _solved(state))
        before = Before.of(state.hits, state.done, state.total, posterior)
        if not state.begun:
            return best_hit(before, self.finished(state), posterior)
        part = state.local if state.by_slope else state.search
        on = np.asarray(chains[0].records["refinement"], dtype=bool)
        records = {"objective": np.asarray(chains[0].records["objective"])[on]}
        chain = replace(chains[0], state=part, records=records)
        return refined(before, self._of(state).finalize(posterior, [chain], rng), posterior)


def _rows(total: int, made: bool) -> int:
    """How many of the simulations one step takes; of those that are made first, not too many."""
    rows = -(-total // PARTS)
    return min(rows, MOST) if made else rows


def _solved(state: DatabaseState) -> Steps[DatabaseState]:
    """With what the run's own model says of the hits, which a file need not have.

    Raises:
        RunFailed: it cannot be solved at any of them.
    """
    hits = state.hits.solved(np.asarray((yield Misfit(state.hits.xi))))
    if not len(hits):
        raise RunFailed(f"none of the best {len(state.hits)} simulations can be solved; {ADVICE}")
    return replace(state, hits=hits, solved=True)
