"""A linear problem in any dimension whose data do not depend on it."""

import numpy as np

from pdeinv.bayes.fields.base import IndependentField
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.bayes.prior import FieldPrior
from pdeinv.bayes.transforms import Identity
from pdeinv.model.forward import LinearModel
from pdeinv.model.spaces import Space, Variable


def smooth(dim):
    """Four smooth functionals of a function in ``dim`` cosine modes with standard deviation 1/k."""
    k = np.arange(1, dim + 1)
    space = Space((Variable("m", ("k",), (dim,)),))
    data = Space((Variable("d", ("i",), (4,)),))
    matrix = np.cos(np.pi * np.outer([0.1, 0.35, 0.6, 0.85], k))
    prior = FieldPrior(space, IndependentField(np.ones(dim) / k**2, 1.0 / k), Identity())
    model = WhitenedModel(prior, LinearModel(space, data, matrix, np.zeros(4)))
    return Posterior(prior, model, np.array([1.0, 0.5, -0.5, -1.0]), Noise(np.full(4, 0.3)))
