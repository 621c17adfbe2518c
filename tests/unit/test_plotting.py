"""Figures of every kind of unknown and data, without looking at pixels."""

import numpy as np
import pytest
import xarray as xr

from pdeinv import plotting
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.panels import colour_scale, with_units

RNG = np.random.default_rng(0)
SHAPES = {
    "map": (("y", "x"), (5, 7)),
    "line": (("x",), (9,)),
    "scalar": ((), ()),
    "numbers": (("part",), (3,)),
    "nodes": (("vertex",), (12,)),
}


def unknown(kind, lead=()):
    dims, shape = SHAPES[kind]
    sizes = [n for _, n in lead]
    values = np.exp(RNG.standard_normal((*sizes, *shape)))
    coords = {
        d: (d, np.linspace(0, 1, n), {"units": "m"}) for d, n in zip(dims, shape, strict=True)
    }
    coords.pop("part", None)
    if kind == "nodes":
        coords = {c: ("vertex", RNG.random(12), {"units": "m"}) for c in ("x", "y")}
    attrs = {"units": "m s-1", "long_name": "conductivity"}
    return xr.DataArray(values, coords, (*(d for d, _ in lead), *dims), name="k", attrs=attrs)


def result(kind, produces="posterior"):
    lead = (("chain", 2), ("draw", 30))
    draws = unknown(kind, lead)
    mean = draws.mean(("chain", "draw"), keep_attrs=True).rename("k_mean")
    sd = draws.std(("chain", "draw"), keep_attrs=True).rename("k_sd")
    places = {c: ("obs", RNG.random(6), {"units": "m"}) for c in ("x", "y")}
    y = xr.Dataset({"u": ("obs", RNG.random(6), {"units": "m"})})
    predicted = xr.Dataset({"u": (("chain", "draw", "obs"), RNG.random((1, 20, 6)))})
    root = xr.Dataset(attrs={"pdeinv_kind": "result", "pdeinv_produces": produces})
    return xr.DataTree.from_dict(
        {
            "/": root,
            "posterior": draws.to_dataset(),
            "estimates": xr.merge([mean, sd]),
            "constant_data": xr.Dataset(places),
            "observed_data": y,
            "posterior_predictive": predicted,
        }
    )


def drawn(monkeypatch):
    """The titles of the panels of the next figure."""
    from matplotlib.axes import Axes

    titles = []
    honest = Axes.set

    def spy(self, **kwargs):
        if "title" in kwargs:
            titles.append(kwargs["title"])
        return honest(self, **kwargs)

    monkeypatch.setattr(Axes, "set", spy)
    return titles


EXPECTED = {
    "map": ["truth: conductivity", "posterior mean: conductivity", "posterior standard deviation"],
    "nodes": [
        "truth: conductivity",
        "posterior mean: conductivity",
        "posterior standard deviation",
    ],
    "line": ["conductivity"],
    "scalar": ["conductivity"],
    "numbers": ["k[0]", "k[1]", "k[2]"],
}


@pytest.mark.parametrize("kind", SHAPES)
def test_a_result_shows_the_unknown_the_truth_and_the_fit(kind, tmp_path, monkeypatch):
    titles = drawn(monkeypatch)
    result(kind).to_netcdf(tmp_path / "r.nc")
    root = xr.Dataset(attrs={"pdeinv_kind": "truth"})
    truth = xr.DataTree.from_dict({"/": root, "unknown": unknown(kind).to_dataset()})
    truth.to_netcdf(tmp_path / "t.nc")
    plotting.plot(tmp_path / "r.nc", tmp_path / "r.png", truth=tmp_path / "t.nc")
    assert titles == [*EXPECTED[kind], "data fit"]
    assert (tmp_path / "r.png").stat().st_size > 5000


def test_a_point_estimate_claims_no_spread(tmp_path, monkeypatch):
    titles = drawn(monkeypatch)
    result("map", "point").to_netcdf(tmp_path / "r.nc")
    plotting.plot(tmp_path / "r.nc", tmp_path / "r.png")
    assert titles == ["estimate: conductivity", "data fit"]


def observations(sigma, **places):
    u = ("obs", RNG.random(6), {"units": "m", "long_name": "head"})
    coords = {c: ("obs", v, {"units": "m"}) for c, v in places.items()}
    data = {"u": u, "u_sigma": ("obs", sigma, {"units": "m"})}
    return xr.Dataset(data, coords, {"featureType": "point"})


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        (
            observations(np.full(6, 0.01), x=RNG.random(6), y=RNG.random(6)),
            ["head, noise sd 0.01 m"],
        ),
        (
            observations(RNG.random(6), x=RNG.random(6), y=RNG.random(6)),
            ["head", "noise standard deviation"],
        ),
        (observations(RNG.random(6), x=RNG.random(6)), ["head"]),
        (observations(RNG.random(6)), ["head"]),
    ],
    ids=["one sigma", "many sigmas", "along x", "no places"],
)
def test_observations_are_drawn_where_they_are(dataset, expected, tmp_path, monkeypatch):
    titles = drawn(monkeypatch)
    dataset.to_netcdf(tmp_path / "o.nc")
    plotting.plot(tmp_path / "o.nc", tmp_path / "o.png")
    assert titles == expected


def test_a_file_of_another_kind_is_refused(tmp_path):
    xr.Dataset({"a": 1}, attrs={"pdeinv_kind": "dataset"}).to_netcdf(tmp_path / "d.nc")
    with pytest.raises(DataSchemaError, match="nothing to draw in a file of kind 'dataset'"):
        plotting.plot(tmp_path / "d.nc", tmp_path / "d.png")
    assert not (tmp_path / "d.png").exists()


def test_an_unknown_format_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(ConfigError, match=r"ends in \.png, \.pdf, \.svg"):
        plotting.plot(tmp_path / "none.nc", tmp_path / "o.gif")


def test_a_file_that_is_no_truth_is_refused_as_truth(tmp_path):
    result("map").to_netcdf(tmp_path / "r.nc")
    with pytest.raises(DataSchemaError, match="no group 'unknown'"):
        plotting.plot(tmp_path / "r.nc", tmp_path / "r.png", truth=tmp_path / "r.nc")


def test_the_colour_scale_is_logarithmic_for_wide_positive_fields_only():
    from matplotlib.colors import LogNorm

    wide, narrow = xr.DataArray([1.0, 100.0]), xr.DataArray([1.0, 10.0])
    assert isinstance(colour_scale(wide)["norm"], LogNorm)
    assert not isinstance(colour_scale(narrow)["norm"], LogNorm)
    assert not isinstance(colour_scale(wide - 2)["norm"], LogNorm)


def test_numbers_without_dimension_get_no_units():
    assert with_units("x", xr.DataArray(1.0, attrs={"units": "1"})) == "x"
    assert with_units("x", xr.DataArray(1.0, attrs={"units": "m"})) == "x (m)"
