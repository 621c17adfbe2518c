"""Many sparse solves of one pattern: compiled kernels against PETSc's Cholesky, MUMPS and CHOLMOD.

Run ``python benchmarks/kernels.py``; it prints a table and writes ``results/kernels.json``.

Each row is a matrix of the P1 stencil of a square with other random conductivities, and one
right-hand side: refill, numeric factorisation, solve. PETSc gets its own Cholesky with nested
dissection and MUMPS, both as ``pdeinv.fem.linear`` sets them up, with the symbolic part done once
and the values in shared storage; CHOLMOD (scikit-sparse) where it is installed. Repetitions are
interleaved and the least time of each counts: other work on the machine can only add to it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy.sparse import csc_array, csr_array

from pdeinv.fem.linear import FilledSystem, Method
from pdeinv.kernels.cholesky import Cholesky
from pdeinv.kernels.tiles import lanes, tile_of
from pdeinv.provenance import versions
from pdeinv.rng import stream

TARGETS = {33: 0.35, 65: 0.3, 129: 0.5}
"""Batches against the faster of PETSc and MUMPS."""

FEW = 4
"""Rows that are solved one by one at a time."""


def stencil(nodes: int) -> tuple[Any, Any]:
    """Pattern and nodes of P1 elements on a square cut into triangles."""
    place = np.arange(nodes**2).reshape(nodes, nodes)
    pairs = (
        (place[1:], place[:-1]),
        (place[:, 1:], place[:, :-1]),
        (place[1:, 1:], place[:-1, :-1]),
    )
    rows, columns = (np.concatenate([p[k].ravel() for p in pairs]) for k in (0, 1))
    half = csr_array((np.ones(len(rows)), (rows, columns)), (nodes**2,) * 2)
    whole = csr_array(half + half.T)
    whole.setdiag(1.0)
    whole.sort_indices()
    points = np.stack(np.meshgrid(*[np.arange(nodes)] * 2, indexing="ij"), -1).reshape(-1, 2)
    return whole, points.astype(float)


def matrices(pattern: Any, rows: int, rng: np.random.Generator) -> Any:
    """Values of weighted graph Laplacians plus a small multiple of the identity, (rows, nnz)."""
    n = pattern.shape[0]
    row, column = np.repeat(np.arange(n), np.diff(pattern.indptr)), pattern.indices
    key = np.minimum(row, column).astype(np.int64) * n + np.maximum(row, column)
    _, edge = np.unique(key, return_inverse=True)
    weights = np.exp(rng.standard_normal((rows, edge.max() + 1)))[:, edge].copy("C")
    weights[:, row == column] = 0.0
    values = -weights
    for v, w in zip(values, weights, strict=True):
        v[row == column] = np.bincount(row, w, n) + 0.01
    return values


def petsc(pattern: Any, method: Method) -> Callable[[Any, Any], Any]:
    """Refill, factor and solve with PETSc as the finite-element room does."""
    system = FilledSystem(pattern.indptr, pattern.indices, method)

    def solve(values: Any, side: Any) -> Any:
        system.fill(values)
        return system.solve(side)

    return solve


def cholmod(pattern: Any) -> Callable[[Any, Any], Any] | None:
    """CHOLMOD's supernodal or simplicial factor, its own choice; None where it is not installed."""
    try:
        from sksparse.cholmod import analyze
    except ImportError:
        return None
    matrix = csc_array((np.ones(pattern.nnz), pattern.indices, pattern.indptr), pattern.shape)
    factor = analyze(matrix)

    def solve(values: Any, side: Any) -> Any:
        matrix.data[:] = values
        factor.cholesky_inplace(matrix)
        return factor(side)

    return solve


def one_by_one(solve: Callable[[Any, Any], Any], values: Any, b: Any) -> Callable[[], Any]:
    return lambda: [solve(v, b) for v in values]


def candidates(pattern: Any, points: Any, values: Any, b: Any) -> dict[str, tuple[Any, int]]:
    """By name: a call and how many rows it works on."""
    ours = Cholesky(pattern.indptr, pattern.indices, points=points)
    tile, sides = tile_of(values[: lanes()], lanes()), tile_of(np.tile(b, (lanes(), 1)), lanes())
    singles, side = [tile_of(v[None], 1) for v in values[:FEW]], tile_of(b[None], 1)
    wide, narrow = ours.storage(lanes()), ours.storage(1)
    few = values[:FEW]
    found = {
        "batch": (lambda: ours.solve_rows(values, b), len(values)),
        "tile": (lambda: ours.factor_and_solve(tile, sides, wide), lanes()),
        "tile factor": (lambda: ours.factor(tile, wide), lanes()),
        "single": (lambda: [ours.factor_and_solve(v, side, narrow) for v in singles], FEW),
        "single factor": (lambda: [ours.factor(v, narrow) for v in singles], FEW),
        "petsc": (one_by_one(petsc(pattern, "cholesky"), few, b), FEW),
        "mumps": (one_by_one(petsc(pattern, "mumps"), few, b), FEW),
    }
    other = cholmod(pattern)
    return found if other is None else found | {"cholmod": (one_by_one(other, few, b), FEW)}


def measure(nodes: int, rows: int, repeats: int) -> dict[str, Any]:
    """The least time per row in ms of each candidate."""
    rng = stream(0, "benchmark")
    pattern, points = stencil(nodes)
    values, b = matrices(pattern, rows, rng), rng.standard_normal(nodes**2)
    calls = candidates(pattern, points, values, b)
    first = petsc(pattern, "cholesky")(values[0], b)
    np.testing.assert_allclose(calls["batch"][0]()[0][0], first, rtol=1e-9, atol=1e-12)
    least = dict.fromkeys(calls, np.inf)
    for _ in range(repeats):
        for name, (call, count) in calls.items():
            begin = time.perf_counter()
            call()
            least[name] = min(least[name], 1e3 * (time.perf_counter() - begin) / count)
    best = min(least["petsc"], least["mumps"])
    return {
        "nodes": nodes,
        "rows": rows,
        "ms": least,
        "batch_over_best": least["batch"] / best,
        "single_over_petsc": least["single"] / least["petsc"],
        "single_over_best": least["single"] / best,
        "met": least["batch"] <= TARGETS.get(nodes, 0.5) * best,
    }


def show(row: dict[str, Any]) -> None:
    times = "  ".join(f"{name} {value:.3f}" for name, value in row["ms"].items())
    print(
        f"{row['nodes']}²  ms a row: {times}\n"
        f"      batch / best {row['batch_over_best']:.3f}  single / petsc "
        f"{row['single_over_petsc']:.2f}  single / best {row['single_over_best']:.2f}  "
        f"{'met' if row['met'] else 'NOT met'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, nargs="+", default=list(TARGETS))
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=30)
    default = Path(__file__).parent / "results" / "kernels.json"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()
    rows = [measure(n, arguments.rows, arguments.repeats) for n in arguments.nodes]
    for row in rows:
        show(row)
    report = {"targets": TARGETS, "machine": platform.machine(), "lanes": lanes()}
    arguments.out.write_text(json.dumps({**report, "versions": versions(), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
