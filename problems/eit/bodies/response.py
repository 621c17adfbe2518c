"""The response matrix X of a body, and its derivative in conductivity and contact impedances.

X maps what is applied to what is measured: electrode currents to electrode potentials, or the
coefficients of a boundary function to those of its image. Whichever it is,

    dX = s Fᵀ K(dγ) F + Σ_l dz_l B_l,

with the potentials F of unit inputs, the stiffness K and a sign s: no solve beyond those that give
F, for tangents, adjoints or the whole Jacobian (reciprocity; Somersalo, Cheney and Isaacson 1992).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from pdeinv.errors import SolverDiverged
from pdeinv.fem.energy import Energy
from pdeinv.typing import Array

__all__ = ["Body", "DirichletToNeumann", "ElectrodeBody", "NeumannToDirichlet", "Response"]

Numbers = Any
"""A real or complex array."""


@dataclass(frozen=True)
class Response:
    """X at one conductivity.

    Attributes:
        value: X, symmetric, shape (r, r).
        fields: F, shape (n, r).
        sign: s, with the thickness of the slab.
        contacts: B_l, shape (electrodes, r, r); empty without electrodes.
    """

    value: Numbers
    fields: Numbers
    sign: float
    contacts: Numbers


class Body(Protocol):
    """A discretised body that gives its response."""

    @property
    def energy(self) -> Energy:
        """Its stiffness."""

    def respond(self, gamma: Numbers, z: Array) -> Response:
        """X for γ at the energy's points and contact impedances z.

        Raises:
            SolverDiverged: a matrix is singular, or not finite.
        """


@dataclass(frozen=True)
class _Contact:
    """One electrode: its degrees of freedom and ∫ φ_i φ_j over it."""

    dofs: Any
    mass: Array


class ElectrodeBody:
    """The complete electrode model.

    ∫ γ ∇u·∇v + Σ_l ∫_{e_l} (u − U_l)(v − V_l)/z_l = Σ_l I_l V_l for all v and V (per thickness).
    The potentials U are eliminated: W solves for unit potentials, which is positive definite and
    needs no gauge; its energy is the Schur complement S, and X = S⁺ with ΣU = 0.

    Args:
        energy: the stiffness.
        electrodes: sides, in electrode order.
        thickness: of the slab, one for solids.

    Attributes:
        energy, thickness: as given.
        areas: of the electrodes.
        contacts: degrees of freedom and masses of the electrodes.
        entries: where 1/z of each electrode stands in the stiffness, and its factors.

    Reference: Cheng, Isaacson, Newell and Gisser (1989); Somersalo et al. (1992).
    """

    def __init__(self, energy: Energy, electrodes: tuple[str, ...], thickness: float) -> None:
        self.energy, self.thickness = energy, thickness
        order = 2 * int(energy.space.element[1])
        rules = [energy.space.facet_rule(side, order) for side in electrodes]
        self.areas = np.array([rule.weights.sum() for rule in rules])
        masses = [(rule.load @ rule.values).tocoo() for rule in rules]
        self.contacts = [_contact(mass) for mass in masses]
        # an electrode's pairs of degrees of freedom share a cell, hence are on the pattern
        self.entries = [
            (energy.entry_of(m.coords[0].astype(np.int64), m.coords[1].astype(np.int64)), m.data)
            for m in masses
        ]

    def _with_contacts(self, data: Numbers, z: Array) -> Numbers:
        whole = data.copy()
        for (entries, values), zl in zip(self.entries, z, strict=True):
            whole[entries] += values / zl
        return whole

    def respond(self, gamma: Numbers, z: Array) -> Response:
        """Electrode potentials per ampere."""
        energy, count = self.energy, len(self.contacts)
        data = energy.data(gamma)
        solve = energy.whole.factored(self._with_contacts(data, z))
        load = np.zeros((energy.n, count), dtype=data.dtype)
        for k, (c, zl) in enumerate(zip(self.contacts, z, strict=True)):
            load[c.dofs, k] = c.mass.sum(axis=1) / zl
        w = solve(load)
        # the energy of W is S without the cancellation that the Schur complement suffers
        shunts = np.stack(
            [self._shunt(w, k) / zl for k, zl in enumerate(z)],
        )
        s = w.T @ (energy.matrix(data) @ w) + shunts.sum(axis=0)
        x = _inverse(self.thickness * (s + s.T) / 2)
        scale = self.thickness / np.asarray(z)[:, None, None]
        return Response(x, w @ x, -self.thickness, x @ (scale * shunts) @ x)

    def _shunt(self, w: Numbers, k: int) -> Numbers:
        """∫ (w_i − δ_ik)(w_j − δ_jk) over electrode k, shape (electrodes, electrodes)."""
        c = self.contacts[k]
        jump = w[c.dofs].copy()
        jump[:, k] -= 1.0
        return jump.T @ c.mass @ jump


def _contact(mass: Any) -> _Contact:
    dofs = np.unique(mass.coords[0])
    dense = np.zeros((len(dofs), len(dofs)))
    at = [np.searchsorted(dofs, c) for c in mass.coords]
    np.add.at(dense, (at[0], at[1]), mass.data)
    return _Contact(dofs, dense)


def _inverse(s: Numbers) -> Numbers:
    """The pseudo-inverse of a symmetric matrix whose null space are the constants."""
    n = len(s)
    mean = np.full((n, n), np.trace(s) / n**2)
    try:
        found = np.linalg.inv(s + mean)
    except np.linalg.LinAlgError as error:
        raise SolverDiverged(f"the electrodes do not respond to currents ({error})") from None
    found = found - found.mean(axis=0)
    found = found - found.mean(axis=1, keepdims=True)
    return (found + found.T) / 2


class _Trace:
    """Orthonormal functions of the boundary's arc length: cos 1, sin 1, cos 2, sin 2 and so on."""

    def __init__(self, energy: Energy, outline: Any, modes: int) -> None:
        self.energy, self.outline, self.modes = energy, outline, modes

    def functions(self, points: Array) -> Array:
        """The basis at points (n, 2) of the boundary, shape (n, 2 modes)."""
        length = self.outline.length
        angle = np.arctan2(points[:, 1], points[:, 0])
        t = 2 * np.pi / length * self.outline.arc_length(angle)
        phase = t[:, None] * np.arange(1, self.modes + 1)
        pairs = np.stack([np.cos(phase), np.sin(phase)], axis=2)
        return np.asarray(np.sqrt(2 / length) * pairs.reshape(len(points), -1))


class DirichletToNeumann(_Trace):
    """Boundary potentials to current densities: X_ij = ∫ γ ∇w_i·∇w_j, w_i = f_i on the boundary.

    Attributes:
        rim: which degrees of freedom lie on the boundary.
        given: f there.
    """

    def __init__(self, energy: Energy, outline: Any, modes: int) -> None:
        super().__init__(energy, outline, modes)
        rim = np.zeros(energy.n, dtype=bool)
        rim[energy.space.dofs_on(["", *energy.space.mesh.sides])] = True
        self.rim = rim
        self.given = self.functions(energy.space.points[rim])
        self._inner, self._across = energy.block(~rim, ~rim), energy.block(~rim, rim)

    def respond(self, gamma: Numbers, z: Array) -> Response:
        """The map's matrix."""
        data = self.energy.data(gamma)
        solve = self._inner.factored(data)
        load = self._across.matrix(data) @ self.given
        w = np.empty((self.energy.n, load.shape[1]), dtype=load.dtype)
        w[self.rim] = self.given
        w[~self.rim] = -solve(load)
        x = w.T @ (self.energy.matrix(data) @ w)
        return Response((x + x.T) / 2, w, 1.0, np.zeros((0, *x.shape)))


class NeumannToDirichlet(_Trace):
    """Current densities to boundary potentials: X_ij = ∫ g_i u_j ds with γ ∂u_j/∂n = g_j.

    Attributes:
        load: ∫ g v.
        mean: what gives the mean of u on the boundary.
        free: all degrees of freedom but one.
    """

    def __init__(self, energy: Energy, outline: Any, modes: int) -> None:
        super().__init__(energy, outline, modes)
        space = energy.space
        rule = space.facet_rule("", 2 * int(space.element[1]) + 2)
        total = rule.load @ np.ones(len(rule.weights))
        load = rule.load @ self.functions(rule.points)
        # a polygon's sines and cosines miss zero mean by its distance from the curve
        self.load = load - np.outer(total / total.sum(), load.sum(axis=0))
        self.mean = total / total.sum()
        free = np.ones(energy.n, dtype=bool)
        free[int(np.flatnonzero(total)[0])] = False
        self.free, self._inner = free, energy.block(free, free)

    @cached_property
    def _held(self) -> Array:
        return np.asarray(self.load[self.free])

    def respond(self, gamma: Numbers, z: Array) -> Response:
        """The map's matrix, potentials of zero mean on the boundary."""
        data = self.energy.data(gamma)
        found = self._inner.factored(data)(self._held.astype(data.dtype))
        u = np.zeros((self.energy.n, found.shape[1]), dtype=found.dtype)
        u[self.free] = found
        u -= self.mean @ u
        x = self.load.T @ u
        return Response((x + x.T) / 2, u, -1.0, np.zeros((0, *x.shape)))
