"""The maximum a posteriori point by CMA-ES, covariance matrix adaptation, without derivatives.

The strategy is that of the package cma, by its authors; random numbers are ours. It cannot be
stored, so that the state is what it was told: the seed and the heights of each generation, from
which the same strategy is made anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from pydantic import Field

from pdeinv import extras
from pdeinv.bayes.likelihood import LikelihoodKind
from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.prior import cost
from pdeinv.config import Config, Many
from pdeinv.engines.agreement import Agreement
from pdeinv.engines.base import Chain, Engine, Outcome
from pdeinv.engines.ended import Ended
from pdeinv.engines.learned_start import estimated_start
from pdeinv.engines.requests import Misfit, Steps
from pdeinv.engines.solvable import first_point, trained_start
from pdeinv.model.learned import Role
from pdeinv.typing import Array

__all__ = ["Cma", "CmaConfig", "CmaState"]

CONVERGED = {"tolfun", "tolfunhist", "tolx"}
"""Reasons to stop that tell of a minimum; all others tell that the search got nowhere."""


class CmaConfig(Config):
    """Options of ``cma``."""

    population: int | None = Field(
        None,
        ge=4,
        le=10_000,
        description="solves of a generation; unset: 4 + 3 ln(number of unknowns)",
    )
    sigma: float = Field(
        0.5, gt=0, description="first step size, in prior standard deviations of each unknown"
    )
    tolerance: float = Field(
        1e-4, gt=0, description="stop when the heights of a generation and the best of the last "
        "ones differ by less, in nats",
    )  # fmt: skip
    max_iterations: int = Field(
        4000, ge=1, description="largest number of generations, of all searches"
    )
    searches: Many = Field(
        4, description="searches, the first from start, further ones from prior draws"
    )
    start: Literal["mean", "prior"] | None = Field(
        None,
        description="where the first search starts: the prior mean or a prior draw; unset: the "
        "estimate of a learned inverse, with its spread as first step sizes, else the prior mean",
    )

    def solves(self, dim: int) -> int:
        """The population for ``dim`` unknowns."""
        return self.population or 4 + int(3 * np.log(dim))


@dataclass(frozen=True)
class Best:
    """The best point of all searches.

    Attributes:
        xi: where, shape (dim,).
        misfit: Φ there.
        height: Φ + R there.
        search: whose it is, from 1.
        ended: how that search ended.
    """

    xi: Array
    misfit: float
    height: float
    search: int
    ended: Ended

    def or_of(self, xis: Array, misfits: Array, heights: Array, search: int) -> Best:
        """Itself, or the best point of a generation of that search."""
        k = int(np.argmin(heights))
        if not heights[k] < self.height:
            return self
        return Best(xis[k], float(misfits[k]), float(heights[k]), search, Ended.RUNNING)


@dataclass(frozen=True)
class CmaState:
    """The search that is on, by its generations, and the best point so far.

    Attributes:
        start: where it began, shape (dim,).
        seeds: of the random numbers of each generation, whole numbers, shape (k,).
        heights: Φ + R of its points, shape (k, population).
        best: of all searches.
        search: its number, from 1.
        n: generations of all searches.
        failed: points of all generations that could not be solved.
        ended: how the last search ended.
        ends: Φ + R where earlier searches ended, those at no minimum left out, shape (searches,).
    """

    start: Array
    seeds: Array
    heights: Array
    best: Best
    search: int
    n: int
    failed: int
    ended: Ended
    ends: Array

    @classmethod
    def nothing(cls, dim: int) -> CmaState:
        """Before the first search."""
        none, best = np.zeros(dim), Best(np.zeros(dim), np.inf, np.inf, 0, Ended.RUNNING)
        return cls(none, np.zeros(0), np.zeros((0, 0)), best, 0, 0, 0, Ended.RUNNING, none[:0])

    @property
    def misfit(self) -> float:
        """Φ of the best point, for the progress line."""
        return self.best.misfit

    def next_search(self, start: Array) -> CmaState:
        """Before the first generation of one more search."""
        none = np.zeros(0), np.zeros((0, self.heights.shape[1]))
        return replace(
            self, start=start, seeds=none[0], heights=none[1], search=self.search + 1,
            ended=Ended.RUNNING, ends=self.all_ends,
        )  # fmt: skip

    @property
    def all_ends(self) -> Array:
        """``ends`` with that of the search that is on, where it is at a minimum."""
        if self.ended is not Ended.CONVERGED:
            return self.ends
        return np.append(self.ends, self.heights.min())


class Cma(Engine[CmaState]):
    """argmin Φ(xi) + ½ ‖xi‖² by an evolution strategy that learns scales and directions.

    One generation a step. Only the order of the heights counts, so that a score, steps of a
    threshold or failed solves do no harm; the number of solves grows with the square of the number
    of unknowns. Reference: Hansen (2016, "The CMA evolution strategy: a tutorial", §A).
    """

    name = "cma"
    produces = "point"
    takes = LikelihoodKind.SCORE
    uses = frozenset({Role.INVERSE})
    Config = CmaConfig
    config: CmaConfig
    _kept: tuple[Array, Strategy] | None = None

    def __init__(self, config: CmaConfig, spread: Array | None = None) -> None:
        """``spread``, shape (dim,), are first step sizes in place of the one ``sigma``."""
        super().__init__(config)
        self._spread = spread

    def init(
        self, posterior: Posterior, rng: np.random.Generator, start: Array | None = None
    ) -> Steps[CmaState]:
        """The first point, which a learned model has to know, and no generation.

        Raises:
            MissingDependency: the package is not installed.
            RunFailed: no point can be solved.
        """
        extras.require("cma", "engine 'cma' needs")
        dim = posterior.dim
        xi = self._first(posterior, rng) if start is None else trained_start(posterior, start)
        at = yield from first_point(rng, xi)
        best = Best(at.xi, at.misfit, at.misfit + float(cost(at.xi)), 1, Ended.RUNNING)
        none = np.zeros(0), np.zeros((0, self.config.solves(dim)))
        return CmaState(at.xi, *none, best, 1, 0, 0, Ended.RUNNING, np.zeros(0))

    def _first(self, posterior: Posterior, rng: np.random.Generator) -> Array:
        """Where the first search starts."""
        if self.config.start == "prior":
            return trained_start(posterior, rng.standard_normal(posterior.dim))
        mean = trained_start(posterior, np.zeros(posterior.dim))
        return mean if self.config.start == "mean" else estimated_start(posterior, mean)

    def _spread_of(self, posterior: Posterior, search: int) -> Array | None:
        """First step sizes of a search; those of an estimate are for the one that begins there."""
        if self._spread is not None or search > 1 or self.config.start is not None:
            return self._spread
        return None if posterior.estimate is None else posterior.estimate.std

    def step(
        self, posterior: Posterior, state: CmaState, rng: np.random.Generator
    ) -> Steps[CmaState]:
        """One generation, of a new search where one has ended."""
        if state.ended is not Ended.RUNNING:
            start = trained_start(posterior, rng.standard_normal(posterior.dim))
            state = state.next_search(start)
        seed, strategy = int(rng.integers(2**53)), self._strategy(posterior, state)
        xis = strategy.ask(seed)
        misfits = np.asarray((yield Misfit(xis)))
        ok = np.isfinite(misfits)
        worst = float(np.max((misfits + cost(xis))[ok], initial=0.0)) + 1
        heights = np.where(ok, misfits + cost(xis), worst)  # last in order is all that counts
        strategy.tell(heights)
        best = state.best.or_of(xis, misfits, np.where(ok, heights, np.inf), state.search)
        ended = strategy.ended if ok.any() else Ended.STALLED
        if best.search == state.search:
            best = replace(best, ended=ended)
        found = replace(
            state,
            seeds=np.append(state.seeds, seed),
            heights=np.concatenate([state.heights, heights[None]]),
            best=best,
            n=state.n + 1,
            failed=state.failed + int((~ok).sum()),
            ended=ended,
        )
        self._kept = found.heights, strategy
        return found

    def _strategy(self, posterior: Posterior, state: CmaState) -> Strategy:
        """The strategy after the generations of the state: the one at hand, or told them again."""
        told, strategy = self._kept or (None, None)
        self._kept = None
        if strategy is not None and told is state.heights:
            return strategy
        spread = self._spread_of(posterior, state.search)
        strategy = Strategy(state.start, self.config, spread)
        for seed, heights in zip(state.seeds, state.heights, strict=True):
            strategy.ask(int(seed))
            strategy.tell(heights)
        return strategy

    def finished(self, state: CmaState) -> bool:
        """When all searches are done."""
        return state.ended is not Ended.RUNNING and state.search == self.config.searches

    def record(self, state: CmaState, step: int) -> Mapping[str, Any] | None:
        """The course of the searches."""
        return {"objective": state.best.height, "search": state.search}

    def finalize(
        self, posterior: Posterior, chains: Sequence[Chain], rng: np.random.Generator
    ) -> Outcome:
        """The best point of all generations."""
        state: CmaState = chains[0].state
        best, done = state.best, self.finished(state)
        ended = best.ended if done else Ended.RUNNING.unless_cut(state.n, self.n_steps)
        outcome = Outcome(
            xi=best.xi[None, None, :],
            stats={"misfit": np.array([[best.misfit]]), "lp": np.array([[-best.height]])},
            ended=ended,
            message=ended.sentence(
                f"cma {ended.words} after {state.n} generations of {state.heights.shape[1]} in "
                f"{state.search} of {self.config.searches} searches, misfit {best.misfit:.4g} for "
                f"{posterior.n_data} data ({posterior.likelihood.expectation})"
            ),
            summary={
                "iterations": float(state.n),
                "misfit": best.misfit,
                "misfit_per_datum": best.misfit / posterior.n_counting,
                "failed": float(state.failed),
            },
            groups={"course": chains[0].course("iteration")},
        )
        return Agreement.of(state.all_ends).judged(outcome)


class Strategy:
    """The package's strategy, with a generator for each generation that is handed in."""

    def __init__(self, start: Array, config: CmaConfig, spread: Array | None = None) -> None:
        self.rng = np.random.default_rng(0)
        cma = extras.load("cma", "engine 'cma' needs")
        options = {
            "popsize": config.solves(len(start)),
            "randn": lambda *shape: self.rng.standard_normal(shape),
            "tolfun": config.tolerance,
            "tolfunhist": config.tolerance,
            "verbose": -9,
        }
        if spread is not None:
            options["CMA_stds"] = spread
        sigma = config.sigma if spread is None else 1.0
        self.inner = cma.CMAEvolutionStrategy(start, sigma, options)

    def ask(self, seed: int) -> Array:
        """The points of a generation, shape (population, dim)."""
        self.rng = np.random.default_rng(seed)
        self.asked = self.inner.ask()
        return np.array(self.asked)

    def tell(self, heights: Array) -> None:
        """How high they are."""
        self.inner.tell(self.asked, list(heights))

    @property
    def ended(self) -> Ended:
        """Why to stop, or that there is no reason."""
        reasons = set(self.inner.stop()) - {"maxiter", "maxfevals"}
        if not reasons:
            return Ended.RUNNING
        return Ended.CONVERGED if reasons & CONVERGED else Ended.STALLED
