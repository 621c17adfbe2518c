"""Posteriors of a plain function of two unknowns, each standard normal, without derivatives."""

import numpy as np

from pdeinv.bayes.fields.base import IndependentField
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.bayes.prior import FieldPrior
from pdeinv.bayes.transforms import Identity
from pdeinv.model.spaces import Space, Variable


class Function:
    """A function of two unknowns as a model."""

    kind, capabilities = "reference", frozenset()

    def __init__(self, function, n_data):
        self.function = function
        self.m_space = Space((Variable("m", ("k",), (2,)),))
        self.d_space = Space((Variable("d", ("i",), (n_data,)),))

    def __call__(self, m, /):
        return self.function(m)


def posterior_of(model, data, likelihood):
    """Of a model of two unknowns, or of a function."""
    if not isinstance(model, Function):
        model = Function(model, len(data))
    prior = FieldPrior(model.m_space, IndependentField(np.zeros(2), np.ones(2)), Identity())
    return Posterior(prior, WhitenedModel(prior, model), data, likelihood)
