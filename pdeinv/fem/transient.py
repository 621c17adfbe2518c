"""M du/dt + K u = F in time: implicit Euler, Crank-Nicolson and BDF2 with their discrete adjoint.

Every scheme is Σ_j α_j M u^(n-j) / Δt + Σ_j β_j K u^(n-j) = Σ_j β_j F^(n-j). With constant steps
the matrix A = α_0 M/Δt + β_0 K is factored once and serves all steps, tangents and adjoints. BDF2
begins with one step of implicit Euler, whose local error is of second order.

Reference: Hairer, Wanner (1996), ch. IV.3 and V.1; adjoint in time: Li, Petzold (2004).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pdeinv.fem.compiled import CompiledSystem, cholesky_of, pays
from pdeinv.fem.env import fenicsx
from pdeinv.fem.forms import compiled_form
from pdeinv.fem.linear import FilledSystem, choose_method
from pdeinv.fem.marching import Marching
from pdeinv.fem.nodal import NodalSpace, Rule
from pdeinv.fem.quadrature import COEFFICIENT_DEGREE, LOAD_DEGREE
from pdeinv.fem.schemes import SCHEMES, Scheme
from pdeinv.fem.tensor import SparseTensor
from pdeinv.typing import Array

__all__ = ["ParabolicSystem"]


def _solver(indptr: Any, indices: Any, points: Array, solves: int) -> CompiledSystem | FilledSystem:
    """The compiled kernels where they work and pay, else PETSc."""
    if pays(len(points)):
        return CompiledSystem(cholesky_of(indptr, indices, points))
    method = choose_method(len(points), dim=points.shape[1], solves=solves)
    return FilledSystem(indptr, indices, method)


class _Step:
    """One kind of time step: the factor of A, and C_j = -(α_j M/Δt + β_j K) for the past.

    ``solves`` says how many solves a run makes with one factor, which the solver is chosen by.
    """

    def __init__(self, system: ParabolicSystem, scheme: Scheme, solves: int) -> None:
        self.scheme = scheme
        self._system = system
        self.solver = _solver(*system.structure, system.space.points, solves)
        self.past: list[Any] = []
        self._lift: Any = None
        self._lifted: tuple[Array | None, Array] = (None, np.zeros(0))

    def fill(self, k: Array) -> None:
        """Take the entries of K."""
        s, scheme = self._system, self.scheme
        m = s.mass.data / s.dt
        whole = scheme.alpha[0] * m + scheme.beta[0] * k
        self._lift = s.like(whole)[:, s.fixed] if len(s.fixed) else None
        self._lifted = (None, np.zeros(0))
        self.solver.fill(s.bounded(whole))
        self.past = [
            s.like(-(a * m + b * k)) for a, b in zip(scheme.alpha[1:], scheme.beta[1:], strict=True)
        ]

    def solve(self, r: Array) -> Array:
        """A^(-1) r; the first call after a change factors."""
        return np.asarray(self.solver.solve(r))

    def lifted(self, values: Array) -> Array:
        """What prescribed values add to A u; kept while the same array comes again."""
        if self._lifted[0] is not values:
            self._lifted = (values, np.asarray(self._lift @ values))
        return self._lifted[1]


class ParabolicSystem(Marching):
    """The fully discrete equation on one space, K = K(κ) + R given by its coefficients.

    Args:
        space: finite-element space.
        capacity: ρc at the points of :attr:`volume`.
        fixed: degrees of freedom where u is prescribed.
        scheme: the time stepping.
        dt: the time step.
        steps: the number of steps.

    Attributes:
        space, fixed, scheme, dt, steps: as given.
        conduction: the rule at whose points κ lives.
        volume: the rule of sources and ρc.
        mass: M, CSR.
        stiffness: K without Dirichlet conditions, CSR, after :meth:`set_operator`.
    """

    main: _Step
    start: _Step

    def __init__(
        self,
        space: NodalSpace,
        capacity: Callable[[Array], Array],
        fixed: NDArray[np.int64],
        scheme: Scheme,
        dt: float,
        steps: int,
    ) -> None:
        self.space, self.fixed = space, fixed
        self.scheme, self.dt, self.steps = scheme, dt, steps
        self.volume: Rule = space.rule(LOAD_DEGREE[space.element])
        self.conduction: Rule = space.rule(COEFFICIENT_DEGREE[space.element])
        self._forms()
        rho = self._functions[0]
        self._place(rho, capacity(self.volume.points))
        self.mass = self._assembled(self._mass_form)
        self.stiffness: Any = None
        self._masks()
        self.main = _Step(self, scheme, steps)
        self.start = self.main
        if len(scheme.alpha) > 2:
            self.start = _Step(self, SCHEMES["implicit-euler"], 2)

    def _forms(self) -> None:
        fx, V = fenicsx(), self.space.V
        ufl = fx.ufl
        trial, test = ufl.TrialFunction(V), ufl.TestFunction(V)
        degrees = (LOAD_DEGREE[self.space.element], COEFFICIENT_DEGREE[self.space.element])
        measures, functions = [], []
        for d in degrees:
            metadata = {"quadrature_degree": d, "quadrature_scheme": "default"}
            measures.append(ufl.Measure("dx", domain=self.space.domain, metadata=metadata))
            shape = self.space.mesh.shape
            Q = fx.fem.functionspace(
                self.space.domain, fx.basix_ufl.quadrature_element(shape, degree=d)
            )
            functions.append(fx.fem.Function(Q))
        rho, kappa = self._functions = tuple(functions)
        inner, grad = ufl.inner, ufl.grad
        self._mass_form = compiled_form(rho * trial * test * measures[0])
        self.pattern = compiled_form(kappa * inner(grad(trial), grad(test)) * measures[1])
        self._csr = fx.fem.create_matrix(self.pattern)

    @staticmethod
    def _place(function: Any, values: Array) -> None:
        function.x.array[function.function_space.dofmap.list.ravel()] = values

    def _assembled(self, form: Any) -> Any:
        self._csr.data[:] = 0.0
        fenicsx().fem.assemble_matrix(self._csr, form)
        return self.like(np.asarray(self._csr.data).copy())

    def like(self, entries: Array) -> Any:
        """A CSR matrix with these entries in the common pattern."""
        n = self.space.size
        return sparse.csr_array((entries, self._csr.indices, self._csr.indptr), (n, n))

    @property
    def structure(self) -> tuple[Any, Any]:
        """Where each row of the common pattern begins, and the column of each entry."""
        return self._csr.indptr, self._csr.indices

    @cached_property
    def tensor(self) -> SparseTensor:
        """The entries of K(κ) as a linear map of κ at the points of :attr:`conduction`."""
        kappa = self._functions[1]
        found = SparseTensor.of(self.pattern, kappa)
        points = kappa.function_space.dofmap.list.ravel()
        return SparseTensor(found.rows, found.columns, found.map[:, points])

    @cached_property
    def lower(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows and columns of the lower triangle of the common pattern, in order."""
        rows, columns = np.divmod(np.sort(self._keys), self.space.size)
        return rows[rows >= columns], columns[rows >= columns]

    def lower_of(self, entries: Array) -> Array:
        """The entries of the lower triangle out of those of the common pattern."""
        rows, columns = self.lower
        keys = rows * self.space.size + columns
        return entries[self._order[np.searchsorted(self._keys, keys, sorter=self._order)]]

    def _masks(self) -> None:
        """Where the entries of fixed rows and columns are."""
        rows = np.repeat(np.arange(self.space.size), np.diff(self._csr.indptr))
        columns = np.asarray(self._csr.indices)
        held = np.zeros(self.space.size, dtype=bool)
        held[self.fixed] = True
        self._keys = rows * self.space.size + columns
        self._order = np.argsort(self._keys)
        self._cut = np.flatnonzero(held[rows] | held[columns])
        self._unit = np.flatnonzero(held[rows] & (rows == columns))

    def bounded(self, entries: Array) -> Array:
        """The entries with rows and columns of fixed degrees of freedom those of the identity."""
        entries = entries.copy()
        entries[self._cut] = 0.0
        entries[self._unit] = 1.0
        return entries

    def entries_of(self, matrix: Any) -> Array:
        """The entries of another matrix, such as a boundary mass, in the common pattern."""
        coo = matrix.tocoo()
        keys = coo.row.astype(np.int64) * self.space.size + coo.col
        where = self._order[np.searchsorted(self._keys, keys, sorter=self._order)]
        return np.bincount(where, coo.data, minlength=len(self._keys))

    def stiffness_of(self, kappa: Array) -> Any:
        """K(κ), linear in κ at the points of :attr:`conduction`, CSR."""
        self._place(self._functions[1], kappa)
        return self._assembled(self.pattern)

    def set_operator(self, kappa: Array, boundary: Array | None = None) -> None:
        """Take κ > 0 and the entries of R; the next solve factors A."""
        self.stiffness = self.stiffness_of(kappa)
        if boundary is not None:
            self.stiffness.data += boundary
        self.main.fill(self.stiffness.data)
        if self.start is not self.main:
            self.start.fill(self.stiffness.data)

    def zeros(self) -> Array:
        """A vector of zeros."""
        return np.zeros(self.space.size)
