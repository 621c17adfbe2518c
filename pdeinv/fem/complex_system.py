"""(K − k² M_q) u = b for waves: a fixed complex symmetric part, a contrast q that changes often.

dolfinx assembles the fixed part once; the contrast enters through one small matrix product per
cell. SuperLU with a minimum-degree order of A + Aᵀ factors, and the factor serves all right-hand
sides, tangents and, since A = Aᵀ, adjoints.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pdeinv.fem.env import fenicsx
from pdeinv.fem.factor import factored
from pdeinv.fem.forms import compiled_form
from pdeinv.fem.high_order import CellRule, HighOrderSpace
from pdeinv.fem.pml import Layer
from pdeinv.typing import Array

__all__ = ["WaveSystem", "helmholtz_matrix"]

Complex = NDArray[np.complex128]

_HINT = "k² may be an eigenvalue of the closed domain, or the contrast is invalid"


def helmholtz_matrix(
    space: HighOrderSpace,
    k: float,
    *,
    layer: Layer | None = None,
    impedance: bool = False,
    fixed: bool = False,
) -> Any:
    """∫ ∇u·∇v − k² u v with its truncation, CSR; real where no wave can leave.

    Args:
        space: elements.
        k: wave number.
        layer: stretches the coordinates, D = diag(s_y/s_x, s_x/s_y) and k² s_x s_y.
        impedance: adds −ik∫ u v over the outer boundary, ∂u/∂n = iku (Engquist and Majda 1977).
        fixed: replaces rows and columns of the outer boundary by the identity.
    """
    fx = fenicsx()
    ufl, fem = fx.ufl, fx.fem
    dtype = np.complex128 if layer is not None or impedance else np.float64
    degree = 2 * space.degree + (2 if layer is not None else 0)
    # a smooth stretching within each cell wants two degrees more than constants do
    metadata = {"quadrature_degree": degree, "quadrature_scheme": "default"}
    dx = ufl.Measure("dx", domain=space.mesh, metadata=metadata)
    element = fx.basix_ufl.quadrature_element(str(space.mesh.topology.cell_name()), degree=degree)
    Q = fem.functionspace(space.mesh, element)
    across, along, mass = (fem.Function(Q, dtype=dtype) for _ in range(3))
    sx, sy = _stretch(space, Q, degree, layer, k)
    across.x.array[:], along.x.array[:] = sy / sx, sx / sy
    mass.x.array[:] = k**2 * sx * sy
    # ufl wants a conjugate where forms are complex; the basis is real, so nothing is conjugated
    u, v = ufl.TrialFunction(space.V), ufl.conj(ufl.TestFunction(space.V))
    form = (across * u.dx(0) * v.dx(0) + along * u.dx(1) * v.dx(1) - mass * u * v) * dx
    if impedance:
        form -= fem.Constant(space.mesh, np.complex128(1j * k)) * u * v * ufl.ds
    bcs = []
    if fixed:
        zero = fem.Constant(space.mesh, dtype(0))
        bcs = [fem.dirichletbc(zero, space.boundary, space.V)]
    matrix = fem.assemble_matrix(compiled_form(form, dtype), bcs=bcs)
    return matrix.to_scipy().tocsr()


def _stretch(
    space: HighOrderSpace, Q: Any, degree: int, layer: Layer | None, k: float
) -> tuple[Any, Any]:
    """s_x and s_y at the points of the quadrature space, ones without a layer."""
    if layer is None:
        return np.float64(1), np.float64(1)
    everywhere = (-np.inf, np.inf, -np.inf, np.inf)
    rule = space.rule(degree, everywhere)
    points = np.empty_like(rule.points)
    points[Q.dofmap.list.ravel()] = rule.points
    return layer.stretch(points, k)


class WaveSystem:
    """A(q) u = b with A(q) = K − k² ∫ q u v, q given at the points of a rule.

    Args:
        matrix: K, CSR, symmetric.
        k: wave number.
        rule: where q lives; zero elsewhere.
        fixed: degrees of freedom held at zero, whose rows of K are those of the identity.

    Attributes:
        k: as given.
        rule: as given.
        fixed: K, CSR.
        held: which degrees of freedom are held at zero, (n,).
    """

    def __init__(
        self, matrix: Any, k: float, rule: CellRule, fixed: NDArray[np.int32] | None = None
    ) -> None:
        self.k, self.rule = k, rule
        self.fixed = sparse.csr_array(matrix)
        self.fixed.sort_indices()
        self.held = np.zeros(rule.n, dtype=bool)
        self.held[fixed if fixed is not None else []] = True
        self._position = self._positions()
        d = rule.phi.shape[1]
        self._pairs = (rule.phi[:, :, None] * rule.phi[:, None, :]).reshape(-1, d * d)
        self._factor: Callable[[Any], Any] | None = None

    def _positions(self) -> NDArray[np.int64]:
        """Where each entry of each cell's matrix stands in K; behind its end where held."""
        base, dofs = self.fixed, self.rule.dofs
        n = base.shape[0]
        rows = np.repeat(np.arange(n, dtype=np.int64), np.diff(base.indptr))
        keys = rows * n + base.indices
        wanted = (dofs[:, :, None] * n + dofs[:, None, :]).reshape(-1)
        position = np.searchsorted(keys, wanted)
        held = self.held[dofs]
        lost = (held[:, :, None] | held[:, None, :]).reshape(-1)
        return np.where(lost, len(keys), position)

    def matrix(self, q: Array) -> Any:
        """A(q), CSC."""
        n_points = len(self.rule.phi)
        local = (self.rule.weights * q).reshape(-1, n_points) @ self._pairs
        count = len(self.fixed.data) + 1
        mass = np.bincount(self._position, local.ravel(), minlength=count)[:-1]
        # rows of a symmetric matrix are its columns
        arrays = (self.fixed.data - self.k**2 * mass, self.fixed.indices, self.fixed.indptr)
        return sparse.csc_array(arrays, self.fixed.shape)

    def factor(self, q: Array) -> None:
        """Take a contrast; what follows solves with its matrix.

        Raises:
            SolverDiverged: the matrix is singular.
        """
        self._factor = None
        self._factor = factored(self.matrix(q), hint=_HINT)

    def solve(self, b: Complex) -> Complex:
        """A^(-1) b for the present contrast, zero at held degrees of freedom; b is overwritten."""
        assert self._factor is not None
        b[self.held] = 0.0
        return np.asarray(self._factor(b))

    def load(self, f: Complex) -> Complex:
        """∫ f v with f at the rule's points, shape (points, s) to (n, s)."""
        return np.asarray(self.rule.loads @ (self.rule.weights[:, None] * f))
