"""Products with modes on a grid that are even or odd: a 2^(-d) of the numbers says all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pdeinv.bayes.fields.parity import Parity
from pdeinv.kernels.dense import Dense
from pdeinv.kernels.product import Product
from pdeinv.kernels.sparse import Sparse
from pdeinv.typing import Array

__all__ = ["Reflected", "reflected"]


class Reflected(Product):
    """X ↦ L X, or Lᵀ X, for L whose columns are functions of kinds.

    With the kinds' bases Q_k side by side in Q, L = Q diag(B_k) S, where S sorts the columns.

    Args:
        spread: Q, or Qᵀ for the transpose.
        blocks: B_k, or their transposes, with the columns that they belong to.
        transposed: whether this is Lᵀ.
    """

    def __init__(
        self, spread: Sparse, blocks: Sequence[tuple[Dense, NDArray[np.int64]]], *, transposed: bool
    ) -> None:
        size, dim = spread.shape[int(transposed)], sum(len(columns) for _, columns in blocks)
        super().__init__((dim, size) if transposed else (size, dim))
        self._spread, self._blocks, self._transposed = spread, blocks, transposed

    def multiply(self, x: Array, out: Array, columns: int) -> None:
        """``out`` = L ``x`` or Lᵀ ``x`` for that many numbers in a row."""
        m, n = self.shape
        x, out = x.reshape(n, columns), out.reshape(m, columns)
        if not self._transposed:
            inner = [block.tile(x[which]) for block, which in self._blocks]
            self._spread.multiply(np.concatenate(inner), out, columns)
            return
        folded, at = self._spread.tile(x), 0
        for block, which in self._blocks:
            out[which] = block.tile(folded[at : at + block.shape[1]])
            at += block.shape[1]


def reflected(
    root: Array, kinds: Sequence[Parity], kind: NDArray[np.int64]
) -> tuple[Product, Product]:
    """L and its transpose.

    Args:
        root: L, shape (grid.size, dim).
        kinds: of functions on the grid.
        kind: (dim,), which of them each column is.
    """
    used = [(kinds[k], np.flatnonzero(kind == k)) for k in np.unique(kind)]
    blocks = [(k.gather(np.ascontiguousarray(root[:, which])), which) for k, which in used]
    spread = sparse.hstack([k.basis() for k, _ in used], format="csr")
    ahead = [(Dense(b), which) for b, which in blocks]
    back = [(Dense(np.ascontiguousarray(b.T)), which) for b, which in blocks]
    return (
        Reflected(Sparse(spread), ahead, transposed=False),
        Reflected(Sparse(sparse.csr_array(spread.T)), back, transposed=True),
    )
