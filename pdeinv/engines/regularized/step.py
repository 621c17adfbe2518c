"""One regularized linear least-squares problem for all weights at once, and how to choose one.

min_d ½ ‖r + A d‖² + λ/2 (e + d)ᵀ R (e + d). With K = A R⁻¹ Aᵀ = U diag(k) Uᵀ and c = Uᵀ(r - A e),

    e + d = -R⁻¹ Aᵀ U (c / (k + λ)),    ‖r + A d‖² = Σ (λ c / (k + λ))²,

so that after one eigendecomposition, as large as the shorter side of A, every λ costs a sum
(Hansen 1998, §2.1, §7).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.sparse import csc_array
from scipy.sparse.linalg import splu

from pdeinv.typing import Array

__all__ = ["RegularizedStep", "Rule", "choose", "likeliest", "prepare"]

Rule = Literal["fixed", "discrepancy", "gcv"]

SMALLEST, LARGEST = 1e-12, 1e6
"""Weights that are tried, relative to the largest eigenvalue of K."""

TRIED = 200
"""Weights on which GCV is drawn."""


@dataclass(frozen=True)
class RegularizedStep:
    """The problem, diagonalised.

    Attributes:
        eigenvalues: k, shape (n,).
        coefficients: c, shape (n,).
        back: R⁻¹ Aᵀ U, shape (n_f, n).
        e: the departure where the step starts, shape (n_f,).
        rest: the part of ‖r‖² that no d can change.
        n_data: the length of r.
    """

    eigenvalues: Array
    coefficients: Array
    back: Array
    e: Array
    rest: float
    n_data: int

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest weight worth trying."""
        top = max(float(self.eigenvalues.max(initial=0.0)), 1e-300)
        return SMALLEST * top, LARGEST * top

    def step(self, weight: float) -> Array:
        """d, shape (n_f,)."""
        return np.asarray(-self.e - self.back @ (self.coefficients / (self.eigenvalues + weight)))

    def misfit(self, weight: float) -> float:
        """½ ‖r + A d‖², which grows with the weight."""
        left = weight * self.coefficients / (self.eigenvalues + weight)
        return 0.5 * (float(left @ left) + self.rest)

    def degrees(self, weight: float) -> float:
        """How many data the fit uses up, the trace of the influence matrix."""
        return float(np.sum(self.eigenvalues / (self.eigenvalues + weight)))


def prepare(
    a: Array, r: Array, R: Any, e: Array, free: NDArray[np.bool_] | None = None
) -> RegularizedStep:
    """Diagonalise the problem in the entries ``free``, the others being held.

    Args:
        a: A, shape (n_d, n_m).
        r: shape (n_d,).
        R: sparse, symmetric positive definite, shape (n_m, n_m).
        e: shape (n_m,).
        free: which entries may move; None means all.
    """
    if free is not None and not free.all():
        a, R, e = _held(a, csc_array(R), e, free)
    n_data, r = len(r), r - a @ e
    rest = 0.0
    if n_data > a.shape[1]:
        q, a = np.linalg.qr(a)
        whole, r = float(r @ r), q.T @ r
        rest = max(0.0, whole - float(r @ r))
    back = splu(csc_array(R)).solve(np.ascontiguousarray(a.T))
    gram = a @ back
    values, vectors = np.linalg.eigh(0.5 * (gram + gram.T))
    return RegularizedStep(np.maximum(values, 0.0), vectors.T @ r, back @ vectors, e, rest, n_data)


def _held(a: Array, R: Any, e: Array, free: NDArray[np.bool_]) -> tuple[Array, Any, Array]:
    """A, R and the departure of the free entries; held ones pull at them through R."""
    among = csc_array(R[free][:, free])
    pull = R[free][:, ~free] @ e[~free]
    return a[:, free], among, e[free] + splu(among).solve(pull)


def choose(problem: RegularizedStep, rule: Rule, weight: float, target: float) -> float:
    """The weight by a rule.

    Args:
        problem: the linearized problem.
        rule: ``fixed`` takes ``weight``; ``discrepancy`` the largest λ with misfit ``target``
            (Morozov 1966), but none below :func:`likeliest`; ``gcv`` the minimizer of
            misfit / (n_d - degrees)² (Golub, Heath and Wahba 1979).
        weight: for ``fixed``.
        target: Φ to reach, for ``discrepancy``.
    """
    low, high = problem.range
    if rule == "fixed":
        return weight
    if rule == "discrepancy":
        low = likeliest(problem)
        if problem.misfit(low) >= target:
            return low
        if problem.misfit(high) <= target:
            return high
        root = brentq(lambda t: np.log(problem.misfit(np.exp(t)) / target), *np.log([low, high]))
        return float(np.exp(root))
    tried = np.geomspace(low, high, TRIED)
    return float(tried[np.argmin(_gcv(problem, tried))])


def likeliest(problem: RegularizedStep) -> float:
    """The weight under which the data are most probable, whatever the size of their errors.

    With e + d ~ N(0, s² (λ R)⁻¹) and errors ~ N(0, s²), the linearized data have the covariance
    s² (1 + k / λ) along the eigenvectors; s is the likeliest one (Wahba 1985). What is not noise of
    the stated size, as the linearization's error or that of a mesh, takes part in s. Below this
    weight a picture shows errors: neighbours of opposite sign, a checkerboard.
    """
    tried = np.geomspace(*problem.range, TRIED)
    return float(tried[np.argmin([_unlikelihood(problem, w) for w in tried])])


def _unlikelihood(problem: RegularizedStep, weight: float) -> float:
    """-2 ln of the likelihood, up to a constant."""
    spread = 1 + problem.eigenvalues / weight
    size = float(np.sum(problem.coefficients**2 / spread)) + problem.rest
    return problem.n_data * float(np.log(max(size, 1e-300))) + float(np.sum(np.log(spread)))


def _gcv(problem: RegularizedStep, tried: Array) -> Array:
    """The GCV function."""
    left = np.array([problem.n_data - problem.degrees(w) for w in tried])
    misfit = np.array([problem.misfit(w) for w in tried])
    return np.asarray(misfit / np.maximum(left, 1e-12) ** 2)
