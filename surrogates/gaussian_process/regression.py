"""Gaussian processes on few inputs that share lengths and, beyond a few samples, inducing points.

Modes come in groups. In a group every mode r is z_r ~ GP(0, s_r² k + g_r δ) with the one kernel
k(x, x') = exp(-½ Σ_j (x_j - x'_j)²/l_j²), so that one eigendecomposition serves them all: with
R = U Λ U^T the marginal likelihood of a mode is a sum over eigenvalues, its s_r² has a closed form
and its ratio g_r/s_r² is found on a line; only the lengths are left to a search with gradients
(Rasmussen and Williams 2006, §5.4).

With inducing points Z the optimal Gaussian of the variational bound (Titsias 2009) has a closed
form as well; Z equal to all points is exact regression, and one formula serves both:

    mean = r(x)^T T^T (Λ + ν)^(-1) T R_zx z,  variance = s² (1 - Σ_i (T r)_i² Λ_i/(Λ_i + ν)) + g.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy.linalg import cholesky, eigh, solve_triangular
from scipy.optimize import minimize

from pdeinv.typing import Array

__all__ = ["Group", "Spectrum", "Tuned", "choose", "likelihood", "tune"]

RATIOS = np.exp(np.linspace(np.log(1e-8), np.log(10.0), 60))
"""Candidates of g/s²."""

JITTER = 1e-9

STEP = 0.05
"""Lengths are kept in steps of 5 %: where the search ends within them is rounding, which another
unit or origin of the same data would change."""


def correlations(a: Array, b: Array, lengths: Array) -> Array:
    """k(a_i, b_j), shape (n_a, n_b)."""
    a, b = a / lengths, b / lengths
    distance = np.sum(a**2, axis=1)[:, None] + np.sum(b**2, axis=1) - 2 * a @ b.T
    return np.asarray(np.exp(-0.5 * np.maximum(distance, 0)))


@dataclass(frozen=True)
class Spectrum:
    """T and Λ of the module's formula, for inducing points Z and samples X.

    Attributes:
        basis: T, shape (n_kept, n_z).
        values: Λ, shape (n_kept,).
    """

    basis: Array
    values: Array

    @classmethod
    def of(cls, inducing: Array, points: Array, lengths: Array) -> Spectrum:
        """Exact where both are the same array."""
        if inducing is points:
            values, vectors = eigh(correlations(points, points, lengths))
            keep = values > JITTER
            return cls(vectors[:, keep].T / np.sqrt(values[keep])[:, None], values[keep])
        own = correlations(inducing, inducing, lengths)
        factor = cholesky(own + JITTER * np.eye(len(own)), lower=True)
        gram = np.zeros_like(own)
        for some in np.array_split(points, -(-len(points) // 4096)):
            part = solve_triangular(factor, correlations(inducing, some, lengths), lower=True)
            gram += part @ part.T
        values, vectors = eigh(gram)
        inverse = solve_triangular(factor, np.eye(len(own)), lower=True)
        return cls(np.asarray(vectors.T @ inverse), np.maximum(values, 0.0))

    def exact_weights(self, targets: Array, ratio: Array) -> Array:
        """(R + ν_r)^(-1) z_r of exact regression, shape (modes, n), for z of that shape.

        The same as :meth:`weights` of R z, whose small eigenvalues cost it twice the digits.
        """
        share = self.values / (self.values + ratio[:, None])
        return np.asarray(((targets @ self.basis.T) * share) @ self.basis)

    def weights(self, projected: Array, ratio: Array) -> Array:
        """T^T (Λ + ν_r)^(-1) T (R_zx z_r), shape (modes, n_z), of R_zx z, shape (modes, n_z)."""
        inner = (projected @ self.basis.T) / (self.values + ratio[:, None])
        return np.asarray(inner @ self.basis)


@dataclass(frozen=True)
class Tuned:
    """What the marginal likelihood chose for a group.

    Attributes:
        lengths: l, shape (dim,).
        signal: s², shape (modes,).
        nugget: g, shape (modes,).
    """

    lengths: Array
    signal: Array
    nugget: Array


@dataclass(frozen=True)
class Group:
    """Modes that share their lengths, conditioned on all samples.

    Attributes:
        points: Z, shape (n, dim).
        lengths: l, shape (dim,).
        weights: shape (modes, n).
        signal: s², shape (modes,).
        nugget: g, shape (modes,).
        spectrum: of the variance.
    """

    points: Array
    lengths: Array
    weights: Array
    signal: Array
    nugget: Array
    spectrum: Spectrum

    @classmethod
    def condition(cls, inducing: Array, points: Array, targets: Array, tuned: Tuned) -> Group:
        """Processes that know all samples.

        Args:
            inducing: Z; the very array ``points`` for exact regression.
            points: shape (n, dim).
            targets: shape (modes, n).
            tuned: lengths, s² and g.
        """
        lengths, signal, nugget = tuned.lengths, tuned.signal, tuned.nugget
        spectrum = Spectrum.of(inducing, points, lengths)
        if inducing is points:
            weights = spectrum.exact_weights(targets, nugget / signal)
            return cls(inducing, lengths, weights, signal, nugget, spectrum)
        projected = np.zeros((len(targets), len(inducing)))
        for rows in np.array_split(np.arange(len(points)), -(-len(points) // 4096)):
            projected += targets[:, rows] @ correlations(points[rows], inducing, lengths)
        weights = spectrum.weights(projected, nugget / signal)
        return cls(inducing, lengths, weights, signal, nugget, spectrum)

    @cached_property
    def _scaled(self) -> tuple[Array, Array]:
        scaled = self.points / self.lengths
        return scaled, np.asarray(np.sum(scaled**2, axis=1))

    def correlation(self, x: Array) -> Array:
        """k(x_i, Z_j), shape (k, n), for ``x`` of shape (k, dim)."""
        (points, norms), y = self._scaled, x / self.lengths
        distance = np.sum(y**2, axis=1)[:, None] + norms - 2 * y @ points.T
        return np.asarray(np.exp(-0.5 * np.maximum(distance, 0)))

    def mean(self, x: Array) -> Array:
        """Predicted coefficients (k, modes)."""
        return np.asarray(self.correlation(x) @ self.weights.T)

    def variance(self, x: Array) -> Array:
        """Predictive variances (k, modes), the nugget included."""
        known = (self.correlation(x) @ self.spectrum.basis.T) ** 2
        values, ratio = self.spectrum.values, self.nugget / self.signal
        share = known @ (values[:, None] / (values[:, None] + ratio))
        return np.asarray(self.signal * np.maximum(1 - share, 0.0) + self.nugget)

    def jacobian(self, x: Array) -> tuple[Array, Array]:
        """Mean (modes,) and its derivative (modes, dim) at one point."""
        weighted = self.weights * self.correlation(x[None])
        mean = weighted.sum(axis=1)
        return mean, np.asarray((weighted @ self.points - mean[:, None] * x) / self.lengths**2)

    def arrays(self, sparse: bool) -> dict[str, Array]:
        """All numbers; without the points of an exact group, whose spectrum follows from them."""
        own = {name: getattr(self, name) for name in ("lengths", "weights", "signal", "nugget")}
        return {**own, "points": self.points, **vars(self.spectrum)} if sparse else own

    @classmethod
    def from_arrays(cls, a: Mapping[str, Any], points: Array | None) -> Group:
        """The inverse of :meth:`arrays`; given its points, the group is exact."""
        own = (a["lengths"], a["weights"], a["signal"], a["nugget"])
        if points is None:
            return cls(a["points"], *own, Spectrum(a["basis"], a["values"]))
        return cls(points, *own, Spectrum.of(points, points, a["lengths"]))


def likelihood(lengths: Array, x: Array, targets: Array) -> tuple[float, Array, Array, Array]:
    """Negative log marginal likelihood of a group at its best s² and g.

    Args:
        lengths: shape (dim,).
        x: shape (n, dim).
        targets: shape (modes, n).

    Returns:
        The value without its constant, its gradient in log l, and s² and g by mode.
    """
    n = len(x)
    correlation = correlations(x, x, lengths)
    values, vectors = eigh(correlation)
    values = np.maximum(values, 0.0)
    along = targets @ vectors
    shifted = values + RATIOS[:, None]
    signals = (along**2) @ (1 / shifted).T / n
    costs = 0.5 * n * np.log(np.maximum(signals, 1e-300)) + 0.5 * np.log(shifted).sum(axis=1)
    best = costs.argmin(axis=1)
    modes = np.arange(len(targets))
    signal, ratio = np.maximum(signals[modes, best], 1e-300), RATIOS[best]
    inverse = 1 / (values + ratio[:, None])
    # at the best s² and g the value moves with the correlations alone
    pulled = (along * inverse) @ vectors.T
    slope = (vectors * inverse.sum(axis=0)) @ vectors.T - (pulled.T / signal) @ pulled
    slope *= correlation
    rows = slope.sum(axis=1)
    gradient = (rows @ x**2 - np.sum(x * (slope @ x), axis=0)) / lengths**2
    return float(costs[modes, best].sum()), gradient, signal, ratio * signal


def tune(x: Array, targets: Array, iterations: int) -> Tuned:
    """Lengths, s² and g of one group that maximise the marginal likelihood (L-BFGS), rounded."""
    start = np.full(x.shape[1], np.log(np.sqrt(x.shape[1]) * x.std() + 1e-300))

    def cost(logs: Array) -> tuple[float, Array]:
        value, gradient, _, _ = likelihood(np.exp(logs), x, targets)
        return value / targets.size, gradient / targets.size

    bounds = [(s - 4, s + 5) for s in start]
    options = {"maxiter": iterations}
    found = minimize(cost, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    lengths = np.exp(STEP * np.round(found.x / STEP))
    _, _, signal, nugget = likelihood(lengths, x, targets)
    return Tuned(lengths, signal, nugget)


def choose(points: Array, lengths: Array, count: int) -> Array:
    """``count`` of the points, each where the earlier ones leave most variance.

    Reference: Burt, Rasmussen and van der Wilk (2020), Convergence of sparse variational inference.
    """
    if count >= len(points):
        return points
    left, factors = np.ones(len(points)), np.zeros((count, len(points)))
    chosen: list[int] = []
    for i in range(count):
        k = int(left.argmax())
        chosen.append(k)
        row = correlations(points[k : k + 1], points, lengths)[0]
        row = (row - factors[:i, k] @ factors[:i]) / np.sqrt(max(left[k], 1e-12))
        factors[i] = row
        left = np.maximum(left - row**2, 0.0)
        left[chosen] = -1.0
    return np.asarray(points[np.sort(chosen)])
