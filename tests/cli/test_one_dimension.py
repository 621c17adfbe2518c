"""A plug-in with one dimension goes through every verb that knows no problem."""

import json

import pytest
import xarray as xr
from rod import Rod

from pdeinv.plugins import registry

pytestmark = pytest.mark.usefixtures("solves_here")


class Entry:
    extras = ()

    def load(self):
        return Rod


@pytest.fixture
def rod(monkeypatch, call, work):
    found = registry._found
    monkeypatch.setattr(
        registry,
        "_found",
        lambda kind: dict(found(kind)) | ({"rod": Entry()} if kind == "problems" else {}),
    )

    def run(*words):
        result = call(*words)
        assert result.exit_code == 0, result.stderr
        return result

    run("solve", "rod", "--seed", 1, "--out", "rod.nc")
    words = ("--noise-rel", 0.01, "--seed", 2, "--out", "rod-obs.nc")
    run("observe", "rod.nc", "--sensors", "grid:20", *words)
    return run


def test_a_rod_is_checked_inverted_scored_and_drawn(rod):
    assert "FAILED" not in rod("check", "rod").stdout
    rod("check", "rod-obs.nc")
    rod("invert", "rod-obs.nc", "--engine", "laplace", "--seed", 3, "--out", "laplace.nc")
    scores = json.loads(rod("score", "laplace.nc", "--truth", "rod.nc", "--json").stdout)
    assert "rel-l2" in json.dumps(scores)
    for name in ("rod", "rod-obs", "laplace"):
        rod("plot", f"{name}.nc", "--out", f"{name}.png")
    rod("info", "laplace.nc")


def test_a_rod_makes_training_data_with_and_without_a_grid(rod):
    words = ("generate", "--obs", "rod-obs.nc", "--n", 4, "--seed", 4)
    rod(*words, "--out", "plain.nc")
    rod(*words, "--grid", "9", "--out", "grid.nc")
    data = xr.open_dataset("grid.nc")
    assert data["u_grid"].dims == ("sample", "grid_x")
    assert data["coefficient"].shape == (4, 9)


@pytest.mark.parametrize("spec", ["grid:3", "list:0.1;0.2", "all"])
def test_sensors_on_a_rod(rod, spec):
    rod("observe", "rod.nc", "--sensors", spec, "--noise-rel", 0.01, "--out", "other.nc")
    assert xr.open_dataset("other.nc")["u"].ndim == 1
