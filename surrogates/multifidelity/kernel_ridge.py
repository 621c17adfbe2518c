"""Kernel ridge regression with a linear and a smooth part, tuned by leave-one-out errors.

k(a, b) = w_1 + w_z z·z' + w_q q·q' + w_c c·c' + exp(-‖z - z'‖² / (2 ℓ² n_z)) on a = (z, q, c),
with q the squares of z: the linear part carries most of a mesh discrepancy, the smooth part what
is left. Leave-one-out residuals follow from one factorisation (Sundararajan and Keerthi 2001), so
that tuning needs no held-out samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.linalg.lapack import dpotri
from scipy.optimize import minimize

from pdeinv.model.forward import Linearization
from pdeinv.typing import Array

__all__ = ["CONSTANT", "Affine", "Grams", "KernelFit", "Radial", "squared_distances", "tune"]

CONSTANT = 100.0
"""w_1, the weight of the intercept, over the mean of the other terms. Inputs and outputs are
centred with all samples, so that without it a left-out sample would be minus the sum of the others,
and predicted exactly."""

LEAST = 1e-11
"""Of the nugget over w_1: below it a factor's rounding, and not the data, would fill the gap."""

START = np.array([0.5, 0.5, 4.5, 0.0, -4.5])
"""log w_z, log w_q, log w_c, log ℓ, log of the nugget: where the search starts."""


def squared_distances(a: Array, b: Array) -> Array:
    """‖a_i - b_j‖², shape (n_a, n_b)."""
    d = np.sum(a**2, axis=1)[:, None] + np.sum(b**2, axis=1)[None, :] - 2 * a @ b.T
    return np.asarray(np.maximum(d, 0.0))


@dataclass(frozen=True)
class Grams:
    """Inner products and distances of the training inputs, each (n, n).

    Attributes:
        z: of z.
        q: of the squares of z.
        c: of the coarse data.
        distance: squared distances of z, by component.
        variance: relative noise variance of each sample, shape (n,), at least 1.
    """

    z: Array
    q: Array
    c: Array
    distance: Array
    variance: Array

    @classmethod
    def of(cls, z: Array, c: Array, variance: Array) -> Grams:
        """Of inputs z (n, n_z) and c (n, n_c) with a noise variance by sample."""
        q = z**2 - 1
        return cls(z @ z.T, q @ q.T, c @ c.T, squared_distances(z, z) / z.shape[1], variance)

    def _linear(self, log_parameters: Array) -> Array:
        w_z, w_q, w_c = np.exp(log_parameters[:3])
        return np.asarray(w_z * self.z + w_q * self.q + w_c * self.c)

    def constant(self, log_parameters: Array) -> float:
        """w_1 for given parameters."""
        w_z, w_q, w_c = np.exp(log_parameters[:3])
        parts = w_z * np.diag(self.z) + w_q * np.diag(self.q) + w_c * np.diag(self.c)
        return CONSTANT * float(1 + np.mean(parts))

    def kernel(self, log_parameters: Array, smooth: bool) -> Array:
        """The kernel matrix with its nugget."""
        length, nugget = np.exp(log_parameters[3:])
        constant = self.constant(log_parameters)
        nugget = max(nugget, LEAST * constant)
        k = self._linear(log_parameters) + constant
        if smooth:
            k += np.exp(-0.5 / length**2 * self.distance)
        k[np.diag_indices_from(k)] += nugget * self.variance
        return np.asarray(k)


@dataclass(frozen=True)
class KernelFit:
    """Coefficients of one fit and how well it predicts samples left out.

    Attributes:
        log_parameters: log w_z, log w_q, log w_c, log ℓ, log nugget.
        constant: w_1.
        smooth: whether the smooth part is used.
        coefficients: K^(-1) y, shape (n, n_y).
        residuals: leave-one-out residuals, shape (n, n_y).
        variance: relative noise variance by sample.
    """

    log_parameters: Array
    constant: float
    smooth: bool
    coefficients: Array
    residuals: Array
    variance: Array

    @property
    def rms(self) -> float:
        """Root mean square of the leave-one-out residuals, samples weighted by 1 / variance."""
        by_sample = np.mean(self.residuals**2, axis=1)
        return float(np.sqrt(np.average(by_sample, weights=1 / self.variance)))

    @classmethod
    def solve(cls, grams: Grams, y: Array, log_parameters: Array, smooth: bool) -> KernelFit | None:
        """The fit for given parameters; None where the matrix is numerically singular."""
        try:
            factor, lower = cho_factor(grams.kernel(log_parameters, smooth), lower=True)
        except LinAlgError:
            return None
        coefficients = cho_solve((factor, lower), y)
        inverse, info = dpotri(factor, lower=1)
        if info != 0:
            return None
        residuals = coefficients / np.diag(inverse)[:, None]
        return cls(
            log_parameters,
            grams.constant(log_parameters),
            smooth,
            coefficients,
            residuals,
            grams.variance,
        )


def tune(grams: Grams, y: Array, smooth: bool, evaluations: int) -> Array:
    """The log parameters with the smallest leave-one-out error, by Nelder-Mead from START."""
    free = np.array([0, 1, 2, 3, 4] if smooth else [0, 1, 2, 4])

    def complete(part: Array) -> Array:
        log_parameters = START.copy()
        log_parameters[free] = part
        return np.asarray(np.clip(log_parameters, -15, 15))

    def score(part: Array) -> float:
        fit = KernelFit.solve(grams, y, complete(part), smooth)
        return float(np.log(fit.rms + 1e-300)) if fit is not None else 1e3

    corners = np.vstack([START[free], START[free] + 1.5 * np.eye(len(free))])
    options = {"maxfev": evaluations, "initial_simplex": corners, "xatol": 0.05, "fatol": 1e-3}
    found = minimize(score, START[free], method="Nelder-Mead", options=options)
    return complete(found.x)


@dataclass(frozen=True)
class Radial:
    """y = Σ_i exp(-‖z - z_i‖² / (2 h²)) a_i.

    Attributes:
        centres: z_i, shape (n, n_z).
        width: h.
        coefficients: a_i, shape (n, n_y).
    """

    centres: Array
    width: float
    coefficients: Array

    @cached_property
    def _norms(self) -> Array:
        return np.asarray(np.sum(self.centres**2, axis=1))

    def arrays(self) -> dict[str, Array]:
        """All numbers, for storage."""
        names = ("centres", "width", "coefficients")
        return {f"smooth_{name}": np.asarray(getattr(self, name)) for name in names}

    def _weights(self, z: Array) -> Array:
        distance = np.sum(z**2, axis=-1, keepdims=True) + self._norms - 2 * z @ self.centres.T
        return np.asarray(np.exp(-0.5 / self.width**2 * distance))

    def __call__(self, z: Array) -> Array:
        """The value at (..., n_z)."""
        return np.asarray(self._weights(z) @ self.coefficients)

    def linearize(self, z: Array) -> Linearization:
        """Value, tangent action and adjoint action at z, shape (n_z,) or a stack (n, 1, n_z)."""
        weights = self._weights(z)
        slopes = (self.centres - z) / self.width**2

        def jvp(dz: Array) -> Array:
            return np.asarray((weights * (dz @ np.swapaxes(slopes, -1, -2))) @ self.coefficients)

        def vjp(w: Array) -> Array:
            return np.asarray((weights * (w @ self.coefficients.T)) @ slopes)

        return Linearization(weights @ self.coefficients, jvp, vjp)


@dataclass(frozen=True)
class Affine:
    """y = offset + (z - centre) W.

    Attributes:
        centre: shape (n_z,).
        matrix: W, shape (n_z, n_y).
        offset: shape (n_y,).
    """

    centre: Array
    matrix: Array
    offset: Array

    def __call__(self, z: Array) -> Array:
        """The value at (..., n_z)."""
        return np.asarray(self.offset + (z - self.centre) @ self.matrix)

    def jvp(self, dz: Array) -> Array:
        """The change along ``dz``."""
        return np.asarray(dz @ self.matrix)

    def vjp(self, w: Array) -> Array:
        """The adjoint action on ``w``."""
        return np.asarray(w @ self.matrix.T)
