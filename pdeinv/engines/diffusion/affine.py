"""A forward model that is affine in xi, found out once: G(xi) = c + J xi."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdeinv.bayes.jacobian import DenseLinearization
from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.gaussian.exact import MAX_ENTRIES, linearity
from pdeinv.engines.requests import Jacobian, Steps
from pdeinv.errors import CapabilityError, RunFailed, SolverDiverged, reason
from pdeinv.typing import Array

__all__ = ["Affine", "affine_map", "affine_or_none"]

TOLERANCE = 1e-6
"""The largest departure from linearity between prior draws, relative to the change there."""


@dataclass(frozen=True)
class Affine:
    """G(xi) = c + J xi; with ``known`` False it says nothing, and its arrays are empty.

    Attributes:
        known: whether the model is affine.
        offset: c, shape (n_d,).
        jacobian: J, shape (n_d, dim).
    """

    known: bool
    offset: Array
    jacobian: Array

    @classmethod
    def unknown(cls) -> Affine:
        """That of a model that is not affine."""
        return cls(False, np.zeros(0), np.zeros((0, 0)))

    def __call__(self, xi: Array) -> Array:
        """c + J xi for (..., dim)."""
        return np.asarray(self.offset + xi @ self.jacobian.T)


def affine_or_none(posterior: Posterior, rng: np.random.Generator) -> Steps[Affine]:
    """The model where it is affine between prior draws, by five solves and one whole Jacobian.

    A model of which a solve or derivative fails there counts as not affine.
    """
    if posterior.n_data * posterior.dim > MAX_ENTRIES:
        return Affine.unknown()
    point, a, b = rng.standard_normal((3, posterior.dim))
    found = yield from linearity(point, a, b)
    if not found.defect <= TOLERANCE:
        return Affine.unknown()
    try:
        at: DenseLinearization = yield Jacobian(point)
    except SolverDiverged:
        return Affine.unknown()
    return Affine(True, at.value - at.jacobian @ point, at.jacobian)


def affine_map(posterior: Posterior, rng: np.random.Generator, who: str) -> Steps[Affine]:
    """The same for an engine that needs it.

    Raises:
        CapabilityError: the model is not affine in xi, or its Jacobian is too large.
        RunFailed: a solve or derivative fails.
    """
    if posterior.n_data * posterior.dim > MAX_ENTRIES:
        raise CapabilityError(
            f"{who} holds the whole Jacobian, here {posterior.n_data} x {posterior.dim} numbers; "
            "use pnp-dm on a coarser field"
        )
    point, a, b = rng.standard_normal((3, posterior.dim))
    found = yield from linearity(point, a, b)
    if np.isnan(found.defect):
        raise RunFailed(f"{who} cannot solve at prior draws; check them with 'pdeinv check'")
    if found.defect > TOLERANCE:
        raise CapabilityError(
            f"{who} needs data that are linear in xi; these depart from it by {found.defect:.1g} "
            "of their change; use pnp-dm, daps or dps"
        )
    try:
        at: DenseLinearization = yield Jacobian(point)
    except SolverDiverged as error:
        raise RunFailed(f"{who} cannot take the derivative: {reason(error)}") from None
    return Affine(True, at.value - at.jacobian @ point, at.jacobian)
