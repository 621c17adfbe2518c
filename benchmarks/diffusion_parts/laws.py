"""Inverse problems in the plane whose posterior is known: a Gaussian field, and two mixtures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.fft import dctn, idctn
from scipy.sparse import diags, eye, kron
from scipy.sparse.linalg import splu

from pdeinv.bayes.denoisers import MixtureDenoiser
from pdeinv.bayes.linear_mixture import LinearMixture
from pdeinv.typing import Array

TAU, SENSORS, APART = 3.0, 128, 3.0
"""Of the covariance; points where the state is measured; half the distance of modes, in xi."""

WEIGHTS = {"gaussian": (1.0,), "mixture .5": (0.5, 0.5), "mixture .75": (0.75, 0.25)}


@dataclass(frozen=True)
class Oracle:
    """-Δu = a on the unit square, u = 0 on its boundary, u measured at random inner points.

    a is a Gaussian field of covariance τ² (-Δ + τ²)^(-2) with natural boundary, by its cosine
    coefficients xi ~ N(0, I) (fundps: α = 2, τ = 3), or a mixture of two of them whose means are
    3 either side along a direction that no datum sees: modes that the data leave open.

    Attributes:
        law: a key of :data:`WEIGHTS`.
        n: inner nodes along an axis.
        noise: standard deviation over the rms of noise-free data.
        seed: of points, truth and noise.
    """

    law: str
    n: int
    noise: float
    seed: int = 0

    @cached_property
    def scale(self) -> Array:
        """Standard deviations of the cosine coefficients, shape (n, n), of an orthonormal basis."""
        k = np.arange(self.n)
        square = np.pi**2 * (k[:, None] ** 2 + k**2)
        return self.n * TAU / (square + TAU**2)

    def field(self, xi: Array) -> Array:
        """a on the nodes, shape (rows, n²)."""
        table = self.scale * xi.reshape(-1, self.n, self.n)
        return np.asarray(idctn(table, axes=(1, 2), norm="ortho").reshape(len(table), -1))

    @cached_property
    def matrix(self) -> Array:
        """From xi to data, by one adjoint solve a sensor, shape (128, n²)."""
        n, h = self.n, 1 / (self.n + 1)
        line = diags([-1.0, 2.0, -1.0], [-1, 0, 1], shape=(n, n)) / h**2
        solver = splu((kron(line, eye(n)) + kron(eye(n), line)).tocsc())
        rng = np.random.default_rng([self.seed, 1])
        points = rng.choice(n * n, size=SENSORS, replace=False)
        units = (np.arange(n * n) == points[:, None]).astype(float)
        adjoint = solver.solve(units.T).T.reshape(-1, n, n)
        return np.asarray(
            (self.scale * dctn(adjoint, axes=(1, 2), norm="ortho")).reshape(SENSORS, -1)
        )

    @cached_property
    def unseen(self) -> Array:
        """A unit vector of xi, smooth, that the data do not see, shape (n²,)."""
        smooth = np.zeros((self.n, self.n))
        smooth[:4, :4] = 1.0
        rows = np.linalg.svd(self.matrix, full_matrices=False)[2]
        left = smooth.ravel() - rows.T @ (rows @ smooth.ravel())
        return np.asarray(left / np.linalg.norm(left))

    @cached_property
    def case(self) -> LinearMixture:
        """The problem with its data."""
        weights = np.array(WEIGHTS[self.law])
        sides = np.array([-1.0, 1.0]) if len(weights) == 2 else np.zeros(1)
        law = MixtureDenoiser(weights, APART * sides[:, None] * self.unseen, np.ones(self.n**2))
        rms = float(np.sqrt(np.mean(np.sum(self.matrix**2, axis=1))))
        rng = np.random.default_rng([self.seed, 2])
        return LinearMixture.simulated(self.matrix, law, self.noise * rms, rng)
