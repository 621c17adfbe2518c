"""A trained surrogate predicts and inverts where no finite-element library is installed."""

import os
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr

from pdeinv import registry
from pdeinv.building import load_surrogate, make_problem
from pdeinv.designs import Plan
from pdeinv.generate import generate
from pdeinv.io import datasets

CONFIG = {"cells": [8, 8], "unknown": {"kind": "piecewise", "cells": [2, 2], "std": 0.5}}

BLOCKED = '''
import sys

class Blocked:
    """An import system in which these packages do not exist."""

    names = {"dolfinx", "dolfinx_solver", "petsc4py", "mpi4py", "ufl", "basix", "ffcx", "gmsh"}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
'''
PREDICT = """
import json, sys
from pathlib import Path
import numpy as np
from pdeinv.building import load_surrogate, make_problem
surrogate = load_surrogate(Path(sys.argv[1]))
about = surrogate.metadata
problem = make_problem(about["problem"], about["problem_config"])
model = surrogate.bind(problem, problem.prior(), problem.sensors("grid:3x3"))
print(json.dumps(np.asarray(model(np.full(4, 0.3))).tolist()))
"""
COMMAND = "from pdeinv.cli.main import main\nmain()\n"

QUICK = {
    "latent": {"epochs": 100, "widths": [16]},
    "gp": {"iterations": 20},
    "fno": {"epochs": 4, "width": 6, "layers": 2, "modes": 4},
    "tfno": {"epochs": 4, "width": 6, "layers": 2, "modes": 4},
    "uno": {"epochs": 4, "width": 6, "modes": 4},
    "deeponet": {"epochs": 20},
    "ensemble": {"members": 2, "options": {"epochs": 20, "widths": [16]}},
    "multifidelity": {},
}
NAMES = [n for n in registry.names("surrogates") if n in QUICK]
NEEDS_SOLVER = {"multifidelity"}
"""Its coarse model is the solver."""


def run(script, *words):
    return subprocess.run(
        [sys.executable, "-c", BLOCKED + script, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def test_no_registered_surrogate_is_forgotten():
    assert set(NAMES) == set(registry.names("surrogates"))


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A data set, and observations of one of its samples."""
    folder = tmp_path_factory.mktemp("work")
    problem = make_problem("darcy", CONFIG)
    plan = Plan("darcy", CONFIG, problem.sensors("grid:3x3"), 60, 4, grid=(9, 9))
    generate(plan, folder / "data.nc", folder / "run")
    return folder


@pytest.fixture(scope="module")
def observed(work):
    """An observation file that says where it comes from."""
    from typer.testing import CliRunner

    from pdeinv.cli.main import app
    from pdeinv.config import dump_toml

    (work / "run.toml").write_text(dump_toml({"problem": {"name": "darcy", **CONFIG}}))
    for words in (
        ("solve", "--config", work / "run.toml", "--seed", 1, "--out", work / "truth.nc"),
        ("observe", work / "truth.nc", "--sensors", "grid:3x3", "--noise-rel", 0.05, "--seed", 2,
         "--out", work / "obs.nc"),
    ):  # fmt: skip
        result = CliRunner().invoke(app, [str(w) for w in words])
        assert result.exit_code == 0, result.stderr
    return work / "obs.nc"


@pytest.fixture(scope="module", params=NAMES)
def trained(request, work):
    cls = registry.load("surrogates", request.param)
    data = datasets.read(work / "data.nc")
    problem = make_problem("darcy", CONFIG)
    out = work / request.param
    cls.fit(data, problem, cls.Config(**QUICK[request.param]), 1).save(out)
    return request.param, out


def test_the_solver_is_really_out_of_reach():
    """Negative control: what needs the solver fails in one line there."""
    found = run(COMMAND, "solve", "darcy", "--out", os.devnull + "x")
    assert found.returncode == 2
    found = run("import dolfinx")
    assert "ModuleNotFoundError" in found.stderr


def test_it_predicts_the_same_numbers_and_inverts(trained, observed, work, tmp_path):
    import json

    name, folder = trained
    found = run(PREDICT, folder)
    out = tmp_path / "map.nc"
    words = ("invert", observed, "--set", "model=surrogate", "--surrogate", folder, "--engine",
             "map", "--seed", 1, "--out", out)  # fmt: skip
    inverted = run(COMMAND, *words)
    if name in NEEDS_SOLVER:
        assert inverted.returncode == 2
        assert inverted.stderr.count("\n") == 1
        assert "finite-element solver" in inverted.stderr
        assert "pdeinv[fem]" in inverted.stderr
        return
    assert found.returncode == 0, found.stderr
    problem = make_problem("darcy", CONFIG)
    model = load_surrogate(folder).bind(problem, problem.prior(), problem.sensors("grid:3x3"))
    np.testing.assert_allclose(json.loads(found.stdout), model(np.full(4, 0.3)), rtol=1e-9)
    assert inverted.returncode == 0, inverted.stderr
    with xr.open_datatree(out) as tree:
        assert int(tree.attrs["pdeinv_n_forward"]) == 0
        assert int(tree.attrs["pdeinv_n_surrogate"]) > 0
