"""Helmholtz posteriors: exact where the source is unknown, covering where the contrast is."""

import numpy as np
import xarray as xr
from typer.testing import CliRunner

from pdeinv.bayes.posterior import WhitenedModel
from pdeinv.cli.verbs import app
from pdeinv.problems.helmholtz import Helmholtz, HelmholtzConfig

SOURCE = """
[problem]
name = "helmholtz"
element = "Q2"
cells = 8
wavenumbers = [1.0]
quantity = "source"
truncation = { kind = "dirichlet" }
unknown = { kind = "gaussian", length = 0.3, modes = 12, grid = [17, 17] }
"""
CONTRAST = {
    "cells": 6,
    "frequencies": [1.0],
    "unknown": {"kind": "gaussian", "length": 0.3, "std": 0.2, "modes": 9, "grid": [17, 17]},
}


def call(*words):
    result = CliRunner().invoke(app, [str(w) for w in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.stderr


def data(folder, text, sensors):
    config, truth, obs = (folder / name for name in ("c.toml", "truth.nc", "obs.nc"))
    config.write_text(text)
    call("solve", "--config", config, "--seed", 4, "--out", truth)
    call("observe", truth, "--sensors", sensors, "--noise-rel", 0.02, "--seed", 5, "--out", obs)
    return truth, obs


def result(obs, engine):
    out = obs.with_name(f"{engine}.nc")
    call("invert", obs, "--engine", engine, "--seed", 6, "--out", out)
    return xr.open_datatree(out)


def test_the_exact_posterior_of_a_source_is_matched_by_map_and_laplace(tmp_path):
    _, obs = data(tmp_path, SOURCE, "grid:6x6")
    exact, best, laplace = (result(obs, name) for name in ("gaussian", "map", "laplace"))
    mean, sd = (exact["estimates"][f"source_{k}"].values for k in ("mean", "sd"))
    # the newton solver stops at 1e-6 of the first gradient; laplace reports draws
    assert np.abs(best["estimates"]["source_mean"].values - mean).max() < 0.15 * sd.max()
    ratio = laplace["estimates"]["source_sd"].values / sd
    assert np.abs(ratio - 1).max() < 0.15


def gauss_newton(model, y, sd):
    """The peak of the posterior in xi and the precision there."""
    xi = np.zeros(9)
    for _ in range(10):
        at = model.linearize(xi)
        rows = np.stack([at.jvp(e) for e in np.eye(9)], axis=1) / sd
        precision = rows.T @ rows + np.eye(9)
        xi = np.linalg.solve(precision, rows.T @ ((y - at.value) / sd + rows @ xi))
    return xi, precision


def errors(n, assumed=1.0):
    """Squared normalised errors (n,), and shares of places inside their 95 % band."""
    problem = Helmholtz(HelmholtzConfig.model_validate(CONTRAST))
    prior, sensors = problem.prior(), problem.sensors("ring:12")
    model, finer = (WhitenedModel(prior, problem.forward_model(sensors, k)) for k in (0, 1))
    modes = np.stack([prior.field.apply(e) for e in np.eye(9)], axis=1)
    found = []
    for i in range(n):
        rng = np.random.default_rng(i)
        true = rng.standard_normal(9)
        y = finer(true)
        sd = 0.02 * np.abs(y).max()
        y = y + sd * rng.standard_normal(len(y))
        xi, precision = gauss_newton(model, y, assumed * sd)
        spread = np.sqrt(np.einsum("ij,jk,ik->i", modes, np.linalg.inv(precision), modes))
        inside = np.mean(np.abs(modes @ (xi - true)) <= 1.96 * spread)
        found.append(((xi - true) @ precision @ (xi - true), inside))
    return np.array(found).T


def test_the_truth_lies_inside_the_band_of_data_made_on_a_finer_mesh():
    chi2, inside = errors(16)
    assert abs(chi2.mean() - 9) < 4 * np.sqrt(2 * 9 / 16)
    assert inside.mean() >= 0.9


def test_noise_taken_for_too_small_is_noticed():
    chi2, inside = errors(4, assumed=0.3)
    assert chi2.mean() > 9 + 4 * np.sqrt(2 * 9 / 4)
    assert inside.mean() < 0.8
