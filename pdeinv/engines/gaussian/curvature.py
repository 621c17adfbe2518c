"""Whether J = Φ + R has a minimum where its gradient vanishes, or a saddle point.

The Gauss-Newton Hessian has no negative eigenvalue, whatever the point. The Hessian itself, known
by differences of the gradient, is taken in the coordinates of the Gaussian about the point, where
that of Gauss and Newton is the identity and a negative eigenvalue stands out: a few steps of the
Lanczos method find it (Golub and Van Loan 2013, §10.1).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pdeinv.bayes.prior import cost
from pdeinv.engines.requests import Linearize, Misfit, Steps
from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

__all__ = ["ESCAPES", "Stationary", "lower_point"]

ESCAPES = 3
"""Saddle points that one search leaves before it is given up."""

FLAT = 0.01
"""A curvature above minus so much of the Gaussian's counts as that of a minimum."""

PRODUCTS, SETTLED = 12, 0.01
"""Most products with the Hessian, and the residual of its lowest eigenvalue at which they end."""

DIFFERENCE = 1e-3
"""Step of the differences, in standard deviations of the Gaussian."""

HALVINGS = 10
"""How often the way along the lowest direction is halved until J is lower there."""


@dataclass(frozen=True)
class Stationary:
    """A point where the gradient vanishes.

    Attributes:
        xi: where, shape (dim,).
        objective: J there.
        root: C^(1/2) v for (dim,), C the covariance of the Gaussian about it.
    """

    xi: Array
    objective: float
    root: Callable[[Array], Array]

    def product(self, v: Array, gradient: Array) -> Steps[Array]:
        """C^(1/2) H C^(1/2) v by a forward difference; ``gradient`` is that at ``xi``."""
        at = yield Linearize(self.xi + DIFFERENCE * self.root(v))
        return np.asarray(self.root(at.gradient - gradient) / DIFFERENCE)


def lower_point(at: Stationary, rng: np.random.Generator) -> Steps[Array | None]:
    """A point below a saddle point, shape (dim,); None at a minimum, as far as can be told.

    Costs at most ``PRODUCTS`` + 1 gradients, few where the model is nearly linear. A derivative
    that fails ends the search for a negative curvature with what is known by then.

    Args:
        at: the point.
        rng: for the first direction.
    """
    try:
        value, direction = yield from _lowest(at, rng)
    except SolverDiverged:
        return None
    if not value < -FLAT:
        return None
    along = at.root(direction)
    for k in range(HALVINGS):
        xis = at.xi + np.array([[1.0], [-1.0]]) * 0.5**k * along
        heights = (yield Misfit(xis)) + cost(xis)
        best = int(np.argmin(heights))
        if heights[best] < at.objective - 1e-10 * max(1.0, abs(at.objective)):
            return np.asarray(xis[best])
    return None


def _lowest(at: Stationary, rng: np.random.Generator) -> Steps[tuple[float, Array]]:
    """The lowest Ritz value, an upper bound of the lowest curvature, with its direction."""
    gradient = (yield Linearize(at.xi)).gradient
    v = rng.standard_normal(len(at.xi))
    basis = (v / np.linalg.norm(v))[None]
    images = np.zeros((0, len(v)))
    while True:
        image = yield from at.product(basis[-1], gradient)
        images = np.vstack([images, image])
        projected = basis @ images.T
        values, vectors = np.linalg.eigh(0.5 * (projected + projected.T))
        direction = vectors[:, 0] @ basis
        residual = vectors[:, 0] @ images - values[0] * direction
        rest = _beyond(image, basis)
        size = float(np.linalg.norm(rest))
        sure = values[0] < -FLAT or float(np.linalg.norm(residual)) <= SETTLED
        if sure or size <= SETTLED or len(basis) >= min(PRODUCTS, len(v)):
            return float(values[0]), direction
        basis = np.vstack([basis, rest / size])


def _beyond(image: Array, basis: Array) -> Array:
    """What of ``image`` is orthogonal to the rows of ``basis``; twice because of rounding."""
    for _ in range(2):
        image = image - basis.T @ (basis @ image)
    return image
