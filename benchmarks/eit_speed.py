"""Speed of impedance tomography: forward model and Jacobian, boundary maps, a tank in 3-D.

    python benchmarks/eit_speed.py            about a minute of CPU time

Cases: forward model and dense Jacobian in one conductivity per cell, 16 electrodes, adjacent drives
and measurements (208 data), beside pyEIT's ``compute_jac`` on the same mesh and conductivity with
point electrodes; a 32 x 32 Dirichlet-to-Neumann map (32 boundary solves); the same electrodes round
a cylinder.

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


def row(name, nodes, seconds, *, other=None, limit=None):
    """One line of the table; what was asked for is a ratio beside pyEIT, else a limit in s."""
    ratio = None if other is None else other / seconds
    asked = f">= {RATIO} x" if limit is None else f"<= {limit:g} s"
    met = ratio is not None and ratio >= RATIO if limit is None else seconds <= limit
    beside = "" if ratio is None else f"   pyEIT {other:8.3f} s   {ratio:6.1f} x"
    print(f"{name:44s} {nodes:6d} nodes {seconds:9.4f} s{beside}   asked {asked}", flush=True)
    return {"case": name, "nodes": nodes, "seconds": seconds, "pyeit_seconds": other,
            "ratio": ratio, "asked": asked, "met": bool(met)}  # fmt: skip


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
        rows.append(row("forward + Jacobian, disc", nodes, seconds, other=other))
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
