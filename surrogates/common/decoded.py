"""The map that networks of xi share: scaled xi, a small network, and a matrix to the data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdeinv.model.forward import Linearization
from pdeinv.typing import Array

from .bound import ALL
from .mlp import Mlp
from .scaling import Standard

__all__ = ["Decoded"]


@dataclass(frozen=True)
class Decoded:
    """d(xi) = mean + scale · network((xi - m)/s) D.

    Attributes:
        inputs: scaling of xi.
        network: scaled xi to coefficients (n_modes,).
        scale: one number that the coefficients are multiplied by.
        mean: shape (n_obs,).
        decoder: D, shape (n_modes, n_obs).
    """

    inputs: Standard
    network: Mlp
    scale: float
    mean: Array
    decoder: Array

    capabilities = ALL

    def __call__(self, xi: Array) -> Array:
        """Data (..., n_obs) of (..., dim)."""
        z = self.network(self.inputs(xi)) * self.scale
        return np.asarray(self.mean + z @ self.decoder)

    def linearize(self, xi: Array) -> Linearization:
        """Value and derivative at one xi."""
        at = self.network.linearize(self.inputs(xi))
        decoder = self.scale * self.decoder
        return Linearization(
            self.mean + at.value @ decoder,
            lambda v: at.jvp(v / self.inputs.std) @ decoder,
            lambda w: at.vjp(decoder @ w) / self.inputs.std,
        )

    def tangents(self, xi: Array, probes: Array) -> Array:
        """dG(xi_i)[p_ik], shape (n, k, n_obs), for (n, dim) and (n, k, dim)."""
        pairs = zip(xi, probes, strict=True)
        return np.stack([np.stack([self.linearize(x).jvp(p) for p in ps]) for x, ps in pairs])
