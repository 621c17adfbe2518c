"""Speed of impedance tomography: forward model and Jacobian, boundary maps, a tank in 3-D.

    python benchmarks/eit_speed.py            the plane cases, beside pyEIT where it has them
    python benchmarks/eit_speed.py --tank     the tank of about 30 000 nodes as well

CPU seconds of this process, one thread, best of a few repetitions after one to warm up; every
repetition is at another conductivity, so that nothing is kept from the last.
"""

import argparse
import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"

import time  # noqa: E402

import numpy as np  # noqa: E402

from pdeinv.problems.eit import Eit, EitConfig  # noqa: E402

ELEMENTS = {"kind": "elements", "std": 0.3}


def best(work, repetitions):
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
    return best(lambda k: forward.compute_jac(m * (1 + 1e-3 * k)), repetitions)


def row(name, nodes, seconds, other=None):
    beside = "" if other is None else f"   pyEIT {other:8.3f} s   {other / seconds:6.1f} x"
    print(f"{name:44s} {nodes:6d} nodes {seconds:9.4f} s{beside}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tank", action="store_true", help="the tank in 3-D as well")
    parser.add_argument("--no-pyeit", action="store_true", help="ours only")
    options = parser.parse_args()
    for cells in (36, 61):
        problem, model, m = setting(cells=cells)
        nodes, seconds = ours(problem, model, m, 5)
        other = None if options.no_pyeit else pyeit(problem, m, 1)
        row("forward + Jacobian, 16 electrodes, adjacent", nodes, seconds, other)
    problem, model, m = setting(model="continuum", modes=16, cells=20)
    row("32 x 32 Dirichlet-to-Neumann map", *ours(problem, model, m, 20, jacobian=False))
    if options.tank:
        problem, model, m = setting(cells=40, domain={"kind": "disc", "depth": 0.8})
        row("forward + Jacobian, cylinder, 16 electrodes", *ours(problem, model, m, 1))


if __name__ == "__main__":
    main()
