"""The forward model for a tile: unknowns to voltages, with tangents and adjoints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pdeinv.fem.coefficient_tiles import CoefficientTiles
from pdeinv.fem.compiled import pays
from pdeinv.fem.energy_tiles import EnergyTiles
from pdeinv.fem.picked_tiles import PickedTiles
from pdeinv.kernels.dense import Dense
from pdeinv.kernels.tiles import Part
from pdeinv.model.observed import Picked
from pdeinv.typing import Array

from .bodies.electrode_tiles import ElectrodeTiles
from .bodies.map_tiles import DirichletToNeumannTiles, NeumannToDirichletTiles
from .bodies.response import Body, DirichletToNeumann, ElectrodeBody, NeumannToDirichlet
from .bodies.tiles import BodyTiles, TileResponse, turned
from .frames.protocol import Sheet

if TYPE_CHECKING:
    from .model import EitModel

__all__ = ["EitTiles", "body_tiles"]


def body_tiles(body: Body, *, complex: bool) -> BodyTiles | None:
    """The same body for tiles; None where the compiled kernels do not solve."""
    if not pays(body.energy.n):
        return None
    energy = EnergyTiles(body.energy, complex=complex)
    match body:
        case ElectrodeBody():
            return ElectrodeTiles(body, energy)
        case DirichletToNeumann():
            return DirichletToNeumannTiles(body, energy)
        case NeumannToDirichlet():
            return NeumannToDirichletTiles(body, energy)
    return None


class Voltages:
    """A tile of response matrices to data, and back.

    Args:
        sheet: the protocol.
        picked: which entries are data.
        offset: what is subtracted from the table.
        complex: whether responses are.
    """

    def __init__(self, sheet: Sheet, picked: Picked, offset: object, *, complex: bool) -> None:
        self._drives, self._measures = Dense(sheet.drives), Dense(sheet.measures)
        self._driven, self._measured = Dense(sheet.drives.T), Dense(sheet.measures.T)
        self._picked = PickedTiles(picked, sheet.shape, complex=complex)
        table = np.broadcast_to(np.asarray(offset, dtype=np.complex128), sheet.shape)
        self._offset = picked.take(table)[:, None]

    def take(self, x: Array) -> Array:
        """The data of the responses (r, r, ...)."""
        return self._picked.take(turned(self._measures.tile(turned(self._drives.tile(x)))))

    def data(self, x: Array) -> Array:
        """The same less the offset."""
        return self.take(x) - self._offset

    def put(self, w: Array) -> Array:
        """c with w·take(X) = Re Σ_ab c_ab X_ab, shape (r, r, ...)."""
        table = turned(self._picked.put(w))
        return turned(self._driven.tile(turned(self._measured.tile(table))))


@dataclass(frozen=True)
class State:
    """Responses of a tile of unknowns m (n_m, width)."""

    m: Array
    response: TileResponse


class EitTiles:
    """The model for a tile of unknowns (n_m, width).

    Args:
        model: of one unknown.
        body: for tiles.
        voltages: to data.
    """

    def __init__(self, model: EitModel, body: BodyTiles, voltages: Voltages) -> None:
        self._model, self._body, self._voltages = model, body, voltages
        self._sigma = CoefficientTiles(model.sigma)
        self._epsilon = None if model.epsilon is None else CoefficientTiles(model.epsilon)
        self._cuts, self._omega = model.unknown.cuts, model.unknown.config.omega

    def check(self, m: Array) -> None:
        """Refuse one m that is out of range."""
        self._model.check(m)

    def parts(self, rows: int) -> Iterator[Part]:
        """How rows are spread over tiles."""
        return self._body.solver.parts(rows)

    def bytes(self, width: int) -> int:
        """What the fields of a tile hold."""
        return self._body.solver.bytes(width)

    def solved(self, m: Array) -> State:
        """The response matrices."""
        m = m.copy()
        a, b = self._cuts
        gamma = self._sigma.values(m[:a])
        if self._omega > 0:
            eps = np.full(gamma.shape, self._model.known)
            if self._epsilon is not None:
                eps = self._epsilon.values(m[a:b])
            gamma = np.stack([gamma, self._omega * eps], axis=1)
        return State(m, self._body.respond(gamma, self._impedances(m)))

    def _impedances(self, m: Array) -> Array:
        """z (electrodes, width)."""
        unknown = self._model.unknown
        if unknown.knows_impedances:
            z = unknown.impedances[:, None]
            return np.ascontiguousarray(np.broadcast_to(z, (len(z), m.shape[-1])))
        return m[self._cuts[1] :]

    def data(self, state: State, *, again: bool) -> Array:
        """The voltages that are data."""
        return self._voltages.data(state.response.value)

    def tangent(self, state: State, dm: Array) -> Array:
        """The voltages of dX."""
        m, (a, b) = state.m, self._cuts
        dgamma = self._sigma.jvp(m[:a], dm[:a])
        if self._omega > 0:
            eps = np.zeros_like(dgamma)
            if self._epsilon is not None:
                eps = self._omega * self._epsilon.jvp(m[a:b], dm[a:b])
            dgamma = np.stack([dgamma, eps], axis=1)
        dz = None if self._model.unknown.knows_impedances else dm[b:]
        return self._voltages.take(self._body.tangent(state.response, dgamma, dz))

    def adjoint(self, state: State, w: Array) -> Array:
        """The gradient of w·G(m)."""
        m, (a, b), c = state.m, self._cuts, self._voltages.put(w)
        g = self._body.gradient(state.response, c)
        real, imaginary = (g[:, 0], g[:, 1]) if self._omega > 0 else (g, g)
        parts = [self._sigma.vjp(m[:a], real)]
        if self._epsilon is not None:
            parts.append(self._epsilon.vjp(m[a:b], -self._omega * imaginary))
        if not self._model.unknown.knows_impedances:
            parts.append(self._body.contact_gradient(state.response, c))
        return np.concatenate(parts)
