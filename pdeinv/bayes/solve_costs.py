"""What solves cost on this machine: the least CPU time of some calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np

from pdeinv.bayes.counters import Counters
from pdeinv.bayes.posterior import Posterior
from pdeinv.model.forward import DERIVATIVES
from pdeinv.typing import Array

__all__ = ["ROWS", "gradient_seconds", "least_seconds", "solve_costs"]

ROWS, SECONDS = 16, 0.1
"""Points of one call, as many chains ask for together; CPU time that a figure takes at least."""

LONG = 2.0
"""CPU seconds of one solve above which it stands for those of a batch as well."""

GRADIENTS = 5
"""Gradients of a step of ``hmc``, about: 2 to 7 on the cases of ``benchmarks/samplers.py``."""


def least_seconds(work: Callable[[], object]) -> float:
    """The least CPU time of one call among those that fit into :data:`SECONDS`."""
    found, began = np.inf, time.process_time()
    while time.process_time() - began < SECONDS:
        start = time.process_time()
        work()
        found = min(found, time.process_time() - start)
    return max(found, 1e-9)


def gradient_seconds(posterior: Posterior, xis: Array) -> float:
    """CPU time of a value and gradient at each of ``xis`` (n, dim), asked for together."""
    payers = [Counters() for _ in xis]
    return least_seconds(partial(posterior.linearize_rows, xis, payers)) / len(xis)


def solve_costs(posterior: Posterior, steps: int) -> dict[str, float]:
    """CPU milliseconds of solves and gradients at prior draws, alone and together.

    Args:
        posterior: whose model is asked; nothing is charged to it.
        steps: of all chains, for what ``hmc`` would take.
    """
    xis = np.random.default_rng(0).standard_normal((ROWS, posterior.dim))
    payer = Counters()
    alone = least_seconds(partial(posterior.predict_rows, xis[:1], [payer]))
    some = xis if alone < LONG else xis[:1]
    together = least_seconds(partial(posterior.predict_rows, some, [payer] * len(some)))
    found = {
        "solve, alone (ms)": 1e3 * alone,
        f"solve, {len(some)} together (ms)": 1e3 * together / len(some),
    }
    if posterior.model.capabilities >= DERIVATIVES:
        one, many = gradient_seconds(posterior, xis[:1]), gradient_seconds(posterior, some)
        found |= {
            "value and gradient, alone (ms)": 1e3 * one,
            f"value and gradient, {len(some)} together (ms)": 1e3 * many,
            "CPU of hmc for as many steps, about (s)": GRADIENTS * steps * many,
        }
    coarse = posterior.coarse
    if coarse is not None and coarse.model.capabilities >= DERIVATIVES:
        cheap = 1e3 * gradient_seconds(coarse, xis)
        found[f"surrogate's value and gradient, {ROWS} together (ms)"] = cheap
    return {name: float(f"{value:.2g}") for name, value in found.items()}
