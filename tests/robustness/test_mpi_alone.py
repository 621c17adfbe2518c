"""Problems whose every rank solves alone: one file, the same as that of one process."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from pdeinv.cli.verbs import app

SMALL = {
    "heat": ("problem.cells=6", "problem.time.steps=4"),
    "helmholtz": ("problem.cells=4", "problem.frequencies=[0.8]"),
    "seismic": ("problem.cells=8", "problem.boundary.width=0", "problem.time.final=0.2"),
    "tumor": ("problem.cells=16", "problem.time.steps=4"),
}


def words(problem, out):
    settings = [word for pair in SMALL[problem] for word in ("--set", pair)]
    return ["solve", problem, *settings, "--seed", "1", "--out", str(out)]


def solve_here(problem, out):
    done = CliRunner().invoke(app, words(problem, out))
    assert done.exit_code == 0, done.stderr
    return xr.open_datatree(out)


def solve_by_ranks(problem, out, launcher):
    done = subprocess.run(
        [*launcher, sys.executable, "-m", "pdeinv", *words(problem, out)],
        capture_output=True, text=True, timeout=300, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return xr.open_datatree(out)


@pytest.mark.parametrize(
    "problem",
    ["heat", *(pytest.param(p, marks=pytest.mark.slow) for p in sorted(SMALL) if p != "heat")],
)
def test_two_ranks_write_the_file_of_one(problem, tmp_path):
    launcher = Path(sys.executable).parent / "mpiexec"
    if not launcher.exists():
        pytest.skip("no mpiexec beside this Python")
    one = solve_here(problem, tmp_path / "one.nc")
    two = solve_by_ranks(problem, tmp_path / "two.nc", (launcher, "-n", "2"))
    assert sorted(p.name for p in tmp_path.glob("*.nc")) == ["one.nc", "two.nc"]
    for group in ("/", "unknown"):
        mine, theirs = one[group].to_dataset(), two[group].to_dataset()
        assert set(mine) == set(theirs)
        for name in mine:
            np.testing.assert_array_equal(theirs[name], mine[name])
            assert theirs[name].dtype == mine[name].dtype
    first = {"heat": "u", "seismic": "wave", "tumor": "c"}.get(problem, "u_re")
    assert float(np.ptp(one[first].values)) > 0
