"""Data sets made elsewhere: the same training set where they say the same, clear errors else."""

import numpy as np
import pytest
import xarray as xr

from pdeinv.bayes.prior import whiten
from pdeinv.errors import CapabilityError, DataSchemaError
from pdeinv.io import datasets, netcdf
from pdeinv.jobs.foreign_set import read_foreign
from pdeinv.jobs.generate.plan import Plan
from pdeinv.jobs.generate.run import generate
from pdeinv.jobs.training_set import check_inputs, open_training_set
from pdeinv.model.learned import Role
from pdeinv.plugins.recipe import make_problem
from pdeinv.plugins.registry import load

pytestmark = pytest.mark.usefixtures("solves_here")

CONFIG = {"cells": 6, "unknown": {"kind": "log-gaussian", "modes": 5, "grid": [9, 9]}}
KINDS = [
    {"kind": "log-gaussian", "modes": 5, "grid": [9, 9], "mean": 0.7},
    {"kind": "gaussian", "modes": 4, "grid": [9, 9], "mean": 3.0, "std": 0.3},
    {"kind": "piecewise", "cells": [2, 3], "std": 0.5},
    {"kind": "uniform", "cells": [2, 2], "low": 0.5, "high": 2.0},
]


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    problem = make_problem("darcy", CONFIG)
    plan = Plan("darcy", CONFIG, problem.sensors("grid:2x2"), 12, 3, grid=(5, 5))
    generate(plan, folder / "d.nc", folder / "d.run")
    return problem, datasets.read(folder / "d.nc"), netcdf.read_dataset(folder / "d.nc")


def foreign(tmp_path, whole, *names, change=lambda d: d):
    """A file that holds only these variables and no word of pdeinv."""
    made = xr.Dataset({n: whole[n] for n in names}).assign_attrs({})
    made["u"].attrs = {"units": "m"}
    netcdf.write(tmp_path / "f.nc", change(made))
    return tmp_path / "f.nc"


@pytest.mark.parametrize("unknown", KINDS, ids=lambda u: u["kind"])
def test_whitening_inverts_the_prior(unknown):
    name = "helmholtz" if unknown["kind"] == "gaussian" else "darcy"
    prior = make_problem(name, {"cells": 4, "unknown": unknown}).prior()
    xi = np.random.default_rng(0).standard_normal((6, prior.dim))
    np.testing.assert_allclose(whiten(prior, prior.unwhiten(xi)), xi, atol=1e-8)


def test_whitening_refuses_what_has_no_way_back():
    phases = make_problem("darcy", {"cells": 4, "unknown": {"kind": "two-phase", "grid": [9, 9]}})
    prior = phases.prior()
    with pytest.raises(CapabilityError, match="LevelSet has no inverse"):
        whiten(prior, prior.unwhiten(np.zeros((2, prior.dim))))
    prior = make_problem("darcy", CONFIG).prior()
    m = prior.unwhiten(np.zeros((2, prior.dim)))
    m[1, 7] *= 1.1
    with pytest.raises(DataSchemaError, match=r"sample 1 .*none that the prior can give"):
        whiten(prior, m)
    with pytest.raises(DataSchemaError, match="values that its prior cannot give"):
        whiten(prior, -m)


@pytest.mark.parametrize("names", [("u", "xi"), ("u", "conductivity"), ("u", "xi", "conductivity")])
def test_xi_or_the_unknown_give_the_training_set_of_generate(tmp_path, own, names):
    problem, trained, whole = own
    found = read_foreign(foreign(tmp_path, whole, *names), problem)
    np.testing.assert_allclose(found.xi, trained.xi, atol=1e-8)
    np.testing.assert_array_equal(found.values, trained.values)
    np.testing.assert_array_equal(found.prior_probe, trained.prior_probe)
    assert found.problem_config == make_problem("darcy", trained.problem_config).config.model_dump(
        mode="json"
    )
    assert found.coefficient is None


def test_fields_alone_do_for_operators_only(tmp_path, own):
    _, trained, whole = own
    path = foreign(tmp_path, whole, "u", "coefficient", "u_grid")
    found = open_training_set(path, {"name": "darcy", **CONFIG})
    np.testing.assert_array_equal(found.field, trained.field)
    assert list(found.axes) == ["y", "x"]

    class OnXi:
        name, learns_fields = "latent", False

    class OnFields:
        name, learns_fields = "fno", True

    check_inputs(found, OnFields)
    check_inputs(trained, OnXi)
    with pytest.raises(DataSchemaError, match=r"'latent' learns from xi, which this data set"):
        check_inputs(found, OnXi)


def test_samples_without_numbers_are_left_out_and_counted(tmp_path, own):
    problem, _, whole = own

    def spoil(d):
        d["u"][3, 0] = np.nan
        return d.assign(status=("sample", np.r_[1, np.zeros(11, int)]))

    found = read_foreign(foreign(tmp_path, whole.copy(deep=True), "u", "xi", change=spoil), problem)
    assert found.n_failed == 2
    np.testing.assert_array_equal(found.xi, np.delete(whole["xi"].values, [0, 3], axis=0))


def units(d, value):
    d["u"].attrs["units"] = value
    return d


def narrowed(d):
    return d.assign(conductivity=d["conductivity"].variable.isel(y=slice(4)))


@pytest.mark.parametrize(
    ("names", "change", "text"),
    [
        (("u", "xi"), lambda d: d.rename(u="head"), r"'u' is missing.*\(sample, obs\)"),
        (("u", "xi"), lambda d: d.transpose(), r"'u' is on \(obs, sample\), expected"),
        (("u", "xi"), lambda d: units(d, "mm"), "units of 'u' are 'mm', the problem has 'm'"),
        (("u", "xi"), lambda d: d.drop_vars("x"), "'x' is missing"),
        (("u", "xi"), lambda d: d.isel(xi_dim=slice(3)), "expected .* with xi_dim = 5"),
        (("u",), lambda d: d, "holds neither 'xi' nor the unknown by its name"),
        (("u", "xi", "conductivity"), lambda d: d.assign(xi=-d["xi"]), "not what the prior makes"),
        (("u", "conductivity"), narrowed, "expected shape"),
        (("u", "xi"), lambda d: d.assign(u=d["u"] * np.nan), "units|no sample with finite"),
        (
            ("u", "xi"),
            lambda d: d.assign(xi=d["xi"].where(d["sample"] != 3)),
            "'xi' of sample 3 is not finite; correct it",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(tmp_path, own, names, change, text):
    problem, _, whole = own
    with pytest.raises(DataSchemaError, match=text):
        read_foreign(foreign(tmp_path, whole, *names, change=change), problem)


def resampled(d, x, y):
    """The grid variables at other nodes."""
    grid = d[["coefficient", "u_grid"]].interp(grid_x=x, grid_y=y)
    order = ("sample", "grid_y", "grid_x")
    return d.drop_vars(["coefficient", "u_grid", "grid_x", "grid_y"]).merge(grid.transpose(*order))


EVEN = np.linspace(0, 1, 5)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            lambda d: d.transpose("sample", "grid_x", "grid_y", ...),
            r"lies on \(grid_x, grid_y\), expected \(grid_y, grid_x\) behind 'sample'; transpose",
        ),
        (lambda d: d.isel(grid_y=slice(None, None, -1)), "'grid_y' decreases; turn the grid"),
        (lambda d: resampled(d, EVEN**1.5, EVEN), "'grid_x' runs from 0 to 1 in steps from 0.125"),
        (
            lambda d: resampled(d, (np.arange(4) + 0.5) / 4, EVEN),
            "'grid_x' runs from 0.125 to 0",
        ),
        (
            lambda d: d.drop_vars("grid_x"),
            r"variable 'grid_x' is missing; expected it over \(grid_x\)",
        ),
    ],
)
def test_grids_that_are_not_those_of_use_are_refused_before_the_training(
    change, text, tmp_path, own
):
    problem, _, whole = own
    path = foreign(tmp_path, whole, "u", "coefficient", "u_grid", change=change)
    with pytest.raises(DataSchemaError, match=r"f\.nc: .*" + text):
        read_foreign(path, problem)


def test_samples_that_were_never_written_are_left_out(tmp_path, own):
    problem, _, whole = own

    def spoil(d):
        d["u"][3, 0] = 9.969209968386869e36
        d["u"].encoding = {"_FillValue": None}
        return d

    found = read_foreign(foreign(tmp_path, whole.copy(deep=True), "u", "xi", change=spoil), problem)
    assert found.n_failed == 1


def test_a_foreign_file_must_be_told_what_it_belongs_to(tmp_path, own):
    path = foreign(tmp_path, own[2], "u", "xi")
    with pytest.raises(DataSchemaError, match=r"\[problem\] in --config"):
        open_training_set(path, {})


def fields_alone(tmp_path, *arrays, **more):
    made = xr.Dataset(dict(arrays)).assign(**more)
    netcdf.write(tmp_path / "f.nc", made)
    return tmp_path / "f.nc"


@pytest.mark.parametrize("kind", ["log-gaussian", "two-phase"])
def test_fields_without_data_are_for_what_learns_a_law(tmp_path, own, kind):
    """Fields that no xi of the prior gives, as those of another program."""
    problem = make_problem("darcy", {"cells": 6, "unknown": {"kind": kind, "grid": [9, 9]}})
    m = np.exp(np.random.default_rng(2).standard_normal((4, 9, 9)))
    axis = np.linspace(0, 1, 9)
    field = xr.DataArray(m, [("sample", range(4)), ("y", axis), ("x", axis)], attrs=units_of(own))
    path = fields_alone(tmp_path, ("conductivity", field), status=("sample", [0, 0, 1, 0]))
    found = read_foreign(path, problem, role=Role.DENOISER)
    assert found.values.shape == (3, 0)
    assert np.isnan(found.xi).all()
    np.testing.assert_array_equal(found.coefficient, m[[0, 1, 3]])
    check_inputs(found, load("surrogates", "diffusion-prior"))
    for role in (Role.FORWARD, Role.INVERSE):
        with pytest.raises(DataSchemaError, match="'u' is missing"):
            read_foreign(path, problem, role=role)


def units_of(own):
    return {"units": own[2]["conductivity"].attrs["units"]}


def test_fields_with_data_are_read_with_them(tmp_path, own):
    problem, mine, whole = own
    found = read_foreign(foreign(tmp_path, whole, "u", "xi"), problem, role=Role.DENOISER)
    np.testing.assert_array_equal(found.values, mine.values)


def test_a_file_without_fields_is_refused(tmp_path, own):
    path = fields_alone(tmp_path, ("a", ("b", [1.0])))
    with pytest.raises(DataSchemaError, match="no variable is on 'sample'"):
        read_foreign(path, own[0], role=Role.DENOISER)
    path.unlink()
    path = fields_alone(tmp_path, ("a", ("sample", [1.0])))
    with pytest.raises(DataSchemaError, match="holds neither 'xi' nor the unknown"):
        read_foreign(path, own[0], role=Role.DENOISER)
