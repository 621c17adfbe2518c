"""The Darcy forward model: conductivity parameters to heads at sensors, with its derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from pdeinv.fem.diffusion import DiffusionSystem
from pdeinv.model.coefficient import Affine
from pdeinv.model.reference import ReferenceModel, check_positive
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

__all__ = ["DarcyModel"]


class DarcyModel(ReferenceModel):
    """G(m) = B u(κ) with κ = P m at the quadrature points and A(κ) u = b.

    dG[dm] = −B A^(-1) A'(P dm) u and dG^T w = −P^T (ω ∇u·∇λ) with A λ = B^T w. The factor of A(κ)
    is kept, so that tangents and adjoints at the last m cost one triangular solve each.

    Args:
        spaces: of m and of the data.
        system: the discrete equation.
        to_points: P, sparse, from m to κ at the system's quadrature points.
        observation: B, sparse, from degrees of freedom to data.

    Attributes:
        system: as given.
    """

    def __init__(
        self, spaces: tuple[Space, Space], system: DiffusionSystem, to_points: Any, observation: Any
    ) -> None:
        super().__init__(*spaces)
        self.system = system
        self._kappa, self._data = Affine(to_points), Affine(observation)

    def solved(self, m: Array) -> Array:
        """u."""
        check_positive(m, "conductivity", " of m")
        self.system.factor(self._kappa(m))
        return self.system.state()

    def data(self, m: Array, *, again: bool) -> Array:
        """B u."""
        return self._data(self.state(m))

    def tangent(self, m: Array, dm: Array) -> Array:
        """−B A^(-1) A'(P dm) u."""
        u = self.state(m)
        return np.asarray(self._data.matrix @ self.system.tangent(u, self._kappa.jvp(m, dm)))

    def adjoint(self, m: Array, w: Array) -> Array:
        """−P^T (ω ∇u·∇λ)."""
        u = self.state(m)
        return self._kappa.vjp(m, self.system.pullback(u, self._data.vjp(u, w)))
