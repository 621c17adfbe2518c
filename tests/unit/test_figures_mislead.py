"""What a figure must not get wrong: intervals, scales, bodies, solids, missing convergence."""

import itertools

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from pdeinv.fem.domain import Domain
from pdeinv.io.body import cut_mesh_of, mesh_variables, outline_variables
from pdeinv.jobs.plot import figure
from pdeinv.jobs.plot.data_fit import fit_panels
from pdeinv.jobs.plot.fields import Field, Scene, field_panels
from pdeinv.jobs.plot.figure import draw
from pdeinv.jobs.plot.lines import (
    Band,
    band_panel,
    histogram,
    line_panel,
    series_panel,
    time_panel,
    value_panel,
)
from pdeinv.jobs.plot.overlays import Overlay, overlay_of
from pdeinv.jobs.plot.panels import RED, colour_scale, field_panel
from pdeinv.jobs.plot.result import Claim, result_panels
from pdeinv.jobs.plot.slices import layers, slices
from pdeinv.jobs.plot.volumes import Cut, cuts, is_volume, middle
from pdeinv.model.simplices import Simplices

RNG = np.random.default_rng(0)
M = {"units": "m"}


def drawn(panel):
    """The axes that a panel is drawn into."""
    ax = Figure().subplots()
    panel(ax)
    return ax


def labels(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


# --- intervals --------------------------------------------------------------------------------


def positive(n=9, draws=400, **about):
    """Draws of a positive field over x whose spread is as large as its mean."""
    x = xr.Variable("x", np.linspace(0.05, 0.95, n), {**M, **about})
    values = np.exp(1.5 * RNG.standard_normal((2, draws, n)))
    return xr.DataArray(values, {"x": x}, ["chain", "draw", "x"], name="k", attrs={"units": "m"})


def test_the_band_of_a_positive_unknown_is_made_of_quantiles():
    draws = positive()
    mean, sd = (getattr(draws, f)(("chain", "draw"), keep_attrs=True) for f in ("mean", "std"))
    assert (mean - 2 * sd < 0).all()
    ax = drawn(band_panel(Band.of(mean, "mean", draws), None, "k"))
    low, high = ax.collections[0].get_datalim(ax.transData).intervaly
    assert low == pytest.approx(np.quantile(draws, 0.025, axis=(0, 1)).min())
    assert high == pytest.approx(np.quantile(draws, 0.975, axis=(0, 1)).max())
    assert low > 0
    assert labels(ax) == ["95 % interval", "mean"]


def test_a_point_has_no_band_and_is_called_an_estimate():
    ax = drawn(band_panel(Band.of(positive()[0, 0], "estimate", None), None, "k"))
    assert not ax.collections
    assert labels(ax) == ["estimate"]


def test_values_of_cells_are_steps():
    cells = positive(3, location="cell")[0, 0].assign_coords(
        x=("x", [1.0, 3.0, 5.0], {**M, "location": "cell"})
    )
    (line,) = drawn(band_panel(Band(cells, "estimate"), None, "k")).lines
    assert line.get_xdata().tolist() == [0, 2, 2, 4, 4, 6]
    assert line.get_ydata().tolist() == np.repeat(cells.values, 2).tolist()
    nodes = cells.assign_coords(x=("x", [1.0, 3.0, 5.0], M))
    (line,) = drawn(band_panel(Band(nodes, "estimate"), None, "k")).lines
    assert line.get_xdata().tolist() == [1, 3, 5]


def test_the_truth_runs_over_its_own_places():
    estimate, truth = positive(9)[0, 0], positive(21)[0, 0]
    lines = drawn(band_panel(Band(estimate, "estimate"), truth, "k")).lines
    np.testing.assert_array_equal(lines[1].get_xdata(), truth["x"])
    np.testing.assert_array_equal(lines[1].get_ydata(), truth)


def test_numbered_things_are_not_joined_by_a_line():
    draws = positive(4).rename(x="electrode").assign_coords(electrode=np.arange(4.0))
    mean = draws.mean(("chain", "draw"))
    ax = drawn(band_panel(Band.of(mean, "mean", draws), mean, "z"))
    assert all(line.get_linestyle() == "None" for line in ax.lines)
    assert labels(ax) == ["truth", "mean, 95 % interval"]


def test_one_number_of_each_thing_is_points_and_a_pattern_of_several_is_lines():
    one = xr.DataArray([1.0, 3.0, 2.0], {"electrode": [0.0, 1, 2]}, ["electrode"])
    (alone,) = drawn(line_panel([(one, "")], "z")).lines
    assert (alone.get_linestyle(), alone.get_marker()) == ("None", "o")
    both = drawn(line_panel([(one, "a"), (one + 1, "b")], "z")).lines
    assert {line.get_linestyle() for line in both} == {"-"}
    over_x = one.rename(electrode="x").assign_coords(x=("x", [0.0, 0.5, 1.0], M))
    assert drawn(line_panel([(over_x, "")], "k")).lines[0].get_linestyle() == "-"


# --- results ----------------------------------------------------------------------------------


def number(values, **attrs):
    """A result of one or several numbers without places."""
    values = np.asarray(values, dtype=float)
    dims = ["chain", "draw", *(["part"] if values.ndim == 3 else [])]
    k = xr.DataArray(values, dims=dims, name="k", attrs={"units": "m", "long_name": "size"})
    mean = k.mean(("chain", "draw"), keep_attrs=True).rename("k_mean")
    clean = np.broadcast_to([1.0, 2.0], (*values.shape[:2], 2))
    predicted = {
        "u": (("chain", "draw", "obs"), clean + RNG.standard_normal(clean.shape)),
        "u_noise_free": (("chain", "draw", "obs"), clean),
    }
    return xr.DataTree.from_dict({
        "/": xr.Dataset(attrs={"pdeinv_kind": "result", **attrs}),
        "posterior": k.to_dataset(),
        "estimates": xr.merge([mean, (0 * mean).rename("k_sd")]),
        "constant_data": xr.Dataset({"t": ("obs", [2.0, 1.0], {"units": "s"})}),
        "observed_data": xr.Dataset({"u": ("obs", [1.1, 1.9], M)}),
        "posterior_predictive": xr.Dataset(predicted),
    })  # fmt: skip


def truth_of(values):
    unknown = xr.Dataset({"k": ("part", np.asarray(values))})
    return xr.DataTree.from_dict({"/": xr.Dataset(), "unknown": unknown})


POINT = {"pdeinv_produces": "point"}


def test_numbers_of_a_point_estimate_are_markers_with_their_values():
    tree = number([[[0.25, 3.5]]], **POINT)
    first, *_ = result_panels(tree, truth_of([0.5, 3.0]), Claim.of(tree))
    ax = drawn(first)
    assert not ax.patches
    estimate, true = ax.lines
    assert (estimate.get_marker(), estimate.get_linestyle()) == ("o", "None")
    assert estimate.get_xdata().tolist() == [0.25, 3.5]
    assert true.get_xdata().tolist() == [0.5, 3.0]
    assert [text.get_text() for text in ax.texts] == ["0.25", "3.5"]


def test_markers_stand_before_what_the_prior_allows():
    tree = number([[2.0]], **POINT)
    tree["prior"] = xr.DataTree(xr.Dataset({"k": (("chain", "draw"), np.arange(101.0)[None])}))
    first, *_ = result_panels(tree, None, Claim.of(tree))
    ax = drawn(first)
    assert ax.collections[0].get_segments()[0][:, 0] == pytest.approx([2.5, 97.5])
    assert ax.get_xlim()[1] > 97


def test_more_numbers_than_panels_are_all_drawn():
    tree = number(RNG.random((2, 20, 40)))
    first, *rest = result_panels(tree, truth_of(np.ones(40)), Claim.of(tree))
    ax = drawn(first)
    assert len(rest) == 2
    assert sorted(len(line.get_xdata()) for line in ax.lines)[-2:] == [40, 40]


def test_the_fit_of_a_point_is_without_noise():
    panel, _ = fit_panels(number([[1.0]], **POINT), point=True)
    ax = drawn(panel)
    assert ax.containers[0].lines[0].get_ydata().tolist() == [1.0, 2.0]
    assert not ax.containers[0].has_yerr
    assert ax.get_ylabel() == "predicted u (m)"


def test_the_fit_of_draws_has_the_interval_of_new_data():
    tree = number(RNG.random((2, 200)))
    panel, _ = fit_panels(tree, point=False)
    ax = drawn(panel)
    points, _, (bars,) = ax.containers[0].lines
    assert points.get_ydata() == pytest.approx([1.0, 2.0])
    noisy = tree["posterior_predictive"]["u"].values.reshape(-1, 2)
    ends = np.array(bars.get_segments())[:, :, 1]
    np.testing.assert_allclose(ends, np.quantile(noisy, [0.025, 0.975], axis=0).T)
    assert ax.get_ylabel().endswith("95 % interval with noise")


def test_data_in_time_are_drawn_against_time():
    _, panel = fit_panels(number([[1.0]], **POINT), point=True)
    ax = drawn(panel)
    fit, dots = ax.lines
    assert fit.get_xdata().tolist() == dots.get_xdata().tolist() == [1.0, 2.0]
    assert fit.get_ydata().tolist() == [2.0, 1.0]
    assert dots.get_ydata().tolist() == [1.9, 1.1]
    assert ax.get_xlabel() == "time (s)"


def test_places_of_data_in_time_are_told_apart():
    coords = {"t": ("obs", [0.0, 1.0]), "x": ("obs", [0.5, 0.5], M)}
    part = xr.Dataset({k: ("obs", [0.0, 1.0]) for k in ("observed", "predicted")}, coords)
    ax = drawn(time_panel([part, part.assign_coords(x=part["x"] + 1)], "fit"))
    assert labels(ax) == ["0.5", "1.5"]
    assert ax.get_legend().get_title().get_text() == "x (m)"


@pytest.mark.parametrize(
    ("name", "attrs", "label"),
    [
        ("knot", {"long_name": "time of the knot"}, "time (s)"),
        ("epoch", {"axis": "T"}, "time (s)"),
        ("epoch", {"standard_name": "time"}, "time (s)"),
        ("period", {"long_name": "period of the wave"}, "period (s)"),
    ],
)
def test_the_axis_of_a_quantity_in_time_is_called_time(name, attrs, label):
    coords = {name: (name, [0.0, 0.5, 1.0], {"units": "s", **attrs})}
    draws = xr.DataArray(RNG.random((1, 20, 3)), coords, ["chain", "draw", name], name="q")
    band = band_panel(Band.of(draws[0, 0], "mean", draws), None, "q")
    several = line_panel(slices(draws[0].rename(draw="part")), "q")
    data = xr.Dataset({"q": ("obs", [1.0, 2.0, 3.0])}, {name: ("obs", *coords[name][1:])})
    series = series_panel([(data, "")], "q", name, "q")
    assert [drawn(p).get_xlabel() for p in (band, several, series)] == [label] * 3
    assert label.removesuffix(" (s)") + " 0.5 s" in slices(flux_on_nodes(coords, name))[1][1]


def flux_on_nodes(coords, name):
    """A field of two nodes at every value of a coordinate."""
    nodes = {axis: ("node", [0.0, 1.0], M) for axis in "xy"}
    return xr.DataArray(RNG.random((3, 2)), {**coords, **nodes}, [name, "node"])


def in_time():
    places = {"x": ("obs", [0.5, 0.5], M), "y": ("obs", [0.125, 0.125], M)}
    coords = {"t": ("obs", [0.0, 1.0], {"units": "s"}), **places}
    part = xr.Dataset({k: ("obs", [0.0, 1.0]) for k in ("observed", "predicted")}, coords)
    return [part.assign_coords(x=part["x"] + k) for k in range(4)]


WITH_LEGENDS = {
    "band": lambda: band_panel(Band.of(positive()[0, 0], "mean", positive()), None, "k"),
    "time": lambda: time_panel(in_time(), "fit"),
    "lines": lambda: line_panel([(positive()[0, k], f"station {k}") for k in range(6)], "k"),
    "series": lambda: series_panel(
        [(part, f"x {k} m") for k, part in enumerate(in_time())], "observed", "t", "u"
    ),
    "marginal": lambda: histogram(RNG.standard_normal(400), "k", "m", 0.5),
    "values": lambda: value_panel(
        Band(xr.DataArray(np.ones(3), dims="part"), "estimate"), None, None, "k"
    ),
}


@pytest.mark.parametrize("kind", WITH_LEGENDS)
def test_a_legend_lies_below_what_is_drawn_and_within_the_figure(kind, tmp_path):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    seen = []
    panel = WITH_LEGENDS[kind]()
    draw([lambda ax: (panel(ax), seen.append(ax))], tmp_path / "p.png", 50)
    (ax,) = seen
    FigureCanvasAgg(ax.figure).draw()
    legend, axis = ax.get_legend().get_window_extent(), ax.xaxis.get_tightbbox()
    assert legend.y1 <= axis.y0 + 2
    assert legend.y0 >= 0
    assert ax.figure.bbox.x0 <= legend.x0 < legend.x1 <= ax.figure.bbox.x1


@pytest.mark.parametrize("ends", [(0.0247, 0.0277), (-1.971e-3, -1.938e-3), (119.7e3, 122.3e3)])
def test_numbers_below_a_histogram_do_not_overlap(ends, tmp_path):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    seen = []
    panel = histogram(np.linspace(*ends, 400), "k", "m", None)
    draw([lambda ax: (panel(ax), seen.append(ax))] * 4, tmp_path / "p.png", 50)
    FigureCanvasAgg(seen[0].figure).draw()
    boxes = [t.get_window_extent() for t in seen[0].get_xticklabels() if t.get_text()]
    inside = [b for b in boxes if seen[0].bbox.x0 - 5 <= (b.x0 + b.x1) / 2 <= seen[0].bbox.x1 + 5]
    assert len(inside) >= 2
    assert all(a.x1 < b.x0 for a, b in itertools.pairwise(inside))


@pytest.mark.parametrize("converged", [0, 1])
def test_a_result_that_is_not_converged_says_so(converged, tmp_path, monkeypatch):
    attrs = {"pdeinv_problem": "darcy", "pdeinv_engine": "pcn", "pdeinv_converged": converged}
    message = "not converged: R-hat 1.4; draw more"
    tree = number(RNG.random((2, 30)), pdeinv_message=message, **attrs)
    heads, titles = [], []
    honest = Figure.suptitle
    monkeypatch.setattr(
        Figure, "suptitle", lambda self, t, **k: heads.append((t, k)) or honest(self, t, **k)
    )
    first, *_ = result_panels(tree, None, Claim.of(tree))
    titles.append(drawn(first).get_title())
    tree.to_netcdf(tmp_path / "r.nc")
    figure.plot(tmp_path / "r.nc", tmp_path / "r.png", dpi=30)
    mark = b"darcy by pcn" + (b"" if converged else b", not converged")
    assert b"Title\0" + mark in (tmp_path / "r.png").read_bytes()
    if converged:
        assert (heads, titles) == ([], ["size"])
    else:
        ((text, how),) = heads
        assert text.replace("\n", " ") == "darcy by pcn: not converged: R-hat 1.4"
        assert how["color"] == RED
        assert titles == ["size, not converged"]


def test_a_truth_of_another_unknown_is_missed():
    tree = number([[1.0]], **POINT)
    assert Claim.of(tree, truth_of([1.0])).warning == "the truth does not show k"
    same = xr.DataTree.from_dict({"/": xr.Dataset(), "unknown": xr.Dataset({"k": 1.0})})
    assert Claim.of(tree, same).warning == ""
    other = xr.DataTree.from_dict({"/": xr.Dataset(), "unknown": xr.Dataset({"h": 1.0})})
    assert Claim.of(tree, other).lacking == ("k",)
    speed = xr.Dataset({"s_L": (("chain", "draw"), [[0.3]])})
    told = xr.DataTree.from_dict({**{n: tree[n].to_dataset() for n in tree.children},
                                  "derived": speed})  # fmt: skip
    assert Claim.of(told, same).lacking == ("s_L",)
    whole = xr.DataTree.from_dict(
        {"/": xr.Dataset({"s_L": 0.3}), "unknown": xr.Dataset({"k": 1.0})}
    )
    assert Claim.of(told, whole).lacking == ()


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("cells = 8\n[unknown]\nkind = 'level'\n[time]\nsteps = 4", ()),
        ("cells = 9\n[tensor]\ncap = 2.0\n[time]\nsteps = 5", ("cells, tensor, time.steps",)),
        ("", ()),
        ("cells = = 9", ()),
    ],
)
def test_a_truth_of_another_configuration_is_noted(tmp_path, text, notes):
    config = "[problem]\nname = 'darcy'\ncells = 8\n[problem.time]\nsteps = 4"
    tree, truth = number([[1.0]], **POINT), truth_of([1.0])
    tree.attrs |= {"pdeinv_kind": "result", "pdeinv_config": config}
    truth.attrs |= {"pdeinv_kind": "truth", "pdeinv_problem_config": text}
    tree.to_netcdf(tmp_path / "r.nc")
    truth.to_netcdf(tmp_path / "t.nc")
    said = figure.plot(tmp_path / "r.nc", tmp_path / "r.png", truth=tmp_path / "t.nc", dpi=30)
    assert said == tuple(f"t.nc is of another configuration than r.nc: {keys}" for keys in notes)


def test_means_of_approximations_are_called_so():
    names = {p: Claim(p, True, "", "").centre for p in ("posterior", "approximate", "point")}
    assert names == {
        "posterior": "posterior mean",
        "approximate": "approximate posterior mean",
        "point": "estimate",
    }
    assert Claim("posterior", False, "", "").centre == "posterior mean, not converged"


# --- bodies -----------------------------------------------------------------------------------


def plane(values=None, **about):
    nodes = np.linspace(0, 1, 11)
    coords = {a: (a, nodes, {**M, **about}) for a in ("x", "y")}
    values = np.ones((11, 11)) if values is None else values
    return xr.DataArray(values, coords, ["y", "x"], name="k", attrs=M)


def ring(radius, turn):
    angle = turn * np.linspace(0, 2 * np.pi, 41)
    return 0.5 + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def colour_at(ax, x, y):
    """The red, green and blue of a place."""
    ax.figure.set_dpi(60)
    ax.figure.canvas.draw()
    image = np.asarray(ax.figure.canvas.buffer_rgba())
    column, row = ax.transData.transform((x, y))
    return image[-1 - int(row), int(column), :3].tolist()


WHITE = [255, 255, 255]


def agg(panel):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    ax = drawn(panel)
    FigureCanvasAgg(ax.figure)
    return ax


def test_a_hole_is_blank_and_so_is_what_is_outside():
    curves = np.concatenate([ring(0.45, 1), [[np.nan, np.nan]], ring(0.15, -1)])
    overlay = overlay_of(outline_variables(curves, "m"))
    field = plane()
    ax = agg(field_panel(field, "k", {"norm": colour_scale(field + plane())["norm"]}, overlay))
    assert colour_at(ax, 0.5, 0.5) == WHITE
    assert colour_at(ax, 0.06, 0.06) == WHITE
    assert colour_at(ax, 0.5, 0.2) != WHITE


@pytest.mark.parametrize(("about", "blank"), [({}, True), ({"location": "cell"}, False)])
def test_a_map_ends_at_its_outer_nodes_but_covers_whole_cells(about, blank):
    field = plane(**about)
    ax = agg(field_panel(field, "k", colour_scale(field, field + 1)))
    assert (colour_at(ax, -0.03, 0.5) == WHITE) == blank
    assert colour_at(ax, 0.03, 0.5) != WHITE


def mesh_of_square():
    mesh = Domain((1.0, 1.0), (2, 2), "P1").mesh()
    return Simplices(mesh.points, mesh.cells)


def test_cells_of_a_mesh_have_one_colour_each():
    mesh = mesh_of_square()
    centres = mesh.points[mesh.cells].mean(axis=1)
    coords = {a: ("element", centres[:, i], M) for i, a in enumerate("xy")}
    field = xr.DataArray(np.arange(8.0), coords, ["element"], name="k")
    (shown,) = field_panels(Field(field, Scene(mesh=mesh)), "k", colour_scale(field))
    ax = agg(shown)
    corner, beside = mesh.points[mesh.cells[0]].mean(axis=0), mesh.points[mesh.cells[0]][0]
    near = 0.8 * corner + 0.2 * beside
    assert colour_at(ax, *corner) == colour_at(ax, *near)
    assert ax.collections[0].get_array().size == 8


# --- solids -----------------------------------------------------------------------------------


def box(shape=(3, 4, 5), **about):
    """A field over z, y, x that is 100 z + 10 y + x."""
    coords = {a: (a, np.arange(n, dtype=float), {**M, **about})
              for a, n in zip("zyx", shape, strict=True)}  # fmt: skip
    grid = xr.Dataset(coords=coords)
    return (100 * grid["z"] + 10 * grid["y"] + grid["x"]).rename("k").assign_attrs(M)


def test_a_box_is_cut_across_each_axis_through_its_middle():
    field = box()
    assert is_volume(field, None)
    assert middle(field, None) == {"x": 2.0, "y": 2.0, "z": 1.0}
    for (part, cut), axis in zip(cuts(field, None), "xyz", strict=True):
        assert (cut.axis, str(cut)) == (axis, f"{axis} = {middle(field, None)[axis]:g} m")
        xr.testing.assert_allclose(part, field.isel({axis: int(cut.at)}, drop=True))


def test_cuts_of_nodes_are_linear_and_cuts_of_cells_are_not():
    at = {"x": 0.5, "y": 1.4, "z": 1.6}
    (_, across_y, _), (_, of_cells, _) = (cuts(f, None, at) for f in (box(), box(location="cell")))
    np.testing.assert_allclose(across_y[0], box().interp(y=1.4))
    np.testing.assert_allclose(of_cells[0], box().isel(y=1))


@pytest.mark.parametrize("element", ["P1", "Q1"])
def test_a_mesh_of_a_solid_is_cut_exactly(element):
    solid = Domain((1.0, 2.0, 3.0), (2, 2, 2), element).mesh()
    order = [0, 1, 3, 2, 4, 5, 7, 6] if element == "Q1" else [0, 1, 2, 3]
    coords = {a: ("node", solid.points[:, i], M) for i, a in enumerate("xyz")}
    link = {"volume_node_connectivity": (("volume", "corner"), solid.cells[:, order])}
    mesh = cut_mesh_of(xr.Dataset(link, coords))
    volume = np.linalg.det(np.diff(mesh.points[mesh.cells], axis=1)) / 6
    assert np.abs(volume).sum() == pytest.approx(6.0)
    field = xr.DataArray(solid.points @ [1.0, 10.0, 100.0], coords, ["node"], name="k")
    for part, cut in cuts(field, mesh):
        rest = [a for a in "xyz" if a != cut.axis]
        weights = dict(zip("xyz", (1.0, 10.0, 100.0), strict=True))
        right = sum(weights[a] * part[a] for a in rest) + weights[cut.axis] * cut.at
        np.testing.assert_allclose(part, right.transpose(*part.dims))


def test_cells_of_a_solid_keep_their_values_in_a_cut():
    solid = Domain((1.0, 1.0, 1.0), (2, 2, 2), "P1").mesh()
    mesh = Simplices(solid.points, solid.cells)
    centres = mesh.points[mesh.cells].mean(axis=1)
    coords = {a: ("element", c, M) for a, c in zip("xyz", centres.T, strict=True)}
    field = xr.DataArray((centres[:, 0] > 0.5).astype(float), coords, ["element"], name="k")
    for part, cut in cuts(field, mesh, dict.fromkeys("xyz", 0.25)):
        right = 0.0 * part if cut.axis == "x" else (part["x"] > 0.5) + 0.0 * part
        inner = part["x"] != 0.5 if cut.axis != "x" else True
        assert float(np.abs(part - right).where(inner).max()) == 0.0


def test_nodes_of_a_solid_without_a_mesh_cannot_be_cut():
    coords = {a: ("node", RNG.random(12)) for a in "xyz"}
    assert not is_volume(xr.DataArray(RNG.random(12), coords, ["node"]), None)


def test_a_cut_shows_the_sensors_next_to_it_and_the_outline_across_z_alone():
    sensors = np.array([[0.0, 0, 0.5], [1, 0, 0.5], [0, 1, 0.9]])
    overlay = Overlay(sensors, outline=ring(1.0, 1))
    across_z = overlay.on(Cut("z", 0.5, 0.05))
    assert across_z.sensors.tolist() == [[0, 0], [1, 0]]
    assert across_z.outline is not None
    across_x = overlay.on(Cut("x", 1.0, 0.05))
    assert (across_x.sensors.tolist(), across_x.outline) == ([[0, 0.5]], None)
    assert overlay.on(Cut("y", 0.5, 0.05)).sensors is None


def test_a_result_in_space_has_three_cuts_of_truth_mean_and_spread_on_one_scale():
    draws = box() + xr.DataArray(RNG.random((1, 9)), dims=["chain", "draw"])
    draws = draws.transpose("chain", "draw", ...).rename("k")
    tree = number([[1.0]])
    mean, sd = (getattr(draws, f)(("chain", "draw")).rename(f"k_{n}")
                for f, n in (("mean", "mean"), ("std", "sd")))  # fmt: skip
    tree["posterior"] = xr.DataTree(draws.to_dataset())
    tree["estimates"] = xr.DataTree(xr.merge([mean, sd]))
    fine = box((5, 7, 9)) + 50
    fine = fine.assign_coords({a: fine[a] / 2 for a in "xyz"})
    truth = xr.DataTree.from_dict({"/": xr.Dataset(), "unknown": fine.to_dataset()})
    panels = [drawn(p) for p in result_panels(tree, truth, Claim.of(tree))]
    titles = [ax.get_title().replace("\n", ", ") for ax in panels]
    places = ("x = 2", "y = 2", "z = 1")
    names = ("truth: k_mean", "posterior mean: k_mean", "posterior standard deviation")
    assert titles[:9] == [f"{name}, {at} m" for name in names for at in places]
    norms = [ax.collections[0].norm for ax in panels[:9]]
    limits = {(n.vmin, n.vmax) for n in norms[:6]}
    assert limits == {(float(mean.min()), float(fine.max()))}


def test_stations_at_several_heights_do_not_hide_each_other():
    places = {a: ("station", RNG.random(9), M) for a in ("x", "y")}
    few = xr.Dataset(coords={**places, "z": ("station", np.repeat([0.0, 0.5, 1.0], 3), M)})
    assert [(p.sizes["station"], t) for p, t in layers(few)] == [
        (3, "z = 0 m"), (3, "z = 0.5 m"), (3, "z = 1 m"),
    ]  # fmt: skip
    many = few.assign_coords(z=("station", np.linspace(0, 3, 9), M))
    found = layers(many)
    assert [t for _, t in found] == ["z 0 to 1 m", "z 1 to 2 m", "z 2 to 3 m"]
    assert sum(p.sizes["station"] for p, _ in found) == 9
    assert [t for _, t in layers(few.drop_vars("z"))] == [""]


def test_the_mesh_of_an_unknown_is_written_as_it_is():
    mesh = mesh_of_square()
    written = mesh_variables(mesh, "m")
    assert {v.attrs["units"] for v in written.data_vars.values()} == {"m", "1"}
    np.testing.assert_array_equal(written["mesh_cells"], mesh.cells)
    assert mesh_variables(None, "m").variables == {}
