"""The forward model: the unknown to voltages, with tangent, adjoint and dense Jacobian."""

from __future__ import annotations

from typing import Any

import numpy as np

from pdeinv.fem.tiled import TiledModel
from pdeinv.model.coefficient import Coefficient
from pdeinv.model.observed import Picked
from pdeinv.model.reference import check_finite, check_positive
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

from .bodies.response import Body, Response
from .frames.protocol import Sheet
from .jacobian import parts_of, pulled, sensitivities
from .setup.config import EitConfig
from .tiles import EitTiles, Voltages, body_tiles
from .unknown import Unknown

__all__ = ["EitModel"]

Numbers = Any


class EitModel(TiledModel):
    """G(m): conductivity, permittivity and impedances to voltages.

    One factorisation and one solve per electrode serve the value, both derivative actions and the
    whole Jacobian at one m. Rows of unknowns are solved by tiles.

    Args:
        spaces: of m and of the data.
        unknown: what m holds.
        body: the discretised body.
        sheet: the protocol.
        picked: which entries are data.

    Attributes:
        m_space, d_space, unknown, sheet, picked: as given.
        sigma: σ at the quadrature points.
        epsilon: ε there, if it is unknown.
        known: ε where it is not.
    """

    def __init__(
        self,
        spaces: tuple[Space, Space],
        unknown: Unknown,
        body: Body,
        sheet: Sheet,
        picked: Picked,
    ) -> None:
        super().__init__(*spaces)
        self.unknown, self._body, self.sheet, self.picked = unknown, body, sheet, picked
        points = body.energy.rule.points
        self.sigma: Coefficient = unknown.conductivity.at(points)
        eps = unknown.permittivity
        self.epsilon: Coefficient | None = None if eps is None else eps.at(points)
        self._cuts, self._omega = unknown.cuts, unknown.config.omega
        self.known = getattr(unknown.config.permittivity, "value", 0.0)
        self._offset = self._reference() if unknown.config.difference else 0.0

    @property
    def config(self) -> EitConfig:
        """Which body, model and protocol it stands for."""
        return self.unknown.config

    def tiles(self) -> EitTiles | None:
        """The same for tiles, where the compiled kernels solve."""
        kind = self._omega > 0
        body = body_tiles(self._body, complex=kind)
        if body is None:
            return None
        return EitTiles(self, body, Voltages(self.sheet, self.picked, self._offset, complex=kind))

    def check(self, m: Array) -> None:
        """Refuse an m that is no conductivity or impedance.

        Raises:
            SolverDiverged: names the first bad value.
        """
        check_finite(m)
        self._impedances(m)
        self._positive(m)

    def _impedances(self, m: Array) -> Array:
        """z of every electrode; none where there are no electrodes."""
        if self.unknown.config.model != "electrodes":
            return np.zeros(0)
        z = self.unknown.impedances_of(m)
        check_positive(z, "contact impedance")
        return z

    def _positive(self, m: Array) -> Array:
        """σ at the quadrature points."""
        sigma = self.sigma(m[: self._cuts[0]])
        check_positive(sigma, "conductivity")
        return sigma

    def _gamma(self, m: Array) -> Numbers:
        """σ + iωε at the quadrature points; real at frequency zero."""
        a, b = self._cuts
        sigma = self._positive(m)
        if self._omega == 0:
            return sigma
        eps = self.known if self.epsilon is None else self.epsilon(m[a:b])
        return sigma + 1j * self._omega * eps

    def _reference(self) -> Numbers:
        """The voltages of the constant conductivity that differences refer to."""
        config = self.unknown.config
        n = len(self._body.energy.rule.weights)
        gamma: Numbers = np.full(n, config.reference)
        if self._omega > 0:
            stated = config.reference_permittivity
            gamma = gamma + 1j * self._omega * (self.known if stated is None else stated)
        z = self.unknown.impedances
        return self.sheet.voltages(self._body.respond(gamma, z).value)

    def solved(self, m: Array) -> Response:
        """The response matrix with its fields."""
        z = self._impedances(m)
        return self._body.respond(self._gamma(m), z)

    def table(self, state: Response) -> Numbers:
        """All voltages (injections, measurements), those of driven electrodes included."""
        return self.sheet.voltages(state.value) - self._offset

    def data(self, m: Array, *, again: bool) -> Array:
        """The voltages that are data."""
        return self.picked.take(self.table(self.state(m)))

    def tangent(self, m: Array, dm: Array) -> Array:
        """The voltages of dX."""
        r, (a, b) = self.state(m), self._cuts
        dgamma: Numbers = self.sigma.jvp(m[:a], dm[:a])
        if self.epsilon is not None:
            dgamma = dgamma + 1j * self._omega * self.epsilon.jvp(m[a:b], dm[a:b])
        energy = self._body.energy
        dx = r.sign * (r.fields.T @ (energy.matrix(energy.data(dgamma)) @ r.fields))
        if not self.unknown.knows_impedances:
            dx = dx + np.tensordot(dm[b:], r.contacts, axes=1)
        return self.picked.take(self.sheet.voltages(dx))

    def adjoint(self, m: Array, w: Array) -> Array:
        """The gradient of w·G(m)."""
        r, (a, b) = self.state(m), self._cuts
        c = self.sheet.measures.T @ self.picked.put(w, self.sheet.shape).T @ self.sheet.drives
        g = r.sign * self._body.energy.gradient(r.fields, r.fields @ c.T)
        parts = [self.sigma.vjp(m[:a], np.real(g))]
        if self.epsilon is not None:
            parts.append(self.epsilon.vjp(m[a:b], -self._omega * np.imag(g)))
        if not self.unknown.knows_impedances:
            parts.append(np.real(np.einsum("ab,lab->l", c, r.contacts)))
        return np.concatenate(parts)

    def jacobian(self, m: Array) -> Array:
        """dG(m) as a dense matrix, shape (n_d, n_m), from the same solves as the value."""
        m = self.m_space.check(m)
        at, (a, b) = self.state(m), self._cuts
        out = np.empty((self.picked.row.size, self.m_space.size))
        by_sigma = pulled(self.sigma, m[:a])
        by_epsilon = None if self.epsilon is None else pulled(self.epsilon, m[a:b])
        for data, which, table in sensitivities(self._body.energy, at, self.sheet, self.picked):
            imaginary = self.picked.imaginary[data]
            out[data, :a] = parts_of(by_sigma(table), which, imaginary)
            if by_epsilon is not None:
                turned = 1j * self._omega * by_epsilon(table)
                out[data, a:b] = parts_of(turned, which, imaginary)
        if not self.unknown.knows_impedances:
            tables = [self.picked.take(self.sheet.voltages(x)) for x in at.contacts]
            out[:, b:] = np.stack(tables, axis=1)
        return out
