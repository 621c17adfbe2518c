"""Meshes by level, elements and equations of the Helmholtz problem."""

from __future__ import annotations

from pdeinv.fem.complex_system import WaveSystem, helmholtz_matrix
from pdeinv.fem.high_order import CellRule, HighOrderSpace
from pdeinv.fem.levels import counts_of
from pdeinv.fem.mesh import CellShape, PlainMesh
from pdeinv.fem.pml import Layer, framed_rectangle

from .config import HelmholtzConfig, Impedance, Pml, Walls
from .resolution import check_resolution

__all__ = ["Domain"]


class Domain:
    """The rectangle with its truncation, discretised by level.

    Args:
        config: of the problem.
    """

    def __init__(self, config: HelmholtzConfig) -> None:
        self.config = config
        self._spaces: dict[int, HighOrderSpace] = {}

    def _counts(self, level: int) -> tuple[int, int]:
        nx, ny = counts_of(self.config.counts, level)
        return nx, ny

    def _frame(self, level: int) -> tuple[float, int]:
        """Width of the layer and cells across it, about as large as those inside."""
        truncation = self.config.truncation
        if not isinstance(truncation, Pml):
            return 0.0, 0
        counts = zip(self.config.lengths, self._counts(level), strict=True)
        spacing = min(length / n for length, n in counts)
        return truncation.width, max(2, round(truncation.width / spacing))

    def mesh(self, level: int = 0) -> PlainMesh:
        """The mesh of a level with its absorbing layer: cells doubled along each side per level.

        Raises:
            ConfigError: there is no mesh that coarse, or it is too coarse for the wavelength.
        """
        counts = self._counts(level)
        check_resolution(self.config, counts, level)
        shape: CellShape = "triangle" if self.config.element[0] == "P" else "quadrilateral"
        return framed_rectangle(self.config.lengths, counts, shape, self._frame(level))

    def space(self, level: int = 0) -> HighOrderSpace:
        """The elements on the mesh of ``level``."""
        if level not in self._spaces:
            self._spaces[level] = HighOrderSpace.on_plain(self.mesh(level), self.config.degree)
        return self._spaces[level]

    def rule(self, level: int) -> CellRule:
        """Where the unknown enters the equation."""
        # four degrees above those of the mass matrix: the taper is steep on coarse meshes
        return self.space(level).rule(2 * self.config.degree + 4, self.config.box)

    def system(self, k: float, level: int = 0, rule: CellRule | None = None) -> WaveSystem:
        """The discrete equation of one wave number."""
        space, truncation = self.space(level), self.config.truncation
        layer = None
        if isinstance(truncation, Pml):
            layer = Layer(self.config.lengths, truncation.width, truncation.reflection)
        walls = isinstance(truncation, Walls)
        impedance = isinstance(truncation, Impedance)
        matrix = helmholtz_matrix(space, k, layer=layer, impedance=impedance, fixed=walls)
        held = space.boundary if walls else None
        return WaveSystem(matrix, k, rule or self.rule(level), held)

    def dofs(self, level: int) -> int:
        """The number of complex unknowns of one wave on the mesh of ``level``."""
        (nx, ny), (_, frame), p = (
            counts_of(self.config.counts, level),
            self._frame(level),
            self.config.degree,
        )
        return ((nx + 2 * frame) * p + 1) * ((ny + 2 * frame) * p + 1)
