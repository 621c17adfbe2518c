"""What pdeinv costs on top of dolfinx: one Darcy solve and one gradient against hand-written code.

Run ``python benchmarks/solve_speed.py``; it prints a table and writes ``results/solve_speed.json``.

One pdeinv solve is ``model(m)``: interpolation of m to the quadrature points, assembly,
factorisation, solve and observation at 13 x 13 sensors. Two hand-written programs do assembly,
factorisation and solve alone, with the same form, solver, ordering and preallocated storage:

- ``petsc``: ``dolfinx.fem.petsc.assemble_matrix`` into a PETSc matrix, as dolfinx's demos do;
- ``csr``: dolfinx's own CSR storage shared with PETSc, the trick that pdeinv uses.

Repetitions are interleaved, each with another m, and medians are compared. On a busy
machine ``--clock cpu`` counts this process's own time alone; all of it runs in one thread.
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

from pdeinv.fem.env import fenicsx
from pdeinv.fem.linear import choose_method
from pdeinv.problems.darcy import Darcy, DarcyConfig
from pdeinv.provenance import versions
from pdeinv.rng import stream

TARGETS = {33: 1.3, 65: 1.1, 129: 1.1, 257: 1.1}
GRADIENT_TARGET = 1.5


class Bare:
    """−∇·(κ∇u) = 1, u = 0 on the boundary, straight from dolfinx and PETSc."""

    def __init__(self, n: int, *, csr: bool) -> None:
        fx = fenicsx()
        fem, ufl, PETSc = fx.fem, fx.ufl, fx.PETSc
        mesh = fx.mesh.create_unit_square(fx.MPI.COMM_SELF, n, n)
        V = fem.functionspace(mesh, ("Lagrange", 1))
        Q = fem.functionspace(mesh, fx.basix_ufl.quadrature_element("triangle", degree=1))
        self.kappa = fem.Function(Q)
        u, v = ufl.TrialFunction(V), ufl.TestFunction(V)
        dx = ufl.dx(metadata={"quadrature_degree": 1, "quadrature_scheme": "default"})
        self.form = fem.form(self.kappa * ufl.inner(ufl.grad(u), ufl.grad(v)) * dx)
        mesh.topology.create_connectivity(1, 2)
        facets = fx.mesh.exterior_facet_indices(mesh.topology)
        fixed = fem.locate_dofs_topological(V, 1, facets)
        self.bcs = [fem.dirichletbc(0.0, fixed, V)]
        self.csr = fem.create_matrix(self.form) if csr else None
        if self.csr is None:
            self.A = fx.petsc.create_matrix(self.form)
        else:
            index = [a.astype(PETSc.IntType) for a in (self.csr.indptr, self.csr.indices)]
            size = (len(index[0]) - 1,) * 2
            self.A = PETSc.Mat().createAIJWithArrays(
                size, (*index, self.csr.data), comm=PETSc.COMM_SELF
            )
            self.A.assemble()
        self.A.setOption(PETSc.Mat.Option.SPD, True)
        self.x, self.b = self.A.createVecs()
        self.b.array[:] = fem.assemble_vector(fem.form(1.0 * v * ufl.dx)).array
        self.b.array[fixed] = 0.0
        self.ksp = self._solver(len(self.b.array))

    def _solver(self, n: int) -> Any:
        PETSc = fenicsx().PETSc
        ksp = PETSc.KSP().create(PETSc.COMM_SELF)
        ksp.setOperators(self.A)
        method, pc = choose_method(n), ksp.getPC()
        if method == "cg":
            ksp.setType("cg")
            pc.setType("gamg")
            ksp.setTolerances(rtol=1e-12)
            return ksp
        ksp.setType("preonly")
        pc.setType("cholesky")
        pc.setFactorSolverType("petsc" if method == "cholesky" else "mumps")
        if method == "cholesky":
            pc.setFactorOrdering("nd")
        return ksp

    def solve(self, kappa: np.ndarray) -> np.ndarray:
        fx = fenicsx()
        self.kappa.x.array[:] = kappa
        if self.csr is None:
            self.A.zeroEntries()
            fx.petsc.assemble_matrix(self.A, self.form, bcs=self.bcs)
            self.A.assemble()
        else:
            self.csr.data[:] = 0.0
            fx.fem.assemble_matrix(self.csr, self.form, bcs=self.bcs)
            self.A.stateIncrease()
        self.ksp.solve(self.b, self.x)
        return self.x.array


def measure(nodes: int, repeats: int, now: Callable[[], float]) -> dict[str, Any]:
    """Median times in ms at one mesh size, and their ratios."""

    def clock(call: Callable[[], Any]) -> float:
        begin = now()
        call()
        return 1e3 * (now() - begin)

    n = nodes - 1
    problem = Darcy(DarcyConfig(cells=n))
    prior, sensors = problem.prior(), problem.sensors("grid:13x13")
    model = problem.forward_model(sensors)
    petsc, csr = Bare(n, csr=False), Bare(n, csr=True)
    rng = stream(0, "benchmark")
    w = rng.standard_normal(len(sensors["x"]))
    times: dict[str, list[float]] = {k: [] for k in ("petsc", "csr", "solve", "both", "gradient")}
    for k in range(repeats + 2):
        m, other = prior.unwhiten(rng.standard_normal((2, prior.dim)))
        kappa = np.exp(rng.standard_normal(len(petsc.kappa.x.array)))
        found = {
            "petsc": clock(lambda kappa=kappa: petsc.solve(kappa)),
            "csr": clock(lambda kappa=kappa: csr.solve(kappa)),
            "solve": clock(lambda m=m: model(m)),
            "both": clock(lambda other=other: model.linearize(other).vjp(w)),
        }
        at = model.linearize(m)
        found["gradient"] = clock(lambda at=at: at.vjp(w))
        if k >= 2:  # the first two warm up caches and symbolic factorisations
            for name, value in found.items():
                times[name].append(value)
    np.testing.assert_allclose(petsc.x.array, csr.x.array, rtol=1e-9, atol=1e-12)
    medians = {k: float(np.median(v)) for k, v in times.items()}
    return row(nodes, model.system.linear.method, medians)


def row(nodes: int, method: str, t: dict[str, float]) -> dict[str, Any]:
    over = t["solve"] / t["petsc"]
    gradient = t["gradient"] / t["solve"]
    return {
        "nodes": nodes,
        "solver": method,
        "petsc_ms": t["petsc"],
        "csr_ms": t["csr"],
        "solve_ms": t["solve"],
        "over_petsc": over,
        "over_csr": t["solve"] / t["csr"],
        "value_and_gradient_ms": t["both"],
        "gradient_after_value_ms": t["gradient"],
        "gradient_over_solve": gradient,
        "value_and_gradient_over_solve": t["both"] / t["solve"],
        "met": over <= TARGETS.get(nodes, 1.1) and t["both"] / t["solve"] <= GRADIENT_TARGET,
    }


def show(rows: list[dict[str, Any]]) -> None:
    header = (
        f"{'nodes':>6} {'solver':>9} {'dolfinx ms':>11} {'csr ms':>9} {'pdeinv ms':>10} "
        f"{'/dolfinx':>9} {'/csr':>6} {'value+grad':>11} {'/solve':>7} {'grad':>8} {'/solve':>7}"
        "  met"
    )
    print(header)
    for r in rows:
        print(
            f"{r['nodes']:>4}²  {r['solver']:>9} {r['petsc_ms']:>11.3f} {r['csr_ms']:>9.3f} "
            f"{r['solve_ms']:>10.3f} {r['over_petsc']:>9.2f} {r['over_csr']:>6.2f} "
            f"{r['value_and_gradient_ms']:>11.3f} {r['value_and_gradient_over_solve']:>7.2f} "
            f"{r['gradient_after_value_ms']:>8.3f} {r['gradient_over_solve']:>7.2f}  "
            f"{'yes' if r['met'] else 'NO'}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, nargs="+", default=list(TARGETS))
    parser.add_argument("--repeats", type=int, default=0, help="per size; by size where 0")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    default = Path(__file__).parent / "results" / "solve_speed.json"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()
    now = time.perf_counter if arguments.clock == "wall" else time.thread_time
    rows = []
    for nodes in arguments.nodes:
        repeats = arguments.repeats or max(11, min(201, 15_000 // nodes))
        rows.append(measure(nodes, repeats, now))
    show(rows)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    machine = {
        "clock": arguments.clock,
        "machine": platform.machine(),
        "threads": os.environ["OMP_NUM_THREADS"],
    }
    report = {"targets": TARGETS, "gradient_target": GRADIENT_TARGET, **machine}
    arguments.out.write_text(json.dumps({**report, "versions": versions(), "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
