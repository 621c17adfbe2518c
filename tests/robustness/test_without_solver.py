"""A trained surrogate predicts and inverts where no finite-element library is installed."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from ours import ours

from pdeinv.io import datasets
from pdeinv.jobs.generate.plan import Plan
from pdeinv.jobs.generate.run import generate
from pdeinv.model.learned import Role
from pdeinv.plugins import registry
from pdeinv.plugins.recipe import load_surrogate, make_problem
from pdeinv.plugins.surrogate import role_of

pytestmark = pytest.mark.usefixtures("solves_here")

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
WORK = """
import json, sys
from pathlib import Path
import numpy as np
from typer.testing import CliRunner
from pdeinv.plugins.recipe import load_surrogate, make_problem
from pdeinv.cli.verbs import app

def predicted(folder):
    surrogate = load_surrogate(Path(folder))
    about = surrogate.metadata
    problem = make_problem(about["problem"], about["problem_config"])
    model = surrogate.bind(problem, problem.prior(), problem.sensors("grid:3x3"))
    return np.asarray(model(np.full(4, 0.3))).tolist()

def command(*words):
    done = CliRunner().invoke(app, words)
    return {"code": done.exit_code, "stderr": done.stderr}

found = {}
for name, folder, out, needs_solver, *words in json.loads(sys.argv[1]):
    found[name] = command(*words, "--surrogate", folder, "--out", out)
    if not needs_solver:
        found[name]["prediction"] = predicted(folder)
found["train"] = command(*json.loads(sys.argv[3]))
found["solve"] = command("solve", "darcy", "--out", sys.argv[2])
try:
    import dolfinx
except ModuleNotFoundError as error:
    found["import"] = str(error)
print(json.dumps(found))
"""

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
NAMES = [n for n in ours("surrogates") if n in QUICK]
NEEDS_SOLVER = {"multifidelity"}
"""Its coarse model is the solver."""


def test_no_registered_surrogate_is_forgotten():
    """Of those that stand for the solver; an inverse only tells engines on it where to begin."""
    roles = {name: role_of(registry.load("surrogates", name)) for name in ours("surrogates")}
    assert set(NAMES) == {name for name, role in roles.items() if role is Role.FORWARD}


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

    from pdeinv.cli.verbs import app
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


@pytest.fixture(scope="module")
def trained(work):
    """The folder of every surrogate, by name."""
    data, problem = datasets.read(work / "data.nc"), make_problem("darcy", CONFIG)
    for name in NAMES:
        cls = registry.load("surrogates", name)
        cls.fit(data, problem, cls.Config(**QUICK[name]), 1).save(work / name)
    return {name: work / name for name in NAMES}


@pytest.fixture(scope="module")
def there(trained, observed, work):
    """What one process without the solver makes of each of them, and of a solve."""
    words = ("invert", observed, "--set", "model=surrogate", "--engine", "map", "--seed", 1)
    jobs = [
        [str(w) for w in (name, folder, work / f"{name}.nc")]
        + [name in NEEDS_SOLVER, *map(str, words)]
        for name, folder in trained.items()
    ]
    training = ("train-surrogate", "latent", "--data", work / "data.nc", "--set",
                "surrogate.epochs=2", "--out", work / "made-there")  # fmt: skip
    arguments = (json.dumps(jobs), work / "solved.nc", json.dumps([str(w) for w in training]))
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED + WORK, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_solver_is_really_out_of_reach(there, work):
    """Negative control: what needs the solver fails in one line there."""
    assert there["solve"]["code"] == 2
    assert there["solve"]["stderr"].count("\n") == 1
    assert not (work / "solved.nc").exists()
    assert there["import"] == "No module named 'dolfinx'"


def test_a_network_is_trained_there(there, work):
    assert there["train"]["code"] == 0, there["train"]["stderr"]
    assert load_surrogate(work / "made-there").metadata["sizes"]["train"] == 48


@pytest.mark.parametrize("name", NAMES)
def test_it_predicts_the_same_numbers_and_inverts(name, trained, there, work):
    found = there[name]
    if name in NEEDS_SOLVER:
        assert found["code"] == 2
        assert found["stderr"].count("\n") == 1
        assert "finite-element solver" in found["stderr"]
        assert "pip install -e '.[fem]'" in found["stderr"]
        return
    problem = make_problem("darcy", CONFIG)
    model = load_surrogate(trained[name]).bind(
        problem, problem.prior(), problem.sensors("grid:3x3")
    )
    np.testing.assert_allclose(found["prediction"], model(np.full(4, 0.3)), rtol=1e-9)
    assert found["code"] == 0, found["stderr"]
    with xr.open_datatree(work / f"{name}.nc") as tree:
        assert int(tree.attrs["pdeinv_n_forward"]) == 0
        assert int(tree.attrs["pdeinv_n_surrogate"]) > 0
