"""A family of sections as a prior: from white noise by numbers of a section to velocities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn, Protocol

import numpy as np
from scipy.special import ndtr

from pdeinv.bayes.fields.grid import RegularGrid
from pdeinv.errors import CapabilityError
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

__all__ = ["FamilyPrior"]

_LEAST = 1e-12
"""Probabilities nearer to 0 or 1 count as so near: the logarithm of 0 is no thickness."""


class Ground(Protocol):
    """A section of the ground."""

    def velocity(self, x: Array, z: Array) -> Array:
        """v at places, m s-1."""


class Law(Protocol):
    """Numbers, each uniform on (0, 1), to a section."""

    @property
    def dim(self) -> int:
        """How many numbers."""

    def section(self, u: Array, lengths: tuple[float, float], ends: tuple[float, float]) -> Ground:
        """The section of numbers u (dim,) with its lengths, m, and its extreme velocities."""


@dataclass(frozen=True)
class FamilyPrior:
    """m(ξ) = v at the nodes of the section whose uniform numbers are Φ(ξ).

    Attributes:
        space: of the velocities.
        grid: its nodes.
        family: the law.
        ends: lowest and highest velocity, m s-1.
    """

    space: Space
    grid: RegularGrid
    family: Law
    ends: tuple[float, float]
    differentiable: bool = False

    @property
    def dim(self) -> int:
        """Numbers of a section."""
        return self.family.dim

    def section(self, xi: Array) -> Ground:
        """The section of one ξ (dim,)."""
        u = np.clip(ndtr(xi), _LEAST, 1 - _LEAST)
        depth, width = self.grid.lengths
        return self.family.section(u, (width, depth), self.ends)

    def unwhiten(self, xi: Array) -> Array:
        """Velocities (..., n) of ξ (..., dim); none where ξ is not finite."""
        rows = np.asarray(xi, dtype=np.float64).reshape(-1, self.dim)
        found = np.array([self._velocities(row) for row in rows])
        return found.reshape(*np.shape(xi)[:-1], self.space.size)

    def _velocities(self, xi: Array) -> Array:
        if not np.isfinite(xi).all():
            return np.full(self.space.size, np.nan)
        (x, y), (low, _) = self.grid.axes, zip(*self.grid.extent, strict=True)
        return self.section(xi).velocity(x[None, :] - low[0], y[:, None] - low[1]).ravel()

    def unwhiten_jvp(self, xi: Array, dxi: Array) -> Array:
        """None: layers appear and velocities jump."""
        self._refuse()

    def unwhiten_vjp(self, xi: Array, w: Array) -> Array:
        """None."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise CapabilityError(
            "a section of a family of layers has no derivative; use an engine without gradients "
            '(eki, pcn, emcee), or look for a field (problem.unknown.kind = "bounded")'
        )
