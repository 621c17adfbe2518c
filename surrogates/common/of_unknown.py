"""Emulators of the unknown m itself, in place of the whitened one, as maps of xi.

Where a prior is far from Gaussian, such as a uniform one, data may be a simple function of m and
a crooked one of xi, whose tails hold all of the prior's ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdeinv.bayes.prior import Prior
from pdeinv.model.forward import Capability, Linearization
from pdeinv.typing import Array

from .mlp import Decoded

__all__ = ["OfUnknown", "pushed"]


def pushed(prior: Prior, xi: Array, probes: Array) -> Array:
    """Directions in xi as directions in m, (n, k, dim) to (n, k, n_m)."""
    return np.stack(
        [
            np.stack([prior.unwhiten_jvp(x, p) for p in some])
            for x, some in zip(xi, probes, strict=True)
        ]
    )


@dataclass(frozen=True)
class OfUnknown:
    """d(xi) = e(m(xi)).

    Attributes:
        prior: the map m.
        inner: the network e.
    """

    prior: Prior
    inner: Decoded

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Those of the network."""
        return self.inner.capabilities

    def __call__(self, xi: Array) -> Array:
        """Data (..., n_obs) of (..., dim)."""
        return self.inner(self.prior.unwhiten(xi))

    def linearize(self, xi: Array) -> Linearization:
        """Value and derivative at one xi, by the chain rule."""
        at, prior = self.inner.linearize(self.prior.unwhiten(xi)), self.prior
        return Linearization(
            at.value,
            lambda v: at.jvp(prior.unwhiten_jvp(xi, v)),
            lambda w: prior.unwhiten_vjp(xi, at.vjp(w)),
        )

    def tangents(self, xi: Array, probes: Array) -> Array:
        """dG(xi_i)[p_ik], shape (n, k, n_obs), for (n, dim) and (n, k, dim)."""
        return self.inner.tangents(self.prior.unwhiten(xi), pushed(self.prior, xi, probes))
