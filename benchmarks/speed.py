"""Speed of forward models: solves, batches, gradients, beside an honest program and beside before.

    git worktree add ../before COMMIT && make -C ../before venv
    python benchmarks/speed.py --before ../before            # about ten minutes
    python benchmarks/speed.py --only darcy --sizes 33 65    # without the other checkout

Each case runs in a process of its own, the two checkouts take turns, and the least time of all
calls counts, in seconds of CPU on one thread. Every call is at another unknown.

The honest program for Darcy knows its mesh: bilinear elements on a square, u = 0 around it, κ given
at the nodes, the matrix of the inner unknowns as a sparse tensor times κ, factored by PETSc's
Cholesky (nested dissection), by MUMPS and, where scikit-sparse is installed, by CHOLMOD; the best
counts. It is written here with NumPy and petsc4py alone.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import time  # noqa: E402

import numpy as np  # noqa: E402
from scipy import sparse  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "speed.json"
BATCH = 64
SECONDS = 1.0
"""CPU time that a figure may take in one process."""


def least(work, n):
    """The least CPU time of ``work(k)``, for k going round n cases."""
    work(n - 1)  # a model keeps what it solved last
    found, began, k = np.inf, time.process_time(), 0
    while time.process_time() - began < SECONDS or k < 5:
        start = time.process_time()
        work(k % n)
        found = min(found, time.process_time() - start)
        k += 1
    return found


# ---- the honest program -----------------------------------------------------------------------


class Honest:
    """−∇·(κ∇u) = 1 on the unit square by bilinear elements, κ bilinear from its values at nodes."""

    def __init__(self, nodes):
        n = nodes - 1
        self.tensor, self.pattern = self._assembly(n)
        inner = (n - 1) ** 2
        self.b = np.full(inner, 1 / n**2)
        self.shape = (inner, inner)

    @staticmethod
    def _assembly(n):
        """The map from κ at the nodes to the entries of the inner matrix, and where they stand."""
        gauss = 0.5 + np.array([-0.5, 0.5]) / np.sqrt(3)
        s, t = (a.ravel() for a in np.meshgrid(gauss, gauss))
        phi = np.stack([(1 - s) * (1 - t), s * (1 - t), (1 - s) * t, s * t])
        dx = np.stack([t - 1, 1 - t, -t, t])
        dy = np.stack([s - 1, -s, 1 - s, s])
        # h cancels in two dimensions
        local = 0.25 * np.einsum("kq,iq,jq->ijk", phi, dx, dx)
        local += 0.25 * np.einsum("kq,iq,jq->ijk", phi, dy, dy)
        x, y = (a.ravel() for a in np.meshgrid(np.arange(n), np.arange(n)))
        corner = y * (n + 1) + x
        cells = np.stack([corner, corner + 1, corner + n + 1, corner + n + 2], axis=1)
        node = np.arange((n + 1) ** 2).reshape(n + 1, n + 1)
        number = np.full((n + 1) ** 2, -1)
        number[node[1:-1, 1:-1].ravel()] = np.arange((n - 1) ** 2)
        rows, columns = number[cells][:, :, None, None], number[cells][:, None, :, None]
        where = np.broadcast_to(cells[:, None, None, :], (len(cells), 4, 4, 4))
        keys = np.broadcast_to(rows * (n - 1) ** 2 + columns, where.shape)
        keep = np.broadcast_to((rows >= 0) & (columns >= 0), where.shape)
        found, entry = np.unique(keys[keep], return_inverse=True)
        values = np.broadcast_to(local, where.shape)[keep]
        tensor = sparse.coo_array((values, (entry, where[keep])), (len(found), (n + 1) ** 2))
        return tensor.tocsr(), np.divmod(found, (n - 1) ** 2)

    def solvers(self):
        """What factors and solves, by name: entries to the solution."""
        rows, columns = self.pattern
        starts = np.searchsorted(rows, np.arange(self.shape[0] + 1))
        found = {
            "petsc": self._petsc(starts, columns, "petsc"),
            "mumps": self._petsc(starts, columns, "mumps"),
        }
        try:
            from sksparse.cholmod import analyze
        except ImportError:
            return found
        matrix = sparse.csc_matrix((np.ones(len(rows)), columns, starts), self.shape)
        factor = analyze(matrix)

        def cholmod(entries):
            matrix.data[:] = entries
            factor.cholesky_inplace(matrix)
            return factor(self.b)

        return {**found, "cholmod": cholmod}

    def _petsc(self, starts, columns, package):
        from petsc4py import PETSc

        data = np.zeros(len(columns))
        arrays = (starts.astype(PETSc.IntType), columns.astype(PETSc.IntType), data)
        matrix = PETSc.Mat().createAIJWithArrays(self.shape, arrays, comm=PETSc.COMM_SELF)
        matrix.setOption(PETSc.Mat.Option.SPD, True)
        ksp = PETSc.KSP().create(PETSc.COMM_SELF)
        ksp.setType("preonly")
        ksp.setOperators(matrix)
        pc = ksp.getPC()
        pc.setType("cholesky")
        pc.setFactorSolverType(package)
        if package == "petsc":
            pc.setFactorOrdering("nd")
        b = PETSc.Vec().createWithArray(self.b, comm=PETSc.COMM_SELF)
        x = b.duplicate()

        def solve(entries):
            data[:] = entries
            matrix.stateIncrease()
            ksp.solve(b, x)
            return x.array

        return solve


# ---- cases: what one process measures -----------------------------------------------------------


def darcy(nodes):
    from pdeinv.plugins.recipe import make_problem

    n = nodes - 1
    unknown = {"kind": "log-gaussian", "grid": [nodes, nodes], "modes": 20}
    problem = make_problem("darcy", {"cells": n, "element": "Q1", "unknown": unknown})
    prior, model = problem.prior(), problem.forward_model(problem.sensors("grid:12x12"))
    ms = prior.unwhiten(np.random.default_rng(0).standard_normal((BATCH, prior.dim)))
    found = {
        "value": least(lambda k: model(ms[k]), BATCH),
        **gradients(model, ms),
        **rows(model, ms),
    }
    honest = Honest(nodes)
    expected = problem.solve(ms[0], level=0)["u"].values
    for name, solve in honest.solvers().items():
        inner = solve(honest.tensor @ ms[0])
        gap = np.abs(np.sort(inner) - np.sort(expected[expected > 1e-14])).max()
        assert gap < 1e-9 * expected.max(), (name, gap)
        found[f"honest {name}"] = least(lambda k: solve(honest.tensor @ ms[k]), BATCH)  # noqa: B023
    return found


def heat(nodes):
    time = {"final": 1.0, "steps": 200, "scheme": "implicit-euler"}
    unknown = {"kind": "conductivity", "prior": {"kind": "log-gaussian", "grid": [17, 17]}}
    config = {"cells": nodes - 1, "time": time, "unknown": unknown}
    return plain("heat", config, "grid:9x9", count=8)


def eit(cells):
    unknown = {"kind": "elements", "std": 0.3}
    return plain("eit", {"cells": cells, "unknown": unknown}, "all", count=8)


def helmholtz(cells):
    incident = {"kind": "plane", "count": 20}
    config = {"element": "P2", "cells": cells, "frequencies": [3.0], "incident": incident}
    return plain("helmholtz", config, "ring:32", count=8)


def waves(cells):
    """The default problem, on finer meshes as well."""
    return plain("helmholtz", {"cells": cells}, "ring:16", count=BATCH)


def plain(name, config, sensors, count):
    from pdeinv.plugins.recipe import make_problem

    problem = make_problem(name, config)
    prior, model = problem.prior(), problem.forward_model(problem.sensors(sensors))
    ms = prior.unwhiten(0.3 * np.random.default_rng(0).standard_normal((count, prior.dim)))
    found = {"value": least(lambda k: model(ms[k]), count), **gradients(model, ms)}
    if hasattr(model, "jacobian"):
        found["value + Jacobian"] = least(lambda k: (model(ms[k]), model.jacobian(ms[k])), count)
    return {**found, **rows(model, ms)}


def gradients(model, ms):
    """Value and gradient by one linearisation and one adjoint."""

    def work(k):
        at = model.linearize(ms[k])
        at.vjp(at.value)

    return {"value + gradient": least(work, len(ms))}


def rows(model, ms):
    """The same of all rows, a row, where the model offers that; in blocks, as posteriors ask."""
    if "rows" not in model.capabilities:
        return {}
    orders = [np.roll(ms, k, axis=0) for k in range(3)]
    start = time.process_time()
    blocks = [slice(i, i + model.block) for i in range(0, len(ms), model.block)]

    def both(k):
        for block in blocks:
            at = model.linearize_rows(orders[k][block])
            at.vjp(at.values)
            del at  # and its factors with it

    model.rows(ms[:1])
    first = time.process_time() - start
    return {
        "rows, first call": first,
        "rows, one alone": least(lambda k: model.rows(ms[k : k + 1]), len(ms)),
        "rows value": least(lambda k: model.rows(orders[k]), 3) / len(ms),
        "rows value + gradient": least(both, 3) / len(ms),
    }


CASES = {
    "darcy": (darcy, (33, 65, 129, 257)),
    "heat": (heat, (65, 129)),
    "eit": (eit, (36, 61)),
    "helmholtz": (helmholtz, (32,)),
    "waves": (waves, (12, 24, 48, 96)),
}
"""By name: what measures, and its sizes (nodes or cells along a side)."""


def measured(root, case, size):
    """The figures of one case in one checkout, by its own Python."""
    command = [root / ".venv/bin/python", __file__, "--child", case, "--sizes", str(size)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def taken_together(found):
    return {name: min(one[name] for one in found) for name in found[0]}


def compared(roots, case, size, times):
    runs = {name: [] for name in roots}
    for _ in range(times):
        for name, root in roots.items():
            runs[name].append(measured(root, case, size))
    return {name: taken_together(found) for name, found in runs.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="another checkout with its .venv")
    parser.add_argument("--only", choices=CASES, nargs="*", default=list(CASES))
    parser.add_argument("--sizes", type=int, nargs="*")
    parser.add_argument("--times", type=int, default=3, help="processes of each checkout")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--child", choices=CASES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(CASES[args.child][0](args.sizes[0])))
        return
    roots = {"now": Path(__file__).parents[1]} | (
        {"before": args.before.resolve()} if args.before else {}
    )
    table = []
    for case in args.only:
        for size in args.sizes or CASES[case][1]:
            found = compared(roots, case, size, args.times)
            table.append({"case": case, "size": size, **found})
            print_row(table[-1])
    args.out.write_text(json.dumps(table, indent=1) + "\n")


def print_row(row):
    now = row["now"]
    print(f"{row['case']} {row['size']}")
    for name, seconds in now.items():
        before = row.get("before", {}).get(name)
        text = f"  {name:24} {seconds * 1e3:10.3f} ms"
        print(text + (f"   before / now {before / seconds:.2f}" if before else ""))
    honest = [v for k, v in now.items() if k.startswith("honest")]
    if honest:
        shares = {
            k: v / min(honest) for k, v in now.items() if "gradient" not in k and "honest" not in k
        }
        print("  of the honest program:", ", ".join(f"{k} {v:.2f}" for k, v in shares.items()))


if __name__ == "__main__":
    main()
