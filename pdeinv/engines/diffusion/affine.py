"""A forward model that is affine in xi, found out once: G(xi) = c + J xi."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdeinv.bayes.posterior import Posterior
from pdeinv.engines.gaussian.exact import (
    MAX_ENTRIES,
    TRIES,
    derivative_of_affine,
    linearity,
)
from pdeinv.engines.requests import Steps
from pdeinv.errors import CapabilityError, RunFailed
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
    found = yield from _probed(posterior, rng)
    if not found.defect <= TOLERANCE:
        return Affine.unknown()
    try:
        return (yield from _derived(found, "this engine"))
    except RunFailed:
        return Affine.unknown()


def affine_map(posterior: Posterior, rng: np.random.Generator, who: str) -> Steps[Affine]:
    """The same for an engine that needs it, from other draws where solves fail.

    Raises:
        CapabilityError: the model is not affine in xi, or its Jacobian is too large.
        RunFailed: solves or derivatives keep failing.
    """
    if posterior.n_data * posterior.dim > MAX_ENTRIES:
        raise CapabilityError(
            f"{who} holds the whole Jacobian, here {posterior.n_data} x {posterior.dim} numbers; "
            "use pnp-dm on a coarser field"
        )
    for _ in range(TRIES):
        found = yield from _probed(posterior, rng)
        if np.isfinite(found.defect):
            break
    if np.isnan(found.defect):
        raise RunFailed(f"{who} cannot solve at prior draws; see why with 'pdeinv check'")
    if found.defect > TOLERANCE:
        raise CapabilityError(
            f"{who} needs data that are linear in xi; these depart from it by {found.defect:.1g} "
            "of their change; use pnp-dm, daps or dps"
        )
    return (yield from _derived(found, who))


@dataclass(frozen=True)
class _Probed:
    """Where the model was tried, (dim,) and (2, dim), and how far it is from affine there."""

    point: Array
    probes: Array
    defect: float


def _probed(posterior: Posterior, rng: np.random.Generator) -> Steps[_Probed]:
    point, *probes = rng.standard_normal((3, posterior.dim))
    found = yield from linearity(point, *probes)
    return _Probed(point, np.stack(probes), found.defect)


def _derived(probed: _Probed, who: str) -> Steps[Affine]:
    """By the whole Jacobian at the first point where it does not fail.

    Raises:
        RunFailed: it fails at all of them.
    """
    point, at = yield from derivative_of_affine(probed.point, probed.probes, who)
    return Affine(True, at.value - at.jacobian @ point, at.jacobian)
