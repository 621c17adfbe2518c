"""Profiles of an unknown field: values along the line, bands, the truth beside, depth downwards."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from pdeinv.errors import ConfigError
from pdeinv.jobs.plot.profiles import Line, profile_panels, truth_profile_panels
from pdeinv.jobs.plot.result import Claim

X, Y = np.linspace(0, 400, 9), np.linspace(0, 300, 7)
DEPTH = {"units": "m", "long_name": "depth", "positive": "down"}


def field(values, location=None, y_attrs=DEPTH):
    place = {} if location is None else {"location": location}
    dims = ("chain", "draw", "y", "x")[-np.ndim(values) :]
    coords = {"x": ("x", X, {"units": "m", **place}), "y": ("y", Y, {**y_attrs, **place})}
    attrs = {"units": "m s-1", "long_name": "velocity"}
    return xr.DataArray(values, coords, dims, name="v", attrs=attrs)


def trees(location=None, y_attrs=DEPTH, produces="posterior"):
    """A result v = 2 x + 3 y + draw, with draws 0 to 100, and its truth, 10 more."""
    plane = 2 * X[None, :] + 3 * Y[:, None]
    draws = field(plane + np.arange(101.0)[None, :, None, None], location, y_attrs)
    mean = draws.mean(("chain", "draw"), keep_attrs=True).rename("v_mean")
    result = xr.DataTree.from_dict(
        {
            "/": xr.Dataset(attrs={"pdeinv_produces": produces}),
            "posterior": draws.to_dataset(),
            "estimates": mean.to_dataset(),
        }
    )
    truth = {"/": xr.Dataset(), "unknown": field(plane + 10).to_dataset()}
    return result, xr.DataTree.from_dict(truth)


def shown(result, truth, *lines):
    """The axes of the panels."""
    found = []
    panels = profile_panels(result, truth, Claim.of(result), [Line.of(text) for text in lines])
    for panel in panels:
        ax = Figure().add_subplot()
        panel(ax)
        found.append(ax)
    return found


def test_a_profile_has_the_values_of_the_line_and_depth_downwards():
    (ax,) = shown(*trees(), "x=125")
    estimate, truth = ax.lines
    assert np.allclose(estimate.get_xdata(), 2 * 125 + 3 * Y + 50)
    assert np.allclose(truth.get_xdata(), 2 * 125 + 3 * Y + 10)
    assert np.array_equal(estimate.get_ydata(), Y)
    assert ax.yaxis_inverted()
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 0].min() == pytest.approx(250 + 2.5)
    assert band[:, 0].max() == pytest.approx(250 + 900 + 97.5)
    assert (ax.get_xlabel(), ax.get_title()) == ("m s⁻¹", "velocity, x 125")


def test_profiles_along_x_and_of_cells():
    (ax,) = shown(*trees(), "y=20")
    assert np.allclose(ax.lines[0].get_ydata(), 2 * X + 60 + 50)
    (cells,) = shown(*trees("cell"), "x=120")
    assert np.allclose(cells.lines[0].get_xdata(), 2 * 100 + 3 * Y + 50)


def test_a_point_has_no_band_and_upward_axes_stay():
    result, truth = trees(y_attrs={"units": "m"}, produces="point")
    (ax,) = shown(result, truth, "x=100")
    assert not ax.collections
    assert not ax.yaxis_inverted()
    assert np.allclose(ax.lines[0].get_xdata(), Y)


def test_a_truth_of_another_kind_is_shown_by_the_field_on_its_mesh():
    result, _ = trees()
    rng = np.random.default_rng(0)
    x, y = np.concatenate(
        [rng.uniform(-50, 450, (2, 400)), [[-60, 460] * 2, [-60, -60, 460, 460]]], 1
    )
    nodes = {"x": ("node", x), "y": ("node", y)}
    values = xr.DataArray(2 * x + 3 * y, nodes, ["node"], attrs={"pdeinv_unknown": "v"})
    numbers = xr.Dataset({"thickness": ("layer", [1.0])})
    truth = xr.DataTree.from_dict({"/": values.to_dataset(name="speed"), "unknown": numbers})
    (ax,) = shown(result, truth, "x=200")
    assert np.allclose(ax.lines[1].get_xdata(), 400 + 3 * ax.lines[1].get_ydata())


def test_a_truth_alone_has_profiles_of_its_unknown():
    (panel,) = truth_profile_panels(trees()[1], [Line.of("x=125")])
    ax = Figure().add_subplot()
    panel(ax)
    (line,) = ax.lines
    assert np.allclose(line.get_xdata(), 2 * 125 + 3 * Y + 10)
    with pytest.raises(ConfigError, match="'v' goes from x = 0 to 400"):
        truth_profile_panels(trees()[1], [Line.of("x=401")])


@pytest.mark.parametrize(("text", "message"), [
    ("x", "--profile x: expected x or y and its value, such as x=300"),
    ("z=3", "expected x or y and its value"),
    ("x=1e", "expected x or y and its value"),
    ("x=401", "--profile x=401: 'v_mean' goes from x = 0 to 400"),
])  # fmt: skip
def test_lines_that_are_none_are_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        shown(*trees(), text)


def test_numbers_have_no_profile():
    numbers = xr.Dataset({"k": (("chain", "draw"), np.ones((1, 3)))})
    estimates = xr.Dataset({"k_mean": 1.0})
    tree = xr.DataTree.from_dict({"/": xr.Dataset(), "posterior": numbers, "estimates": estimates})
    with pytest.raises(ConfigError, match="the unknown is no field over x and y; leave it out"):
        shown(tree, None, "x=1")
