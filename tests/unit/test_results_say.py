"""What a result says beside its draws: predictive draws with noise, and remarks on the data."""

from pathlib import Path

import holed
import numpy as np
import pytest

import pdeinv
from pdeinv.io import netcdf
from pdeinv.io.fields import problem_attributes
from pdeinv.io.observations import NoiseSpec, Observations, to_dataset
from pdeinv.jobs.invert.request import Inversion
from pdeinv.plugins.recipe import make_problem

CONFIG = {"cells": [4, 4], "unknown": {"kind": "piecewise", "cells": [2, 2]}}


@pytest.mark.parametrize("sigma", [0.5, 0.05])
def test_predictive_draws_hold_the_noise(sigma):
    """Many data of one number: what is left to know of it adds little to the noise."""
    prior = pdeinv.priors.normal("a", mean=1.0, std=0.5)
    model = pdeinv.own_model(lambda m: np.full(200, m[0]), prior=prior)
    data = 1.2 + sigma * np.random.default_rng(1).standard_normal(200)
    result = pdeinv.invert((data, sigma), model=model, engine="eki", ensemble_size=150, seed=1)
    group = result["posterior_predictive"].to_dataset()
    (name,) = [v for v in map(str, group.data_vars) if not v.endswith("_noise_free")]
    draws = group[name].values.reshape(-1, 200)
    assert abs(draws.std() / sigma - 1) < 0.05
    within = np.cov(draws.T)  # independent between data
    assert np.abs(within - np.diag(np.diag(within))).mean() < 0.2 * sigma**2


def observed(path, level, **settings):
    problem = make_problem("darcy", {**CONFIG, **settings})
    sensors = problem.sensors("grid:2x2")
    values = 1.0 + np.arange(len(sensors["x"]))
    data = Observations(problem.observed, values, sensors, NoiseSpec(std=0.1).for_values(values))
    made = {} if level is None else {"pdeinv_level": level}
    if settings:
        made |= problem_attributes("darcy", problem.config)
    netcdf.write(path, to_dataset(data, {"pdeinv_problem": "darcy", **made}))
    return path


@pytest.mark.parametrize(
    ("made_on", "level", "crime"),
    [(0, 0, True), (-1, 0, True), (1, 0, False), (1, 1, True), (None, 0, False)],
)
def test_data_of_the_mesh_of_the_inversion_are_an_inverse_crime(made_on, level, crime, tmp_path):
    path = observed(tmp_path / "obs.nc", made_on)
    tables = {"problem": {"name": "darcy", **CONFIG}, "level": level, "seed": 1}
    said = [n for n in Inversion.resolve(tables, path).notes if "inverse crime" in n]
    assert len(said) == crime
    assert all("errors will look too small" in n for n in said)


@pytest.mark.parametrize(
    ("cells", "level", "inverted_on", "crime"),
    [
        ([8, 8], 0, [4, 4], False),
        ([4, 4], 1, [8, 8], True),
        ([4, 4], 1, [16, 16], True),
        ([4, 4], 1, [4, 4], False),
    ],
)
def test_meshes_of_other_cells_are_compared_by_their_nodes(
    cells, level, inverted_on, crime, tmp_path
):
    path = observed(tmp_path / "obs.nc", level, cells=cells)
    tables = {"problem": {"name": "darcy", "cells": inverted_on}, "level": 0, "seed": 1}
    said = [n for n in Inversion.resolve(tables, path).notes if "inverse crime" in n]
    assert len(said) == crime
    assert all("made on a mesh of 81 nodes, no finer than the inversion's (" in n for n in said)


def test_meshes_of_other_files_are_compared_by_their_nodes(tmp_path):
    meshes = {s: str(holed.plate(tmp_path / f"{s}.msh", s)) for s in (0.3, 0.1)}
    unknown = {"kind": "log-gaussian", "grid": [9, 9], "modes": 2}
    meshes["copy"] = str(tmp_path / "copy.msh")
    Path(meshes["copy"]).write_bytes(Path(meshes[0.1]).read_bytes())
    crimes = {}
    for made, inverted in ((0.1, 0.3), (0.3, 0.1), (0.1, 0.1), (0.1, "copy")):
        path = observed(tmp_path / "obs.nc", 0, mesh=meshes[made], unknown=unknown)
        tables = {"problem": {"mesh": meshes[inverted]}, "seed": 1}
        notes = Inversion.resolve(tables, path).notes
        crimes[made, inverted] = any("inverse crime" in n for n in notes)
    assert crimes == {(0.1, 0.3): False, (0.3, 0.1): True, (0.1, 0.1): True, (0.1, "copy"): True}
    path = observed(tmp_path / "obs.nc", 0, mesh=meshes[0.3], unknown=unknown)
    Path(meshes[0.3]).unlink()
    tables = {"problem": {"mesh": meshes[0.1]}, "seed": 1}
    assert not any("crime" in n for n in Inversion.resolve(tables, path).notes)
