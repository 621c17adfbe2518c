"""Maps from xi by way of the coefficient on a grid, with their derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from pdeinv.bayes.prior import Prior
from pdeinv.model.forward import Linearization
from pdeinv.typing import Array

from ..common.bound import ALL, Emulator
from .fields import FieldMap

__all__ = ["OnGrid", "ReadOff"]


@dataclass(frozen=True)
class OnGrid:
    """A map of the coefficient on a grid as one of xi.

    Attributes:
        prior: from xi to the unknown.
        to_grid: sparse, from the unknown to the coefficient at the nodes.
        inner: from coefficients (..., nodes), or their logarithms, to data.
        log: whether it reads the logarithm.
    """

    prior: Prior
    to_grid: Any
    inner: Emulator
    log: bool = False

    capabilities = ALL

    def __call__(self, xi: Array) -> Array:
        """Data (..., n_obs) of (..., dim)."""
        m = self.prior.unwhiten(xi.reshape(-1, xi.shape[-1]))
        values = np.asarray((self.to_grid @ m.T).T).reshape(*xi.shape[:-1], -1)
        return self.inner(np.log(values) if self.log else values)

    def linearize(self, xi: Array) -> Linearization:
        """Value and derivative at one xi."""
        values = np.asarray(self.to_grid @ self.prior.unwhiten(xi))
        slope = 1.0 / values if self.log else np.ones_like(values)
        at = self.inner.linearize(np.log(values) if self.log else values)
        back = self.to_grid.T.tocsr()
        return Linearization(
            at.value,
            lambda v: at.jvp(slope * (self.to_grid @ self.prior.unwhiten_jvp(xi, v))),
            lambda w: self.prior.unwhiten_vjp(xi, back @ (slope * at.vjp(w))),
        )


@dataclass(frozen=True)
class ReadOff:
    """What sensors read off the field that a network makes of a coefficient.

    Attributes:
        fields: the network.
        to_data: sparse, from its output to the data.
        offset: added to them.
    """

    fields: FieldMap
    to_data: Any
    offset: Array

    capabilities = ALL

    def __call__(self, xi: Array) -> Array:
        """Data (..., n_obs) of coefficients (..., nodes)."""
        return self.read(self.fields(xi)).reshape(*xi.shape[:-1], -1)

    def read(self, fields: Array) -> Array:
        """Data (n, n_obs) of flat fields."""
        return np.asarray(self.offset + (self.to_data @ fields.T).T)

    def linearize(self, xi: Array) -> Linearization:
        """Value and derivative at one coefficient."""
        at, back = self.fields.linearize(xi), self.to_data.T.tocsr()
        return Linearization(
            np.asarray(self.offset + self.to_data @ at.value),
            lambda v: self.to_data @ at.jvp(v),
            lambda w: at.vjp(back @ w),
        )
