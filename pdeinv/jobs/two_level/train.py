"""Train a surrogate where the posterior lives, and test whether it may drive two-level sampling.

A network trained on prior draws is useless for a concentrated posterior. Here draws of the current
surrogate posterior are solved with the fine model, the surrogate is refitted on all solves so far,
and this is repeated; each round's draws first serve as held-out test of the surrogate before them.
The first round has no surrogate: see :mod:`pdeinv.jobs.two_level.start`. What the fine model's
derivative at its MAP point says, found on the way there, is kept for every fit.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from pdeinv.bayes.posterior import Counters, Posterior, WhitenedModel
from pdeinv.config import Config, parse
from pdeinv.engines.progress import Progress
from pdeinv.errors import ConfigError, DataSchemaError, RunFailed, SolverDiverged
from pdeinv.executors import process_pool
from pdeinv.io.arrays import opened_arrays, write_arrays
from pdeinv.io.atomic import atomic, write_text
from pdeinv.io.datasets import prior_probe, same_prior
from pdeinv.io.observations import Observations
from pdeinv.jobs.two_level.admission import SurrogateReport, explore, judge, sd_of_difference
from pdeinv.jobs.two_level.start import AtMap, at_the_map, can_start_at_map
from pdeinv.model.forward import ForwardModel
from pdeinv.model.learned import Role
from pdeinv.model.tangent import Tangent
from pdeinv.plugins import registry
from pdeinv.plugins.problem import Problem
from pdeinv.plugins.recipe import PosteriorRecipe, bound_forward
from pdeinv.plugins.surrogate import (
    SolvedPairs,
    Surrogate,
    check_installed,
    check_pairs,
    check_role,
)
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = ["Rounds", "RoundsConfig", "learner", "solve_all", "train_in_rounds"]

TESTS = "tests.json"
"""In the run folder: pairs that the surrogate had learned from, and its sd on fresh draws."""


class RoundsConfig(Config):
    """The table ``[surrogate]`` when ``two-level`` trains its own."""

    name: str = Field("multifidelity", description="registered surrogate that learns from pairs")
    coarse_level: int = Field(-1, lt=0, description="mesh level of the coarse physics model")
    round_size: int = Field(40, ge=12, description="fine solves of one round")
    max_rounds: int = Field(20, ge=2, description="most rounds")
    target_sd: float = Field(
        1.0, gt=0, description="stop when the held-out sd of the misfit difference is below this"
    )
    start: Literal["auto", "laplace", "coarse"] = Field(
        "auto",
        description="first round: about the reference model's MAP point, or draws of the coarse "
        "model's posterior; auto: the former where the reference model has derivatives",
    )
    inflation: float = Field(
        2.0, ge=1, description="noise factor of the first round, which has no surrogate yet"
    )
    moves_per_draw: int = Field(5, ge=1, description="surrogate moves between training draws")
    options: dict[str, Any] = Field(default_factory=dict, description="options of the surrogate")

    @property
    def n_fine(self) -> int:
        """The most fine solves that the training can take."""
        return self.round_size * self.max_rounds


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
    own = {"coarse_level": config.coarse_level}
    if "coarse_level" not in kind.Config.model_fields:  # no coarse physics model of its own
        own = {}
    options = parse(kind.Config, {**own, **config.options}, "surrogate.options")
    check_installed(kind, options.model_dump(), training=True)
    return kind, options


_worker: Posterior | None = None


def _start(recipe: PosteriorRecipe) -> None:
    global _worker
    _worker = recipe()


def _predict(xi: Array) -> Array:
    assert _worker is not None
    return _worker.predict(xi)


def solve_all(recipe: PosteriorRecipe, xis: Array, workers: int, counters: Counters) -> Array:
    """Predictions of the reference model at the rows of ``xis``; failed solves are rows of NaN."""
    if workers > 1:
        blocks = np.array_split(xis, min(len(xis), 4 * workers))
        with process_pool(workers, _start, (recipe,)) as pool:
            values = np.concatenate(list(pool.map(_predict, blocks)))
    else:
        values = recipe().predict(xis)
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
        counters: what was spent.
    """

    problem: Problem
    observations: Observations
    config: RoundsConfig
    seed: int
    workers: int = 1
    level: int = 0
    counters: Counters = field(default_factory=Counters)

    @property
    def recipe(self) -> PosteriorRecipe:
        """How to build the posterior of the fine model."""
        return PosteriorRecipe.of(self.problem, self.observations, level=self.level)

    def posterior(self, model: ForwardModel, inflation: float = 1.0) -> Posterior:
        """The posterior of a cheap model; its solves are counted as surrogate evaluations."""
        noise = self.observations.noise.scaled(inflation**2)
        return Posterior(self.problem.prior(), model, self.observations.values, noise)

    def fit(self, xis: Array, fine: Array, tangent: Tangent | None) -> Surrogate:
        """The surrogate fitted on all pairs so far."""
        ok = np.isfinite(fine).all(axis=1)
        kind, config = learner(self.config)
        pairs = SolvedPairs(self.observations, xis[ok], fine[ok], tangent)
        return kind.from_pairs(self.problem, pairs, config, self.seed)


def train_in_rounds(rounds: Rounds, folder: Path, progress: Progress) -> SurrogateReport:
    """Train a surrogate in rounds and save it in ``folder/surrogate``; finished rounds are kept.

    Args:
        rounds: what to train, on what and how.
        folder: the run folder; rounds found there are not repeated.
        progress: told the round.

    Raises:
        SurrogateRejected: the last held-out test failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done, target = folder / "rounds.json", folder / "surrogate"
    if done.exists():
        saved = json.loads(done.read_text())
        return SurrogateReport(target, Counters(**saved["counters"]), saved["figures"])
    surrogate, figures = _trained(rounds, folder, progress)
    with atomic(target) as scratch:
        surrogate.save(scratch)
    write_text(done, json.dumps({"counters": asdict(rounds.counters), "figures": figures}))
    return SurrogateReport(target, rounds.counters, figures)


def _trained(
    rounds: Rounds, folder: Path, progress: Progress
) -> tuple[Surrogate, dict[str, float]]:
    """Rounds until the held-out test is passed; the surrogate returned knows that round too."""
    prior, sensors = rounds.problem.prior(), rounds.observations.coords
    coarse = rounds.problem.forward_model(sensors, rounds.config.coarse_level)
    posterior = rounds.posterior(WhitenedModel(prior, coarse), rounds.config.inflation)
    surrogate: Surrogate | None = None
    tangent: Tangent | None = None
    xis, fine = np.zeros((0, prior.dim)), np.zeros((0, rounds.observations.size))
    sd, most, tests = np.inf, rounds.config.max_rounds, list[dict[str, float]]()
    for j in range(most):
        found = f", sd of the misfit difference {sd:.2g}" if np.isfinite(sd) else ""
        progress(-1, j, most, f"training, {rounds.counters.n_forward} fine solves so far{found}")
        new = _round(rounds, folder, posterior, j)
        tangent = tangent or new.tangent
        if surrogate is not None:
            sd = sd_of_difference(posterior, new.xis, new.fine)
            tests.append({"pairs": len(xis), "sd": sd})
            write_text(folder / TESTS, json.dumps(tests))
        xis, fine = np.concatenate([xis, new.xis]), np.concatenate([fine, new.fine])
        surrogate = rounds.fit(xis, fine, tangent)
        model = bound_forward(surrogate, rounds.problem, prior, sensors)
        posterior = rounds.posterior(model)
        if sd < rounds.config.target_sd:
            break
    progress(-1, most, most, f"surrogate trained with {rounds.counters.n_forward} fine solves")
    assert surrogate is not None  # there are two rounds at least
    return surrogate, judge(sd, "raise max_rounds in [surrogate], or use a finer coarse_level")


@dataclass(frozen=True)
class _Solved:
    """What a round gave: draws, the fine model's data there, and its tangent at the MAP point."""

    xis: Array
    fine: Array
    tangent: Tangent | None


def _round(rounds: Rounds, folder: Path, posterior: Posterior, j: int) -> _Solved:
    """Draws and fine solves of round ``j``, from its file where an earlier run left one."""
    file = folder / f"round{j}.npz"
    if not file.exists():
        spent, cheap = Counters(), Counters()
        posterior.charge(cheap)
        rng = stream(rounds.seed, "refine", j)  # the name that the draws have always had
        at = _at_map(rounds, posterior, spent, rng) if j == 0 else None
        if at is None:
            xis = _explored(rounds, posterior, rng)
        else:
            xis = at.draws(rounds.config.round_size, rounds.config.inflation, rng)
        fine = solve_all(rounds.recipe, xis, rounds.workers, spent)
        spent.add(_as_surrogate(cheap))
        more: dict[str, Any] = {} if at is None else at.tangent.arrays()
        more["probe"] = prior_probe(rounds.problem.prior())
        write_arrays(file, xis=xis, fine=fine, spent=json.dumps(asdict(spent)), **more)
    with opened_arrays(file, lambda kind: _damaged(file, kind)) as data:
        _check_prior(data, rounds, folder)
        rounds.counters.add(Counters(**json.loads(str(data["spent"]))))
        return _Solved(data["xis"], data["fine"], Tangent.from_arrays(data))


def _check_prior(data: Any, rounds: Rounds, folder: Path) -> None:
    if "probe" not in data or not same_prior(rounds.problem.prior(), data["probe"]):
        raise ConfigError(
            f"training rounds in {folder} belong to another prior, perhaps in the basis of an "
            "older version; start again with --overwrite"
        )


def _damaged(file: Path, kind: str) -> DataSchemaError:
    return DataSchemaError(f"{file} is damaged ({kind}); delete it and continue with --resume")


def _at_map(
    rounds: Rounds, coarse: Posterior, spent: Counters, rng: np.random.Generator
) -> AtMap | None:
    """What the fine model says of its MAP point; None where the coarse model has to do.

    Raises:
        CapabilityError: ``start = "laplace"`` for a model without derivatives.
        RunFailed, SolverDiverged: ``start = "laplace"`` and no MAP point was found.
    """
    config = rounds.config
    if config.start == "coarse":
        return None
    fine = rounds.recipe()
    if config.start == "auto" and not can_start_at_map(fine):
        return None
    fine.charge(spent)
    try:
        return at_the_map(fine, coarse, rng)
    except (RunFailed, SolverDiverged):
        if config.start == "laplace":
            raise
        return None


def _explored(rounds: Rounds, posterior: Posterior, rng: np.random.Generator) -> Array:
    with warnings.catch_warnings():
        # draws beyond the range of the round before are what a round is for
        warnings.simplefilter("ignore", UserWarning)
        return explore(posterior, rounds.config.round_size, rounds.config.moves_per_draw, rng)


def _as_surrogate(cheap: Counters) -> Counters:
    """Book what the coarse physics model spent as surrogate evaluations."""
    return Counters(
        n_surrogate=cheap.n_surrogate + cheap.n_forward + cheap.n_tangent + cheap.n_adjoint,
        n_surrogate_failed=cheap.n_surrogate_failed + cheap.n_failed,
    )
