"""Symmetric positive definite systems that are refilled often: assemble, factor once, solve many.

Where the entries are known as numbers (:class:`FilledSystem`), PETSc reads them in place; where
they come from a form (:class:`SpdSystem`), PETSc inserts them, on any number of ranks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import count
from typing import Any, Literal

import numpy as np

from pdeinv.errors import SolverDiverged
from pdeinv.fem.env import fenicsx
from pdeinv.typing import Array

__all__ = ["FilledSystem", "Method", "SpdSystem", "choose_method"]

Method = Literal["cholesky", "mumps", "cg"]

CHOLESKY_LIMITS = {1: ((1, 600_000),), 2: ((1, 150_000), (16, 270_000)),
                   3: ((1, 3_000), (32, 5_000), (64, 16_000))}  # fmt: skip
"""By dimension: from how many solves with one factor on, and up to how many unknowns, PETSc's own
Cholesky with nested dissection beats MUMPS. ``benchmarks/solvers.py`` prints what they take; near
a limit machines differ, by some tens of percent."""

MUMPS_LIMIT = 600_000
"""Unknowns up to which a factor, reused by the adjoint, beats CG with multigrid in the plane. CG
takes less memory."""

_OPTIONS: dict[Method, dict[str, Any]] = {
    "cholesky": {
        "ksp_type": "preonly",
        "pc_type": "cholesky",
        "pc_factor_mat_solver_type": "petsc",
        "pc_factor_mat_ordering_type": "nd",
    },
    "mumps": {
        "ksp_type": "preonly",
        "pc_type": "cholesky",
        "pc_factor_mat_solver_type": "mumps",
    },
    "cg": {"ksp_type": "cg", "pc_type": "gamg", "ksp_rtol": 1e-12, "ksp_max_it": 500},
}

_ERRORS = {
    55: "out of memory",
    71: "zero pivot",
    76: "failure in an external library",
    81: "zero pivot",
    91: "not converged",
}
"""PETSc's error numbers that a solve can meet inside a preconditioner."""

_serial = count()


def choose_method(n: int, ranks: int = 1, *, dim: int = 2, solves: int = 2) -> Method:
    """The solver for ``n`` unknowns on ``ranks`` ranks; PETSc's own Cholesky runs on one only.

    Args:
        n: unknowns.
        ranks: processes that share them.
        dim: of the domain; it decides how much a factor fills.
        solves: with one factor; state and adjoint by default.
    """
    if n > MUMPS_LIMIT:
        return "cg"
    limit = max(most for least, most in CHOLESKY_LIMITS[dim] if solves >= least)
    return "cholesky" if n <= limit and ranks == 1 else "mumps"


class _PetscSystem(ABC):
    """A u = b with a matrix whose entries change; the first solve after a change factors it.

    Args:
        matrix: PETSc matrix, symmetric positive definite.
        vectors: PETSc vectors of b and x.
        method: the solver; by size where None.
    """

    def __init__(self, matrix: Any, vectors: tuple[Any, Any], method: Method | None) -> None:
        self.matrix, self._vecs = matrix, vectors
        matrix.setOption(fenicsx().PETSc.Mat.Option.SPD, True)
        self._comm = matrix.comm.tompi4py()
        self.method = method or choose_method(matrix.size[0], self._comm.size)
        self._ksp = self._solver()

    @abstractmethod
    def solve(self, b: Array) -> Array:
        """A^(-1) b.

        Raises:
            SolverDiverged: the factorisation or the iteration failed, with PETSc's reason.
        """

    def _solver(self) -> Any:
        """The Krylov object with options of its own prefix, so that no other solver hears them."""
        PETSc = fenicsx().PETSc
        ksp = PETSc.KSP().create(self._comm)
        prefix = f"pdeinv_{next(_serial)}_"
        ksp.setOptionsPrefix(prefix)
        options = PETSc.Options(prefix)
        for key, value in (*_OPTIONS[self.method].items(), ("ksp_error_if_not_converged", True)):
            options[key] = value
        ksp.setOperators(self.matrix)
        ksp.setFromOptions()
        for key in (*_OPTIONS[self.method], "ksp_error_if_not_converged"):
            options.delValue(key)
        return ksp

    def _run(self) -> None:
        """Solve for what stands in the vectors."""
        for vec in self._vecs:
            vec.stateIncrease()
        try:
            self._ksp.solve(*self._vecs)
        except fenicsx().PETSc.Error as error:
            why = self._why(error)
            # a factorisation that failed leaves an object that fails ever after
            self._ksp.destroy()
            self._ksp = self._solver()
            raise SolverDiverged(f"linear solver ({self.method}) failed: {why}") from None

    def _finite(self, x: Array) -> Array:
        if not self._everywhere(bool(np.isfinite(x).all())):
            raise SolverDiverged(
                f"linear solver ({self.method}) gave values that are not finite; "
                "the coefficient varies too much or is invalid"
            )
        return x

    def _everywhere(self, good: bool) -> bool:
        """Whether ``good`` holds on every rank, so that all of them raise or none does."""
        return good if self._comm.size == 1 else bool(self._comm.allreduce(int(not good)) == 0)

    def _why(self, error: Exception) -> str:
        PETSc = fenicsx().PETSc
        names = {
            value: name.lower()
            for name, value in vars(PETSc.KSP.ConvergedReason).items()
            if isinstance(value, int) and value < 0
        }
        number = int(getattr(error, "ierr", 0))
        plain = _ERRORS.get(number, f"PETSc error {number}")
        why = names.get(self._ksp.getConvergedReason(), plain)
        return f"{why}; the matrix is not positive definite or nearly singular"


class FilledSystem(_PetscSystem):
    """A u = b on one rank, with entries that the caller computes.

    Args:
        indptr: where each row begins.
        indices: column of each entry of the whole symmetric matrix.
        method: the solver; by size where None.
    """

    def __init__(self, indptr: Any, indices: Any, method: Method | None = None) -> None:
        fx = fenicsx()
        PETSc, comm, n = fx.PETSc, fx.MPI.COMM_SELF, len(indptr) - 1
        self._data, self._b, self._x = np.zeros(len(indices)), np.zeros(n), np.zeros(n)
        arrays = (indptr.astype(PETSc.IntType), indices.astype(PETSc.IntType), self._data)
        matrix = PETSc.Mat().createAIJWithArrays((n, n), arrays, comm=comm)
        matrix.assemble()
        b, x = (PETSc.Vec().createWithArray(v, comm=comm) for v in (self._b, self._x))
        super().__init__(matrix, (b, x), method)

    def fill(self, entries: Array) -> None:
        """Take new entries; the next solve factors them."""
        self._data[:] = entries
        self.matrix.stateIncrease()

    def solve(self, b: Array) -> Array:
        """A^(-1) b; the first call factors."""
        self._b[:] = b
        self._run()
        return self._finite(self._x.copy())


class SpdSystem(_PetscSystem):
    """A u = b for a bilinear form whose coefficients change between calls of :meth:`assemble`.

    Args:
        form: compiled symmetric positive definite bilinear form.
        space: dolfinx function space of trial and test functions.
        bcs: Dirichlet conditions; their rows and columns are replaced by the identity.
        method: the solver; by size where None.
    """

    def __init__(
        self, form: Any, space: Any, bcs: Sequence[Any] = (), method: Method | None = None
    ) -> None:
        fx = fenicsx()
        self._form, self._bcs = form, list(bcs)
        imap, bs = space.dofmap.index_map, space.dofmap.index_map_bs
        self._b, self._x = fx.la.vector(imap, bs), fx.la.vector(imap, bs)
        wrap = fx.la_petsc.create_vector_wrap
        super().__init__(fx.petsc.create_matrix(form), (wrap(self._b), wrap(self._x)), method)

    def assemble(self) -> None:
        """Fill the matrix from the form's present coefficients; the next solve factors it anew."""
        self.matrix.zeroEntries()
        fenicsx().petsc.assemble_matrix(self.matrix, self._form, bcs=self._bcs)
        self.matrix.assemble()

    def solve(self, b: Array) -> Array:
        """A^(-1) b for local values (ghosts last, theirs are ignored); the first call factors."""
        self._b.array[:] = b
        self._run()
        self._x.scatter_forward()
        return self._finite(self._x.array.copy())
