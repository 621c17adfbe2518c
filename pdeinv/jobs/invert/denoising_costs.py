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
from pdeinv.engines.diffusion.prior import denoiser_of

__all__ = ["denoising_costs"]

LEVEL = 1.0
"""Of noise, where calls are clocked."""


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
