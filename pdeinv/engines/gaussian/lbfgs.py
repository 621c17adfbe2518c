"""Limited-memory BFGS on arrays of fixed size, so that its memory is part of a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pdeinv.typing import Array

__all__ = ["Point", "descent_direction", "remember", "wolfe_search"]

SUFFICIENT, CURVATURE = 1e-4, 0.9


class Point(NamedTuple):
    """The objective and its gradient at one place; the value is infinite where the solve failed."""

    x: Array
    value: float
    gradient: Array


def descent_direction(gradient: Array, s: Array, y: Array, n_pairs: int) -> Array:
    """-H g by the two-loop recursion (Nocedal, Wright 2006, Algorithm 7.4).

    Args:
        gradient: g, shape (n,).
        s: steps, shape (memory, n), the newest last.
        y: differences of gradients in the same order.
        n_pairs: how many rows, counted from the end, are in use.
    """
    q = gradient.copy()
    rows = range(len(s) - n_pairs, len(s))
    alphas = {}
    for i in reversed(rows):
        alphas[i] = (s[i] @ q) / (y[i] @ s[i])
        q -= alphas[i] * y[i]
    if n_pairs:
        q *= (s[-1] @ y[-1]) / (y[-1] @ y[-1])
    for i in rows:
        q += (alphas[i] - (y[i] @ q) / (y[i] @ s[i])) * s[i]
    return -q


def remember(
    s: Array, y: Array, n_pairs: int, step: Array, difference: Array
) -> tuple[Array, Array, int]:
    """The memory with one more pair; a pair without positive curvature is left out."""
    if not step @ difference > 1e-12 * (difference @ difference):
        return s, y, n_pairs
    return (
        np.vstack([s[1:], step]),
        np.vstack([y[1:], difference]),
        min(n_pairs + 1, len(s)),
    )


def wolfe_search(
    point_at: Callable[[float], Point], start: Point, direction: Array, first: float
) -> Point:
    """A point along ``direction`` that meets the weak Wolfe conditions, by bisection.

    Lewis and Overton (2013), Algorithm 2.6. A failed solve counts as no decrease, so it shortens
    the step. After 30 trials the best point that was seen is returned, ``start`` among them.

    Args:
        point_at: the point at step length t.
        start: the point at t = 0.
        direction: a direction of descent, shape (n,).
        first: the first step length to try.
    """
    slope = float(start.gradient @ direction)
    slack = 8 * np.finfo(float).eps * abs(start.value)
    low, high, t, best = 0.0, np.inf, first, start
    for _ in range(30):
        point = point_at(t)
        if not point.value <= start.value + SUFFICIENT * t * slope + slack:
            high = t
        elif point.gradient @ direction < CURVATURE * slope:
            low, best = t, point
        else:
            return point
        t = 0.5 * (low + high) if np.isfinite(high) else 2 * low
    return best
