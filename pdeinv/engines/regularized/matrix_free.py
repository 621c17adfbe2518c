"""Gauss-Newton steps without a Jacobian: by its products, where it has too many entries.

(Jᵀ Γ⁻¹ J + λ R) d = −g by conjugate gradients that are preconditioned by R (Hestenes and Stiefel
1952), each iteration a tangent and an adjoint. Without a spectrum no rule can foretell what a
weight does, so λ is given, or begins where both terms are of one size and is cooled: halved at
each step until Φ is down to the noise (Haber 2014, §5.4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu

from pdeinv.engines.regularized.local import Local
from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

__all__ = ["cooled", "free_step"]

COOLING = 0.5
"""λ of a step over that of the one before, while the data are not fitted."""

TOLERANCE = 0.1
"""Share of the first residual at which the conjugate gradients end."""

Product = Callable[[Array], Array]


def cooled(at: Local, product: Product, target: float) -> float:
    """The next λ: the first from the sizes of both terms, then less until Φ is ``target``.

    They are compared along the steepest descent in the penalty's norm.
    """
    if at.weight == 0:
        R = csc_array(at.penalty.matrix(at.e))
        v = splu(R).solve(at.pull)
        return float(v @ product(v)) / max(float(v @ (R @ v)), 1e-300)
    return at.weight * (COOLING if at.misfit > target else 1.0)


def free_step(at: Local, product: Product, free: NDArray[np.bool_], most: int) -> Local:
    """The step of the entries that are ``free``, by at most so many products.

    Args:
        at: with its weight.
        product: v ↦ Jᵀ Γ⁻¹ J v.
        free: which entries may move, some.
        most: conjugate gradient iterations.
    """
    R = csc_array(at.penalty.matrix(at.e))

    def action(v: Array) -> Array:
        whole = np.zeros_like(at.e)
        whole[free] = v
        return np.asarray((product(whole) + at.weight * (R @ whole))[free])

    inner = splu(csc_array(at.weight * R[free][:, free]))
    d = np.zeros_like(at.e)
    d[free] = _preconditioned(action, inner.solve, -at.gradient[free], most)
    return replace(at, d=d)


def _preconditioned(action: Product, inverse: Any, b: Array, most: int) -> Array:
    """A x = b from x = 0; the last x where an action fails, a steepest descent where the first."""
    x, r = np.zeros_like(b), b.copy()
    z = inverse(r)
    p, rz = z.copy(), float(r @ z)
    first = rz
    for k in range(most):
        try:
            q = action(p)
        except SolverDiverged:
            return x if k else z
        alpha = rz / float(p @ q)
        x, r = x + alpha * p, r - alpha * q
        z = inverse(r)
        rz, before = float(r @ z), rz
        if rz <= TOLERANCE**2 * first:
            break
        p = z + (rz / before) * p
    return x
