"""Gathers of shots in figures of observations, truths and results; depths and marks of places."""

import numpy as np
import xarray as xr

from pdeinv.jobs.plot.gathers import fit_gathers, gather_panels, is_gather
from pdeinv.jobs.plot.observed import observation_panels
from pdeinv.jobs.plot.overlays import overlay_of
from pdeinv.jobs.plot.panels import colour_scale, field_panel

TIMES = 0.01 * np.arange(1, 8)


def gather(shots=3):
    rng = np.random.default_rng(0)
    coords = {"shot": np.arange(float(shots)), "receiver": [0.0, 2.0, 5.0],
              "time": ("time", TIMES, {"units": "s", "axis": "T"})}  # fmt: skip
    attrs = {"units": "Pa", "long_name": "pressure"}
    values = rng.standard_normal((shots, 3, 7))
    return xr.DataArray(values, coords, ("shot", "receiver", "time"), name="u", attrs=attrs)


def drawn(panel):
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    panel(ax)
    return ax


def test_an_observation_file_of_shots_is_drawn_as_gathers():
    data = gather().to_dataset()
    assert is_gather(data["u"])
    axes = [drawn(p) for p in observation_panels(data)]
    assert [ax.get_title() for ax in axes] == [
        "pressure, shot 0, 2 of 3 shots", "pressure, shot 2, 2 of 3 shots",
    ]  # fmt: skip
    assert all(ax.yaxis_inverted() for ax in axes)
    assert (axes[0].get_xlabel(), axes[0].get_ylabel()) == ("receiver", "time (s)")
    assert not is_gather(gather().rename(time="component"))


def test_a_gather_holds_the_values_of_its_shot():
    array = gather(1)
    (panel,) = gather_panels(array, "u")
    (mesh,) = drawn(panel).collections
    np.testing.assert_array_equal(mesh.get_array(), array.values[0].T)


def test_a_fit_shows_what_is_left():
    array = gather(1)
    flat = array.stack(obs=("shot", "receiver", "time")).reset_index("obs")
    keep = np.arange(flat.size) != 4
    places = xr.Dataset(coords={d: ("obs", flat[d].values[keep]) for d in array.dims})
    observed = xr.DataArray(flat.values[keep], dims="obs", name="u", attrs=array.attrs)
    panels = fit_gathers(observed, 0.9 * observed.values, places)
    axes = [drawn(p) for p in panels]
    titles = [ax.get_title() for ax in axes]
    assert titles == [f"{w}, shot 0" for w in ("observed", "predicted", "residual, other colours")]
    left = axes[2].collections[0].get_array()
    assert np.ma.getmaskarray(left)[4, 0]
    np.testing.assert_allclose(left.compressed().sum(), 0.1 * observed.values.sum())
    tops = [ax.collections[0].norm.vmax for ax in axes]
    assert tops[0] == tops[1] > tops[2]
    assert fit_gathers(observed, observed.values, places.drop_vars("time")) == []


def test_a_depth_goes_downwards():
    for positive, turned in (({"positive": "down"}, True), ({}, False)):
        coords = {"x": ("x", [0.0, 1.0], {"units": "m"}),
                  "y": ("y", [0.0, 1.0, 2.0], {"units": "m", **positive})}  # fmt: skip
        array = xr.DataArray(np.arange(6.0).reshape(3, 2), coords, ("y", "x"))
        ax = drawn(field_panel(array, "v", colour_scale(array)))
        assert ax.yaxis_inverted() == turned


def test_sources_and_receivers_are_marked():
    places = {f"{n}_{a}": (n, np.arange(2.0)) for n in ("source", "receiver") for a in "xy"}
    overlay = overlay_of(xr.Dataset(places))
    assert overlay.sources.shape == overlay.receivers.shape == (2, 2)
    ax = drawn(overlay.draw)
    assert [line.get_marker() for line in ax.lines] == ["v", "*"]
