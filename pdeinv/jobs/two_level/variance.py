"""How far a surrogate that was trained elsewhere is believed, and what its own variance says of it.

A surrogate that knows its predictive variance v(xi) errs by e ~ N(0, diag(v)). Inverting with it,
the data's noise is Γ + diag(v̄) with v̄ the mean of v over draws of the very posterior: a constant,
so that every engine and both of its derivatives stay as they are (the enhanced error model of
Kaipio and Somersalo 2007, its mean left out). Before two-level sampling, e tells how far the two
misfits would lie apart.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Counters, Posterior
from pdeinv.config import Config
from pdeinv.errors import CapabilityError, SurrogateRejected
from pdeinv.jobs.two_level.admission import REJECT_SD, Refined, admit, explore, spread
from pdeinv.model.forward import Capability
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = [
    "GivenSurrogate",
    "examined",
    "expectation",
    "expected_sd",
    "inflated",
    "knows_variance",
    "widened",
]

N_DRAWS = 200
"""Draws over which variances are averaged."""


class GivenSurrogate(Config):
    """The table ``[surrogate]`` when it names a trained one."""

    path: str = Field(description="folder that 'train-surrogate' wrote")
    inflate: bool = Field(
        False, description="with model = surrogate: add its mean predictive variance to the noise"
    )


def knows_variance(posterior: Posterior) -> bool:
    """Whether the posterior's model predicts its own variance."""
    return Capability.VARIANCE in posterior.model.capabilities


def _variance(posterior: Posterior, xis: Array) -> Array:
    """v at the rows of ``xis``, shape (n, n_d)."""
    model: Any = posterior.model
    return np.asarray(model.variance(xis))


def inflated(posterior: Posterior, rng: np.random.Generator, rounds: int = 2) -> Noise:
    """Γ + diag(v̄), v̄ averaged over draws of the posterior with that noise.

    Args:
        posterior: of a surrogate.
        rng: draws prior and posterior.
        rounds: v̄ starts at the prior's average and is found again so many times.

    Raises:
        CapabilityError: the model knows no variance.
    """
    if not knows_variance(posterior):
        raise CapabilityError(
            "surrogate.inflate needs a surrogate with a predictive variance (gp, ensemble); "
            "choose one, or leave inflate out"
        )
    noise = posterior.noise
    xis = rng.standard_normal((N_DRAWS, posterior.dim))
    for _ in range(rounds):
        wide = noise.plus(_variance(posterior, xis).mean(axis=0))
        xis = explore(replace(posterior, noise=wide), N_DRAWS, 5, rng)
    return noise.plus(_variance(posterior, xis).mean(axis=0))


def expected_sd(posterior: Posterior, rng: np.random.Generator) -> float:
    """sd(Φ_f - Φ_s) on draws of a surrogate posterior, as the surrogate's variance has it.

    Errors of different data count as independent. No fine model is solved.
    """
    xis = explore(posterior, N_DRAWS, 5, rng)
    predicted = posterior.predict(xis)
    error = np.sqrt(_variance(posterior, xis)) * rng.standard_normal(predicted.shape)
    delta = posterior.misfit_of(predicted + error) - posterior.misfit_of(predicted)
    return spread(delta)


def expectation(posterior: Posterior, rng: np.random.Generator) -> dict[str, float]:
    """What a surrogate with a variance says of itself, before any fine model is solved.

    Raises:
        SurrogateRejected: it expects to be too inaccurate.
    """
    if not knows_variance(posterior):
        return {}
    sd = expected_sd(posterior, rng)
    if not sd <= REJECT_SD:
        raise SurrogateRejected(
            f"surrogate expects to be too inaccurate for two-level sampling: by its own variance "
            f"the sd of the misfit difference is {sd:.2g}, at most {REJECT_SD:g} can work; train "
            "it on draws around a posterior ('generate --around RESULT')"
        )
    return {"sd_misfit_difference_expected": sd}


def examined(posterior: Posterior, folder: Path, seed: int) -> Refined:
    """The coarse twin of a posterior, tested before it drives two-level sampling.

    Its own variance is asked first, where it knows one, then the reference model.

    Args:
        posterior: of the reference model, with the surrogate as its twin.
        folder: the surrogate.
        seed: the root seed.

    Raises:
        SurrogateRejected: it is, or expects to be, too inaccurate.
    """
    coarse, spent = posterior.coarse, Counters()
    assert coarse is not None
    coarse.charge(spent)
    expected = expectation(coarse, stream(seed, "expected"))
    refined = admit(posterior, folder, stream(seed, "admission"))
    refined.counters.add(spent)
    return replace(refined, report={**refined.report, **expected})


def widened(posterior: Posterior, seed: int) -> tuple[Noise, dict[str, float], Counters]:
    """The noise that allows for a surrogate's errors, the rms factor on σ, and the solves.

    Raises:
        CapabilityError: the surrogate knows no variance.
    """
    spent = Counters()
    posterior.charge(spent)
    noise = inflated(posterior, stream(seed, "inflation"))
    factor = float(np.sqrt(np.mean((noise.std / posterior.noise.std) ** 2)))
    return noise, {"noise_inflation": factor}, spent
