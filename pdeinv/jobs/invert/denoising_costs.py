"""What engines that know the prior by a denoiser would call, and for how long, before they do."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from pdeinv.bayes.counters import Counters
from pdeinv.bayes.jacobian import dense_jacobians
from pdeinv.bayes.posterior import Posterior
from pdeinv.bayes.solve_costs import least_seconds
from pdeinv.engines.base import Engine
from pdeinv.engines.diffusion.prior import LEVELS, denoiser_of
from pdeinv.jobs.foreseen import DRAWS

__all__ = ["denoising_costs", "foreseeing_costs"]

LEVEL, ROWS = 1.0, 8
"""Of noise, where calls are clocked, and how many fields they denoise."""


def denoising_costs(engine: Engine[Any], posterior: Posterior) -> dict[str, float]:
    """Calls of the denoiser, solves, and CPU minutes of both; empty where an engine knows of none.

    Solves are those of a model that is not linear in xi: of one that is, engines that find out ask
    for a few only.
    """
    calls = dict(engine.expected(posterior))
    if not calls:
        return {}
    rows = np.random.default_rng(0).standard_normal((calls.pop("rows"), posterior.dim))
    denoise = denoiser_of(posterior)
    seconds: dict[str, Callable[[], object]] = {
        "denoiser": partial(denoise, rows, LEVEL),
        "denoiser_derivative": partial(denoise.vjp, rows, LEVEL, rows),
        "values": partial(posterior.predict_rows, rows[:1], [Counters()]),
        "gradients": partial(posterior.linearize_rows, rows[:1], [Counters()]),
        "jacobians": partial(dense_jacobians, posterior, rows[:1], None, [Counters()]),
    }
    total = sum(n * least_seconds(seconds[name]) for name, n in calls.items() if n)
    names = {
        "denoiser": "calls of the denoiser",
        "denoiser_derivative": "derivatives of the denoiser",
        "values": "solves",
        "gradients": "solves with a gradient",
        "jacobians": "solves with a whole Jacobian",
    }
    told = {names[name]: float(n) for name, n in calls.items() if n}
    return {**told, "CPU minutes of these, about": float(f"{total / 60:.2g}")}


def foreseeing_costs(posterior: Posterior) -> dict[str, float]:
    """What comes before the engine where a prior is learned: draws of it, solves, CPU minutes."""
    if posterior.denoiser is None:
        return {}
    rows = np.random.default_rng(0).standard_normal((ROWS, posterior.dim))
    denoise = least_seconds(partial(posterior.denoiser, rows, LEVEL)) / ROWS
    solve = least_seconds(partial(posterior.predict_rows, rows, [Counters()] * ROWS)) / ROWS
    minutes = DRAWS * (LEVELS * denoise + solve) / 60
    return {
        "draws of the learned prior, solved for before": float(DRAWS),
        "CPU minutes of that, about": float(f"{minutes:.2g}"),
    }
