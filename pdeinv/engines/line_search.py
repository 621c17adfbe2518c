"""How far to go along a direction of descent, where a trial is a solve that may fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pdeinv.engines.requests import Steps
from pdeinv.typing import Array

__all__ = ["Point", "Trial", "backtrack", "wolfe_search"]

SUFFICIENT, CURVATURE = 1e-4, 0.9
"""The share of the predicted decrease that a step must reach, and of the slope that it may keep."""

SHORTEST = 1e-9
"""Step length below which the search gives up."""


@dataclass(frozen=True)
class Trial:
    """A step length with the objective there."""

    t: float
    value: float


@dataclass(frozen=True)
class Point:
    """The objective and its gradient at one place; the value is infinite where the solve failed."""

    x: Array
    value: float
    gradient: Array


def _slack(value: float) -> float:
    """What rounding may add to the objective."""
    return 8 * float(np.finfo(float).eps) * abs(value)


def backtrack(
    value_at: Callable[[float], Steps[float]], value: float, slope: float
) -> Steps[Trial]:
    """The first step length t that lowers the objective enough (Armijo), with its value.

    A value that is not finite (a failed solve) halves the step; a finite one that is too large
    moves to the minimizer of the parabola through what is known, kept within [t/10, t/2].

    Args:
        value_at: the objective at step length t, infinite where the solve failed.
        value: the objective at t = 0.
        slope: its derivative there, negative.

    Returns:
        The trial, or that of t = 0 where t would be below 1e-9.
    """
    t, slack = 1.0, _slack(value)
    while t > SHORTEST:
        new = yield from value_at(t)
        if new <= value + SUFFICIENT * t * slope + slack:
            return Trial(t, new)
        if np.isfinite(new):
            best = -slope * t**2 / (2 * (new - value - slope * t))
            t = float(np.clip(best, 0.1 * t, 0.5 * t))
        else:
            t *= 0.5
    return Trial(0.0, value)


def wolfe_search(
    point_at: Callable[[float], Steps[Point]], start: Point, direction: Array, first: float
) -> Steps[Point]:
    """A point along ``direction`` that meets the weak Wolfe conditions, by bisection.

    Lewis and Overton (2013), Algorithm 2.6. A failed solve counts as no decrease, so it shortens
    the step. After 30 trials the best point that was seen is returned, ``start`` among them.

    Args:
        point_at: the point at step length t.
        start: the point at t = 0.
        direction: a direction of descent, shape (n,).
        first: the first step length to try.
    """
    slope, slack = float(start.gradient @ direction), _slack(start.value)
    low, high, t, best = 0.0, np.inf, first, start
    for _ in range(30):
        point = yield from point_at(t)
        if not point.value <= start.value + SUFFICIENT * t * slope + slack:
            high = t
        elif point.gradient @ direction < CURVATURE * slope:
            low, best = t, point
        else:
            return point
        t = 0.5 * (low + high) if np.isfinite(high) else 2 * low
    return best
