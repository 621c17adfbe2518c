"""What pdeinv costs on top of a bare loop: one heat trajectory and one gradient of 200 steps.

Run ``python benchmarks/heat_speed.py``; it prints a table and writes ``results/heat_speed.json``.

The trajectory is ``model(m)`` with an unknown conductivity: interpolation of m to the quadrature
points, assembly, factorisation, 200 steps on 65 x 65 nodes, 9 x 9 sensors at 20 times. The bare
loop assembles the same matrices with dolfinx, factors once with the same PETSc solver and does, per
step, the products with the old states and one solve, all states kept in one array. The gradient is
``linearize(m).vjp(w)``, forward run included. Repetitions are interleaved, medians are compared, in
one thread; on a busy machine ``--clock cpu`` counts this process's own time alone.
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
from scipy import sparse

from pdeinv.fem.env import fenicsx
from pdeinv.problems.heat import Heat, HeatConfig
from pdeinv.provenance import versions
from pdeinv.rng import stream

NODES, STEPS, FINAL = 65, 200, 1.0
TRAJECTORY_TARGET, GRADIENT_TARGET = 1.2, 2.5
SCHEMES = {
    "implicit-euler": ((1.0, -1.0), (1.0, 0.0)),
    "crank-nicolson": ((1.0, -1.0), (0.5, 0.5)),
    "bdf2": ((1.5, -2.0, 0.5), (1.0, 0.0, 0.0)),
}


class Bare:
    """∂u/∂t − ∇·(k∇u) = 0, u = 0 on the boundary, straight from dolfinx, scipy and PETSc."""

    def __init__(self, scheme: str) -> None:
        fx = fenicsx()
        fem, ufl = fx.fem, fx.ufl
        self.alpha, self.beta = SCHEMES[scheme]
        mesh = fx.mesh.create_unit_square(fx.MPI.COMM_SELF, NODES - 1, NODES - 1)
        V = fem.functionspace(mesh, ("Lagrange", 1))
        Q = fem.functionspace(mesh, fx.basix_ufl.quadrature_element("triangle", degree=1))
        self.kappa = fem.Function(Q)
        u, v = ufl.TrialFunction(V), ufl.TestFunction(V)
        dx = ufl.dx(metadata={"quadrature_degree": 1, "quadrature_scheme": "default"})
        mesh.topology.create_connectivity(1, 2)
        facets = fx.mesh.exterior_facet_indices(mesh.topology)
        self.fixed = fem.locate_dofs_topological(V, 1, facets)
        self.bc = fem.dirichletbc(0.0, self.fixed, V)
        self.form = fem.form(self.kappa * ufl.inner(ufl.grad(u), ufl.grad(v)) * dx)
        mass_form = fem.form(u * v * ufl.dx)
        self.K, self.M = fem.create_matrix(self.form), fem.create_matrix(mass_form)
        fem.assemble_matrix(self.M, mass_form)
        weight = fem.Constant(mesh, 0.0)
        self.weights = weight, fem.Constant(mesh, self.beta[0])
        whole = (
            weight * u * v * ufl.dx
            + self.weights[1] * self.kappa * ufl.inner(ufl.grad(u), ufl.grad(v)) * dx
        )
        self.whole = fem.form(whole)
        self.solvers = [self._solver() for _ in range(2 if scheme == "bdf2" else 1)]
        x = V.tabulate_dof_coordinates()
        self.u0 = np.sin(np.pi * x[:, 0]) * np.sin(np.pi * x[:, 1])
        self.states = np.empty((STEPS + 1, len(x)))

    def _solver(self) -> tuple[Any, Any, Any, Any, Any]:
        fx = fenicsx()
        PETSc = fx.PETSc
        csr = fx.fem.create_matrix(self.whole)
        index = [a.astype(PETSc.IntType) for a in (csr.indptr, csr.indices)]
        n = len(index[0]) - 1
        A = PETSc.Mat().createAIJWithArrays((n, n), (*index, csr.data), comm=PETSc.COMM_SELF)
        A.assemble()
        A.setOption(PETSc.Mat.Option.SPD, True)
        ksp = PETSc.KSP().create(PETSc.COMM_SELF)
        ksp.setOperators(A)
        ksp.setType("preonly")
        ksp.getPC().setType("cholesky")
        ksp.getPC().setFactorSolverType("petsc")
        ksp.getPC().setFactorOrdering("nd")
        return (csr, A, ksp, *A.createVecs())

    def _fill(self, solver: Any, alpha: float) -> None:
        self.weights[0].value = alpha * STEPS / FINAL
        solver[0].data[:] = 0.0
        fenicsx().fem.assemble_matrix(solver[0], self.whole, bcs=[self.bc])
        solver[1].stateIncrease()

    def run(self, kappa: float) -> np.ndarray:
        fx = fenicsx()
        self.kappa.x.array[:] = kappa
        self.K.data[:] = 0.0
        fx.fem.assemble_matrix(self.K, self.form)
        self._fill(self.solvers[-1], self.alpha[0])
        if len(self.solvers) > 1:
            self._fill(self.solvers[0], 1.0)
        n, csr = len(self.u0), self.K
        rate = STEPS / FINAL
        past = [
            sparse.csr_array(
                (-(a * rate * self.M.data + b * self.K.data), csr.indices, csr.indptr), (n, n)
            )
            for a, b in zip(self.alpha[1:], self.beta[1:], strict=True)
        ]
        first = sparse.csr_array((rate * self.M.data, csr.indices, csr.indptr), (n, n))
        u = self.states
        u[0] = self.u0
        for k in range(1, STEPS + 1):
            begin = k == 1 and len(past) > 1
            _, _, ksp, x, b = self.solvers[0 if begin else -1]
            r = (first if begin else past[0]) @ u[k - 1]
            if len(past) > 1 and not begin:
                r += past[1] @ u[k - 2]
            r[self.fixed] = 0.0
            b.array[:] = r
            ksp.solve(b, x)
            u[k] = x.array
        return u


def measure(scheme: str, repeats: int, now: Callable[[], float]) -> dict[str, Any]:
    """Median times in ms, and their ratios."""

    def clock(call: Callable[[], Any]) -> float:
        begin = now()
        call()
        return 1e3 * (now() - begin)

    problem = Heat(
        HeatConfig.model_validate(
            {
                "cells": NODES - 1,
                "initial": "sin(pi*x)*sin(pi*y)",
                "time": {"final": FINAL, "steps": STEPS, "scheme": scheme},
                "unknown": {"kind": "conductivity"},
            }
        )
    )
    prior, sensors = problem.prior(), problem.sensors("grid:9x9@0.05:1:20")
    model, bare = problem.forward_model(sensors), Bare(scheme)
    rng = stream(0, "benchmark")
    w = rng.standard_normal(len(sensors["t"]))
    constant = np.full(prior.space.size, 0.05)
    # both take 13 Cholesky digits: the same discretisation, on the same nodes in another order
    np.testing.assert_allclose(
        np.sort(bare.run(0.05)[-1]), np.sort(list(model.states(constant))[-1][1]), atol=1e-12
    )
    times: dict[str, list[float]] = {k: [] for k in ("bare", "trajectory", "both")}
    for k in range(repeats + 2):
        m, other = prior.unwhiten(rng.standard_normal((2, prior.dim)))
        found = {
            "bare": clock(lambda: bare.run(0.05)),
            "trajectory": clock(lambda m=m: model(m)),
            "both": clock(lambda other=other: model.linearize(other).vjp(w)),
        }
        if k >= 2:  # the first two warm up caches and symbolic factorisations
            for name, value in found.items():
                times[name].append(value)
    t = {k: float(np.median(v)) for k, v in times.items()}
    over, gradient = t["trajectory"] / t["bare"], t["both"] / t["trajectory"]
    return {
        "scheme": scheme,
        "bare_ms": t["bare"],
        "trajectory_ms": t["trajectory"],
        "over_bare": over,
        "value_and_gradient_ms": t["both"],
        "gradient_over_trajectory": gradient,
        "met": over <= TRAJECTORY_TARGET and gradient <= GRADIENT_TARGET,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=21)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    default = Path(__file__).parent / "results" / "heat_speed.json"
    parser.add_argument("--out", type=Path, default=default)
    arguments = parser.parse_args()
    now = time.perf_counter if arguments.clock == "wall" else time.thread_time
    rows = [measure(scheme, arguments.repeats, now) for scheme in SCHEMES]
    print(
        f"{'scheme':>15} {'bare ms':>8} {'pdeinv ms':>10} {'/bare':>6} {'gradient':>9} {'/run':>5}"
    )
    for r in rows:
        print(
            f"{r['scheme']:>15} {r['bare_ms']:>8.1f} {r['trajectory_ms']:>10.1f} "
            f"{r['over_bare']:>6.2f} {r['value_and_gradient_ms']:>9.1f} "
            f"{r['gradient_over_trajectory']:>5.2f}  {'' if r['met'] else 'NOT MET'}"
        )
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    report = {
        "targets": {"trajectory": TRAJECTORY_TARGET, "gradient": GRADIENT_TARGET},
        "nodes": NODES,
        "steps": STEPS,
        "clock": arguments.clock,
        "machine": platform.machine(),
        "threads": os.environ["OMP_NUM_THREADS"],
        "versions": versions(),
        "rows": rows,
    }
    arguments.out.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
