"""Figures of every kind of unknown and data, without looking at pixels."""

import numpy as np
import pytest
import xarray as xr

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.jobs.plot import figure
from pdeinv.jobs.plot.overlays import overlay_of
from pdeinv.jobs.plot.panels import colour_scale, with_units
from pdeinv.jobs.plot.slices import first_experiment, is_line, is_map, masked, series, slices

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
    figure.plot(tmp_path / "r.nc", tmp_path / "r.png", truth=tmp_path / "t.nc")
    assert titles == [*EXPECTED[kind], "data fit"]
    assert (tmp_path / "r.png").stat().st_size > 5000


def test_the_truth_of_another_problem_is_refused(tmp_path):
    tree = result("map")
    tree.attrs["pdeinv_problem"] = "darcy"
    tree.to_netcdf(tmp_path / "r.nc")
    root = xr.Dataset(attrs={"pdeinv_kind": "truth", "pdeinv_problem": "heat"})
    truth = xr.DataTree.from_dict({"/": root, "unknown": unknown("map").to_dataset()})
    truth.to_netcdf(tmp_path / "t.nc")
    with pytest.raises(DataSchemaError, match=r"is of problem 'darcy', .* of problem 'heat'; give"):
        figure.plot(tmp_path / "r.nc", tmp_path / "r.png", truth=tmp_path / "t.nc")
    assert not (tmp_path / "r.png").exists()


def with_body(tree):
    """The result with a body that the first row and column of the grid do not belong to."""
    groups = {name: group.to_dataset() for name, group in tree.children.items()}
    mean = groups["estimates"]["k_mean"]
    inside = xr.ones_like(mean, dtype=np.int8)
    inside[0], inside[:, 0] = 0, 0
    for name in ("k_mean", "k_sd"):
        groups["estimates"][name][0] = 1e6
    groups["estimates"]["k_inside"] = inside
    turn = np.linspace(0, 2 * np.pi, 17)
    ring = {
        f"{what}_{axis}": (what, 0.5 + 0.4 * np.stack([np.cos(turn), np.sin(turn)])[i])
        for what in ("electrode", "outline")
        for i, axis in enumerate("xy")
    }
    groups["constant_data"] = groups["constant_data"].assign(ring)
    return xr.DataTree.from_dict({"/": tree.to_dataset(), **groups})


def images(monkeypatch):
    """What the maps of the next figure show: values, colour limits and the image itself."""
    from matplotlib.axes import Axes

    found = []
    honest = Axes.pcolormesh

    def spy(self, x, y, values, **how):
        image = honest(self, x, y, values, **how)
        if how.get("shading") == "nearest":  # a colour bar has no shading
            found.append((np.asarray(values), how["norm"], image))
        return image

    monkeypatch.setattr(Axes, "pcolormesh", spy)
    return found


def test_maps_end_at_the_body_and_colours_are_those_of_its_inside(tmp_path, monkeypatch):
    found = images(monkeypatch)
    tree = with_body(result("map"))
    tree.to_netcdf(tmp_path / "r.nc")
    truth = unknown("map").to_dataset()
    truth["k"][0] = -1e6
    root = xr.Dataset(attrs={"pdeinv_kind": "truth"})
    xr.DataTree.from_dict({"/": root, "unknown": truth}).to_netcdf(tmp_path / "t.nc")
    figure.plot(tmp_path / "r.nc", tmp_path / "r.png", truth=tmp_path / "t.nc")
    assert len(found) == 3
    for values, norm, image in found:
        assert np.isnan(values[0]).all()
        assert np.isnan(values[:, 0]).all()
        assert np.isfinite(values[1:, 1:]).all()
        assert 0 < norm.vmin < norm.vmax < 100
        assert image.get_clip_path() is not None


def test_a_result_that_says_nothing_of_a_body_is_drawn_whole(tmp_path, monkeypatch):
    found = images(monkeypatch)
    result("map").to_netcdf(tmp_path / "r.nc")
    figure.plot(tmp_path / "r.nc", tmp_path / "r.png")
    assert len(found) == 2
    assert all(np.isfinite(values).all() for values, *_ in found)


def test_a_body_of_another_grid_masks_nothing():
    k, other = unknown("map"), unknown("map").isel(x=slice(1, None))
    estimates = (0 * other).astype(np.int8).to_dataset(name="k_inside")
    xr.testing.assert_equal(masked(k, estimates), k)


def test_electrodes_are_told_from_sensors():
    found = overlay_of(with_body(result("map"))["constant_data"].to_dataset())
    assert (found.sensors.shape, found.electrodes.shape) == ((6, 2), (17, 2))
    twice = xr.Dataset({c: ("obs", [0.1, 0.1, 0.2]) for c in ("x", "y")})
    assert overlay_of(twice).sensors.tolist() == [[0.1, 0.1], [0.2, 0.2]]
    assert overlay_of(xr.Dataset()).sensors is None


@pytest.mark.parametrize(("marked", "shown"), [("k", True), ("z", False)])
def test_a_truth_of_other_parameters_is_shown_by_the_field_on_its_mesh(
    marked, shown, tmp_path, monkeypatch
):
    titles = drawn(monkeypatch)
    result("map").to_netcdf(tmp_path / "r.nc")
    field = nodes(**PLANE).rename("sigma").assign_attrs(pdeinv_unknown=marked)
    root = field.to_dataset().assign_attrs(pdeinv_kind="truth")
    ellipses = xr.Dataset({"tilt": ("ellipse", [0.1, 0.2])})
    xr.DataTree.from_dict({"/": root, "unknown": ellipses}).to_netcdf(tmp_path / "t.nc")
    figure.plot(tmp_path / "r.nc", tmp_path / "r.png", truth=tmp_path / "t.nc")
    assert titles == [*EXPECTED["map"][0 if shown else 1 :], "data fit"]


def test_a_point_estimate_claims_no_spread(tmp_path, monkeypatch):
    titles = drawn(monkeypatch)
    result("map", "point").to_netcdf(tmp_path / "r.nc")
    figure.plot(tmp_path / "r.nc", tmp_path / "r.png")
    assert titles == ["estimate: conductivity", "data fit"]


@pytest.mark.parametrize("kind", SHAPES)
def test_every_panel_of_an_approximation_is_called_approximate(kind, tmp_path, monkeypatch):
    titles = drawn(monkeypatch)
    result(kind, "approximate").to_netcdf(tmp_path / "r.nc")
    figure.plot(tmp_path / "r.nc", tmp_path / "r.png", dpi=20)
    *estimates, fit = titles
    assert fit == "data fit"
    assert estimates
    assert all(title.startswith("approximate ") for title in estimates)


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
    figure.plot(tmp_path / "o.nc", tmp_path / "o.png")
    assert titles == expected


def test_a_file_of_another_kind_is_refused(tmp_path):
    xr.Dataset({"a": 1}, attrs={"pdeinv_kind": "dataset"}).to_netcdf(tmp_path / "d.nc")
    with pytest.raises(DataSchemaError, match="nothing to draw in a file of kind 'dataset'"):
        figure.plot(tmp_path / "d.nc", tmp_path / "d.png")
    assert not (tmp_path / "d.png").exists()


def test_an_unknown_format_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(ConfigError, match=r"ends in \.png, \.pdf, \.svg"):
        figure.plot(tmp_path / "none.nc", tmp_path / "o.gif")


def test_a_file_that_is_no_truth_is_refused_as_truth(tmp_path):
    result("map").to_netcdf(tmp_path / "r.nc")
    with pytest.raises(DataSchemaError, match="no group 'unknown'"):
        figure.plot(tmp_path / "r.nc", tmp_path / "r.png", truth=tmp_path / "r.nc")


def test_the_colour_scale_is_logarithmic_for_wide_positive_fields_only():
    from matplotlib.colors import LogNorm

    wide, narrow = xr.DataArray([1.0, 11.0]), xr.DataArray([1.0, 10.0])
    assert isinstance(colour_scale(narrow, 0.5 * narrow)["norm"], LogNorm)
    assert isinstance(colour_scale(wide)["norm"], LogNorm)
    assert not isinstance(colour_scale(narrow)["norm"], LogNorm)
    assert not isinstance(colour_scale(wide - 2)["norm"], LogNorm)


def test_colours_of_fields_with_both_signs_part_at_zero():
    wave, contrast = xr.DataArray([-1.0, 0.5]), xr.DataArray([-0.1, 1.0])
    found = colour_scale(wave)
    assert (found["norm"].vmin, found["norm"].vmax) == (-1.0, 1.0)
    assert found["cmap"] == "RdBu_r"
    assert "cmap" not in colour_scale(contrast)


@pytest.mark.parametrize(
    ("units", "text"),
    [
        ("W m-1 K-1", "W m⁻¹ K⁻¹"),
        ("ohm m2", "ohm m²"),
        ("1e-3 m", "1e-3 m"),
        ("(Pa) m-1", "(Pa) m⁻¹"),
    ],
)
def test_exponents_of_units_are_raised(units, text):
    assert with_units("k", xr.DataArray(1.0, attrs={"units": units})) == f"k ({text})"


@pytest.mark.parametrize(
    ("scale", "label"),
    [(1.0, "m s⁻¹"), (1e-6, "10⁻⁶ m s⁻¹"), (1e5, "10⁵ m s⁻¹")],
)
def test_colour_bars_tell_powers_of_ten_beside_the_units(scale, label):
    from matplotlib.figure import Figure

    from pdeinv.jobs.plot.panels import field_panel

    field = unknown("map").copy(data=scale * np.linspace(1.5, 5.5, 35).reshape(5, 7))
    ax = Figure().subplots()
    field_panel(field, "k", colour_scale(field))(ax)
    (bar,) = ax.child_axes
    ax.figure.canvas.draw()
    assert bar.get_ylabel() == label
    assert {float(t.get_text()) for t in bar.get_yticklabels()} >= {2.0, 3.0, 5.0}


def bar_labels(truth, mean, sd):
    """The labels of the colour bars of truth, mean and standard deviation."""
    from matplotlib.figure import Figure

    from pdeinv.jobs.plot.result import Claim, result_panels

    tree = result("map")
    estimates = tree["estimates"].to_dataset()
    for name, values in (("k_mean", mean), ("k_sd", sd)):
        estimates[name][:] = np.linspace(*values, 35).reshape(5, 7)
    tree["estimates"] = xr.DataTree(estimates)
    true = unknown("map").copy(data=np.linspace(*truth, 35).reshape(5, 7))
    real = xr.DataTree.from_dict({"/": xr.Dataset(), "unknown": true.to_dataset()})
    axes = Figure().subplots(4)
    for panel, ax in zip(result_panels(tree, real, Claim.of(tree, real)), axes, strict=True):
        panel(ax)
    return [ax.child_axes[0].get_ylabel() for ax in axes[:3]]


LOG, LINEAR, PLAIN = "m s⁻¹, log scale", "m s⁻¹, linear scale", "m s⁻¹"


@pytest.mark.parametrize(
    ("truth", "mean", "sd", "labels"),
    [
        ((1, 24), (2, 16), (1, 2), [LOG, LOG, LINEAR]),
        ((1, 24), (2, 3), (1, 20), [LOG, LOG, LOG]),
        ((2, 3), (1, 24), (1, 2), [LOG, LOG, LINEAR]),
        ((2, 3), (2, 4), (1, 20), [LINEAR, LINEAR, LOG]),
        ((2, 3), (2, 4), (1, 2), [PLAIN, PLAIN, PLAIN]),
        ((1, 24), (-1, 16), (1, 2), [PLAIN, PLAIN, PLAIN]),
    ],
)
def test_a_quantity_over_a_decade_is_on_a_log_scale_that_says_so(truth, mean, sd, labels):
    assert bar_labels(truth, mean, sd) == labels


def test_numbers_without_dimension_get_no_units():
    assert with_units("x", xr.DataArray(1.0, attrs={"units": "1"})) == "x"
    assert with_units("x", xr.DataArray(1.0, attrs={"units": "m"})) == "x (m)"


def nodes(*lead, **coords):
    """A field on scattered nodes with leading dims (name, size)."""
    sizes = [n for _, n in lead]
    dims = (*(d for d, _ in lead), "node")
    return xr.DataArray(RNG.random((*sizes, 12)), coords, dims, name="u", attrs={"units": "K"})


PLANE = {c: ("node", RNG.random(12), {"units": "m"}) for c in ("x", "y")}
TIMES = {"time": ("time", np.linspace(0, 2, 11), {"units": "s"})}


def test_a_field_in_time_is_cut_at_start_middle_and_end():
    found = slices(nodes(("time", 11), **PLANE, **TIMES))
    assert [text for _, text in found] == ["time 0 s", "time 1 s", "time 2 s"]
    assert all(part.dims == ("node",) for part, _ in found)


def test_dims_of_length_one_are_not_mentioned():
    found = slices(nodes(("frequency", 1), ("incident", 2), **PLANE))
    assert [text for _, text in found] == ["incident 0", "incident 1"]


def test_nodes_of_a_volume_are_no_map():
    space = {c: ("node", RNG.random(12), {"units": "m"}) for c in ("x", "y", "z")}
    assert not is_map(nodes(**space))
    assert not is_line(nodes(**space))


def test_only_one_experiment_is_drawn_at_a_place():
    dataset = observations(np.full(6, 0.1), x=RNG.random(6), y=RNG.random(6))
    dataset = dataset.assign_coords(
        source=("obs", [0.0, 0, 0, 1, 1, 1]), frequency=("obs", [2.0] * 6)
    )
    shown, text = first_experiment(dataset, "obs")
    assert (shown.sizes["obs"], text) == (3, "source 0, 1 of 2 experiments")
    parts = dataset.rename(source="component").isel(obs=slice(2, None))
    assert first_experiment(parts, "obs")[1] == "real part, 1 of 2 experiments"


def test_data_of_no_plane_run_over_what_varies_most():
    species = np.repeat([0.0, 1.0], 3)
    dataset = observations(np.full(6, 0.1), t=np.tile([1.0, 2.0, 4.0], 2), species=species)
    along, parts = series(dataset, "obs")
    assert (along, [text for _, text in parts]) == ("t", ["species 0 m", "species 1 m"])
    xr.testing.assert_equal(xr.concat([part for part, _ in parts], "obs"), dataset)


def test_a_single_run_of_data_is_one_part():
    plain = observations(np.full(6, 0.1))
    assert series(plain, "obs") == (None, [(plain, "")])
    along, ((_, text),) = series(plain.assign_coords(t=("obs", np.arange(6.0))), "obs")
    assert (along, text) == ("t", "")


def test_records_of_stations_are_drawn_over_time(tmp_path, monkeypatch):
    titles = drawn(monkeypatch)
    u = (("station", "time"), RNG.random((9, 11)), {"units": "K", "long_name": "temperature"})
    places = {c: ("station", RNG.random(9), {"units": "m"}) for c in ("x", "y")}
    attrs = {"featureType": "timeSeries"}
    xr.Dataset({"u": u, "u_sigma": u}, {**places, **TIMES}, attrs).to_netcdf(tmp_path / "o.nc")
    figure.plot(tmp_path / "o.nc", tmp_path / "o.png")
    assert titles == ["temperature, 6 of 9 stations", "temperature, last time"]


def test_the_fields_of_a_truth_on_an_interval_are_lines(tmp_path, monkeypatch):
    titles = drawn(monkeypatch)
    line = {"x": ("node", RNG.random(12), {"units": "m"})}
    root = nodes(("time", 11), **line, **TIMES).to_dataset().assign_attrs(pdeinv_kind="truth")
    tree = xr.DataTree.from_dict({"/": root, "unknown": unknown("line").to_dataset()})
    tree.to_netcdf(tmp_path / "t.nc")
    figure.plot(tmp_path / "t.nc", tmp_path / "t.png")
    assert titles == ["conductivity", "u"]


@pytest.mark.parametrize(
    ("kind", "names", "expected"),
    [
        ("map", ("kappa",), ["on its grid", "at the nodes of the solver"]),
        ("nodes", ("kappa",), ["at the nodes of its mesh", "at the nodes of the solver"]),
        ("line", ("kappa",), ["on its grid", "at the nodes of the solver"]),
        ("map", (), [""]),
        ("map", ("a", "b"), ["on its grid"] + [f"at the nodes of the solver, {n}" for n in "ab"]),
    ],
)
def test_no_two_panels_of_a_truth_have_the_same_title(kind, names, expected):
    from matplotlib.figure import Figure

    from pdeinv.jobs.plot.truth import truth_panels

    given = unknown(kind)
    axes = "x" if kind == "line" else "xy"
    coords = {a: ("node", RNG.random(12), {"units": "m"}) for a in axes}
    solved = {n: ("node", 30 + RNG.random(12), given.attrs) for n in names}
    root = xr.Dataset(solved, coords)
    tree = xr.DataTree.from_dict({"/": root, "unknown": given.to_dataset()})
    panels = truth_panels(tree, "t.nc")
    shown = np.ravel(Figure().subplots(len(panels)))
    for panel, ax in zip(panels, shown, strict=True):
        panel(ax)
    titles = [ax.get_title().replace("\n", " ") for ax in shown]
    assert titles == [", ".join(t for t in ("conductivity", text) if t) for text in expected]
    if kind != "line":  # one quantity has one scale of colours
        assert len({ax.collections[0].get_clim() for ax in shown}) == 1


def test_tables_of_complex_voltages_show_both_parts_and_the_electrodes(tmp_path, monkeypatch):
    titles = drawn(monkeypatch)
    dims = ("injection", "measurement", "component")
    attrs = {"units": "V", "long_name": "voltage, component 0 real, 1 imaginary"}
    numbers = {d: (d, np.arange(n), {"units": "1"}) for d, n in zip(dims, (4, 4, 2), strict=True)}
    places = {f"electrode_{a}": ("electrode", RNG.random(4), {"units": "m"}) for a in "xy"}
    table = {"voltage": (dims, RNG.random((4, 4, 2)), attrs)}
    xr.Dataset(table | places, numbers, {"pdeinv_kind": "observations"}).to_netcdf(
        tmp_path / "o.nc"
    )
    figure.plot(tmp_path / "o.nc", tmp_path / "o.png")
    assert titles == ["voltage, real part", "voltage, imaginary part", "electrodes"]
