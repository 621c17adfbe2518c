"""What a result says beside its draws: predictive draws with noise, and remarks on the data."""

import numpy as np
import pytest

import pdeinv
from pdeinv.io import netcdf
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


def observed(path, level):
    problem = make_problem("darcy", CONFIG)
    sensors, noise = problem.sensors("grid:2x2"), NoiseSpec(std=0.1).for_values(np.ones(4))
    data = Observations(problem.observed, np.arange(1.0, 5.0), sensors, noise)
    made = {} if level is None else {"pdeinv_level": level}
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
