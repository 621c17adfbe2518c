"""Sparse factors of symmetric matrices for many right-hand sides at once, real or complex.

Definite ones go to the compiled kernels. Where those are missing, and for indefinite ones, SuperLU
with a minimum-degree order of A + Aᵀ serves matrices of plane meshes; those of solids fill too much
for it, so large real ones go to the Cholesky of MUMPS.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.sparse.linalg import splu

from pdeinv.errors import SolverDiverged
from pdeinv.fem.compiled import CompiledSystem, cholesky_of, pays
from pdeinv.fem.env import fenicsx
from pdeinv.typing import Array

__all__ = ["Solve", "factored"]

Solve = Callable[[Any], Any]
"""A^(-1) B for B of shape (n, s), of the matrix's own type."""

_SUPERLU: Mapping[str, Any] = {
    "permc_spec": "MMD_AT_PLUS_A",
    "diag_pivot_thresh": 0.1,
    "options": {"SymmetricMode": True},
}
"""Half the time of the default (COLAMD): 0.10 s against 0.20 s at 9409 unknowns of degree 2."""

_SOLID_LIMIT = 4_000
"""Unknowns of a solid mesh up to which SuperLU is the faster one."""


def factored(
    matrix: Any,
    points: Array | None = None,
    *,
    hint: str = "the conductivity varies too much or is invalid",
) -> Solve:
    """The factor of a symmetric matrix as a function of right-hand sides.

    Args:
        matrix: CSC, symmetric.
        points: where the unknowns lie, (n, dim), of a matrix with a positive definite real part.
        hint: what may be wrong where it cannot be factored, for messages.

    Raises:
        SolverDiverged: the matrix is singular, here or when solving.
    """
    if not np.isfinite(matrix.data).all():
        raise SolverDiverged(f"the matrix is not finite; {hint}")
    if points is not None and pays(len(points)):
        return _compiled(matrix, points, hint)
    solid = points is not None and points.shape[1] == 3
    if solid and matrix.dtype.kind == "f" and matrix.shape[0] > _SOLID_LIMIT:
        return _mumps(matrix, hint)
    try:
        lu = splu(matrix, **_SUPERLU)
    except RuntimeError as error:
        raise SolverDiverged(f"the matrix cannot be factored ({error}); {hint}") from None

    def solve(b: Any) -> Any:
        if matrix.dtype.kind == "f" and b.dtype.kind == "c":
            parts = (lu.solve(np.ascontiguousarray(part)) for part in (b.real, b.imag))
            return _finite(next(parts) + 1j * next(parts), hint)
        return _finite(lu.solve(b), hint)

    return solve


def _compiled(matrix: Any, points: Array, hint: str) -> Solve:
    kind = matrix.dtype.kind == "c"
    system = CompiledSystem(cholesky_of(matrix.indptr, matrix.indices, points, complex=kind), hint)
    system.fill(matrix.data)
    return system.solve


def _finite(x: Any, hint: str) -> Any:
    if not np.isfinite(x).all():
        raise SolverDiverged(f"the solution is not finite; {hint}")
    return x


def _mumps(matrix: Any, hint: str) -> Solve:
    fx = fenicsx()
    PETSc, n = fx.PETSc, matrix.shape[0]
    kind = PETSc.IntType
    # a symmetric matrix has the same arrays by rows and by columns
    arrays = (matrix.indptr.astype(kind), matrix.indices.astype(kind), matrix.data)
    petsc = PETSc.Mat().createAIJWithArrays((n, n), arrays, comm=fx.MPI.COMM_SELF)
    petsc.setOption(PETSc.Mat.Option.SPD, True)
    petsc.assemble()
    pc = PETSc.PC().create(fx.MPI.COMM_SELF)
    pc.setOperators(petsc)
    pc.setType("cholesky")
    pc.setFactorSolverType("mumps")
    try:
        pc.setUp()
    except PETSc.Error as error:
        raise SolverDiverged(f"MUMPS cannot factor the matrix (PETSc error {error.ierr})") from None
    factor = pc.getFactorMatrix()

    def solve(b: Any) -> Any:
        columns = b.reshape(n, -1)
        given = PETSc.Mat().createDense(
            columns.shape, array=np.asfortranarray(columns), comm=fx.MPI.COMM_SELF
        )
        found = PETSc.Mat().createDense(columns.shape, comm=fx.MPI.COMM_SELF)
        found.setUp()
        factor.matSolve(given, found)
        x = np.array(found.getDenseArray()).reshape(b.shape)
        for held in (given, found):
            held.destroy()
        # the factor goes away with its preconditioner
        assert pc is not None
        return _finite(x, hint)

    return solve
