"""Pictures by default settings, of data that another solver made; the part for every day of them.

``benchmarks/eit_pictures.py`` makes all of them.
"""

from pathlib import Path

import numpy as np
import pytest
from complete_electrode import response, ring, tank
from eit_frames import carried
from two_discs import CASES, observations, picture

import pdeinv
from pdeinv.config import read_toml
from pdeinv.problems.eit import Eit, EitConfig

TANK = Path(__file__).parents[2] / "examples" / "eit"
PENALTIES = ("noser", "tikhonov", "smoothness", "tv", "prior")


def test_the_other_solver_agrees_with_ours_on_fine_meshes():
    """Two programs that share nothing: a quarter of a per cent of the largest voltage."""
    body = tank(ring(16), along=24, bulk=56)
    drives = np.eye(16) - np.roll(np.eye(16), 1, axis=1)
    free = np.abs(drives) @ np.abs(drives).T == 0
    theirs = (drives @ response(body, np.ones(len(body.cells)), 0.01) @ drives.T)[free]
    problem = Eit(EitConfig.model_validate({"element": "P2"}))
    own = problem.body(0)
    table = own.respond(np.ones(len(own.energy.rule.weights)), problem.unknown.impedances).value
    ours = (drives @ table @ drives.T)[free]
    assert np.abs(theirs - ours).max() < 2.5e-3 * np.abs(ours).max()


@pytest.mark.slow
@pytest.mark.parametrize("penalty", PENALTIES)
def test_every_penalty_ends_well_on_the_shipped_tank(penalty):
    tables = read_toml(TANK / "run.toml")
    tables.pop("engine")
    found = pdeinv.invert(
        TANK / "obs.nc", tables=tables, engine="gauss-newton", regularization=penalty, seed=1
    )
    assert found.attrs["pdeinv_converged"]
    assert found.attrs["pdeinv_n_failed"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "engine", [*({"regularization": p} for p in PENALTIES), {"engine": "map", "starts": 1}]
)
def test_two_discs_are_seen_where_they_are(case, engine):
    data = observations(case, 0)
    found = pdeinv.invert(data, **{"engine": "gauss-newton", **engine}, seed=1)
    problem, shape = pdeinv.problem("eit", **carried(data)), CASES[case].grid
    names = {f"{v.name}_mean": v.name for v in problem.prior().space.variables}
    m = problem.prior().space.pack(found["estimates"].to_dataset().rename(names))
    nodes = problem.grid(shape)
    points = np.stack([nodes[a] for a in problem.axes], axis=1)
    seen = picture(points, problem.mask(points), shape, problem.on_grid(m, shape), case, 0)
    assert seen.right, seen
    misfit = float(found["sample_stats"]["misfit"].mean()) / np.isfinite(data["voltage"]).sum()
    assert 0.3 < misfit < 0.8
