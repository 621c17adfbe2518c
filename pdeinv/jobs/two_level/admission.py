"""May a surrogate drive two-level sampling? The spread of its misfit error on its own draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pdeinv.bayes.posterior import Counters, Posterior
from pdeinv.engines.mcmc.hmc import tune
from pdeinv.engines.requests import Steps, drive
from pdeinv.errors import SurrogateRejected
from pdeinv.typing import Array

__all__ = ["REJECT_SD", "Refined", "admit", "explore", "judge", "sd_of_difference", "spread"]

WARN_SD = 1.5
"""Above this sd of the misfit difference, delayed acceptance gets slow."""

REJECT_SD = 4.0
"""Above this sd of the misfit difference, hardly any proposal is accepted."""

N_ADMISSION = 40
"""Fine solves of the admission test of a surrogate that was trained elsewhere."""

TUNING = 400
"""Surrogate moves that tune the kernel before draws are taken."""


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

    def draws() -> Steps[list[Array]]:
        tuned = yield from tune(posterior, max(TUNING, n), rng)
        places = [tuned.place]
        for _ in range(n):
            trail = yield from tuned.kernel.trail(places[-1], moves_per_draw, rng)
            places.append(trail[-1])
        return [place.xi for place in places[1:]]

    return np.asarray(drive(posterior, draws()))


def sd_of_difference(posterior: Posterior, xis: Array, fine: Array) -> float:
    """sd(Φ_f - Φ_s) over draws whose fine predictions are known; NaN where it cannot be told."""
    ok = np.isfinite(fine).all(axis=1)
    delta = posterior.misfit_of(fine[ok]) - posterior.misfit(xis[ok])
    return spread(delta)


def spread(delta: Array) -> float:
    """The sd of misfit differences; NaN for fewer than two, or where a misfit is infinite."""
    return float(np.std(delta, ddof=1)) if len(delta) > 1 and np.isfinite(delta).all() else np.nan


def judge(sd: float, advice: str) -> dict[str, float]:
    """Refuse a surrogate whose misfit is too far from the reference's.

    Raises:
        SurrogateRejected: with the figure and what to do.
    """
    if not sd <= REJECT_SD:  # also where too few fine solves succeeded to tell it
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
    sd = sd_of_difference(posterior.coarse, xis, posterior.predict(xis))
    report = judge(sd, "train it on draws around a posterior ('generate --around RESULT')")
    return Refined(folder, counters, report)
