"""The Helmholtz forward models: contrast or source to data at receivers, with derivatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import ConfigError
from pdeinv.fem.compiled import pays
from pdeinv.fem.complex_system import WaveSystem
from pdeinv.fem.tiled import TiledModel
from pdeinv.model.coefficient import Affine, Coefficient
from pdeinv.model.forward import LinearModel
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

from .detectors import Detector
from .receivers import Rows
from .tiles import ScatteringTiles

__all__ = ["Band", "ScatteringModel", "scattered", "source_model"]

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


def scattered(system: WaveSystem, incident: Complex, q: Array) -> Complex:
    """u_s of A(q) u_s = k² ∫ q u_inc v, shape (n, s); the factor of A(q) is kept.

    Raises:
        SolverDiverged: the matrix is singular or the wave not finite.
    """
    system.factor(q)
    # an extreme contrast overflows, which the solver tells
    with np.errstate(over="ignore", invalid="ignore"):
        load = system.load(system.k**2 * q[:, None] * incident)
    return system.solve(load)


class ScatteringModel(TiledModel):
    """G(m): contrast to waves at receivers, for all incident waves and frequencies.

    A(q) u_s = k² ∫ q u_inc v, A = Aᵀ. With the total wave t, A du = k² ∫ dq t v, and the gradient
    of Re Σ c D is k² ω Re Σ t λ with A λ = Bᵀ c: one factor per frequency serves all of it.

    Rows are factored without pivots. One whose solution is not good to rounding is solved alone,
    with pivots.

    Args:
        spaces: of m and of the data.
        coefficient: m to q at the points of the rule.
        bands: one per frequency that has data.
        places: where the degrees of freedom lie, (n, 2).

    Attributes:
        coefficient, bands: as given.
    """

    alone_where_lost = True

    def __init__(
        self,
        spaces: tuple[Space, Space],
        coefficient: Coefficient,
        bands: list[Band],
        places: Array,
    ) -> None:
        super().__init__(*spaces)
        self.coefficient, self.bands, self._places = coefficient, bands, places
        self._q = np.zeros(0)

    def tiles(self) -> ScatteringTiles | None:
        """The same for tiles, where the compiled kernels solve."""
        touched = max((len(np.unique(b.system.rule.dofs)) for b in self.bands), default=0)
        if touched == 0 or not pays(touched):
            return None
        return ScatteringTiles(self, self._places)

    def solved(self, m: Array) -> list[tuple[Complex, Complex]]:
        """(u_s, total wave at points) of each band."""
        self._q = self.coefficient(m)
        waves = []
        for band in self.bands:
            u = scattered(band.system, band.incident, self._q)
            waves.append((u, band.incident + band.system.rule.values @ u))
        return waves

    def data(self, m: Array, *, again: bool) -> Array:
        """D of every band."""
        pairs = zip(self.bands, self.state(m), strict=True)
        return self._gather([b.detector(u, t, self._q) for b, (u, t) in pairs])

    def _gather(self, predictions: list[Complex]) -> Array:
        data = np.zeros(self.d_space.size)
        for band, found in zip(self.bands, predictions, strict=True):
            data[band.rows.index] = band.rows.picked.take(found)
        return data

    def tangent(self, m: Array, dm: Array) -> Array:
        """dD of every band."""
        states, dq = self.state(m), self.coefficient.jvp(m, dm)
        found = []
        for band, (_, t) in zip(self.bands, states, strict=True):
            system = band.system
            du = system.solve(system.load(system.k**2 * dq[:, None] * t))
            found.append(band.detector.tangent(du, system.rule.values @ du, t, self._q, dq))
        return self._gather(found)

    def adjoint(self, m: Array, w: Array) -> Array:
        """The derivative of Re Σ c D with respect to q, pulled back to m."""
        states = self.state(m)
        slope = np.zeros_like(self._q)
        for band, (_, t) in zip(self.bands, states, strict=True):
            system, c = band.system, band.rows.put(w)
            adjoint = system.rule.values @ system.solve(band.detector.load(c, self._q))
            part = system.k**2 * system.rule.weights * np.sum(adjoint * t, axis=1).real
            slope += part + band.detector.direct(c, t)
        return self.coefficient.vjp(m, slope)


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
