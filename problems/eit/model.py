"""The forward model: the unknown to voltages, with tangent, adjoint and dense Jacobian."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pdeinv.model.coefficient import Coefficient, jacobian
from pdeinv.model.observed import Picked
from pdeinv.model.reference import ReferenceModel, check_positive
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

from .frames.protocol import Sheet
from .response import Body, Response
from .setup.config import EitConfig
from .unknown import Unknown

__all__ = ["EitModel"]

Numbers = Any
Ints = NDArray[np.int64]


class EitModel(ReferenceModel):
    """G(m): conductivity, permittivity and impedances to voltages.

    One factorisation and one solve per electrode serve the value, both derivative actions and the
    whole Jacobian at one m.

    Args:
        spaces: of m and of the data.
        unknown: what m holds.
        body: the discretised body.
        sheet: the protocol.
        rows: which entries are data.

    Attributes:
        m_space, d_space: as given.
        sheet, rows: as given.
    """

    def __init__(
        self, spaces: tuple[Space, Space], unknown: Unknown, body: Body, sheet: Sheet, rows: Picked
    ) -> None:
        super().__init__(*spaces)
        self._unknown, self._body, self.sheet, self.rows = unknown, body, sheet, rows
        points = body.energy.rule.points
        self._sigma: Coefficient = unknown.conductivity.at(points)
        eps = unknown.permittivity
        self._epsilon: Coefficient | None = None if eps is None else eps.at(points)
        self._cuts, self._omega = unknown.cuts, unknown.config.omega
        self._known = getattr(unknown.config.permittivity, "value", 0.0)
        self._offset = self._reference() if unknown.config.difference else 0.0

    @property
    def config(self) -> EitConfig:
        """Which body, model and protocol it stands for."""
        return self._unknown.config

    def _gamma(self, m: Array) -> Numbers:
        """σ + iωε at the quadrature points; real at frequency zero."""
        a, b = self._cuts
        sigma = self._sigma(m[:a])
        check_positive(sigma, "conductivity")
        if self._omega == 0:
            return sigma
        eps = self._known if self._epsilon is None else self._epsilon(m[a:b])
        return sigma + 1j * self._omega * eps

    def _reference(self) -> Numbers:
        """The voltages of the constant conductivity that differences refer to."""
        config = self._unknown.config
        n = len(self._body.energy.rule.weights)
        gamma: Numbers = np.full(n, config.reference)
        if self._omega > 0:
            gamma = gamma + 1j * self._omega * self._known
        z = self._unknown.impedances
        return self.sheet.voltages(self._body.respond(gamma, z).value)

    def solved(self, m: Array) -> Response:
        """The response matrix with its fields."""
        z = np.zeros(0)
        if self._unknown.config.model == "electrodes":
            z = self._unknown.impedances_of(m)
            check_positive(z, "contact impedance")
        return self._body.respond(self._gamma(m), z)

    def table(self, state: Response) -> Numbers:
        """All voltages (injections, measurements), those of driven electrodes included."""
        return self.sheet.voltages(state.value) - self._offset

    def data(self, m: Array, *, again: bool) -> Array:
        """The voltages that are data."""
        return self.rows.take(self.table(self.state(m)))

    def tangent(self, m: Array, dm: Array) -> Array:
        """The voltages of dX."""
        r, (a, b) = self.state(m), self._cuts
        dgamma: Numbers = self._sigma.jvp(m[:a], dm[:a])
        if self._epsilon is not None:
            dgamma = dgamma + 1j * self._omega * self._epsilon.jvp(m[a:b], dm[a:b])
        energy = self._body.energy
        dx = r.sign * (r.fields.T @ (energy.matrix(energy.data(dgamma)) @ r.fields))
        if not self._unknown.knows_impedances:
            dx = dx + np.tensordot(dm[b:], r.contacts, axes=1)
        return self.rows.take(self.sheet.voltages(dx))

    def adjoint(self, m: Array, w: Array) -> Array:
        """The gradient of w·G(m)."""
        r, (a, b) = self.state(m), self._cuts
        c = self.sheet.measures.T @ self.rows.put(w, self.sheet.shape).T @ self.sheet.drives
        g = r.sign * self._body.energy.gradient(r.fields, r.fields @ c.T)
        parts = [self._sigma.vjp(m[:a], np.real(g))]
        if self._epsilon is not None:
            parts.append(self._epsilon.vjp(m[a:b], -self._omega * np.imag(g)))
        if not self._unknown.knows_impedances:
            parts.append(np.real(np.einsum("ab,lab->l", c, r.contacts)))
        return np.concatenate(parts)

    def jacobian(self, m: Array) -> Array:
        """dG(m) as a dense matrix, shape (n_d, n_m), from the same solves as the value.

        −∫ ∇u^I·∇u^M dγ for conductivity and ∫_e (u^I − U^I)(u^M − U^M)/z² dz for impedances, with
        u^I the potential of the injection and u^M that of the measurement pattern as a current.
        """
        m = self.m_space.check(m)
        r, (a, b) = self.state(m), self._cuts
        out = np.empty((self.rows.row.size, self.m_space.size))
        self._fill(out[:, :a], self._pairs(r, jacobian(self._sigma, m[:a])))
        if self._epsilon is not None:
            pairs = self._pairs(r, jacobian(self._epsilon, m[a:b]))
            self._fill(out[:, a:b], 1j * self._omega * pairs)
        if not self._unknown.knows_impedances:
            tables = [self.rows.take(self.sheet.voltages(x)) for x in r.contacts]
            out[:, b:] = np.stack(tables, axis=1)
        return out

    def _pairs(self, r: Response, points: Any) -> Numbers:
        """s ∫ ∇F_i·∇F_j P dx for the potentials F of unit inputs, shape (r, r, parameters).

        Injections and measurements are sums of these few, and the table is symmetric.

        Args:
            r: the response.
            points: P, the derivative of a coefficient at the points, sparse or dense.
        """
        energy, count = self._body.energy, r.fields.shape[1]
        weights, slopes = r.sign * energy.rule.weights, energy.slopes(r.fields)
        pulled = points.T.tocsr() if sparse.issparse(points) else points.T
        table = np.empty((count, count, points.shape[1]), dtype=r.fields.dtype)
        for i in range(count):
            product = np.einsum("dq,dqk->qk", slopes[:, :, i] * weights, slopes[:, :, i:])
            table[i, i:] = (pulled @ product).T
            table[i:, i] = table[i, i:]
        return table

    def _fill(self, out: Array, pairs: Numbers) -> None:
        """Write the rows of the Jacobian, shape (n_d, parameters), from the table of pairs."""
        for i in np.unique(self.rows.row):
            rows = np.flatnonzero(self.rows.row == i)
            columns, which = np.unique(self.rows.column[rows], return_inverse=True)
            drive = self.sheet.drives[i]
            fed = np.flatnonzero(drive)
            driven = np.tensordot(drive[fed], pairs[fed], axes=1)
            measured = self.sheet.measures[columns] @ driven
            out[rows] = _part(measured, which, self.rows.imaginary[rows])


def _part(values: Numbers, which: Ints, imaginary: NDArray[np.bool_]) -> Array:
    """Rows of real or imaginary parts."""
    chosen = values[which]
    if not imaginary.any():
        return np.asarray(chosen.real)
    return np.asarray(np.where(imaginary[:, None], chosen.imag, chosen.real))
