"""A posterior of two unknowns with two modes, three quarters of the mass in one of them."""

from dataclasses import dataclass

import numpy as np

from pdeinv.bayes.fields.base import IndependentField
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.bayes.prior import FieldPrior
from pdeinv.bayes.transforms import Identity
from pdeinv.model.forward import DERIVATIVES, Capability, Linearization
from pdeinv.model.spaces import Space, Variable


@dataclass(frozen=True)
class Folded:
    """Data a² and b + s a: a prior that is not centred gives its two modes unequal weights."""

    slant: float = 0.3
    m_space = Space((Variable("m", ("i",), (2,)),))
    d_space = Space((Variable("d", ("j",), (2,)),))
    capabilities = DERIVATIVES | {Capability.BATCH}
    kind = "reference"

    def __call__(self, m, /):
        return np.stack([m[..., 0] ** 2, m[..., 1] + self.slant * m[..., 0]], axis=-1)

    def linearize(self, m, /):
        jacobian = np.array([[2 * m[0], 0.0], [self.slant, 1.0]])
        return Linearization(self(m), lambda v: jacobian @ v, lambda w: jacobian.T @ w)


def two_modes():
    """Modes near a = 1.5 and a = -1.5, three quarters of the mass in the first."""
    prior = FieldPrior(
        Folded.m_space, IndependentField(np.array([0.307, 0.0]), np.array([1.0, 1.0])), Identity()
    )
    model = WhitenedModel(prior, Folded())
    return Posterior(prior, model, np.array([2.25, 0.3]), Noise(np.array([0.3, 0.6])))


def by_quadrature():
    """The share of a > 0 and the means of xi, by the trapezoidal rule."""
    axis = np.linspace(-5, 5, 801)
    grid = np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1).reshape(-1, 2)
    weight = np.exp(-two_modes().neg_log_posterior(grid))
    positive = two_modes().prior.unwhiten(grid)[:, 0] > 0
    return np.average(positive, weights=weight), np.average(grid, axis=0, weights=weight)
