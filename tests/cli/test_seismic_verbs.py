"""Seismic waves through the verbs: files, noise, results with places and depths, figures."""

import numpy as np
import pytest
import xarray as xr

import pdeinv
from pdeinv.errors import DataSchemaError
from pdeinv.io import netcdf
from pdeinv.io.observations import NoiseSpec
from pdeinv.jobs.plot.result import Claim, result_panels
from pdeinv.plugins.case import read_case

pytestmark = pytest.mark.usefixtures("solves_here")

SMALL = {"cells": 8, "boundary": {"width": 0.0}, "time": {"final": 0.3},
         "survey": {"source_depth": 600.0, "receivers": 4},
         "unknown": {"kind": "layers", "thicknesses": [300.0]}}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A truth of two layers, observations of a part of its shots, and a result."""
    made = tmp_path_factory.mktemp("seismic")
    truth = pdeinv.solve(pdeinv.problem("seismic", **SMALL), seed=3, out=made / "truth.nc")
    spec = "all@0.1:0.3:21"
    obs = pdeinv.observe(truth, sensors=spec, noise_rms=0.05, seed=1, out=made / "obs.nc")
    pdeinv.invert(obs, engine="laplace", starts=1, draws=100, seed=1, out=made / "post.nc")
    return made


def test_a_truth_holds_waves_and_traces_of_every_shot(folder):
    truth = xr.open_dataset(folder / "truth.nc")
    assert truth["u"].dims == ("shot", "receiver", "time")
    assert truth["wave"].sizes["snapshot"] == 6
    assert truth["y"].attrs["positive"] == "down"
    assert float(np.abs(truth["wave"]).max()) > 0


def test_observations_hold_survey_and_noise(folder):
    obs = xr.open_dataset(folder / "obs.nc")
    assert obs["u"].shape == (2, 4, 21)
    assert obs["time"].attrs["long_name"] == "time"
    np.testing.assert_allclose(obs["source_y"], 600.0)
    np.testing.assert_allclose(obs["receiver_x"], [80, 240, 400, 560])
    truth = xr.open_dataset(folder / "truth.nc")["u"].sel(time=obs["time"], method="nearest")
    rms = float(np.sqrt((truth**2).mean()))
    np.testing.assert_allclose(obs["u_sigma"], 0.05 * rms, rtol=1e-6)


def test_a_result_reports_depths_and_finds_the_layers(folder):
    with xr.open_datatree(folder / "post.nc") as tree, xr.open_datatree(folder / "truth.nc") as t:
        depth, right = tree["derived"]["depth"], float(t["unknown"]["thickness"][0])
        assert abs(float(depth.mean()) - right) < 4 * float(depth.std())
        assert float(depth.std()) < 0.15 * 300.0
        found, true = tree["estimates"]["velocity_mean"], t["unknown"]["velocity"]
        np.testing.assert_allclose(found, true, rtol=0.1)
        assert tree["constant_data"]["source_x"].size == 2


def test_the_figure_of_a_result_has_gathers(folder):
    from matplotlib.figure import Figure

    tree = netcdf.read_tree(folder / "post.nc")
    titles = []
    for panel in result_panels(tree, None, Claim.of(tree)):
        ax = Figure().subplots()
        panel(ax)
        titles.append(ax.get_title())
    assert {"observed, shot 0", "predicted, shot 1", "residual, other colours, shot 1"} <= set(
        titles
    )


def test_a_file_of_others_is_inverted_by_its_variables(folder, tmp_path):
    obs = xr.open_dataset(folder / "obs.nc").load()
    obs["u"][0, 2, 5:] = np.nan
    obs.attrs = {}
    obs.to_netcdf(tmp_path / "own.nc")
    keys = {k: SMALL[k] for k in ("cells", "boundary", "unknown")}
    case = read_case(tmp_path / "own.nc", {"name": "seismic", **keys}, NoiseSpec())
    config = case.problem.config
    assert config.survey.receivers[3] == (560.0, 16.0)
    assert (config.time.record, config.time.final) == (0.01, 0.3)
    assert len(case.observations.values) == 2 * 4 * 21 - 16
    model = case.problem.forward_model(case.observations.coords)
    assert model(case.problem.prior().unwhiten(np.zeros(3))).shape == (152,)


@pytest.mark.parametrize("bare", [False, True], ids=["written by pdeinv", "of others"])
def test_a_survey_that_is_not_that_of_the_file_is_refused(bare, folder, tmp_path):
    path = folder / "obs.nc"
    if bare:
        dataset = xr.load_dataset(path)
        path = tmp_path / "bare.nc"
        dataset.drop_attrs(deep=False).to_netcdf(path)
    for survey in ({"receivers": [[80.0, 16.0], [240.0, 16.0], [400.0, 16.0], [565.0, 16.0]]},
                   {"source_depth": 500.0, "sources": 2}):  # fmt: skip
        table = {"name": "seismic", "survey": survey}
        with pytest.raises(DataSchemaError, match=r"number \d is .*, and \[problem\] makes it"):
            read_case(path, table, NoiseSpec())


@pytest.mark.parametrize("model", ["spectral-elements", "deepwave"])
def test_a_spread_that_moves_with_the_shot_is_taken(model, folder, tmp_path):
    """The first shot has the first two receivers, the second the last three."""
    if model == "deepwave":
        pytest.importorskip("deepwave")
    obs = xr.open_dataset(folder / "obs.nc").load()
    obs["u"][0, 2:] = np.nan
    obs["u"][1, 0] = np.nan
    obs.attrs = {}
    obs.to_netcdf(tmp_path / "moving.nc")
    keys = {k: SMALL[k] for k in ("cells", "boundary", "unknown")}
    table = {"name": "seismic", **keys, "model": model}
    case = read_case(tmp_path / "moving.nc", table, NoiseSpec())
    at = case.observations.coords
    pairs = {(int(s), int(r)) for s, r in zip(at["shot"], at["receiver"], strict=True)}
    assert pairs == {(0, 0), (0, 1), (1, 1), (1, 2), (1, 3)}
    few, m = case.problem.forward_model(at), case.problem.prior().unwhiten(np.zeros(3))
    every = case.problem.forward_model(case.problem.sensors("all@0.1:0.3:21"))(m)
    chosen = [21 * (4 * s + r) + k for s, r in sorted(pairs) for k in range(21)]
    np.testing.assert_allclose(few(m), every[chosen], rtol=1e-12, atol=1e-14)
    point, w = few.linearize(m), np.linspace(-1, 1, 105)
    dm = np.array([3.0, 20.0, -15.0])
    assert point.jvp(dm) @ w == pytest.approx(point.vjp(w) @ dm, rel=1e-8)
