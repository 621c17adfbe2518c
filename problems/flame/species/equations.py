"""The equations of a flame of five species on quadratic elements, with a border for its eigenvalue.

Fields and eigenvalue are solved for together. T is given where gas flows in, the fluxes of species
there are those of the stream, M (Y − Y_in) + j = 0, and a flame that propagates freely ends without
gradients; a counterflow has V = 0 on both sides and mass fluxes that are given. The equation of the
border is the one that closes the eigenvalue: for a free flame the energy of the place whose
temperature is fixed, for a counterflow the mass flux of the other stream.

Source: Kee, Coltrin, Glarborg and Zhu (2017), ch. 6 and 7; Wu et al. (2025).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pdeinv.typing import Array

from ..bordered_bands import BorderedBands
from .gas import SPECIES
from .grid import Grid
from .kernels import Kernels
from .parameters import NAMES, Parameters, Setting
from .physics import SCALED

__all__ = ["Equations", "Flame"]

MASSES = slice(1, len(SPECIES))
"""Fields that are mass fractions."""


@dataclass(frozen=True)
class Flame:
    """One solution, or a guess of one.

    Attributes:
        values: of the fields at the nodes, (nodes, F).
        eigenvalue: mass flux ρ_in s_L of a free flame, kg m-2 s-1; Λ of a counterflow, Pa m-2.
    """

    values: Array
    eigenvalue: float


@dataclass(frozen=True)
class Equations:
    """F(w, e; θ) = 0 with its derivatives.

    Attributes:
        setting: configuration, gas and streams.
        kernels: of cells.
        grid: the discretisation.
        held: the node whose temperature is fixed, of a free flame.
    """

    setting: Setting
    kernels: Kernels
    grid: Grid
    held: int

    def _local(self, at: Parameters, flame: Flame) -> Array:
        numbers = {"eigenvalue": flame.eigenvalue}
        p = [numbers.get(name, getattr(at, name, 0.0)) for name in SCALED]
        fields = flame.values.ravel()[self.grid.columns]
        return np.hstack([fields, np.broadcast_to(p, (len(fields), len(p)))])

    @cached_property
    def given(self) -> dict[int, str]:
        """The rows of values that parameters give, by name; V = 0 has none."""
        last = (self.grid.nodes - 1) * self.grid.fields
        if not self.setting.counterflow:
            return {0: "inlet_temperature", self.held * self.grid.fields: "fixed_temperature"}
        return {
            0: "inlet_temperature", last: "opposed_temperature", 5: "", last + 5: "",
            6: "mass_flux",
        }  # fmt: skip

    def residual(self, at: Parameters, flame: Flame) -> tuple[Array, Array]:
        """All rows, and that of the border, (size,) and (1,)."""
        local = self.kernels.residual(self.grid.corners, self._local(at, flame))
        out = self.grid.load(local)
        for ends, rate, stream in self._streams(at, flame):
            out[ends] -= rate * (stream - flame.values.ravel()[ends])
        border = self._border_value(at, flame, out)
        for row, name in self.given.items():
            out[row] = flame.values.ravel()[row] - getattr(at, name, 0.0)
        return out, np.array([border])

    def _streams(self, at: Parameters, flame: Flame) -> list[tuple[slice, float, Array]]:
        """Rows of species where gas flows in, with its mass flux and its mass fractions."""
        some, last = len(SPECIES) - 1, (self.grid.nodes - 1) * self.grid.fields
        reactants = self.setting.inlet(at)[0][:some]
        if not self.setting.counterflow:
            return [(MASSES, flame.eigenvalue, reactants)]
        behind = slice(last + MASSES.start, last + MASSES.stop)
        return [
            (MASSES, at.mass_flux, reactants),
            (behind, at.opposed_mass_flux, self.setting.opposed[:some]),
        ]

    def _border_value(self, at: Parameters, flame: Flame, rows: Array) -> float:
        if self.setting.counterflow:
            return float(flame.values[-1, 6]) + at.opposed_mass_flux
        return float(rows[self.held * self.grid.fields])

    def matrix(self, at: Parameters, flame: Flame) -> tuple[Array, Array, Array, Array]:
        """∂F/∂w as bands, ∂F/∂e (size, 1), the row of the border (1, size) and its corner."""
        grid, local = self.grid, self._local(at, flame)
        bands = grid.banded(self.kernels.by_fields(grid.corners, local))
        column = self._by_numbers(local)[:, :1].copy()
        for ends, rate, stream in self._streams(at, flame):
            bands[grid.bands, ends] += rate
            if not self.setting.counterflow:
                column[ends, 0] -= stream - flame.values.ravel()[ends]
        row, corner = self._border(bands, column)
        for k in self.given:
            grid.set_identity(bands, k)
            column[k] = 0.0
        return bands, column, row, corner

    def _by_numbers(self, local: Array) -> Array:
        """∂F/∂p of the cells, (size, 7)."""
        found = self.kernels.by_numbers(self.grid.corners, local)
        return np.stack([self.grid.load(found[..., k]) for k in range(len(SCALED))], axis=1)

    def _border(self, bands: Array, column: Array) -> tuple[Array, Array]:
        if self.setting.counterflow:
            row = np.zeros((1, self.grid.size))
            row[0, -1] = 1.0
            return row, np.zeros((1, 1))
        held = self.held * self.grid.fields
        return self.grid.row(bands, held)[None], column[held][None].copy()

    def factor(self, at: Parameters, flame: Flame, inertia: Array | None = None) -> BorderedBands:
        """The derivative by fields and eigenvalue, with what is added to its diagonal, factored.

        Raises:
            SolverDiverged: it is singular.
        """
        bands, column, row, corner = self.matrix(at, flame)
        if inertia is not None:
            bands[self.grid.bands] += inertia
        return BorderedBands(bands, column, row, corner)

    def by_parameters(self, at: Parameters, flame: Flame) -> tuple[Array, Array]:
        """∂F/∂θ of all rows (size, 12) and of the border (1, 12), in the order of ``NAMES``."""
        inner = self._by_numbers(self._local(at, flame))
        out, border = np.zeros((self.grid.size, len(NAMES))), np.zeros((1, len(NAMES)))
        for k, name in enumerate(SCALED[1:], start=1):
            out[:, NAMES.index(name)] = inner[:, k]
        self._by_streams(at, flame, out)
        if self.setting.counterflow:
            border[0, NAMES.index("opposed_mass_flux")] = 1.0
        else:
            border[0] = out[self.held * self.grid.fields]
        for row, name in self.given.items():
            out[row] = 0.0
            if name:
                out[row, NAMES.index(name)] = -1.0
        return out, border

    def _by_streams(self, at: Parameters, flame: Flame, out: Array) -> None:
        change = self.setting.inlet(at)[1][: len(SPECIES) - 1]
        fluxes = ("mass_flux", "opposed_mass_flux")
        for name, (ends, rate, stream) in zip(fluxes, self._streams(at, flame), strict=False):
            if name == "mass_flux":
                out[ends, NAMES.index("equivalence_ratio")] -= rate * change
            if self.setting.counterflow:
                out[ends, NAMES.index(name)] -= stream - flame.values.ravel()[ends]
