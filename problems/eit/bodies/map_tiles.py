"""The two maps of the boundary for a tile: the classes of :mod:`.response` by lanes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pdeinv.fem.energy_tiles import EnergyTiles, symmetrized
from pdeinv.kernels.dense import Dense
from pdeinv.kernels.lanewise import lane_times
from pdeinv.kernels.sparse import Sparse
from pdeinv.typing import Array

from .response import DirichletToNeumann, NeumannToDirichlet
from .tiles import Solver, TileResponse, turned

__all__ = ["DirichletToNeumannTiles", "NeumannToDirichletTiles"]


class _MapTiles:
    """dX = s Wᵀ K(dγ) W.

    Args:
        energy: the stiffness.
        sign: s.
        free: where fields are solved for.
        sides: number of functions.
    """

    def __init__(
        self, energy: EnergyTiles, sign: float, free: NDArray[np.bool_], sides: int
    ) -> None:
        self.energy, self._sign = energy, sign
        self._free = np.flatnonzero(free)
        self._inner, cholesky = energy.block(free)
        self.solver = Solver(cholesky, energy.energy.n, sides)

    def tangent(self, at: TileResponse, dgamma: Array, _dz: Array | None) -> Array:
        """dX."""
        return self._sign * self.energy.product(self.energy.data(dgamma), at.fields)

    def gradient(self, at: TileResponse, c: Array) -> Array:
        """d/dγ of Σ_ab c_ab X_ab."""
        right = lane_times(at.fields, turned(c), complex=self.energy.complex)
        return self._sign * self.energy.gradient(at.fields, right)

    def contact_gradient(self, at: TileResponse, _c: Array) -> Array:
        """Nothing: there are no electrodes."""
        return np.zeros((0, at.value.shape[-1]))


class DirichletToNeumannTiles(_MapTiles):
    """Boundary potentials to current densities.

    Args:
        body: of one unknown.
        energy: its stiffness.
    """

    def __init__(self, body: DirichletToNeumann, energy: EnergyTiles) -> None:
        super().__init__(energy, 1.0, ~body.rim, body.given.shape[1])
        self._given = np.zeros((energy.energy.n, body.given.shape[1], 1))
        self._given[body.rim, :, 0] = body.given

    def respond(self, gamma: Array, _z: Array) -> TileResponse:
        """The map's matrix."""
        energy = self.energy
        data = energy.data(gamma)
        given = np.broadcast_to(self._given, (*self._given.shape[:2], data.shape[-1]))
        w = self.solver.fields(data.shape[1:])
        w[:] = energy.real(given)
        load = energy.times(data, w)[self._free]
        w[self._free] = -self.solver.solve(data[self._inner], load, load)
        return self.solver.keep(TileResponse(energy.product(data, w), w))


class NeumannToDirichletTiles(_MapTiles):
    """Current densities to boundary potentials.

    Args:
        body: of one unknown.
        energy: its stiffness.
    """

    def __init__(self, body: NeumannToDirichlet, energy: EnergyTiles) -> None:
        super().__init__(energy, -1.0, body.free, body.load.shape[1])
        self._load, self._mean = body.load[body.free][..., None], Dense(body.mean[None])
        self._measured = Sparse(body.load.T)

    def respond(self, gamma: Array, _z: Array) -> TileResponse:
        """The map's matrix, potentials of zero mean on the boundary."""
        energy = self.energy
        data = energy.data(gamma)
        load = np.broadcast_to(self._load, (*self._load.shape[:2], data.shape[-1]))
        u = self.solver.fields(data.shape[1:])
        u[:] = 0.0
        u[self._free] = self.solver.solve(data[self._inner], energy.real(load))
        u -= self._mean.tile(u)
        return self.solver.keep(TileResponse(symmetrized(self._measured.tile(u)), u))
