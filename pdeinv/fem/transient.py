"""M du/dt + K u = F in time: implicit Euler, Crank-Nicolson and BDF2 with their discrete adjoint.

Every scheme is Σ_j α_j M u^(n-j) / Δt + Σ_j β_j K u^(n-j) = Σ_j β_j F^(n-j). With constant steps
the matrix A = α_0 M/Δt + β_0 K is factored once and serves all steps, tangents and adjoints. BDF2
begins with one step of implicit Euler, whose local error is of second order.

Reference: Hairer, Wanner (1996), ch. IV.3 and V.1; adjoint in time: Li, Petzold (2004).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pdeinv.fem import compiled
from pdeinv.fem.compiled import CompiledSystem, cholesky_of
from pdeinv.fem.env import fenicsx
from pdeinv.fem.linear import FilledSystem, choose_method
from pdeinv.fem.nodal import NodalSpace, Rule
from pdeinv.fem.quadrature import COEFFICIENT_DEGREE, LOAD_DEGREE
from pdeinv.fem.schemes import SCHEMES, Scheme
from pdeinv.kernels.build import available
from pdeinv.typing import Array

__all__ = ["Forcing", "ParabolicSystem"]

Forcing = Callable[[int], Array | None]
"""Number of the time level to a vector of the degrees of freedom; None where it is zero."""


def _solver(indptr: Any, indices: Any, points: Array, solves: int) -> CompiledSystem | FilledSystem:
    """The compiled kernels where they work and pay, else PETSc."""
    if len(points) <= compiled.LIMIT and available():
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

    def lifted(self, values: Array) -> Array:
        """What prescribed values add to A u; kept while the same array comes again."""
        if self._lifted[0] is not values:
            self._lifted = (values, np.asarray(self._lift @ values))
        return self._lifted[1]


class ParabolicSystem:
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
        self._mass_form = fx.fem.form(rho * trial * test * measures[0])
        self.pattern = fx.fem.form(kappa * inner(grad(trial), grad(test)) * measures[1])
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

    def step(self, n: int) -> _Step:
        """The kind of step that leads to time level ``n``."""
        return self.start if n == 1 else self.main

    def march(
        self,
        past: Sequence[Array],
        load: Forcing,
        held: Forcing | None = None,
        *,
        extra: Forcing | None = None,
        first: int = 1,
        last: int | None = None,
    ) -> Iterator[tuple[int, Array]]:
        """(n, u^n) for n = first ... last.

        Args:
            past: u^(first-1) and, where the scheme asks for it, u^(first-2).
            load: F^n.
            held: u^n on the fixed degrees of freedom; zero where None.
            extra: added to the right-hand side of step n as it is.
            first: the first level to compute.
            last: the last one; :attr:`steps` where None.

        Raises:
            SolverDiverged: a solve failed.
        """
        past, before = list(past), load(first - 1) if self._two_loads else None
        for n in range(first, (self.steps if last is None else last) + 1):
            step = self.step(n)
            r = step.past[0] @ past[0]
            for c, u in zip(step.past[1:], past[1:], strict=False):
                r += c @ u
            if extra is not None:
                r += extra(n)
            before = self._add_load(r, step.scheme, load(n), before)
            self._hold(r, step, None if held is None else held(n))
            past = [step.solver.solve(r), *past[: len(self.scheme.alpha) - 2]]
            yield n, past[0]

    @property
    def _two_loads(self) -> bool:
        return self.scheme.beta[1] != 0

    def _add_load(
        self, r: Array, scheme: Scheme, now: Array | None, before: Array | None
    ) -> Array | None:
        if now is not None:
            r += now if scheme.beta[0] == 1 else scheme.beta[0] * now
        if before is not None and scheme.beta[1] != 0:
            r += scheme.beta[1] * before
        return now

    def _hold(self, r: Array, step: _Step, values: Array | None) -> None:
        if values is None:
            r[self.fixed] = 0.0
            return
        r -= step.lifted(values)
        r[self.fixed] = values

    def average(self, n: int, now: Array, before: Array) -> Array:
        """v^n = Σ_j β_j u^(n-j), what K acts on in step ``n``."""
        beta = self.step(n).scheme.beta
        return now if beta[1] == 0 else beta[0] * now + beta[1] * before

    def adjoint(
        self, source: Forcing, last: int, *, loads: bool = True
    ) -> Iterator[tuple[int, Array, Array | None]]:
        """(n, λ^n, μ^n) for n = last ... 0, where J = Σ_n source(n)·u^n up to ``last``.

        μ^n = dJ/dF^n, None where not ``loads``. For n ≥ 1, -λ^n·(dK v^n) is the part of dJ that a
        change dK of K causes in step n; λ^0 = dJ/du^0. λ vanishes on the fixed ones.

        Raises:
            SolverDiverged: a solve failed.
        """
        ahead: list[Array] = []
        for n in range(last, -1, -1):
            r = self._pulled(n, ahead)
            here = source(n)
            if here is not None:
                r += here
            r[self.fixed] = 0.0
            now = r if n == 0 else self.step(n).solver.solve(r)
            yield n, now, self._load_adjoint(n, now, ahead) if loads else None
            ahead = [now, *ahead[: len(self.scheme.alpha) - 2]]

    def _pulled(self, n: int, ahead: list[Array]) -> Array:
        if not ahead:
            return np.zeros(self.space.size)
        r = self.step(n + 1).past[0] @ ahead[0]
        for j, later in enumerate(ahead[1:], 1):
            past = self.step(n + j + 1).past
            if j < len(past):
                r += past[j] @ later
        return np.asarray(r)

    def _load_adjoint(self, n: int, now: Array, ahead: list[Array]) -> Array:
        """Σ_j β_j λ^(n+j) of the steps that use F^n."""
        mu = np.zeros_like(now) if n == 0 else self.step(n).scheme.beta[0] * now
        if ahead and self.step(n + 1).scheme.beta[1] != 0:
            mu = mu + self.step(n + 1).scheme.beta[1] * ahead[0]
        return mu
