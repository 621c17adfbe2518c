"""A solve shared by two MPI ranks gives what one rank gives."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from pdeinv.fem import linear

CASES = {
    "P1": {"cells": 20},
    "P2 with lifting and flux": {
        "cells": 10,
        "element": "P2",
        "lengths": (2.0, 1.0),
        "boundary": {
            "left": {"kind": "dirichlet", "value": "1 + y"},
            "top": {"kind": "flux", "value": "x"},
        },
    },
    "Q1, two phases": {"cells": 16, "element": "Q1", "unknown": {"kind": "two-phase"}},
    "Q2": {"cells": 8, "element": "Q2", "source": "sin(x) + y"},
    "multigrid": {"cells": 24},
}

SCRIPT = """
import json, sys
import numpy as np
from pdeinv.fem import linear
from pdeinv.fem.env import fenicsx
from pdeinv.problems.darcy import Darcy, DarcyConfig

cases, folder = json.loads(sys.argv[1]), sys.argv[2]
comm = fenicsx().MPI.COMM_WORLD
assert comm.size == int(sys.argv[3])
for k, (name, settings) in enumerate(cases.items()):
    linear.MUMPS_LIMIT = 0 if name == "multigrid" else 600_000
    problem = Darcy(DarcyConfig.model_validate(settings))
    prior = problem.prior()
    m = prior.unwhiten(np.random.default_rng(k).standard_normal(prior.dim))
    fields = problem.solve(m, level=1, comm=comm)
    fields.to_netcdf(f"{folder}/{k}.{comm.rank}.nc")
"""


def solved_here(folder, cases):
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["-c", json.dumps(cases), str(folder), "1"])
        patch.setattr(linear, "MUMPS_LIMIT", linear.MUMPS_LIMIT)  # as it was, afterwards
        exec(SCRIPT, {})
    return [[xr.load_dataset(folder / f"{k}.0.nc")] for k in range(len(cases))]


def solved(folder, ranks, cases):
    folder.mkdir()
    launcher = Path(sys.executable).parent / "mpiexec"
    if not launcher.exists():
        pytest.skip("no mpiexec beside this Python")
    command = [launcher, "-n", str(ranks), sys.executable, "-c", SCRIPT]
    done = subprocess.run(
        [*command, json.dumps(cases), folder, str(ranks)],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [
        [xr.load_dataset(folder / f"{k}.{r}.nc") for r in range(ranks)] for k in range(len(cases))
    ]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    root = tmp_path_factory.mktemp("mpi")
    return solved_here(root / "one", CASES), solved(root / "two", 2, CASES)


@pytest.mark.parametrize("k", range(len(CASES)), ids=list(CASES))
def test_two_ranks_equal_one_in_values_order_and_mesh(both, k):
    one, two = both[0][k][0], both[1][k][0]
    assert one.sizes == two.sizes
    for name in ("x", "y", "face_node_connectivity", "kappa"):
        np.testing.assert_array_equal(one[name], two[name])
    peak = float(np.abs(one["u"]).max())
    # multigrid stops at a residual of 1e-12 and its hierarchy depends on the ranks
    tolerance = 1e-11 if list(CASES)[k] == "multigrid" else 1e-12
    np.testing.assert_allclose(two["u"], one["u"], atol=tolerance * peak, rtol=0)


@pytest.mark.parametrize("k", range(len(CASES)), ids=list(CASES))
def test_every_rank_returns_the_whole_field(both, k):
    first, second = both[1][k]
    xr.testing.assert_identical(first, second)


def test_the_comparison_would_see_a_wrong_order(both):
    one, two = both[0][1][0], both[1][1][0]
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(two["u"][::-1], one["u"], atol=1e-12)
