"""Tumor growth by the command line: truth, data, inversion, surrogate, score, figure, refusals."""

import json

import numpy as np
import pytest
import xarray as xr

pytestmark = pytest.mark.usefixtures("solves_here")

TUMOR = """
seed = 6
[problem]
name = "tumor"
lengths = [96.0, 96.0]
cells = 32
solver = "finite-differences"
[problem.time]
steps = 20
stored = 10
[problem.tissue]
kind = "homogeneous"
[problem.unknown]
diffusivity = { median = 1.5, std = 0.3 }
growth_rate = { median = 0.05, std = 0.2 }
"""


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory, call):
    folder = tmp_path_factory.mktemp("tumor")
    (folder / "tumor.toml").write_text(TUMOR)
    done = call("solve", "--config", folder / "tumor.toml", "--out", folder / "truth.nc")
    assert done.exit_code == 0, done.stderr
    words = ("--sensors", "grid:12", "--noise-std", 0.1, "--seed", 2)
    done = call("observe", folder / "truth.nc", *words, "--out", folder / "obs.nc")
    assert done.exit_code == 0, done.stderr
    words = ("--engine", "laplace", "--seed", 3, "--out", folder / "laplace.nc")
    done = call("invert", folder / "obs.nc", *words)
    assert done.exit_code == 0, done.stderr
    assert "identify diffusivity x duration and growth_rate x duration only" in done.stderr
    return folder


def test_an_inversion_finds_the_truth(folder):
    truth = xr.open_datatree(folder / "truth.nc")["unknown"].to_dataset()
    draws = xr.open_datatree(folder / "laplace.nc")["posterior"].to_dataset()
    assert set(draws) == {"diffusivity", "growth_rate", "seed_x", "seed_y"}
    for name, values in draws.items():
        assert abs(float(values.mean() - truth[name])) < 3.5 * float(values.std()), name


def test_data_are_checked_with_what_one_time_leaves_open(folder, call):
    done = call("check", folder / "obs.nc", "--json")
    assert done.exit_code == 0, done.stderr
    assert "hold for time.final = 100 d" in done.stdout


def test_the_reference_inverts_the_data_of_the_fast_model(folder, call, tmp_path):
    words = ("--set", 'problem.solver="finite-elements"', "--seed", 3, "--out", tmp_path / "o.nc")
    done = call("invert", folder / "obs.nc", "--engine", "map", *words)
    assert done.exit_code == 0, done.stderr
    one, other = (
        xr.open_datatree(file)["posterior"].to_dataset().mean()
        for file in (folder / "laplace.nc", tmp_path / "o.nc")
    )
    assert float(other["diffusivity"]) == pytest.approx(float(one["diffusivity"]), rel=0.2)


def test_a_surrogate_learns_concentrations(folder, call, tmp_path):
    words = ("--n", 60, "--seed", 4, "--out", tmp_path / "data.nc")
    assert call("generate", "--obs", folder / "obs.nc", *words).exit_code == 0
    words = ("--data", tmp_path / "data.nc", "--seed", 5, "--out", tmp_path / "gp")
    assert call("train-surrogate", "gp", *words).exit_code == 0
    done = call("evaluate", tmp_path / "gp", "--obs", folder / "obs.nc", "--json")
    assert done.exit_code == 0, done.stderr


def test_estimates_are_scored_by_the_concentration_and_drawn(folder, call, tmp_path):
    files = (folder / "laplace.nc", "--truth", folder / "truth.nc")
    done = call("score", *files, "--metric", "dice", "--threshold", 0.25, "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["scores"]["dice"] > 0.9
    done = call("plot", *files, "--out", tmp_path / "figure.png")
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_fields_are_exported_for_viewers(folder, call, tmp_path):
    done = call("export", folder / "truth.nc", "--vtk", tmp_path / "truth.vtkhdf")
    assert done.exit_code == 0, done.stderr


def test_a_time_that_the_file_does_not_hold_is_refused_in_one_line(folder, call, tmp_path):
    words = ("--sensors", "grid:5@60", "--noise-std", 0.1, "--out", tmp_path / "o.nc")
    done = call("observe", folder / "truth.nc", *words)
    assert done.exit_code == 2
    assert "it has every 10 time levels; choose other times" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_solid_brain_is_solved(call, tmp_path):
    sizes = ("lengths=[180.0,150.0,132.0]", "cells=[15,12,11]", "time.steps=4")
    words = [word for size in sizes for word in ("--set", f"problem.{size}")]
    done = call("solve", "tumor", *words, "--seed", 1, "--level", 0, "--out", tmp_path / "s.nc")
    assert done.exit_code == 0, done.stderr
    c = xr.open_dataset(tmp_path / "s.nc")["c"].values
    assert np.isfinite(c).all()
    assert c.max() > 0.3


MASKS = """
[problem.masks]
core = 0.6
"""


@pytest.fixture(scope="module", name="masks")
def _masks(tmp_path_factory, call):
    folder = tmp_path_factory.mktemp("masks")
    (folder / "masks.toml").write_text(TUMOR + MASKS)
    done = call("solve", "--config", folder / "masks.toml", "--out", folder / "truth.nc")
    assert done.exit_code == 0, done.stderr
    words = ("--sensors", "all", "--seed", 2, "--out", folder / "obs.nc")
    done = call("observe", folder / "truth.nc", *words)
    assert done.exit_code == 0, done.stderr
    return folder


def test_masks_are_zeros_and_ones_and_find_the_truth(masks, call):
    seen = xr.open_dataset(masks / "obs.nc")["mask"]
    assert set(np.unique(seen)) == {0.0, 1.0}
    assert seen.attrs["likelihood"] == "bernoulli"
    words = ("--engine", "map", "--set", "engine.starts=1", "--seed", 3)
    done = call("invert", masks / "obs.nc", *words, "--out", masks / "map.nc")
    assert done.exit_code == 0, done.stderr
    truth = xr.open_datatree(masks / "truth.nc")["unknown"].to_dataset()
    found = xr.open_datatree(masks / "map.nc")["estimates"].to_dataset()
    assert abs(float(found["seed_x_mean"] - truth["seed_x"])) < 1.5
    assert abs(float(found["seed_y_mean"] - truth["seed_y"])) < 1.5
    rate = float(found["growth_rate_mean"] / truth["growth_rate"])
    assert 0.8 < rate < 1.25
    words = ("--metric", "dice", "--threshold", 0.25, "--json")
    done = call("score", masks / "map.nc", "--truth", masks / "truth.nc", *words)
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["scores"]["dice"] > 0.9
    done = call("plot", masks / "map.nc", "--truth", masks / "truth.nc", "--out", masks / "m.png")
    assert done.exit_code == 0, done.stderr


REFUSED_MASKS = {
    "noise": (("observe", "truth.nc", "--sensors", "all", "--noise-std", "0.1"), "leave out"),
    "noise of masks": (("invert", "obs.nc", "--noise-std", "0.1"), "leave out --noise-std"),
    "a score and draws": (
        ("invert", "obs.nc", "--engine", "two-level", "--set", 'problem.masks.score="dice"'),
        "engine 'two-level' takes data",
    ),
    "a Gaussian engine": (
        ("invert", "obs.nc", "--engine", "gaussian"),
        "takes data whose likelihood",
    ),
}


@pytest.mark.parametrize("case", REFUSED_MASKS)
def test_what_masks_cannot_be_is_refused(case, masks, call, tmp_path):
    (verb, file, *words), said = REFUSED_MASKS[case]
    done = call(verb, masks / file, *words, "--out", tmp_path / "o.nc")
    assert done.exit_code == 2
    assert said in done.stderr
    assert not (tmp_path / "o.nc").exists()
