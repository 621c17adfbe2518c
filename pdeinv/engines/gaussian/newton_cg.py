"""Inexact Gauss-Newton steps: conjugate gradients with a forcing term."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pdeinv.engines.requests import Steps
from pdeinv.typing import Array

__all__ = ["conjugate_gradient", "forcing"]


def forcing(norm: float, previous_norm: float, previous: float) -> float:
    """How accurately to solve for the next step, relative to the gradient.

    Choice 2 of Eisenstat and Walker (1996) with γ = 0.9, α = 2 and their safeguard against a sudden
    drop, at most 1/2. The first call (``previous_norm`` zero) gives 1/2.
    """
    if previous_norm == 0:
        return 0.5
    eta = 0.9 * (norm / previous_norm) ** 2
    guard = 0.9 * previous**2
    return min(0.5, max(eta, guard) if guard > 0.1 else eta)


def conjugate_gradient(
    action: Callable[[Array], Steps[Array]], b: Array, tolerance: float, max_iterations: int
) -> Steps[tuple[Array, int]]:
    """Solve A x = b for symmetric positive definite A, from x = 0 (Hestenes, Stiefel 1952).

    Args:
        action: v ↦ A v, not finite where it fails.
        b: right-hand side, shape (n,).
        tolerance: stop when ‖b - A x‖ is at most this.
        max_iterations: stop after this many actions.

    Returns:
        x and the number of actions; the last x where an action fails, b where the first does. Every
        iterate is a descent direction for -b.
    """
    x, r = np.zeros_like(b), b.copy()
    p, rr = r.copy(), float(r @ r)
    for i in range(max_iterations):
        if np.sqrt(rr) <= tolerance:
            return x, i
        q = yield from action(p)
        curvature = float(p @ q)
        if not 0 < curvature < np.inf:  # NaN as well
            return (x if i else b.copy()), i + 1
        alpha = rr / curvature
        x, r = x + alpha * p, r - alpha * q
        rr, before = float(r @ r), rr
        p = r + (rr / before) * p
    return x, max_iterations
