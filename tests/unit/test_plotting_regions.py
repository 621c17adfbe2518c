"""Figures of zeros and ones, and of states in their bodies."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import pdeinv
from pdeinv.errors import DataSchemaError
from pdeinv.jobs.plot.portraits import portrait_panels
from pdeinv.jobs.plot.regions import kind_panels
from pdeinv.jobs.plot.samples import kinds_of, samples_of
from pdeinv.jobs.plot.shown import shown, views
from pdeinv.problems.tumor import Tumor, TumorConfig

TABLE = {
    "solver": "finite-differences",
    "tissue": {"kind": "homogeneous"},
    "time": {"steps": 12},
    "masks": {"whole": 0.2, "core": 0.5},
    "unknown": {
        "diffusivity": {"median": 0.6, "std": 0.2},
        "growth_rate": {"median": 0.07, "std": 0.2},
    },
}
BOXES = {
    "plane": {"lengths": [60.0, 50.0], "cells": [30, 25]},
    "solid": {"lengths": [60.0, 48.0, 52.0], "cells": [15, 12, 13]},
}


@pytest.fixture(scope="module", name="found", params=list(BOXES))
def _found(request):
    """A truth, masks of it and PET beside, and an estimate."""
    table = {**TABLE, **BOXES[request.param], "pet": {"background": 0.2}}
    truth = pdeinv.solve(Tumor(TumorConfig.model_validate(table)), seed=1, level=0)
    data = pdeinv.observe(truth, sensors="all", seed=2)
    return request.param, truth, data, pdeinv.invert(data, engine="map", seed=3)


def titles(panels):
    """Of the panels, and their axes."""
    from matplotlib.figure import Figure

    axes = [Figure().add_subplot() for _ in panels]
    for panel, ax in zip(panels, axes, strict=True):
        panel(ax)
    return [ax.get_title().replace("\n", " ") for ax in axes], axes


def columns(n=40, times=(1.0,)):
    """An observation file of two regions on a grid of n cells, the second within the first."""
    x, y = (c.ravel() for c in np.meshgrid(np.arange(8.0), np.arange(5.0)))
    far = np.hypot(x - 4, y - 2)
    parts = [
        (x, y, np.full(n, k), np.full(n, t), (far < r * t).astype(float))
        for t in times
        for k, r in ((1.0, 3.0), (2.0, 1.5))
    ]
    x, y, kind, t, values = (np.concatenate(c) for c in zip(*parts, strict=True))
    flags = {"flag_values": np.array([1.0, 2.0]), "flag_meanings": "outer inner"}
    law = {"likelihood": "bernoulli", "likelihood_link": "threshold"}
    coords = {"x": ("obs", x, {"units": "mm"}), "y": ("obs", y, {"units": "mm"})}
    coords |= {"t": ("obs", t, {"units": "d"}), "region": ("obs", kind, flags)}
    return xr.Dataset({"mask": ("obs", values, law)}, coords)


def test_kinds_and_times_are_drawn_apart():
    dataset = columns(times=(1.0, 2.0))
    samples = samples_of(dataset, dataset["mask"])
    assert [(s.name, s.time[0]) for s in samples] == [
        ("outer", 1.0), ("inner", 1.0), ("outer", 2.0), ("inner", 2.0),
    ]  # fmt: skip
    assert all(len(s.values) == 40 and s.seen for s in samples)
    said, _ = titles(kind_panels(samples))
    assert said == ["what was seen, time 1 d", "what was seen, time 2 d"]


def test_an_inner_region_lies_over_the_outer_one():
    dataset = columns()
    (panel,) = kind_panels(samples_of(dataset, dataset["mask"]))
    _, (ax,) = titles([panel])
    numbers = np.asarray(ax.collections[0].get_array()).reshape(5, 8)
    x, y = np.meshgrid(np.arange(8.0), np.arange(5.0))
    far = np.hypot(x - 4, y - 2)
    np.testing.assert_array_equal(numbers, np.select([far < 1.5, far < 3], [2, 1], 0))
    said = [t.get_text() for t in ax.get_legend().get_texts()]
    assert said == ["outer", "inner", "not seen"]


def test_a_cell_without_data_is_blank_and_few_places_are_dots():
    dataset = columns().isel(obs=np.r_[0:13, 14:80])
    grid = samples_of(dataset, dataset["mask"])[0].grid
    assert np.isnan(grid.values).sum() == 1
    assert np.isnan(grid.sel(x=5.0, y=1.0))
    few = columns().isel(obs=[0, 9, 20, 31])
    assert samples_of(few, few["mask"])[0].grid is None
    (panel,) = kind_panels(samples_of(few, few["mask"]))
    _, (ax,) = titles([panel])
    assert sum(len(c.get_offsets()) for c in ax.collections) == 4


def test_what_is_no_grid_of_equal_steps_is_dots():
    dataset = columns()
    x = dataset["x"].values.copy()
    x[x == 3.0] = 3.3
    moved = dataset.assign_coords(x=("obs", x, {"units": "mm"}))
    assert samples_of(moved, moved["mask"])[0].grid is None


def test_files_without_kinds_have_one():
    plain = columns().drop_vars("region")
    assert kinds_of(plain) is None
    samples = samples_of(plain, plain["mask"])
    assert [s.name for s in samples] == [""]


def test_masks_and_uptake_stand_on_panels_of_their_own(found, tmp_path):
    name, _, data, _ = found
    samples = samples_of(data, data["scan"])
    assert [(s.name, s.seen) for s in samples] == [
        ("whole", True), ("core", True), ("uptake", False),
    ]  # fmt: skip
    said, axes = titles(kind_panels(samples))
    cuts = 3 if name == "solid" else 1
    assert [t.split(" ")[0] for t in said] == ["what"] * cuts + ["uptake"] * cuts
    assert [ax.get_legend() is None for ax in axes] == [False] * cuts + [True] * cuts
    assert pdeinv.plot(data, tmp_path / "data.png").stat().st_size > 0


def test_an_estimate_is_drawn_over_its_masks_beside_the_truth(found, tmp_path):
    name, truth, _, estimate = found
    pdeinv.plot(estimate, tmp_path / "found.png", truth=truth)
    found = shown(estimate, tmp_path / "r", (truth, tmp_path / "t"), point=True)
    assert found.sd is None
    assert found.draws == 1
    assert found.found.levels == found.truth.levels == {"whole": 0.2, "core": 0.5}
    assert set(found.seen) == {"whole", "core"}
    seen = found.seen["whole"] == 1
    same = found.found.state.interp_like(found.seen["whole"]) > 0.2
    assert float((seen & same).sum() * 2 / (seen.sum() + same.sum())) > 0.8
    np.testing.assert_allclose(found.truth.state, found.found.state, atol=0.3)
    flat = views(found)
    assert len(flat) == (3 if name == "solid" else 1)
    for view in flat:
        assert view.ground.shape == view.found.state.shape == view.truth.state.shape
        assert (view.cut is None) == (name == "plane")


def test_draws_have_a_spread_where_they_differ(tmp_path):
    table = {**TABLE, **BOXES["plane"]}
    truth = pdeinv.solve(Tumor(TumorConfig.model_validate(table)), seed=1, level=0)
    data = pdeinv.observe(truth, sensors="all", seed=2)
    result = pdeinv.invert(data, engine="laplace", seed=3)
    found = shown(result, tmp_path / "r", None, point=False)
    assert found.draws == 40
    assert float(found.sd.max()) > 1e-3
    draws = result["posterior"].to_dataset()
    assert draws.sizes["draw"] > 40


@pytest.mark.parametrize("box", list(BOXES))
def test_data_at_places_are_dots_in_the_colours_of_their_values(tmp_path, box):
    table = {**TABLE, **BOXES[box], "masks": None, "seed": {"peak": 0.3}}
    table["time"] = {"final": 1.0, "steps": 3}
    truth = pdeinv.solve(Tumor(TumorConfig.model_validate(table)), seed=1, level=0)
    data = pdeinv.observe(truth, sensors="grid:5", noise_rel=0.1, seed=2)
    result = pdeinv.invert(data, engine="map", seed=3)
    of = shown(result, tmp_path / "r", (truth, tmp_path / "t"), point=True)
    np.testing.assert_allclose(np.sort(of.dots), np.sort(data["c"].values[:, -1]))
    said, axes = titles(portrait_panels(of, "estimate", ""))
    assert [t.split(" ")[0].rstrip(":") for t in said if "estimate" not in t] == (
        ["data"] * (1 if box == "plane" else 3)
    )
    drawn = [c for c in axes[0].collections if len(c.get_offsets()) > 1]
    assert drawn
    assert axes[0].child_axes[0].get_ylabel() == "data"
    without = replace(of, dots=None)
    assert all("estimate" in t for t in titles(portrait_panels(without, "estimate", ""))[0])


def test_white_and_grey_matter_and_what_is_none_differ(found, tmp_path):
    _, _, _, estimate = found
    of = shown(estimate, tmp_path / "r", None, point=True)
    _, axes = titles(portrait_panels(of, "estimate", ""))
    ground = axes[0].collections[0]
    shades = [1.0, *(ground.cmap(ground.norm(v))[0] for v in (1.0, 0.45))]
    assert -np.diff(shades).max() > 0.15


def test_where_the_problem_cannot_be_built_the_figure_says_why(found, tmp_path, monkeypatch):
    _, _, _, estimate = found

    def gone(*_, **__):
        raise DataSchemaError("no such file: white.nii.gz")

    monkeypatch.setattr("pdeinv.jobs.plot.shown.problem_of_result", gone)
    said = []
    monkeypatch.setattr(
        "matplotlib.figure.Figure.suptitle", lambda _, text, **__: said.append(text)
    )
    pdeinv.plot(estimate, tmp_path / "f.png")
    assert "its state is not shown: no such file: white.nii.gz" in said[0].replace("\n", " ")


def test_a_problem_without_a_body_has_no_portrait(tmp_path):
    tree = xr.DataTree(xr.Dataset(attrs={"pdeinv_problem": "darcy"}))
    assert shown(tree, tmp_path / "r", None, point=True) is None
    assert shown(xr.DataTree(), tmp_path / "r", None, point=True) is None


def test_the_meanings_of_kinds_are_in_the_files(found):
    _, _, data, estimate = found
    for variable in (data["region"], estimate["constant_data"]["region"]):
        assert variable.attrs["flag_meanings"] == "whole core uptake"
        assert variable.attrs["flag_values"].tolist() == [1.0, 2.0, 3.0]
