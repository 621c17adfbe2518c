"""What solves cost on this machine: the least CPU time of some calls."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import cycle

import numpy as np

from pdeinv.bayes.counters import Counters
from pdeinv.bayes.posterior import Posterior
from pdeinv.cpu_clock import measurable
from pdeinv.model.forward import DERIVATIVES
from pdeinv.typing import Array

__all__ = ["ROWS", "least_seconds", "solve_costs"]

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
        found = min(found, _call_seconds(work))
    return max(found, 1e-9)


def _call_seconds(work: Callable[[], object]) -> float:
    """CPU time of one call: the mean of as many as the clock needs to tell it."""
    start, spent, calls = time.process_time(), 0.0, 0
    while calls == 0 or not measurable(spent):
        work()
        calls, spent = calls + 1, time.process_time() - start
    return spent / calls


def in_turn(ask: Callable[[Array], object], xis: Array) -> Callable[[], object]:
    """Asks for one point after the other: a model keeps what it has solved for the last one."""
    rows = cycle(np.split(xis, len(xis)))
    return lambda: ask(next(rows))


def _gradient_seconds(posterior: Posterior, xis: Array) -> float:
    """CPU time of a value and gradient at each of ``xis`` (n, dim), asked for together."""
    payers = [Counters() for _ in xis]
    return least_seconds(partial(posterior.linearize_rows, xis, payers)) / len(xis)


@dataclass(frozen=True)
class _Costs:
    """CPU seconds of a solve, and of one with its gradient where there is one."""

    solve: float
    gradient: float | None


def _alone(posterior: Posterior, xis: Array) -> _Costs:
    payer = [Counters()]
    solve = least_seconds(in_turn(lambda xi: posterior.predict_rows(xi, payer), xis))
    if not posterior.model.capabilities >= DERIVATIVES:
        return _Costs(solve, None)
    back = xis[::-1]
    return _Costs(
        solve, least_seconds(in_turn(lambda xi: posterior.linearize_rows(xi, payer), back))
    )


def _together(posterior: Posterior, xis: Array, alone: _Costs) -> _Costs:
    """Of each among all points; that of one alone where a solve takes long."""
    if alone.solve >= LONG:
        return alone
    payers = [Counters() for _ in xis]
    solve = least_seconds(partial(posterior.predict_rows, xis, payers)) / len(xis)
    return _Costs(solve, alone.gradient and _gradient_seconds(posterior, xis))


def solve_costs(posterior: Posterior, steps: int) -> dict[str, float]:
    """CPU milliseconds of solves and gradients at prior draws, alone and together.

    Args:
        posterior: whose model is asked; nothing is charged to it.
        steps: of all chains, for what ``hmc`` would take.
    """
    xis = np.random.default_rng(0).standard_normal((ROWS, posterior.dim))
    alone = _alone(posterior, xis)
    each = _together(posterior, xis, alone)
    found = {
        "solve, alone (ms)": 1e3 * alone.solve,
        f"solve, {ROWS} together (ms)": 1e3 * each.solve,
    }
    if alone.gradient is not None and each.gradient is not None:
        found |= {
            "value and gradient, alone (ms)": 1e3 * alone.gradient,
            f"value and gradient, {ROWS} together (ms)": 1e3 * each.gradient,
            "CPU of hmc for as many steps, about (s)": GRADIENTS * steps * each.gradient,
        }
    coarse = posterior.coarse
    if coarse is not None and coarse.model.capabilities >= DERIVATIVES:
        cheap = 1e3 * _gradient_seconds(coarse, xis)
        found[f"surrogate's value and gradient, {ROWS} together (ms)"] = cheap
    return {name: float(f"{value:.2g}") for name, value in found.items()}
