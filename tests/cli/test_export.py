"""What VTK's own readers, those of ParaView, find in exported results and truths."""

import json

import numpy as np
import pytest
import xarray as xr
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkIOHDF import vtkHDFReader

pytestmark = pytest.mark.filterwarnings("always::pdeinv.jobs.export.Unconverged")

FIELD = 'kind = "log-gaussian"\nmodes = 4\ngrid = '
CASES = {
    "darcy on a grid": ("laplace", "darcy", f"cells = 8\n[problem.unknown]\n{FIELD}[9, 9]"),
    "darcy on cells": (
        "laplace", "darcy", 'cells = 8\n[problem.unknown]\nkind = "piecewise"\ncells = [3, 2]',
    ),
    "darcy on a mesh": (
        "map", "darcy",
        'cells = 8\n[problem.unknown]\nkind = "log-gaussian"\nrepresentation = "spde"\n'
        "smoothness = 1.0\ngrid = [7, 7]",
    ),
    "heat in a line": (
        "gaussian", "heat",
        "lengths = [2.0]\ncells = 8\n[problem.time]\nsteps = 4\n[problem.unknown]\n"
        'kind = "source"\nprior = { kind = "gaussian", length = 0.5, modes = 3 }',
    ),
    "heat in the plane": (
        "gaussian", "heat",
        'cells = 6\n[problem.time]\nsteps = 4\n[problem.unknown]\nkind = "source"\n'
        'prior = { kind = "gaussian", length = 0.5, modes = 3, grid = [7, 5] }',
    ),
    "heat in a box": (
        "map", "heat",
        "lengths = [1.0, 2.0, 0.5]\ncells = [3, 3, 2]\ninitial = 1.0\n[problem.time]\nsteps = 3\n"
        '[problem.unknown]\nkind = "conductivity"\nprior = { kind = "piecewise", mean = -3.0, '
        "std = 0.3, cells = [3, 2, 2] }",
    ),
    "helmholtz": (
        "map", "helmholtz",
        'cells = 4\nfrequencies = [0.5]\n[problem.unknown]\nkind = "gaussian"\nlength = 0.3\n'
        "std = 0.1\nmodes = 3\ngrid = [7, 7]",
    ),
    "eit in a disc": (
        "laplace", "eit",
        f"cells = 6\n[problem.electrodes]\ncount = 6\n[problem.unknown]\n{FIELD}[11, 11]",
    ),
    "eit on elements": (
        "gauss-newton", "eit",
        "cells = 4\n[problem.electrodes]\ncount = 6\n[problem.unknown]\n"
        'kind = "elements"\nstd = 0.1',
    ),
    "eit in a tank": (
        "map", "eit",
        'cells = 4\n[problem.domain]\nkind = "disc"\ndepth = 0.5\n[problem.electrodes]\n'
        "count = 4\ncells = 2\n"
        f"[problem.unknown]\nlength = 0.6\n{FIELD}[7, 7, 3]",
    ),
}  # fmt: skip


ALSO = ("darcy on cells", "darcy on a mesh", "heat in a line", "heat in the plane")
TRIED = [pytest.param(c, marks=[pytest.mark.slow] if c in ALSO else []) for c in CASES]


def read(path):
    """The grid that VTK's reader finds: points, cells and fields."""
    reader = vtkHDFReader()
    reader.SetFileName(str(path))
    reader.Update()
    return reader.GetOutputDataObject(0)


def fields(data):
    return {data.GetArrayName(k): vtk_to_numpy(data.GetArray(k))
            for k in range(data.GetNumberOfArrays())}  # fmt: skip


def points_of(grid):
    return vtk_to_numpy(grid.GetPoints().GetData())


def corners_of(grid):
    connectivity = vtk_to_numpy(grid.GetCells().GetConnectivityArray())
    return connectivity.reshape(grid.GetNumberOfCells(), -1)


def done(result):
    assert result.exit_code == 0, result.stderr
    return result


@pytest.fixture(scope="module", name="made")
def _made(tmp_path_factory, call):
    """A function that solves, observes, inverts and exports a case, each once."""
    folder, known = tmp_path_factory.mktemp("export"), {}

    def make(case):
        if case not in known:
            engine, problem, text = CASES[case]
            stem = folder / case.replace(" ", "-")
            files = {k: stem.with_suffix(f".{k}.nc") for k in ("truth", "obs", "result")}
            config = stem.with_suffix(".toml")
            config.write_text(f'[problem]\nname = "{problem}"\n{text}\n')
            vtk = {k: stem.with_suffix(f".{k}.vtkhdf") for k in ("truth", "result")}
            seed = ("--seed", 1, "-q")
            done(call("solve", "--config", config, *seed, "--out", files["truth"]))
            spec = {"eit": "all", "helmholtz": "ring:6"}.get(problem, "grid:3")
            noise = ("--noise-rel", 0.05, "--sensors", spec)
            done(call("observe", files["truth"], *noise, *seed, "--out", files["obs"]))
            done(call("invert", files["obs"], "--engine", engine, *seed, "--out", files["result"]))
            for name, path in vtk.items():
                done(call("export", files[name], "--vtk", path))
            known[case] = files, vtk
        return known[case]

    return make


def shown(name, tree, produces):
    """What the file has to hold of an unknown, by name."""
    estimates, draws = tree["estimates"], tree["posterior"][name]
    if produces == "point":
        return {f"{name}_estimate": estimates[f"{name}_mean"]}
    levels = {"q025": 0.025, "q500": 0.5, "q975": 0.975}
    quantiles = {k: draws.quantile(q, ("chain", "draw")) for k, q in levels.items()}
    spread = {k: estimates[f"{name}_{k}"] for k in ("mean", "sd")}
    return {f"{name}_{k}": v for k, v in {**spread, **quantiles}.items()}


@pytest.mark.parametrize("case", TRIED)
def test_vtk_reads_the_values_of_a_result_at_their_places(case, made):
    files, vtk = made(case)
    tree, grid = xr.open_datatree(files["result"]), read(vtk["result"])
    (name,) = tree["posterior"].data_vars
    wanted = shown(name, tree, tree.attrs["pdeinv_produces"])
    of_points, of_cells = fields(grid.GetPointData()), fields(grid.GetCellData())
    on_cells = case in ("darcy on cells", "heat in a box", "eit on elements")
    found = of_cells if on_cells else of_points
    assert set(found) == set(wanted)
    assert not (of_points if on_cells else of_cells)
    where = points_of(grid)
    if on_cells:
        where = where[corners_of(grid)].mean(axis=1)
    for label, array in wanted.items():
        table = array.to_dataframe(name="value").reset_index()
        places = np.zeros((len(table), 3))
        for i, axis in enumerate(a for a in "xyz" if a in table):
            places[:, i] = table[axis]
        apart, nearest = nearest_of(places, where)
        assert apart.max() < 1e-6
        np.testing.assert_allclose(found[label], table["value"].to_numpy()[nearest], rtol=1e-12)
    check_outside(case, tree, name, len(where))


def nearest_of(places, points):
    from scipy.spatial import cKDTree

    return cKDTree(places).query(points)


def check_outside(case, tree, name, n):
    """Nodes outside the body are left out, and none else."""
    inside = tree["estimates"].get(f"{name}_inside")
    total = tree["estimates"][f"{name}_mean"].size
    assert (inside is not None) == (case in ("eit in a disc", "eit in a tank"))
    assert n == total if inside is None else 0 < n <= int(inside.sum()) < total


@pytest.mark.parametrize("case", TRIED)
def test_cells_have_a_volume_and_fill_the_body(case, made):
    from vtkmodules.vtkFiltersVerdict import vtkCellSizeFilter

    _, vtk = made(case)
    size = vtkCellSizeFilter()
    size.SetInputData(read(vtk["result"]))
    size.Update()
    sizes = fields(size.GetOutput().GetCellData())
    extent = sizes["Volume"] + sizes["Area"] + sizes["Length"]
    assert (extent > 0).all()
    whole = {"heat in a line": 2.0, "helmholtz": 0.36, "eit on elements": np.pi * 0.95}
    if "eit in" not in case:
        assert extent.sum() == pytest.approx(whole.get(case, 1.0), rel=0.05)


@pytest.mark.parametrize("case", TRIED)
def test_vtk_reads_the_fields_of_a_truth(case, made):
    files, vtk = made(case)
    truth, grid = xr.open_dataset(files["truth"]), read(vtk["truth"])
    found = fields(grid.GetPointData())
    for i, axis in enumerate(a for a in "xyz" if a in truth.coords):
        np.testing.assert_array_equal(points_of(grid)[:, i], truth[axis])
    plain = [v for v in truth.data_vars.values() if v.dims == ("node",)]
    timed = [v for v in truth.data_vars.values() if v.dims == ("time", "node")]
    assert plain or timed
    for variable in plain:
        np.testing.assert_array_equal(found[variable.name], variable)
    for variable in timed:
        np.testing.assert_array_equal(found[variable.name], variable[0])


@pytest.mark.parametrize("case", TRIED)
def test_every_variable_says_what_it_is_and_in_which_units(case, made):
    files, _ = made(case)
    for path in files.values():
        for group in xr.open_datatree(path, decode_timedelta=False).subtree:
            for name, variable in group.to_dataset(inherit=False).variables.items():
                where = f"{path.name}:{group.path}/{name}"
                assert {"units", "long_name"} <= set(variable.attrs), where


def test_times_of_a_truth_are_steps(made):
    files, vtk = made("heat in a box")
    truth = xr.open_dataset(files["truth"])
    reader = vtkHDFReader()
    reader.SetFileName(str(vtk["truth"]))
    reader.UpdateInformation()
    assert reader.GetNumberOfSteps() == truth.sizes["time"]
    reader.SetStep(truth.sizes["time"] - 1)
    reader.Update()
    last = fields(reader.GetOutputDataObject(0).GetPointData())["u"]
    np.testing.assert_array_equal(last, truth["u"][-1])


def test_the_verdict_travels_with_the_fields(made):
    files, vtk = made("darcy on a grid")
    root, grid = xr.open_datatree(files["result"]).attrs, read(vtk["result"])
    about = grid.GetFieldData()
    assert about.GetArray("pdeinv_converged").GetValue(0) == root["pdeinv_converged"]
    texts = {k: about.GetAbstractArray(f"pdeinv_{k}").GetValue(0) for k in ("produces", "message")}
    assert texts == {k: root[f"pdeinv_{k}"] for k in texts}


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("obs", (), "expected a result or a truth, got a file of kind 'observations'"),
        ("truth", ("--variable", "u"), "chooses among the unknowns of a result"),
        ("result", ("--variable", "kappa"), "has no such unknown, only conductivity"),
    ],
)
def test_what_cannot_be_exported_is_one_line(name, words, message, made, call, tmp_path):
    files, _ = made("darcy on a grid")
    out = tmp_path / "x.vtkhdf"
    result = call("export", files[name], "--vtk", out, *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not out.exists()


@pytest.mark.parametrize("verb", ["export", "solve"])
def test_a_name_that_another_reader_would_open_is_refused(verb, call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ("export", "r.nc") if verb == "export" else ("solve", "darcy", "--out", "t.nc")
    result = call(*words, "--vtk", "x.vtu")
    assert result.exit_code == 2
    assert "--vtk x.vtu: expected a name that ends in .vtkhdf" in result.stderr
    assert not list(tmp_path.iterdir())


def written(path, **variables):
    """A result with these unknowns, one draw each."""
    draws = {k: v.expand_dims(chain=1, draw=1) for k, v in variables.items()}
    estimates = {f"{k}_{s}": v for k, v in variables.items() for s in ("mean", "sd")}
    root = xr.Dataset(attrs={"pdeinv_kind": "result", "pdeinv_produces": "point"})
    groups = {"posterior": xr.Dataset(draws), "estimates": xr.Dataset(estimates)}
    xr.DataTree.from_dict({"/": root, **groups, "constant_data": xr.Dataset()}).to_netcdf(path)
    return path


def line(n, **about):
    return xr.DataArray(np.arange(1.0, n + 1), {"x": ("x", np.linspace(0, 1, n), about)}, ["x"])


def test_unknowns_on_different_meshes_are_written_one_by_one(call, tmp_path):
    path = written(
        tmp_path / "r.nc", a=line(3), b=line(4).rename(x="knot"), c=line(5).rename(x="y")
    )
    result = call("export", path, "--vtk", tmp_path / "x.vtkhdf")
    assert result.exit_code == 2
    assert "a, c live on different meshes; choose one with --variable" in result.stderr
    done(call("export", path, "--vtk", tmp_path / "x.vtkhdf", "--variable", "c", "--json"))
    grid = read(tmp_path / "x.vtkhdf")
    assert fields(grid.GetPointData())["c_estimate"].tolist() == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("unknown", "message"),
    [
        (xr.DataArray([1.0, 2.0], dims=["part"]), "a list of numbers, no field over space"),
        (line(1, location="cell"), "one cell along x, whose width the file does not tell"),
        (line(3).rename(x="vertex").assign_coords(x=("vertex", [0.0, 1, 2])).drop_vars("vertex"),
         "does not hold the mesh of its unknown"),
    ],
)  # fmt: skip
def test_an_unknown_without_cells_is_refused(unknown, message, call, tmp_path):
    path = written(tmp_path / "r.nc", k=unknown)
    result = call("export", path, "--vtk", tmp_path / "x.vtkhdf")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "x.vtkhdf").exists()


def test_an_existing_file_is_kept_unless_told(made, call, tmp_path):
    files, _ = made("darcy on a grid")
    out = tmp_path / "x.vtkhdf"
    words = ("export", files["truth"], "--vtk", out)
    assert json.loads(done(call(*words, "--json")).stdout)["vtk"] == str(out)
    assert "already exists" in call(*words).stderr
    done(call(*words, "--overwrite"))
