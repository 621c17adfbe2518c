"""A learned prior and fields of one's own: files of them, and draws that repeat them."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import pdeinv
from pdeinv.bayes.prior import whiten
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.jobs.evaluate import Request
from pdeinv.jobs.evaluate_denoiser import DATA, TRAINING, examine, told
from pdeinv.jobs.evaluated_by_role import check_data, figures_of
from pdeinv.jobs.field_files import read_fields
from pdeinv.jobs.fields_given import nearest
from pdeinv.jobs.training_set import open_training_set
from pdeinv.model.learned import Role
from pdeinv.plugins.recipe import make_problem
from pdeinv.surrogates.diffusion.surrogate import DiffusionPrior

CONFIG = {"cells": [8, 8], "unknown": {"kind": "log-gaussian", "grid": [9, 7], "modes": 6}}
TABLE = {"name": "darcy", **CONFIG}
OPTIONS = {"epochs": 3, "width": 8, "scales": 2, "batch_size": 16}


@pytest.fixture(scope="module")
def problem():
    return make_problem("darcy", CONFIG)


@pytest.fixture(scope="module")
def fields(problem):
    """Eighty rough fields, which that problem's prior cannot give."""
    rng = np.random.default_rng(0)
    smooth = problem.prior().gaussian(rng.standard_normal((80, 6))).reshape(80, 7, 9)
    waves = np.cos(np.pi * np.outer(range(5, 7), (np.arange(9) + 0.5) / 9))
    rough = 0.1 * rng.standard_normal((80, 1, 2)) @ waves
    return np.exp(smooth + rough)


@pytest.fixture(scope="module")
def folder(fields, tmp_path_factory):
    """The same in five arrays, one of which is a single field, and a NetCDF file."""
    folder = tmp_path_factory.mktemp("fields")
    for i, part in enumerate((fields[:30], fields[30], fields[31:60])):
        np.save(folder / f"{i}.npy", part)
    units = {"units": "m/s"}
    unknown = make_problem("darcy", CONFIG).prior().space.variables[0]
    held = (("sample", *unknown.dims), fields[60:], {**units, "units": unknown.units})
    xr.Dataset({unknown.name: held}).to_netcdf(folder / "3.nc")
    (folder / "notes.txt").write_text("not read")
    return folder


@pytest.fixture(scope="module")
def trained(problem, fields, folder, tmp_path_factory):
    """A checkpoint, trained on the folder."""
    data = open_training_set(folder, TABLE, Role.DENOISER)
    found = DiffusionPrior.fit(data, problem, DiffusionPrior.Config(**OPTIONS), 1)
    path = tmp_path_factory.mktemp("trained") / "p"
    found.save(path)
    return path


def test_a_folder_holds_the_fields_of_its_files_in_their_order(problem, fields, folder, tmp_path):
    found = read_fields(folder, problem)
    np.testing.assert_array_equal(found.coefficient, fields)
    assert np.isnan(found.xi).all()
    assert found.values.shape == (80, 0)
    np.save(tmp_path / "all.npy", fields.astype(np.float32))
    alone = open_training_set(tmp_path / "all.npy", TABLE, Role.DENOISER)
    np.testing.assert_array_equal(alone.coefficient, fields.astype(np.float32))
    assert alone.digest != found.digest


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (np.ones((3, 9, 7)), r"\(n, 7, 9\) or \(7, 9\), got \(3, 9, 7\); set problem.unknown.grid"),
        (np.ones(9), r"got \(9\)"),
        (np.array(["a"]), "expected numbers, got <U1; save fields as one array of floats"),
        (b"no array", "no array of numbers as numpy.save writes one"),
    ],
)
def test_arrays_that_hold_no_such_fields_are_refused(problem, tmp_path, content, said):
    path = tmp_path / "a.npy"
    path.write_bytes(content) if isinstance(content, bytes) else np.save(path, content)
    with pytest.raises(DataSchemaError, match=said):
        read_fields(tmp_path, problem)


def test_an_empty_folder_and_one_without_a_problem_are_refused(problem, folder, tmp_path):
    with pytest.raises(DataSchemaError, match=r"is a folder without \.npy or \.nc"):
        read_fields(tmp_path, problem)
    with pytest.raises(DataSchemaError, match=r"with a table \[problem\]"):
        open_training_set(folder, {}, Role.DENOISER)


def test_a_prior_is_judged_by_fields_of_a_file(trained, fields, tmp_path):
    rng = np.random.default_rng(1)
    np.save(tmp_path / "new.npy", fields[rng.permutation(80)] * 1.01)
    seen = examine(Request(trained, {}, n=50, seed=2, data=tmp_path / "new.npy"))
    assert (len(seen.clean), len(seen.fitted), seen.whose) == (40, 40, DATA)
    both = np.exp(np.concatenate([seen.fields(z) for z in (seen.clean, seen.fitted)]))
    given = 1.01 * fields.reshape(80, -1)
    np.testing.assert_allclose(both.sum(axis=1).sum(), given.sum(), rtol=1e-10)
    figures = told(seen).figures
    assert pdeinv.evaluate(trained, data=tmp_path / "new.npy", n=50, seed=2) == figures
    assert figures["fields"] == DATA
    assert "exact" not in figures["components"][0]
    # fresh draws of a law are no nearer to its fields than these are to each other
    assert figures["nearest_to_draws"] > 0.5 * figures["nearest_to_fields"]
    assert "repeats" not in figures["verdict"]


def test_few_fields_make_no_filter_that_is_easy_to_beat(trained, fields, tmp_path):
    """Three epochs learned next to nothing, so that the error is that of the filter."""
    np.save(tmp_path / "some.npy", fields)
    seen = examine(Request(trained, {}, n=40, seed=2, data=tmp_path / "some.npy"))
    assert 0.8 < told(seen).figures["error_over_wiener"] < 1.25
    rng, dim = np.random.default_rng(3), seen.own.dim
    rough = replace(
        seen, clean=rng.standard_normal((40, dim)), fitted=rng.standard_normal((40, dim))
    )
    # the whole covariance of forty fields on 63 nodes takes what they did not show for impossible
    singular = replace(rough)
    object.__setattr__(singular, "moments", (rough.moments[0], np.cov(rough.fitted.T)))
    assert singular.errors(0.1)["wiener"] > 3 * rough.errors(0.1)["wiener"]


def test_fields_in_other_units_are_told_as_such(trained, fields, tmp_path):
    np.save(tmp_path / "other.npy", 1e6 * fields)
    said = figures_of(Request(trained, {}, n=20, seed=2, data=tmp_path / "other.npy"))["verdict"]
    assert said.startswith("other fields: their mean is")
    assert "units" in said


def test_draws_that_repeat_fields_are_told_so(trained, folder):
    seen = examine(Request(trained, {}, n=20, seed=2, data=folder))
    assert seen.whose == TRAINING
    copies = replace(seen, drawn=seen.fitted[:20])
    said = told(copies).figures
    assert said["nearest_to_draws"] == pytest.approx(0, abs=1e-12)
    assert "it repeats them" in said["verdict"]
    assert "hold others out" in said["verdict"]


def test_a_distance_is_the_rms_difference_of_nodes():
    near = nearest(np.zeros((1, 4)), np.array([[3.0, 3, 3, 3], [1.0, 1, 1, -1]]))
    np.testing.assert_allclose(near, [1.0])


def test_a_generated_set_of_another_law_on_the_grid_is_taken_and_another_grid_is_not(
    trained, problem, tmp_path
):
    from pdeinv.jobs.generate.plan import Plan
    from pdeinv.jobs.generate.run import generate

    nowhere = {"x": np.zeros(0), "y": np.zeros(0)}
    for name, grid in (("same", [9, 7]), ("other", [9, 9])):
        unknown = {"kind": "two-phase", "grid": grid}
        config = make_problem("darcy", {**CONFIG, "unknown": unknown}).config
        plan = Plan("darcy", config.model_dump(mode="json"), nowhere, 40, 4)
        generate(plan, tmp_path / f"{name}.nc", tmp_path / f"{name}.run")
    figures = figures_of(Request(trained, {}, n=10, seed=2, data=tmp_path / "same.nc"))
    assert figures["kurtosis_of_fields"] < 2.5  # phases, and no Gaussian field
    with pytest.raises(DataSchemaError, match="on 9x9 nodes, those of the learned prior on 7x9"):
        figures_of(Request(trained, {}, n=10, seed=2, data=tmp_path / "other.nc"))


def test_too_few_fields_and_values_that_it_cannot_have_are_refused(trained, fields, tmp_path):
    hole = np.where(np.arange(80)[:, None, None] == 3, np.nan, fields)
    given = {"few": fields[:5], "low": -fields, "hole": hole, "same": np.ones_like(fields)}
    for name, some in given.items():
        np.save(tmp_path / f"{name}.npy", some)
    with pytest.raises(DataSchemaError, match="at least 8 fields, got 5"):
        figures_of(Request(trained, {}, data=tmp_path / "few.npy"))
    for name, said in {
        "low": r"low\.npy: the field of sample 0 \(and of 79 more\) is not positive and finite",
        "hole": r"hole\.npy: the field of sample 3 is not positive and finite",
        "same": r"same\.npy: all fields are the same",
    }.items():
        with pytest.raises(DataSchemaError, match=said):
            figures_of(Request(trained, {}, data=tmp_path / f"{name}.npy"))


def test_other_roles_take_no_fields(tmp_path):
    class Forward(Request):
        role = Role.FORWARD

    with pytest.raises(ConfigError, match=r"role of this surrogate is 'forward'.*leave --data out"):
        check_data(Forward(tmp_path, {}, data=tmp_path))


def test_coordinates_of_given_fields_are_theirs(trained, fields, tmp_path):
    np.save(tmp_path / "all.npy", fields)
    seen = examine(Request(trained, {}, n=40, seed=0, data=tmp_path / "all.npy"))
    again = whiten(seen.own, seen.own.unwhiten(seen.clean))
    np.testing.assert_allclose(again, seen.clean, atol=1e-9)
