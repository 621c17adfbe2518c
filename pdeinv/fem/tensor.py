"""Bilinear forms that are linear in one coefficient, as a sparse tensor: the entries of A(c) = T c.

Each cell's matrix is linear in the coefficient's values on that cell. FFCx's compiled kernel,
called with one value one and the others zero, gives the parts of T. UFL stays the definition, and
assembly becomes one sparse matrix-vector product, as do both derivatives of vᵀ A(c) u.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pdeinv.typing import Array

__all__ = ["SparseTensor"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class SparseTensor:
    """A(c) on a pattern: entry k stands in row ``rows[k]`` and column ``columns[k]``.

    Attributes:
        rows: of the entries, increasing.
        columns: of the entries, increasing within a row.
        map: T, CSR of shape (entries, values of c).
    """

    rows: Ints
    columns: Ints
    map: Any

    @classmethod
    def of(cls, form: Any, coefficient: Any) -> SparseTensor:
        """The tensor of a compiled form over cells, on one rank.

        Args:
            form: compiled bilinear form whose only coefficient is ``coefficient``.
            coefficient: a function; its degrees of freedom are the values of c.
        """
        places = np.asarray(coefficient.function_space.dofmap.list, dtype=np.int64)
        i, j = (np.asarray(V.dofmap.map(), dtype=np.int64) for V in form.function_spaces)
        width = int(j.max()) + 1
        values = _cell_matrices(form, places.shape[1], (i.shape[1], j.shape[1]))
        keys = np.broadcast_to((i[:, :, None] * width + j[:, None, :])[:, None], values.shape)
        where = np.broadcast_to(places[:, :, None, None], values.shape)
        found, entry = np.unique(keys.ravel(), return_inverse=True)
        n = coefficient.x.index_map.size_local
        parts = sparse.coo_array((values.ravel(), (entry, where.ravel())), (len(found), n))
        return cls(found // width, found % width, _tidy(parts))

    def part(self, keep: NDArray[np.bool_], new: Ints) -> SparseTensor:
        """Some of the entries.

        Args:
            keep: which ones.
            new: the new number of each row and column.
        """
        return SparseTensor(new[self.rows[keep]], new[self.columns[keep]], self.map[keep])

    def of_parameters(self, matrix: Any) -> SparseTensor:
        """The tensor of parameters m where c = P m, P sparse or dense."""
        return SparseTensor(self.rows, self.columns, _tidy(self.map @ matrix))

    def entries(self, c: Array) -> Array:
        """The entries of A(c), for c (n,)."""
        return np.asarray(self.map @ c)

    @cached_property
    def transposed(self) -> Any:
        """Tᵀ, CSR: what each entry's sensitivity adds to those of the values of c."""
        return self.map.T.tocsr()


def _tidy(matrix: Any) -> Any:
    found = sparse.csr_array(matrix)
    found.sum_duplicates()
    found.sort_indices()
    return found


def _cell_matrices(form: Any, n_values: int, shape: tuple[int, int]) -> Array:
    """What each value of the coefficient adds to each cell's matrix: (cells, n_values, *shape)."""
    geometry = form.mesh.geometry
    corners = np.ascontiguousarray(geometry.x[geometry.dofmaps[0]], dtype=np.float64)
    found = np.zeros((len(corners), n_values, *shape))
    kernel = form.ufcx_form.form_integrals[0].tabulate_tensor_float64
    null, basis = form.module.ffi.NULL, np.eye(n_values)

    def at(address: int) -> Any:
        return form.module.ffi.cast("double *", address)

    units = [at(row.ctypes.data) for row in basis]
    out, step = found.ctypes.data, found.strides[1]
    for cell in range(len(corners)):
        place = at(corners.ctypes.data + cell * corners.strides[0])
        for k, unit in enumerate(units):
            target = at(out + (cell * n_values + k) * step)
            kernel(target, unit, null, place, null, null, null)
    return found
