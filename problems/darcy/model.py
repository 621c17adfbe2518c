"""The Darcy forward model: conductivity parameters to heads at sensors, with its derivative."""

from __future__ import annotations

from typing import Any

import numpy as np

from pdeinv.errors import SolverDiverged
from pdeinv.fem.diffusion import DiffusionSystem
from pdeinv.model.forward import Capability, Linearization, ModelKind
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

__all__ = ["DarcyModel", "check_conductivity"]


def check_conductivity(m: Array) -> None:
    """Refuse conductivities that are not positive and finite.

    Raises:
        SolverDiverged: names the first bad value.
    """
    # NaN fails both comparisons, so that two reductions tell good from bad
    if m.min() > 0 and m.max() < np.inf:
        return
    k = int(np.flatnonzero(~((m > 0) & (m < np.inf)))[0])
    raise SolverDiverged(f"conductivity must be positive and finite; value {k} of m is {m[k]:g}")


class DarcyModel:
    """G(m) = B u(κ) with κ = P m at the quadrature points and A(κ) u = b.

    dG[dm] = −B A^(-1) A'(P dm) u and dG^T w = −P^T (ω ∇u·∇λ) with A λ = B^T w. The factor of A(κ)
    is kept, so that tangents and adjoints at the last m cost one triangular solve each.

    Args:
        m_space: the space of m.
        d_space: the space of the data.
        system: the discrete equation.
        to_points: P, sparse, from m to κ at the system's quadrature points.
        observation: B, sparse, from degrees of freedom to data.

    Attributes:
        system: as given.
    """

    kind: ModelKind = "reference"
    capabilities = frozenset({Capability.JVP, Capability.VJP})

    def __init__(
        self,
        m_space: Space,
        d_space: Space,
        system: DiffusionSystem,
        to_points: Any,
        observation: Any,
    ) -> None:
        self.m_space, self.d_space = m_space, d_space
        self.system = system
        self._to_points, self._from_points = to_points, to_points.T.tocsr()
        self._observation, self._spread = observation, observation.T.tocsr()
        self._m: Array | None = None
        self._u = np.zeros(0)

    def _state(self, m: Array) -> Array:
        """The solution for ``m``; the factor of A belongs to ``m`` afterwards."""
        if self._m is not None and np.array_equal(self._m, m):
            return self._u
        self._m = None
        check_conductivity(m)
        self.system.factor(self._to_points @ m)
        self._u = self.system.state()
        self._m = m.copy()
        return self._u

    def __call__(self, m: Array) -> Array:
        """The data of ``m``, shape (n_d,).

        Raises:
            SolverDiverged: m is not positive and finite, or the linear solver failed.
        """
        return np.asarray(self._observation @ self._state(self.m_space.check(m)))

    def linearize(self, m: Array) -> Linearization:
        """The data with tangent and adjoint actions, which stay valid after calls at other m."""
        m = self.m_space.check(m).copy()

        def jvp(dm: Array) -> Array:
            u = self._state(m)
            du = self.system.tangent(u, self._to_points @ self.m_space.check(dm))
            return np.asarray(self._observation @ du)

        def vjp(w: Array) -> Array:
            u = self._state(m)
            at_points = self.system.pullback(u, self._spread @ self.d_space.check(w))
            return np.asarray(self._from_points @ at_points)

        return Linearization(np.asarray(self._observation @ self._state(m)), jvp, vjp)
