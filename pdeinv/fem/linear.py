"""Symmetric positive definite systems that are refilled often: assemble, factor once, solve many.

In serial the matrix lives in dolfinx's own CSR storage, which PETSc shares; filling it takes half
the time of PETSc's insertion. Distributed matrices are PETSc's.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Any, Literal

import numpy as np

from pdeinv.errors import SolverDiverged
from pdeinv.fem.env import fenicsx
from pdeinv.typing import Array

__all__ = ["Method", "SpdSystem", "choose_method"]

Method = Literal["cholesky", "mumps", "cg"]

CHOLESKY_LIMIT = 5_000
"""Unknowns up to which PETSc's own Cholesky with nested dissection beats MUMPS (measured, 2-D)."""

MUMPS_LIMIT = 600_000
"""Unknowns up to which a factor, reused by the adjoint, beats CG with multigrid (2-D; at 513² nodes
0.55 s and 0.09 s for the adjoint against 0.52 s and 0.41 s, with less memory)."""

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


def choose_method(n: int, ranks: int = 1) -> Method:
    """The solver for ``n`` unknowns on ``ranks`` ranks; PETSc's own Cholesky runs on one only."""
    if n > MUMPS_LIMIT:
        return "cg"
    return "cholesky" if n < CHOLESKY_LIMIT and ranks == 1 else "mumps"


def _wrap_vector(vector: Any, comm: Any) -> Any:
    """A PETSc vector on the storage of a dolfinx vector."""
    fx = fenicsx()
    if comm.size > 1:
        return fx.la_petsc.create_vector_wrap(vector)
    return fx.PETSc.Vec().createWithArray(vector.array, comm=comm)


class SpdSystem:
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
        comm = space.mesh.comm
        self._vecs = [_wrap_vector(v, comm) for v in (self._b, self._x)]
        self.method = method or choose_method(imap.size_global * bs, comm.size)
        self._csr = fx.fem.create_matrix(form) if comm.size == 1 else None
        self.matrix = fx.petsc.create_matrix(form) if self._csr is None else self._wrap(comm)
        self.matrix.setOption(fx.PETSc.Mat.Option.SPD, True)
        self._ksp = self._solver(comm)

    def _wrap(self, comm: Any) -> Any:
        """A PETSc matrix on the storage of the CSR matrix."""
        fx, csr = fenicsx(), self._csr
        assert csr is not None
        n = len(csr.indptr) - 1
        arrays = (csr.indptr.astype(fx.PETSc.IntType), csr.indices.astype(fx.PETSc.IntType))
        matrix = fx.PETSc.Mat().createAIJWithArrays((n, n), (*arrays, csr.data), comm=comm)
        matrix.assemble()
        return matrix

    def _solver(self, comm: Any) -> Any:
        """The Krylov object with options of its own prefix, so that no other solver hears them."""
        PETSc = fenicsx().PETSc
        ksp = PETSc.KSP().create(comm)
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

    def assemble(self) -> None:
        """Fill the matrix from the form's present coefficients; the next solve factors it anew."""
        fx = fenicsx()
        if self._csr is not None:
            self._csr.data[:] = 0.0
            fx.fem.assemble_matrix(self._csr, self._form, bcs=self._bcs)
            self.matrix.stateIncrease()
            return
        self.matrix.zeroEntries()
        fx.petsc.assemble_matrix(self.matrix, self._form, bcs=self._bcs)
        self.matrix.assemble()

    def solve(self, b: Array) -> Array:
        """A^(-1) b for local values (ghosts last, theirs are ignored); the first call factors.

        Raises:
            SolverDiverged: the factorisation or the iteration failed, with PETSc's reason.
        """
        fx = fenicsx()
        self._b.array[:] = b
        for vec in self._vecs:
            vec.stateIncrease()
        try:
            self._ksp.solve(*self._vecs)
        except fx.PETSc.Error as error:
            why = self._why(error)
            self._renew()
            raise SolverDiverged(f"linear solver ({self.method}) failed: {why}") from None
        self._x.scatter_forward()
        x: Array = self._x.array.copy()
        if not self._everywhere(bool(np.isfinite(x).all())):
            raise SolverDiverged(
                f"linear solver ({self.method}) gave values that are not finite; "
                "the coefficient varies too much or is invalid"
            )
        return x

    def _everywhere(self, good: bool) -> bool:
        """Whether ``good`` holds on every rank, so that all of them raise or none does."""
        comm = self._ksp.comm
        return good if comm.size == 1 else bool(comm.tompi4py().allreduce(int(not good)) == 0)

    def _renew(self) -> None:
        """A new Krylov object: a factorisation that failed leaves one that fails ever after."""
        comm = self._ksp.comm
        self._ksp.destroy()
        self._ksp = self._solver(comm)

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
