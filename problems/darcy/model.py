"""The Darcy forward model: conductivity parameters to heads at sensors, with its derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from pdeinv.fem.reduced import ReducedSystem
from pdeinv.model.reference import ReferenceModel, check_positive
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

__all__ = ["DarcyModel"]


class DarcyModel(ReferenceModel):
    """G(m) = B u with A(m) u = b, A linear in the parameters m of κ.

    dG[dm] = −B A^(-1) A(dm) u and dG^T w = −∂/∂m λ^T A(m) u with A λ = B^T w. The factor of A(m) is
    kept, so that tangents and adjoints at the last m cost one triangular solve each.

    Args:
        spaces: of m and of the data.
        system: the discrete equation.
        observation: B, sparse, from all degrees of freedom to data.

    Attributes:
        system: as given.
    """

    def __init__(
        self, spaces: tuple[Space, Space], system: ReducedSystem, observation: Any
    ) -> None:
        super().__init__(*spaces)
        self.system = system
        self._observed = observation[:, system.free]
        self._held = observation @ system.values
        self._back = self._observed.T.tocsr()

    def solved(self, m: Array) -> Array:
        """u where it is free."""
        check_positive(m, "conductivity", " of m")
        self.system.factor(m)
        return self.system.state(m)

    def data(self, m: Array, *, again: bool) -> Array:
        """B u."""
        return np.asarray(self._observed @ self.state(m) + self._held)

    def tangent(self, m: Array, dm: Array) -> Array:
        """−B A^(-1) A(dm) u."""
        return np.asarray(self._observed @ self.system.tangent(self.state(m), dm))

    def adjoint(self, m: Array, w: Array) -> Array:
        """−∂/∂m λ^T A(m) u."""
        return self.system.pullback(self.state(m), self._back @ w)
