"""How far a surrogate is believed: before two-level sampling, and where it is inverted with alone.

Two-level sampling wants its misfit close to the reference's on draws of its own posterior. A
surrogate that knows its predictive variance v(xi) errs by e ~ N(0, diag(v)), which tells beforehand
how far the two misfits would lie apart. Inverting with it alone, the data's noise is Γ + diag(v̄)
with v̄ the mean of v over draws of the very posterior: a constant, so that every engine and both of
its derivatives stay as they are (the enhanced error model of Kaipio and Somersalo 2007, its mean
left out).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import Field

from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Counters, Posterior
from pdeinv.bayes.surrogate_limits import REJECT_SD, WARN_SD
from pdeinv.config import Config
from pdeinv.engines.base import Outcome
from pdeinv.engines.ended import Ended
from pdeinv.engines.mcmc.tuning import tune
from pdeinv.engines.requests import Steps, drive
from pdeinv.engines.solvable import in_reach
from pdeinv.errors import CapabilityError, SurrogateRejected
from pdeinv.model.forward import Capability
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = [
    "Difference",
    "GivenSurrogate",
    "SurrogateReport",
    "admit",
    "expectation",
    "expected_sd",
    "explore",
    "inflated_noise",
    "judge",
    "mean_variance_added",
    "trusted",
]

N_ADMISSION = 40
"""Fine solves of the admission test of a surrogate that was trained elsewhere."""

N_DRAWS = 200
"""Draws over which variances are averaged."""

FAILED = 0.1
"""The share of draws whose fine solve may fail in a test."""

EXPLORERS, TUNING = 4, 400
"""How many give the draws; surrogate moves of each that tune its kernel before."""


class GivenSurrogate(Config):
    """The table ``[surrogate]`` when it names a trained one."""

    path: str = Field(description="folder that 'train-surrogate' wrote")
    inflate: bool = Field(
        False, description="with model = surrogate: add its mean predictive variance to the noise"
    )


@dataclass(frozen=True)
class SurrogateReport:
    """What is known of the surrogate of a run before its engine starts.

    Attributes:
        folder: its checkpoint, None where the engine needs none.
        counters: what training and testing spent.
        figures: for the result's attributes.
        seconds: wall time of training and tests.
        cpu_seconds: the same of all processors.
        points: draws of its posterior, shape (n, dim); none where it was not tested.
        seen: more of them, where explorers agreed on it.
        advice: what its costs say against its use, in words.
    """

    folder: Path | None = None
    counters: Counters = field(default_factory=Counters)
    figures: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    points: Array = field(default_factory=lambda: np.zeros((0, 0)))
    seen: Array | None = None
    advice: str = ""

    @property
    def entry(self) -> dict[str, float | bool]:
        """Of a surrogate that was admitted, for the file of tests."""
        sd, mean = (self.figures[f"{k}_misfit_difference_heldout"] for k in ("sd", "mean"))
        return {"sd": sd, "mean": mean, "passed": True}

    @property
    def remark(self) -> str:
        """A clause where the training ended before explorers agreed; else empty."""
        if self.figures.get("training_agreed", 1.0):
            return ""
        found = self.figures
        return (
            f"the surrogate did not pass its test twice in a row: R-hat of explorers "
            f"{found['explorers_r_hat']:.3f}, misfit difference "
            f"{found['mean_misfit_difference_heldout']:.2g} ± "
            f"{found['sd_misfit_difference_heldout']:.2g}; raise max_rounds in [surrogate]"
        )


def trusted(outcome: Outcome, surrogate: SurrogateReport) -> Outcome:
    """The outcome, not converged where its surrogate did not pass its test.

    Chains that agree may have missed alike what their surrogate does not know.
    """
    if not surrogate.remark:
        return outcome
    if not outcome.converged:
        return replace(outcome, message=f"{outcome.message}; {surrogate.remark}")
    figures = outcome.message.removeprefix("converged: ")
    message = f"not converged: {surrogate.remark}; {figures}"
    return replace(outcome, ended=Ended.MISLED, message=message)


def explore(posterior: Posterior, n: int, moves_per_draw: int, rng: np.random.Generator) -> Array:
    """``n`` thinned draws of a cheap posterior, shape (n, dim), by explorers of their own starts.

    Each explorer tunes its kernel from a prior draw and gives its share of the draws. It stays
    where the surrogate may know something: whether it is right is asked there.
    """

    def draws(share: int) -> Steps[list[Array]]:
        tuned = yield from tune(posterior, TUNING, rng)
        places = [tuned.place]
        for _ in range(share):
            trail = yield from tuned.kernel.trail(places[-1], moves_per_draw, rng)
            places.append(trail[-1] if in_reach(posterior, trail[-1].xi) else places[-1])
        return [place.xi for place in places[1:]]

    shares = [len(part) for part in np.array_split(np.arange(n), EXPLORERS)]
    with warnings.catch_warnings():
        # states beyond the range of the samples are what explorers are for
        warnings.simplefilter("ignore", UserWarning)
        return np.asarray([xi for share in shares for xi in drive(posterior, draws(share))])


@dataclass(frozen=True)
class Difference:
    """Φ_f - Φ_s over draws of a surrogate posterior; NaN where it cannot be told.

    Its spread costs acceptance. A mean far from zero says that the draws lie where the surrogate is
    wrong, all of them alike: in a mode that it invents the spread may be small.

    Attributes:
        mean: over the draws.
        sd: their standard deviation.
    """

    mean: float
    sd: float

    @classmethod
    def of(cls, posterior: Posterior, xis: Array, fine: Array) -> Self:
        """From draws whose fine predictions are known, a few that failed left out.

        Many failures say that the draws lie where the fine model cannot be solved.
        """
        ok = np.isfinite(fine).all(axis=1)
        if np.mean(~ok) > FAILED:
            return cls(np.nan, np.nan)
        return cls.over(posterior.misfit_of(fine[ok]) - posterior.misfit(xis[ok]))

    @classmethod
    def over(cls, delta: Array) -> Self:
        """From differences; NaN for fewer than two, or where a misfit is infinite."""
        if len(delta) < 2 or not np.isfinite(delta).all():
            return cls(np.nan, np.nan)
        return cls(float(np.mean(delta)), float(np.std(delta, ddof=1)))

    def within(self, sd: float) -> bool:
        """Whether the spread is at most ``sd`` and the mean at most twice that.

        Independent errors of many data give a spread s and a mean of s²/2, which is 2 s at s = 4.
        """
        return bool(self.sd <= sd and abs(self.mean) <= 2 * sd)


def judge(found: Difference, advice: str) -> dict[str, float]:
    """Refuse a surrogate whose misfit is too far from the reference's.

    Raises:
        SurrogateRejected: with the figures and what to do.
    """
    if not found.within(REJECT_SD):  # also where too few fine solves succeeded to tell it
        raise SurrogateRejected(
            f"surrogate is too inaccurate for two-level sampling: the misfit difference on draws "
            f"of its posterior is {found.mean:.2g} ± {found.sd:.2g} (mean ± sd), at most "
            f"{2 * REJECT_SD:g} ± {REJECT_SD:g} can work (below {2 * WARN_SD:g} ± {WARN_SD:g} is "
            f"good); {advice}"
        )
    return {
        "sd_misfit_difference_heldout": found.sd,
        "mean_misfit_difference_heldout": found.mean,
        "surrogate_weak": float(not found.within(WARN_SD)),
    }


def admit(posterior: Posterior, folder: Path, seed: int) -> SurrogateReport:
    """Test a surrogate that was trained elsewhere before it drives two-level sampling.

    Its own variance is asked first, where it knows one, then the reference model on draws of the
    surrogate's posterior.

    Args:
        posterior: of the reference model, with the surrogate as its coarse twin.
        folder: the surrogate.
        seed: the root seed.

    Raises:
        SurrogateRejected: Φ_f - Φ_s is, or is expected to be, too large.
    """
    coarse, spent = posterior.coarse, Counters()
    assert coarse is not None
    posterior.charge(spent)
    expected = expectation(coarse, stream(seed, "expected"))
    xis = explore(coarse, N_ADMISSION, 10, stream(seed, "admission"))
    difference = Difference.of(coarse, xis, posterior.predict(xis))
    found = judge(difference, "train it on draws around a posterior ('generate --around RESULT')")
    return SurrogateReport(folder, spent, {**found, **expected}, points=xis)


def expectation(posterior: Posterior, rng: np.random.Generator) -> dict[str, float]:
    """What a surrogate with a variance says of itself, before any fine model is solved.

    Raises:
        SurrogateRejected: it expects to be too inaccurate.
    """
    if not _knows_variance(posterior):
        return {}
    sd = expected_sd(posterior, rng)
    if not sd <= REJECT_SD:
        raise SurrogateRejected(
            f"surrogate expects to be too inaccurate for two-level sampling: by its own variance "
            f"the sd of the misfit difference is {sd:.2g}, at most {REJECT_SD:g} can work; train "
            "it on draws around a posterior ('generate --around RESULT')"
        )
    return {"sd_misfit_difference_expected": sd}


def expected_sd(posterior: Posterior, rng: np.random.Generator) -> float:
    """sd(Φ_f - Φ_s) on draws of a surrogate posterior, as the surrogate's variance has it.

    Errors of different data count as independent. No fine model is solved.
    """
    xis = explore(posterior, N_DRAWS, 5, rng)
    predicted = posterior.predict(xis)
    error = np.sqrt(_variance(posterior, xis)) * rng.standard_normal(predicted.shape)
    delta = posterior.misfit_of(predicted + error) - posterior.misfit_of(predicted)
    return Difference.over(delta).sd


def inflated_noise(posterior: Posterior, folder: Path | None, seed: int) -> InflatedNoise:
    """The noise that allows for the errors of the surrogate that is inverted with.

    Raises:
        CapabilityError: the surrogate knows no variance.
    """
    spent = Counters()
    posterior.charge(spent)
    noise = mean_variance_added(posterior, stream(seed, "inflation"))
    factor = float(np.sqrt(np.mean((noise.std / posterior.noise.std) ** 2)))
    return InflatedNoise(noise, SurrogateReport(folder, spent, {"noise_inflation": factor}))


@dataclass(frozen=True)
class InflatedNoise:
    """Noise with a surrogate's errors in it; the report has the rms factor on σ."""

    noise: Noise
    report: SurrogateReport


def mean_variance_added(posterior: Posterior, rng: np.random.Generator, rounds: int = 2) -> Noise:
    """Γ + diag(v̄), v̄ averaged over draws of the posterior with that noise.

    Args:
        posterior: of a surrogate.
        rng: draws prior and posterior.
        rounds: v̄ starts at the prior's average and is found again so many times.

    Raises:
        CapabilityError: the model knows no variance.
    """
    if not _knows_variance(posterior):
        raise CapabilityError(
            "surrogate.inflate needs a surrogate with a predictive variance (gp, ensemble); "
            "choose one, or leave inflate out"
        )
    noise = posterior.noise
    xis = rng.standard_normal((N_DRAWS, posterior.dim))
    for _ in range(rounds):
        wide = noise.plus(_variance(posterior, xis).mean(axis=0))
        xis = explore(replace(posterior, likelihood=wide), N_DRAWS, 5, rng)
    return noise.plus(_variance(posterior, xis).mean(axis=0))


def _knows_variance(posterior: Posterior) -> bool:
    return Capability.VARIANCE in posterior.model.capabilities


def _variance(posterior: Posterior, xis: Array) -> Array:
    """v at the rows of ``xis``, shape (n, n_d)."""
    model: Any = posterior.model
    return np.asarray(model.variance(xis))
