"""Direct and iterative solvers by mesh: what the limits in ``pdeinv.fem`` are chosen by.

Run ``python benchmarks/solvers.py``; it prints a table and writes ``results/solvers.json``.

Matrices of the stencil of bilinear (trilinear) elements on squares and cubes, inner nodes. For the
compiled kernels, PETSc's Cholesky with nested dissection, MUMPS and CG with multigrid (as
``pdeinv.fem.linear`` sets them up): refill and first solve, and a further solve with the same
matrix, milliseconds of CPU on one thread, the least of three. ``order`` is what the kernels' order
and symbolic analysis take once, in seconds.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[_name] = "1"

import numpy as np  # noqa: E402
from scipy import sparse  # noqa: E402

from pdeinv.fem.compiled import CompiledSystem, cholesky_of  # noqa: E402
from pdeinv.fem.linear import FilledSystem  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "solvers.json"
SIZES = {2: (31, 63, 127, 255, 383), 3: (7, 11, 15, 23, 31)}
SLOW = 20_000
"""Unknowns of a cube above which PETSc's own Cholesky takes many seconds."""


def stencil(n, dim):
    """The matrix and the places of its unknowns."""
    line = sparse.diags([np.ones(n - 1), np.ones(n), np.ones(n - 1)], [-1, 0, 1])
    matrix = line
    for _ in range(dim - 1):
        matrix = sparse.kron(matrix, line)
    matrix = sparse.lil_array(-matrix)
    matrix.setdiag(3.0**dim)
    axes = np.meshgrid(*[np.arange(n) / n] * dim, indexing="ij")
    return sparse.csr_array(matrix), np.stack([a.ravel() for a in axes], axis=1)


def least(work):
    found = np.inf
    for _ in range(3):
        began = time.process_time()
        work()
        found = min(found, time.process_time() - began)
    return 1e3 * found


def timed(system, entries, b):
    """Refill and solve, and a further solve."""

    def first():
        system.fill(entries)
        return system.solve(b)

    first()
    return [least(first), least(lambda: system.solve(b))]


def measured(n, dim):
    matrix, points = stencil(n, dim)
    entries, b = matrix.data, np.ones(len(points))
    began = time.process_time()
    own = CompiledSystem(cholesky_of(matrix.indptr, matrix.indices, points))
    row = {"dim": dim, "nodes": n + 2, "order": time.process_time() - began}
    row["kernels"] = timed(own, entries, b)
    expected = own.solve(b)
    for method in ("cholesky", "mumps", "cg"):
        if method == "cholesky" and dim == 3 and len(b) > SLOW:
            continue
        other = FilledSystem(matrix.indptr, matrix.indices, method)
        row[method] = timed(other, entries, b)
        assert np.abs(other.solve(b) - expected).max() < 1e-9 * expected.max()
    return row


def main():
    table = []
    for dim, sizes in SIZES.items():
        for n in sizes:
            table.append(row := measured(n, dim))
            parts = [f"{k} {v[0]:.3g} + {v[1]:.3g}" for k, v in row.items() if isinstance(v, list)]
            print(f"{n + 2}^{dim}: order {row['order']:.2f} s;", ", ".join(parts), flush=True)
    RESULTS.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    main()
