"""Speed of impedance tomography: forward model and Jacobian, boundary maps, a tank in 3-D.

    python benchmarks/eit_speed.py            about a minute of CPU time

Cases: forward model and dense Jacobian in one conductivity per cell, 16 electrodes, adjacent drives
and measurements (208 data), beside pyEIT's ``compute_jac`` on the same mesh and conductivity with
point electrodes, and beside a program of its own for the complete electrode model, written with
NumPy and SciPy's SuperLU, which gives the same numbers; a 32 x 32 Dirichlet-to-Neumann map (32
boundary solves); the same electrodes round a cylinder.

CPU seconds of this process, one thread, best of a few repetitions after one to warm up (pyEIT's
larger case: once, cold); every repetition is at another conductivity, so that nothing is kept from
the last.
"""

import argparse
import json
import os
import platform

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import time  # noqa: E402
from importlib.metadata import version  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
from scipy import sparse  # noqa: E402
from scipy.sparse.linalg import splu  # noqa: E402

from pdeinv.problems.eit import Eit, EitConfig  # noqa: E402
from pdeinv.provenance import versions  # noqa: E402

RATIO = 10
"""How many times faster than pyEIT the plane cases have to be."""
DTN_SECONDS, TANK_SECONDS = 5e-3, 10.0
ELEMENTS = {"kind": "elements", "std": 0.3}


def best(work, repetitions, warm=True):
    if warm:
        work(0)
    spent = []
    for k in range(1, repetitions + 1):
        begin = time.process_time()
        work(k)
        spent.append(time.process_time() - begin)
    return min(spent)


def setting(**settings):
    problem = Eit(EitConfig.model_validate({"unknown": ELEMENTS, **settings}))
    model = problem.forward_model(problem.sensors("all"))
    m = problem.prior().unwhiten(np.random.default_rng(1).standard_normal(problem.prior().dim))
    return problem, model, m


def ours(problem, model, m, repetitions, jacobian=True):
    def work(k):
        at = m * (1 + 1e-3 * k)
        model(at)
        if jacobian:
            model.jacobian(at)

    return len(problem.domain.nodes(0).points), best(work, repetitions)


def pyeit(problem, m, repetitions):
    from pyeit.eit.fem import EITForward
    from pyeit.eit.protocol import create
    from pyeit.mesh import PyEITMesh

    mesh, place = problem.domain.mesh(0), problem.domain.electrode_places()[0]
    at = np.array([np.linalg.norm(mesh.points - p, axis=1).argmin() for p in place])
    nodes = np.column_stack([mesh.points, np.zeros(len(mesh.points))])
    theirs = PyEITMesh(nodes, mesh.cells, m, at, int(np.hypot(*mesh.points.T).argmin()))
    forward = EITForward(theirs, create(16, dist_exc=1, step_meas=1, parser_meas="std"))
    return best(lambda k: forward.compute_jac(m * (1 + 1e-3 * k)), repetitions, repetitions > 1)


class Scipy:
    """Linear triangles, complete electrode model: one sparse factor, one solve an electrode.

    A σ-dependent matrix is a sparse tensor times σ; the Jacobian comes from the gradients of the
    potentials of all currents, cell by cell.
    """

    def __init__(self, problem):
        mesh, body = problem.domain.mesh(0), problem.body(0)
        self.cells, n = mesh.cells, len(mesh.points)
        node = problem.domain.space(0).node_of_dof
        self.slopes, self.areas = self._slopes(mesh.points[self.cells])
        local = np.einsum("cid,cjd,c->cij", self.slopes, self.slopes, self.areas)
        pairs = self.cells[:, :, None] * n + self.cells[:, None, :]
        keys, at = np.unique(pairs, return_inverse=True)
        cell = np.repeat(np.arange(len(self.cells)), 9)
        self.tensor = sparse.csr_array(
            (local.ravel(), (at.ravel(), cell)), (len(keys), cell[-1] + 1)
        )
        self.rows, self.columns = np.divmod(keys, n)
        self.n, z = n, problem.unknown.impedances
        self.contacts = [
            (node[c.dofs], c.mass / zl) for c, zl in zip(body.contacts, z, strict=True)
        ]
        self.sheet, self.thickness = problem.protocol.sheet, body.thickness
        self.held = self._held()

    @staticmethod
    def _slopes(corners):
        """Gradients of the hat functions (cells, 3, 2), and areas."""
        edges = np.stack([corners[:, 2] - corners[:, 1], corners[:, 0] - corners[:, 2],
                          corners[:, 1] - corners[:, 0]], axis=1)  # fmt: skip
        double = edges[:, 0, 0] * edges[:, 1, 1] - edges[:, 0, 1] * edges[:, 1, 0]
        turned = np.stack([-edges[..., 1], edges[..., 0]], axis=2)
        return turned / double[:, None, None], np.abs(double) / 2

    def _held(self):
        """What the contacts add to the matrix."""
        found = sparse.lil_array((self.n, self.n))
        for nodes, mass in self.contacts:
            found[np.ix_(nodes, nodes)] += mass
        return found.tocsr()

    def __call__(self, sigma):
        """Voltages of all pairs and their derivative along the conductivity of each cell."""
        entries = self.tensor @ sigma
        stiff = sparse.csr_array((entries, (self.rows, self.columns)), (self.n, self.n))
        options = {"SymmetricMode": True}
        factor = splu((stiff + self.held).tocsc(), permc_spec="MMD_AT_PLUS_A",
                      diag_pivot_thresh=0.0, options=options)  # fmt: skip
        count = len(self.contacts)
        load = np.zeros((self.n, count))
        for k, (nodes, mass) in enumerate(self.contacts):
            load[nodes, k] = mass.sum(axis=1)
        w = factor.solve(load)
        schur = np.diag([mass.sum() for _, mass in self.contacts]) - load.T @ w
        x = np.linalg.pinv(self.thickness * (schur + schur.T) / 2, hermitian=True)
        slopes = np.einsum("cid,cik->cdk", self.slopes, (w @ x)[self.cells])
        drives, measures = slopes @ self.sheet.drives.T, slopes @ self.sheet.measures.T
        weight = -self.thickness * self.areas
        jacobian = np.einsum("cdi,cdj,c->ijc", drives, measures, weight, optimize=True)
        return self.sheet.voltages(x), jacobian


def scipy_program(problem, model, m, repetitions):
    program = Scipy(problem)
    voltages, jacobian = program(m)
    gap = np.abs(model.picked.take(voltages) - model(m)).max() / np.abs(voltages).max()
    assert gap < 1e-9, gap
    mine, n = model.jacobian(m), len(m)
    theirs = np.stack([model.picked.take(jacobian[..., c]) for c in range(n)], axis=1)
    assert np.abs(theirs - mine).max() < 1e-8 * np.abs(mine).max()
    return best(lambda k: program(m * (1 + 1e-3 * k)), repetitions)


def row(name, nodes, seconds, *, other=None, limit=None, by_scipy=None):
    """One line of the table; what was asked for is a ratio beside pyEIT, else a limit in s."""
    ratio = None if other is None else other / seconds
    asked = f">= {RATIO} x" if limit is None else f"<= {limit:g} s"
    met = ratio is not None and ratio >= RATIO if limit is None else seconds <= limit
    beside = "" if ratio is None else f"   pyEIT {other:8.3f} s   {ratio:6.1f} x"
    if by_scipy is not None:
        beside += f"   SciPy {by_scipy:8.4f} s   {by_scipy / seconds:6.2f} x"
    print(f"{name:44s} {nodes:6d} nodes {seconds:9.4f} s{beside}   asked {asked}", flush=True)
    return {"case": name, "nodes": nodes, "seconds": seconds, "pyeit_seconds": other,
            "scipy_seconds": by_scipy, "ratio": ratio, "asked": asked,
            "met": bool(met)}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = Path(__file__).parent / "results" / "eit_speed.json"
    parser.add_argument("--out", type=Path, default=default)
    options = parser.parse_args()
    rows = []
    for cells, repetitions in ((36, 2), (61, 1)):
        problem, model, m = setting(cells=cells)
        nodes, seconds = ours(problem, model, m, 5)
        other = pyeit(problem, m, repetitions)
        own = scipy_program(problem, model, m, 5)
        rows.append(row("forward + Jacobian, disc", nodes, seconds, other=other, by_scipy=own))
    problem, model, m = setting(model="continuum", modes=16, cells=16)
    found = ours(problem, model, m, 30, jacobian=False)
    rows.append(row("32 x 32 Dirichlet-to-Neumann map", *found, limit=DTN_SECONDS))
    problem, model, m = setting(cells=41, domain={"kind": "disc", "depth": 0.8})
    found = ours(problem, model, m, 1)
    rows.append(row("forward + Jacobian, cylinder", *found, limit=TANK_SECONDS))
    report = {"clock": "cpu", "machine": platform.machine(),
              "versions": {**versions(), "pyeit": version("pyeit")}, "rows": rows}  # fmt: skip
    options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
