"""Train a surrogate where the posterior lives, and test whether it may drive two-level sampling.

A network trained on prior draws is useless for a concentrated posterior. Here draws of the current
surrogate posterior are solved with the fine model, the surrogate is refitted on all solves so far,
and this is repeated; each round's draws first serve as held-out test of the surrogate before them.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from pdeinv import registry
from pdeinv.bayes.posterior import Counters, Posterior, WhitenedModel
from pdeinv.building import PosteriorRecipe
from pdeinv.config import Config
from pdeinv.engines.driver import Progress
from pdeinv.engines.hilbert_hmc import tune
from pdeinv.errors import SurrogateRejected
from pdeinv.executors import process_pool
from pdeinv.io.atomic import atomic
from pdeinv.io.observations import Observations
from pdeinv.models import ForwardModel
from pdeinv.protocols import Problem
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = ["RefineConfig", "Refined", "admit", "explore", "refine", "solve_all"]

WARN_SD = 1.5
"""Above this sd of the misfit difference, delayed acceptance gets slow."""

REJECT_SD = 4.0
"""Above this sd of the misfit difference, hardly any proposal is accepted."""

N_ADMISSION = 40
"""Fine solves of the admission test of a surrogate that was trained elsewhere."""


TUNING = 400
"""Surrogate moves that tune the kernel before draws are taken."""


class RefineConfig(Config):
    """The table ``[surrogate]`` when ``two-level`` trains its own."""

    name: str = Field("multifidelity", description="registered surrogate that learns from pairs")
    coarse_level: int = Field(-1, lt=0, description="mesh level of the coarse physics model")
    round_size: int = Field(100, ge=12, description="fine solves of one round")
    max_rounds: int = Field(8, ge=2, description="most rounds")
    target_sd: float = Field(
        1.0, gt=0, description="stop when the held-out sd of the misfit difference is below this"
    )
    inflation: float = Field(
        2.0, ge=1, description="noise factor of the first round, which only has the coarse model"
    )
    moves_per_draw: int = Field(5, ge=1, description="surrogate moves between training draws")
    options: dict[str, Any] = Field(default_factory=dict, description="options of the surrogate")

    @property
    def n_fine(self) -> int:
        """The most fine solves that the training can take."""
        return self.round_size * self.max_rounds


@dataclass(frozen=True)
class Refined:
    """A surrogate that passed its test.

    Attributes:
        folder: its checkpoint, None where the engine needs none.
        counters: what training and testing spent.
        report: figures for the result's attributes.
    """

    folder: Path | None
    counters: Counters
    report: Mapping[str, float]


def explore(posterior: Posterior, n: int, moves_per_draw: int, rng: np.random.Generator) -> Array:
    """``n`` thinned draws of a cheap posterior, shape (n, dim), after as much tuning again."""
    kernel, walker = tune(posterior, max(TUNING, n), rng)
    draws = []
    for _ in range(n):
        walker = kernel.walk(posterior, walker, moves_per_draw, rng)
        draws.append(walker.xi)
    return np.asarray(draws)


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


def _sd_of_difference(posterior: Posterior, xis: Array, fine: Array) -> float:
    """sd(Φ_f - Φ_s) over draws whose fine predictions are known."""
    ok = np.isfinite(fine).all(axis=1)
    delta = posterior.misfit_of(fine[ok]) - posterior.misfit(xis[ok])
    return float(np.std(delta, ddof=1))


def _judge(sd: float, advice: str) -> dict[str, float]:
    """Refuse a surrogate whose misfit is too far from the reference's.

    Raises:
        SurrogateRejected: with the figure and what to do.
    """
    if sd > REJECT_SD:
        raise SurrogateRejected(
            f"surrogate is too inaccurate for two-level sampling: sd of the misfit difference on "
            f"posterior draws is {sd:.2g}, at most {REJECT_SD:g} can work "
            f"(below {WARN_SD:g} is good); "
            f"{advice}"
        )
    return {"sd_misfit_difference_heldout": sd, "surrogate_weak": float(sd > WARN_SD)}


def admit(posterior: Posterior, folder: Path, rng: np.random.Generator) -> Refined:
    """Test a surrogate that was trained elsewhere on draws of its own posterior.

    Raises:
        SurrogateRejected: sd(Φ_f - Φ_s) is too large.
    """
    assert posterior.coarse is not None
    counters = Counters()
    posterior.charge(counters)
    xis = explore(posterior.coarse, N_ADMISSION, 10, rng)
    sd = _sd_of_difference(posterior.coarse, xis, posterior.predict(xis))
    report = _judge(sd, "train it on draws around a posterior ('generate --around RESULT')")
    return Refined(folder, counters, report)


@dataclass(frozen=True)
class _Setting:
    """What every round needs."""

    problem: Problem
    observations: Observations
    config: RefineConfig
    recipe: PosteriorRecipe
    seed: int
    workers: int
    counters: Counters

    def posterior(self, model: ForwardModel, inflation: float = 1.0) -> Posterior:
        """The posterior of a cheap model; its solves are counted as surrogate evaluations."""
        noise = self.observations.noise.scaled(inflation**2)
        return Posterior(self.problem.prior(), model, self.observations.values, noise)

    def fit(self, xis: Array, fine: Array) -> Any:
        """The surrogate fitted on all pairs so far."""
        ok = np.isfinite(fine).all(axis=1)
        kind = registry.load("surrogates", self.config.name)
        options = {"coarse_level": self.config.coarse_level, **self.config.options}
        return kind.from_pairs(
            self.problem, self.observations, xis[ok], fine[ok], kind.Config(**options), self.seed
        )


def refine(
    problem: Problem,
    observations: Observations,
    config: RefineConfig,
    folder: Path,
    how: tuple[int, int, int],
    progress: Progress,
) -> Refined:
    """Train a surrogate in rounds and save it in ``folder/surrogate``; finished rounds are kept.

    Args:
        problem: supplies prior and models.
        observations: the data whose posterior is explored.
        config: rounds and options.
        folder: the run folder; rounds found there are not repeated.
        how: root seed, worker processes and mesh level of the fine model.
        progress: told the round.

    Raises:
        SurrogateRejected: the last held-out test failed.
    """
    seed, workers, level = how
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "refined.json"
    target = folder / "surrogate"
    if done.exists():
        saved = json.loads(done.read_text())
        return Refined(target, Counters(**saved["counters"]), saved["report"])
    recipe = PosteriorRecipe(
        problem.name,
        problem.config.model_dump(mode="json"),
        observations.coords,
        observations.values,
        observations.noise,
        level,
    )
    setting = _Setting(problem, observations, config, recipe, seed, workers, Counters())
    surrogate, report = _rounds(setting, folder, progress)
    with atomic(target) as scratch:
        surrogate.save(scratch)
    with atomic(done) as file:
        file.write_text(json.dumps({"counters": asdict(setting.counters), "report": report}))
    return Refined(target, setting.counters, report)


def _rounds(setting: _Setting, folder: Path, progress: Progress) -> tuple[Any, dict[str, float]]:
    """Rounds until the held-out test is passed; the surrogate returned knows that round too."""
    prior, sensors = setting.problem.prior(), setting.observations.coords
    coarse = setting.problem.forward_model(sensors, setting.config.coarse_level)
    posterior = setting.posterior(WhitenedModel(prior, coarse), setting.config.inflation)
    surrogate: Any = None
    xis, fine = np.zeros((0, prior.dim)), np.zeros((0, setting.observations.size))
    sd, most = np.inf, setting.config.max_rounds
    for j in range(most):
        progress(-1, j, most, f"training, {len(xis)} fine solves so far")
        new_xis, new_fine = _round(setting, folder, posterior, j)
        if surrogate is not None:
            sd = _sd_of_difference(posterior, new_xis, new_fine)
        xis, fine = np.concatenate([xis, new_xis]), np.concatenate([fine, new_fine])
        surrogate = setting.fit(xis, fine)
        posterior = setting.posterior(surrogate.bind(setting.problem, prior, sensors))
        if sd < setting.config.target_sd:
            break
    progress(-1, most, most, f"surrogate trained with {len(xis)} fine solves")
    return surrogate, _judge(sd, "raise max_rounds in [surrogate], or use a finer coarse_level")


def _round(setting: _Setting, folder: Path, posterior: Posterior, j: int) -> tuple[Array, Array]:
    """Draws and fine solves of round ``j``, from its file where an earlier run left one."""
    file = folder / f"refine{j}.npz"
    if not file.exists():
        n, rng = setting.config.round_size, stream(setting.seed, "refine", j)
        spent = Counters()
        posterior.charge(spent)
        with warnings.catch_warnings():
            # draws beyond the range of the round before are what a round is for
            warnings.simplefilter("ignore", UserWarning)
            xis = explore(posterior, n, setting.config.moves_per_draw, rng)
        fine = solve_all(setting.recipe, xis, setting.workers, spent)
        with atomic(file) as target, target.open("wb") as stream_:
            np.savez(stream_, xis=xis, fine=fine, spent=json.dumps(asdict(spent)))
    with np.load(file, allow_pickle=False) as data:
        spent = Counters(**json.loads(str(data["spent"])))
        setting.counters.add(_as_surrogate(spent, len(data["xis"])))
        return data["xis"], data["fine"]


def _as_surrogate(spent: Counters, n_fine: int) -> Counters:
    """Book the coarse physics model's solves as surrogate evaluations; only ``n_fine`` are fine."""
    cheap = spent.n_forward - n_fine + spent.n_tangent + spent.n_adjoint
    return Counters(
        n_forward=n_fine, n_surrogate=spent.n_surrogate + cheap, n_failed=spent.n_failed
    )
