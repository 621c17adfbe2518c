"""The Helmholtz forward models: contrast or source to data at receivers, with derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import ConfigError, SolverDiverged
from pdeinv.fem.complex_system import WaveSystem
from pdeinv.model.coefficient import Affine, Coefficient
from pdeinv.model.forward import Capability, Linearization, LinearModel, ModelKind
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

from .detectors import Detector
from .receivers import Rows

__all__ = ["Band", "ScatteringModel", "check_finite", "scattered", "source_model"]

Complex = NDArray[np.complex128]

MAX_ENTRIES = 50_000_000
"""Entries of a dense source-to-data matrix, 0.4 GB."""

BLOCK = 64
"""Receivers whose adjoint waves are held at once."""


@dataclass(frozen=True)
class Band:
    """One frequency.

    Attributes:
        system: the equation; owns the factor.
        incident: u_inc at the points of q, shape (points, s).
        detector: what the receivers measure.
        rows: the data of this frequency.
    """

    system: WaveSystem
    incident: Complex
    detector: Detector
    rows: Rows


def check_finite(m: Array) -> None:
    """Refuse values that are not finite.

    Raises:
        SolverDiverged: names the first bad value.
    """
    if not np.isfinite(m).all():
        k = int(np.flatnonzero(~np.isfinite(m))[0])
        raise SolverDiverged(f"the unknown must be finite; value {k} of m is {m[k]:g}")


def scattered(system: WaveSystem, incident: Complex, q: Array) -> Complex:
    """u_s of A(q) u_s = k² ∫ q u_inc v, shape (n, s); the factor of A(q) is kept.

    Raises:
        SolverDiverged: the matrix is singular or the wave not finite.
    """
    system.factor(q)
    return system.solve(system.load(system.k**2 * q[:, None] * incident))


class ScatteringModel:
    """G(m): contrast to waves at receivers, for all incident waves and frequencies.

    A(q) u_s = k² ∫ q u_inc v, A = Aᵀ. With the total wave t, A du = k² ∫ dq t v, and the gradient
    of Re Σ c D is k² ω Re Σ t λ with A λ = Bᵀ c: one factor per frequency serves all of it.

    Args:
        m_space: the space of m.
        d_space: the space of the data.
        coefficient: m to q at the points of the rule.
        bands: one per frequency that has data.
    """

    kind: ModelKind = "reference"
    capabilities = frozenset({Capability.JVP, Capability.VJP})

    def __init__(
        self, m_space: Space, d_space: Space, coefficient: Coefficient, bands: list[Band]
    ) -> None:
        self.m_space, self.d_space = m_space, d_space
        self._coefficient, self._bands = coefficient, bands
        self._m: Array | None = None
        self._q = np.zeros(0)
        self._waves: list[tuple[Complex, Complex]] = []

    def _states(self, m: Array) -> list[tuple[Complex, Complex]]:
        """(u_s, total at points) of each band; the factors belong to ``m`` afterwards."""
        if self._m is not None and np.array_equal(self._m, m):
            return self._waves
        self._m = None
        check_finite(m)
        self._q = self._coefficient(m)
        self._waves = []
        for band in self._bands:
            u = scattered(band.system, band.incident, self._q)
            self._waves.append((u, band.incident + band.system.rule.values @ u))
        self._m = m.copy()
        return self._waves

    def __call__(self, m: Array) -> Array:
        """The data of ``m``, shape (n_d,).

        Raises:
            SolverDiverged: m is not finite or a matrix is singular.
        """
        return self._value(self.m_space.check(m))

    def _value(self, m: Array) -> Array:
        states = self._states(m)
        return self._gather([b.detector(s[0], s[1], self._q) for b, s in self._pairs(states)])

    def _pairs(self, states: list[Any]) -> list[tuple[Band, Any]]:
        return list(zip(self._bands, states, strict=True))

    def _gather(self, predictions: list[Complex]) -> Array:
        data = np.zeros(self.d_space.size)
        for band, found in self._pairs(predictions):
            data[band.rows.index] = band.rows.picked.take(found)
        return data

    def linearize(self, m: Array) -> Linearization:
        """The data with tangent and adjoint actions, which stay valid after calls at other m."""
        m = self.m_space.check(m).copy()

        def jvp(dm: Array) -> Array:
            states = self._states(m)
            dq = self._coefficient.jvp(m, self.m_space.check(dm))
            return self._gather([self._tangent(b, s[1], dq) for b, s in self._pairs(states)])

        def vjp(w: Array) -> Array:
            states, w = self._states(m), self.d_space.check(w)
            slope = np.zeros_like(self._q)
            for band, (_, t) in self._pairs(states):
                slope += self._pullback(band, t, band.rows.put(w))
            return self._coefficient.vjp(m, slope)

        return Linearization(self._value(m), jvp, vjp)

    def _tangent(self, band: Band, t: Complex, dq: Array) -> Complex:
        system = band.system
        du = system.solve(system.load(system.k**2 * dq[:, None] * t))
        return band.detector.tangent(du, system.rule.values @ du, t, self._q, dq)

    def _pullback(self, band: Band, t: Complex, c: Complex) -> Array:
        """The derivative of Re Σ c D with respect to q."""
        system = band.system
        adjoint = system.rule.values @ system.solve(band.detector.load(c, self._q))
        slope = system.k**2 * system.rule.weights * np.sum(adjoint * t, axis=1).real
        return np.asarray(slope + band.detector.direct(c, t))


def source_model(
    spaces: tuple[Space, Space], coefficient: Affine, bands: list[Band]
) -> LinearModel:
    """G(m) = H m for a source f = P m: ∇²u + k²u = f, H by one adjoint solve per receiver.

    Args:
        spaces: of m and of the data.
        coefficient: the affine map to f at the points of the rule, with ``matrix`` P.
        bands: one per frequency that has data.

    Raises:
        ConfigError: H would not fit into memory.
    """
    m_space, d_space = spaces
    if m_space.size * d_space.size > MAX_ENTRIES:
        raise ConfigError(
            f"the matrix from {m_space.size} unknowns to {d_space.size} data is too large to keep; "
            "use fewer sensors or a coarser grid of the unknown"
        )
    matrix = np.zeros((d_space.size, m_space.size))
    for band in bands:
        check = np.zeros(len(band.system.rule.weights))
        band.system.factor(check)
        n = len(band.rows.where)
        for start in range(0, n, BLOCK):
            chosen = np.arange(start, min(start + BLOCK, n))
            unit = np.zeros((n, len(chosen)), dtype=np.complex128)
            unit[chosen, np.arange(len(chosen))] = 1.0
            adjoint = band.system.rule.values @ band.system.solve(band.detector.load(unit, check))
            part = -(coefficient.matrix.T @ (band.system.rule.weights[:, None] * adjoint)).T
            rows = np.flatnonzero(np.isin(band.rows.picked.row, chosen))
            found = part[band.rows.picked.row[rows] - start]
            imaginary = band.rows.picked.imaginary[rows, None]
            matrix[band.rows.index[rows]] = np.where(imaginary, found.imag, found.real)
    return LinearModel(m_space, d_space, matrix, np.zeros(d_space.size))
