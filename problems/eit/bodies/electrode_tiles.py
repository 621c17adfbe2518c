"""The complete electrode model of a tile: :class:`.response.ElectrodeBody` by lanes.

Fields of unit currents are W X with W those of unit potentials, hence
dX = X (−t Wᵀ K(dγ) W + t Σ_l dz_l / z_l² jumpsᵀ_l M_l jumps_l) X, by products of W alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from pdeinv.fem.energy_tiles import EnergyTiles, symmetrized
from pdeinv.kernels.cholesky import Cholesky
from pdeinv.kernels.dense import Dense
from pdeinv.kernels.lanewise import lane_gram, lane_times
from pdeinv.kernels.sparse import Sparse
from pdeinv.typing import Array

from .response import ElectrodeBody
from .tiles import Contact, Solver, TileResponse, turned

__all__ = ["ElectrodeTiles"]


class ElectrodeTiles:
    """Responses of a body with electrodes.

    Args:
        body: of one unknown.
        energy: its stiffness.

    Attributes:
        energy: as given.
        solver: of the fields.
    """

    def __init__(self, body: ElectrodeBody, energy: EnergyTiles) -> None:
        contacts = body.contacts
        self.energy, self._thickness, self._count = energy, body.thickness, len(contacts)
        n, count = energy.energy.n, self._count
        _, cholesky = energy.block(np.ones(n, dtype=bool))
        self.solver = Solver(cholesky, n, count)
        self._dofs = np.concatenate([c.dofs for c in contacts])
        self._owner = np.repeat(np.arange(count), [len(c.dofs) for c in contacts])
        self._press = Sparse(sparse.block_diag([sparse.csr_array(c.mass) for c in contacts]))
        self._entries = Sparse(self._conductance(body, len(energy.energy.lower)))
        sums = np.concatenate([c.mass.sum(axis=1) for c in contacts])
        places = (self._dofs * count + self._owner, self._owner)
        self._load = Sparse(sparse.csr_array((sums, places), (n * count, count)))
        each = (np.repeat(self._owner, count), np.arange(len(self._owner) * count))
        self._by_electrode = Sparse(sparse.csr_array((np.ones(len(each[0])), each)))
        self._inverse = _Inverse(count, complex=energy.complex)

    def _conductance(self, body: ElectrodeBody, size: int) -> Any:
        """What 1/z of each electrode adds to the entries, (lower, electrodes)."""
        place = np.full(body.energy.entries, -1)
        place[body.energy.lower] = np.arange(size)
        at = [(place[entries], k, data) for k, (entries, data) in enumerate(body.entries)]
        parts = [(p[p >= 0], np.full(int((p >= 0).sum()), k), d[p >= 0]) for p, k, d in at]
        rows, columns, data = (np.concatenate(a) for a in zip(*parts, strict=True))
        return sparse.csr_array((data, (rows, columns)), (size, self._count))

    def respond(self, gamma: Array, z: Array) -> TileResponse:
        """Electrode potentials per ampere."""
        energy, real = self.energy, self.energy.real
        data = energy.data(gamma)
        load = self._load.tile(1 / z).reshape(energy.energy.n, self._count, -1)
        entries = data + real(self._entries.tile(1 / z))
        w = self.solver.solve(entries, real(load), self.solver.fields(data.shape[1:]))
        contact = self._contact(w, z)
        s = energy.product(data, w) + self._shunted(contact, 1 / z)
        x = self._inverse(self._thickness * symmetrized(s))
        return self.solver.keep(TileResponse(x, w, contact))

    def _contact(self, w: Array, z: Array) -> Contact:
        jumps = w[self._dofs]
        where = np.arange(len(self._owner)), self._owner
        jumps[(*where, 0) if self.energy.complex else where] -= 1.0
        return Contact(z, jumps, self._press.tile(jumps))

    def _shunted(self, contact: Contact, weights: Array) -> Array:
        """Σ_l weights_l ∫_l (w_i − δ_il)(w_j − δ_jl), shape (electrodes, electrodes, ...)."""
        spread = weights[self._owner][:, None]
        spread = spread[:, :, None] if self.energy.complex else spread
        return lane_gram(contact.jumps, contact.pressed * spread, complex=self.energy.complex)

    def _between(self, x: Array, middle: Array) -> Array:
        """X · middle · X."""
        kind = self.energy.complex
        return lane_times(lane_times(x, middle, complex=kind), x, complex=kind)

    def tangent(self, at: TileResponse, dgamma: Array, dz: Array | None) -> Array:
        """dX."""
        assert at.contact is not None
        middle = -self.energy.product(self.energy.data(dgamma), at.fields)
        if dz is not None:
            middle = middle + self._shunted(at.contact, dz / at.contact.z**2)
        return self._between(at.value, self._thickness * middle)

    def gradient(self, at: TileResponse, c: Array) -> Array:
        """d/dγ of Σ_ab c_ab X_ab."""
        q = turned(self._between(at.value, c))
        right = lane_times(at.fields, q, complex=self.energy.complex)
        return -self._thickness * self.energy.gradient(at.fields, right)

    def contact_gradient(self, at: TileResponse, c: Array) -> Array:
        """The real part of d/dz of the same."""
        assert at.contact is not None
        q, pressed = self._between(at.value, c), at.contact.pressed
        moved = lane_times(at.contact.jumps, q, complex=self.energy.complex)
        product = moved * pressed
        if self.energy.complex:
            product = product[..., 0, :] - product[..., 1, :]
        sums = self._by_electrode.tile(product.reshape(-1, product.shape[-1]))
        return np.asarray(self._thickness * sums / at.contact.z**2)


class _Inverse:
    """The pseudo-inverse of symmetric matrices whose null space are the constants."""

    def __init__(self, n: int, *, complex: bool) -> None:
        self._n, self._complex = n, complex
        self._row, self._column = np.tril_indices(n)
        starts = np.searchsorted(self._row, np.arange(n + 1))
        self._cholesky = Cholesky(starts, self._column, order=np.arange(n), complex=complex)
        self._trace = Dense(np.full((1, n), 1 / n**2))
        self._centre = Dense(np.eye(n) - 1 / n)

    def __call__(self, s: Array) -> Array:
        diagonal = np.arange(self._n)
        whole = s[self._row, self._column] + self._trace.tile(s[diagonal, diagonal])
        eye = np.zeros(s.shape)
        eye[(diagonal, diagonal, 0) if self._complex else (diagonal, diagonal)] = 1.0
        found = self._cholesky.factor_and_solve(whole, eye)[1]
        once = turned(self._centre.tile(found))
        return symmetrized(self._centre.tile(once))
