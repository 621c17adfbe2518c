"""Scales, splits and noise of a training: from training rows alone, of any unit and origin."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pdeinv.errors import DataSchemaError
from pdeinv.io.datasets import TrainingSet, prior_probe
from pdeinv.plugins.fitting import FitRun
from pdeinv.plugins.recipe import make_problem
from pdeinv.surrogates.common.lesson import Lesson
from pdeinv.surrogates.common.record import heldout_errors
from pdeinv.surrogates.common.scaling import Pod, Standard, constant, reference_noise
from pdeinv.surrogates.common.split import Split
from pdeinv.surrogates.deeponet.operator import Deeponet
from pdeinv.surrogates.gaussian_process.surrogate import Gp
from pdeinv.surrogates.latent.surrogate import Latent

CONFIG = {"cells": [4, 4], "unknown": {"kind": "piecewise", "cells": [2, 2]}}
N = 60


@pytest.fixture(scope="module")
def problem():
    return make_problem("darcy", CONFIG)


@pytest.fixture(scope="module")
def dataset(problem):
    """Data that are a smooth function of xi; nothing is solved."""
    rng = np.random.default_rng(0)
    xi, matrix = rng.standard_normal((N, 4)), rng.standard_normal((4, 9))
    return TrainingSet(
        problem="darcy",
        problem_config=problem.config.model_dump(mode="json"),
        observed=problem.observed,
        sensors=problem.sensors("grid:3x3"),
        xi=xi,
        values=np.sin(0.5 * xi) @ matrix,
        prior_probe=prior_probe(problem.prior()),
        level=0,
        digest="made up",
        coefficient=None,
        field=None,
        axes={},
        n_failed=0,
    )


KINDS = {
    "gp": (Gp, {"iterations": 5}),
    "latent": (Latent, {"epochs": 2, "widths": [8]}),
    "deeponet": (Deeponet, {"epochs": 2, "widths": [8], "basis": 4}),
}


def fitted(name, dataset, problem, run=None, **more):
    kind, options = KINDS[name]
    return kind.fit(dataset, problem, kind.Config(**{**options, **more}), 3, run)


def test_the_parts_of_a_split_share_no_row_and_leave_none():
    for n in (3, 10, 101):
        split = Split.of(n, 5)
        rows = np.concatenate([split.train, split.valid, split.test])
        assert np.array_equal(np.sort(rows), np.arange(n))
        joined = split.joined()
        assert not set(joined.train) & set(joined.test)
        assert len(joined.train) + len(joined.test) == n


@pytest.mark.parametrize("name", KINDS)
def test_what_is_held_out_changes_nothing_but_the_errors(name, dataset, problem):
    """Scales, modes and ranges come from training rows; weights from the stopping rows too."""
    kind, options = KINDS[name]
    split = kind.split(N, 3, kind.Config(**options))
    values, xi = dataset.values.copy(), dataset.xi.copy()
    values[split.test], xi[split.test] = 50 + 3 * values[split.test], 9 * xi[split.test]
    plain = fitted(name, dataset, problem)
    other = fitted(name, replace(dataset, values=values, xi=xi), problem)
    for key, array in plain.arrays().items():
        np.testing.assert_array_equal(array, other.arrays()[key], err_msg=key)
    np.testing.assert_array_equal(plain.record.noise_std, other.record.noise_std)
    np.testing.assert_array_equal(plain.record.high, other.record.high)
    assert other.record.errors["rms_over_sigma"] > 10 * plain.record.errors["rms_over_sigma"]


def test_a_lesson_shows_its_training_rows(dataset, problem):
    split = Split.of(N, 3)
    lesson = Lesson(dataset, problem, Gp.Config(), 3, FitRun(), split)
    np.testing.assert_array_equal(lesson.xi, dataset.xi[split.train])
    np.testing.assert_array_equal(lesson.values, dataset.values[split.train])
    noise = 0.02 * np.sqrt(dataset.values[split.train].var(axis=0).mean())
    np.testing.assert_allclose(lesson.noise_std, noise)


def test_noise_is_given_or_that_of_the_data_set_or_a_share(dataset, problem):
    known = replace(dataset, noise_std=np.full(9, 0.3))
    assert np.all(fitted("gp", known, problem).record.noise_std == 0.3)
    given = fitted("gp", known, problem, FitRun(noise_std=0.1))
    assert np.all(given.record.noise_std == 0.1)
    more = fitted("gp", dataset, problem, noise_rel=0.04).record.noise_std
    np.testing.assert_allclose(more, 2 * fitted("gp", dataset, problem).record.noise_std)


@pytest.mark.parametrize(("factor", "shift"), [(1.0, 293.15), (1e3, 0.0), (1e-3, -7.0)])
def test_noise_and_errors_know_no_origin_and_scale_with_the_unit(dataset, factor, shift):
    values = dataset.values
    other = factor * values + shift
    plain, moved = reference_noise(values, None, 0.02), reference_noise(other, None, 0.02)
    np.testing.assert_allclose(moved, factor * plain, rtol=1e-10)
    error = 0.01 * np.random.default_rng(1).standard_normal(values.shape)
    a = heldout_errors(values + error, values, plain, values.mean(axis=0))
    b = heldout_errors(other + factor * error, other, moved, other.mean(axis=0))
    assert b == pytest.approx(a, rel=1e-9)
    pods = Pod.fit(values, plain, 0.1), Pod.fit(other, moved, 0.1)
    assert pods[0].n_modes == pods[1].n_modes
    np.testing.assert_allclose(np.abs(pods[0].basis), np.abs(pods[1].basis), atol=1e-9)


def test_a_quantity_with_one_datum_counts_for_as_much_as_one_with_many():
    rng = np.random.default_rng(0)
    values = np.concatenate([3.0 * rng.standard_normal((50, 9)), rng.standard_normal((50, 1))], 1)
    kinds = np.array([1] * 9 + [0])
    noise = reference_noise(values, None, 0.1, kinds)
    weight = values.var(axis=0) / noise**2
    assert weight[:9].sum() == pytest.approx(weight[9])
    assert weight.mean() == pytest.approx(100.0)  # errors are as large as without quantities
    assert len(set(noise[:9])) == 1
    one = reference_noise(values, None, 0.1, np.zeros(10, dtype=np.int64))
    np.testing.assert_allclose(one, reference_noise(values, None, 0.1))


@pytest.mark.parametrize("unit", [1.0, 1e-15, 1e9])
def test_standard_scales_any_unit_and_leaves_constants(unit):
    rng = np.random.default_rng(0)
    x = unit * np.column_stack([rng.standard_normal(50), np.full(50, 300.1), np.zeros(50)])
    scaled = Standard.fit(x)(x)
    np.testing.assert_allclose(scaled[:, 0].std(), 1.0)
    np.testing.assert_allclose(scaled[:, 1:], 0.0, atol=1e-9 * max(unit, 1.0))
    assert constant(x).tolist() == [False, True, True]


def test_data_that_do_not_depend_on_the_unknown_are_said_so(dataset, problem):
    still = replace(dataset, values=np.full((N, 9), 293.15))
    with pytest.raises(DataSchemaError, match="all 60 samples have the same data: they do not"):
        fitted("gp", still, problem)
    some = dataset.values.copy()
    some[:, :2] = 293.15
    found = fitted("gp", replace(dataset, values=some), problem)
    assert found.metadata["extra"]["constant_data"] == 2
    assert "constant_data" not in fitted("gp", dataset, problem).metadata["extra"]
    text = json.dumps(found.metadata, allow_nan=False)  # no NaN, no infinity
    assert '"rms_over_sigma"' in text


def test_noise_of_a_data_set_must_be_positive(tmp_path):
    import xarray as xr

    from pdeinv.io.datasets import noise_of

    path = tmp_path / "d.nc"
    assert noise_of(xr.Dataset(), path) is None
    good = xr.Dataset({"noise_std": ("obs", [0.1, 0.2])})
    np.testing.assert_array_equal(noise_of(good, path), [0.1, 0.2])
    for bad in ([0.1, 0.0], [0.1, np.nan]):
        with pytest.raises(DataSchemaError, match="'noise_std' must be positive on"):
            noise_of(xr.Dataset({"noise_std": ("obs", bad)}), path)
