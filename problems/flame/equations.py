"""The energy equation of a freely propagating flame on quadratic elements.

ρ_in s_L c_p T′ = λ T″ + q ω on (0, L), T(0) = T_in, T′(0) = G, T′(L) = 0. The gradient at the inlet
closes the eigenvalue s_L: it enters as the natural condition of the test function of the first
node, so that n equations determine n − 1 temperatures and s_L, and s_L converges with order four.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pdeinv.typing import Array

from .bordered import Bordered
from .chemistry import NAMES, Gas, Mixture, Parameters, gas
from .elements import Elements

__all__ = ["Equations", "Flame"]


@dataclass(frozen=True)
class Flame:
    """One solution, or a guess of one.

    Attributes:
        temperature: at the nodes, K, shape (n,).
        speed: s_L, m s-1.
    """

    temperature: Array
    speed: float


@dataclass(frozen=True)
class Equations:
    """F(T, s; θ) = 0 with its derivatives.

    Attributes:
        mixture: constants.
        elements: the discretisation.
    """

    mixture: Mixture
    elements: Elements

    def _at_points(self, at: Parameters, flame: Flame, *by: str) -> tuple[Gas, Array]:
        """The gas and the slope of the temperature at the quadrature points."""
        e = self.elements
        temperature = e.at_points(e.values, flame.temperature)
        slope = e.at_points(e.slopes, flame.temperature)
        return gas(self.mixture, at, temperature, flame.speed, by), slope

    @cached_property
    def _constant(self) -> tuple[Array, Array, Array]:
        """Bands of ∫ φ_i φ_j′, ∫ φ_i′ φ_j′ and ∫ φ_i φ_j."""
        e, ones = self.elements, np.ones_like(self.elements.weights)
        pairs = (e.values, e.slopes), (e.slopes, e.slopes), (e.values, e.values)
        advection, stiffness, mass = (e.banded(a, ones, b) for a, b in pairs)
        return advection, stiffness, mass

    def residual(self, at: Parameters, flame: Flame) -> Array:
        """∫ (ρ_in s_L c_p T′ − q ω) v + λ T′ v′ dx + λ G v(0), W m-2, (n,)."""
        e, m = self.elements, self.mixture
        found, slope = self._at_points(at, flame)
        source = found.flux * m.heat_capacity * slope - m.heat_release * found.rate
        out = e.load(e.values, source) + e.load(e.slopes, at.conductivity * slope)
        out[0] += at.conductivity * at.inlet_gradient
        return out

    def bands(self, at: Parameters, flame: Flame, inertia: float = 0.0) -> tuple[Array, Array]:
        """∂F/∂T as bands (5, n), plus the mass matrix times ``inertia``, and ∂F/∂s (n,)."""
        e, m = self.elements, self.mixture
        found, slope = self._at_points(at, flame, "T", "s")
        advection, stiffness, mass = self._constant
        bands = e.banded(e.values, -m.heat_release * found.rate_by["T"], e.values)
        bands += found.flux * m.heat_capacity * advection + at.conductivity * stiffness
        if inertia:
            bands += inertia * mass
        by_s = found.flux_by["s"] * m.heat_capacity * slope - m.heat_release * found.rate_by["s"]
        return bands, e.load(e.values, by_s)

    def factor(self, at: Parameters, flame: Flame, inertia: float = 0.0) -> Bordered:
        """The derivative by the temperatures but for that of the inlet, and by s, factored.

        The border is the equation of the first node.

        Raises:
            SolverDiverged: it is singular.
        """
        bands, by_s = self.bands(at, flame, inertia)
        row = np.zeros(self.elements.size - 1)
        row[:2] = bands[1, 1], bands[0, 2]
        return Bordered(np.ascontiguousarray(bands[:, 1:]), by_s[1:], row, float(by_s[0]))

    def mass(self, u: Array) -> Array:
        """∫ u v dx of nodal values."""
        e = self.elements
        return e.load(e.values, e.at_points(e.values, u))

    def by_parameters(self, at: Parameters, flame: Flame) -> Array:
        """∂F/∂θ, shape (n, 7) in the order of ``NAMES``; T_in moves the first node as well."""
        e, m = self.elements, self.mixture
        found, slope = self._at_points(at, flame, *NAMES)
        out = np.empty((e.size, len(NAMES)))
        for k, name in enumerate(NAMES):
            source = -m.heat_release * found.rate_by[name]
            source = source + found.flux_by.get(name, 0.0) * m.heat_capacity * slope
            out[:, k] = e.load(e.values, source)
        out[:, NAMES.index("conductivity")] += e.load(e.slopes, slope)
        out[0, NAMES.index("conductivity")] += at.inlet_gradient
        out[0, NAMES.index("inlet_gradient")] += at.conductivity
        bands, _ = self.bands(at, flame)
        first = [bands[2, 0], bands[3, 0], bands[4, 0]]
        out[:3, NAMES.index("inlet_temperature")] += first
        return out
