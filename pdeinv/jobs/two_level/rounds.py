"""What every round of a training needs: its options, its models and its fine solves."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field

from pdeinv.bayes.posterior import Counters, Posterior
from pdeinv.config import Config
from pdeinv.engines.run.alone import SHORT, seconds_left
from pdeinv.executors import process_pool
from pdeinv.io.observations import Observations
from pdeinv.model.forward import ForwardModel
from pdeinv.model.learned import Role
from pdeinv.model.tangent import Tangent
from pdeinv.plugins import registry
from pdeinv.plugins.coarse import CoarseConfig
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.recipe import PosteriorRecipe
from pdeinv.plugins.surrogate import (
    SolvedPairs,
    Surrogate,
    check_installed,
    check_pairs,
    check_role,
)
from pdeinv.typing import Array

__all__ = ["Rounds", "RoundsConfig", "learner", "solve_all"]


GROWTH = 3
"""After so many rounds each round makes as many solves more as the first one did."""


class RoundsConfig(CoarseConfig):
    """The table ``[surrogate]`` when ``two-level`` trains its own."""

    name: str = Field("multifidelity", description="registered surrogate that learns from pairs")
    round_size: int = Field(40, ge=12, le=100_000, description="fine solves of one round at first")
    max_rounds: int = Field(20, ge=2, le=1000, description="most rounds")
    target_sd: float = Field(
        0.7,
        gt=0,
        description="largest sd of the misfit difference on draws of the surrogate "
        "posterior; twice that for its mean",
    )
    start: Literal["auto", "laplace", "coarse"] = Field(
        "auto",
        description="first round: about the reference model's MAP points, or draws of the coarse "
        "model's posterior; auto: the former where the reference model has derivatives",
    )
    inflation: float = Field(
        2.0, ge=1, description="noise factor of the first round, which has no surrogate yet"
    )
    explorers: int = Field(4, ge=4, le=1000, description="independent explorers of each round")
    moves: int = Field(
        100,
        ge=10,
        le=1_000_000,
        description="surrogate moves of an explorer in a round at first, after twice as many to "
        "tune; doubled at most four times, until explorers agree",
    )
    options: dict[str, Any] = Field(default_factory=dict, description="options of the surrogate")

    def solves(self, j: int) -> int:
        """Fine solves of round ``j``: more in later rounds, which a few did not suffice for."""
        return self.round_size * (1 + j // GROWTH)

    @property
    def n_fine(self) -> int:
        """The most fine solves that the training can take."""
        return sum(self.solves(j) for j in range(self.max_rounds))


def learner(config: RoundsConfig) -> tuple[type[Surrogate], Config]:
    """The class that is trained in rounds, and its options.

    Raises:
        CapabilityError: it is no forward model, or does not learn from pairs.
        ConfigError: a wrong option.
        MissingDependency: a package that its training needs is not installed.
    """
    kind = registry.load("surrogates", config.name)
    check_role(kind, Role.FORWARD, "two-level")
    check_pairs(kind)
    keys = set(CoarseConfig.model_fields) & set(kind.Config.model_fields)
    own = {key: getattr(config, key) for key in keys}  # none without a coarse model of its own
    options = registry.configured(
        "surrogates", config.name, {**own, **config.options}, "surrogate.options"
    )
    check_installed(kind, options.model_dump(), training=True)
    return kind, options


_worker: Posterior | None = None


def _start(recipe: PosteriorRecipe) -> None:
    global _worker
    _worker = recipe()


def _predict(xi: Array) -> Array:
    assert _worker is not None
    return _worker.predict(xi)


def _soon(elapsed: float, done: int, left: int) -> bool:
    """Whether blocks that are left take less than workers take to start; one block tells."""
    return done == 0 or seconds_left(elapsed, done / (done + left)) < SHORT


def solve_all(
    recipe: PosteriorRecipe,
    xis: Array,
    workers: int,
    counters: Counters,
    look: Callable[[], None] = lambda: None,
) -> Array:
    """Predictions of the reference model at the rows of ``xis``; failed solves are rows of NaN.

    Args:
        recipe: of the reference model.
        xis: where, shape (n, dim).
        workers: processes.
        counters: charged.
        look: called between blocks of solves; raises where they have to stop.
    """
    blocks, parts = np.array_split(xis, max(1, min(len(xis), 4 * workers))), list[Array]()
    posterior, began = recipe(), time.monotonic()
    while blocks and (workers == 1 or _soon(time.monotonic() - began, len(parts), len(blocks))):
        look()
        parts.append(posterior.predict(blocks.pop(0)))
    if blocks:
        with process_pool(workers, _start, (recipe,)) as pool:
            for part in pool.map(_predict, blocks):
                parts.append(part)
                look()
    values = np.concatenate(parts)
    counters.n_forward += len(xis)
    counters.n_failed += int(np.isnan(values).any(axis=1).sum())
    return values


@dataclass(frozen=True)
class Rounds:
    """What every round of a training needs.

    Attributes:
        problem: supplies prior and models.
        observations: the data whose posterior is explored.
        config: rounds and options.
        seed: the root seed.
        workers: processes that share the fine solves.
        level: mesh level of the fine model.
    """

    problem: Problem
    observations: Observations
    config: RoundsConfig
    seed: int
    workers: int = 1
    level: int = 0

    @property
    def recipe(self) -> PosteriorRecipe:
        """How to build the posterior of the fine model."""
        return PosteriorRecipe.of(self.problem, self.observations, level=self.level)

    def posterior(self, model: ForwardModel, inflation: float = 1.0) -> Posterior:
        """The posterior of a cheap model; its solves are counted as surrogate evaluations."""
        wide = self.observations.likelihood.tempered(inflation**2)
        return Posterior(self.problem.prior(), model, self.observations.values, wide)

    def fit(self, xis: Array, fine: Array, tangent: Tangent | None) -> Surrogate:
        """The surrogate fitted on all pairs so far."""
        ok = np.isfinite(fine).all(axis=1)
        kind, config = learner(self.config)
        pairs = SolvedPairs(self.observations, xis[ok], fine[ok], tangent)
        return kind.from_pairs(self.problem, pairs, config, self.seed)
