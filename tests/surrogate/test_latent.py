"""Derivative-informed training lowers the error of derivatives, and of values, at equal samples."""

from dataclasses import replace

import numpy as np
import pytest

from pdeinv.bayes.check import dot_product_test, taylor_test
from pdeinv.bayes.posterior import WhitenedModel
from pdeinv.errors import DataSchemaError
from pdeinv.io import datasets
from pdeinv.jobs.generate.plan import Plan
from pdeinv.jobs.generate.run import generate
from pdeinv.plugins.recipe import load_surrogate, make_problem
from pdeinv.surrogates.latent.surrogate import Latent, LatentConfig

pytestmark = pytest.mark.usefixtures("solves_here")

CONFIG = {"cells": [8, 8], "unknown": {"kind": "piecewise", "cells": [3, 3], "std": 1.0}}
N_PROBES = 6
QUICK = LatentConfig(epochs=250, widths=(48, 48), learning_rate=1e-2, batch_size=32)


@pytest.fixture(scope="module")
def problem():
    return make_problem("darcy", CONFIG)


def probed(problem, dataset, seed):
    """The data set with actions of the reference Jacobian along random directions."""
    rng = np.random.default_rng(seed)
    probes = rng.standard_normal((dataset.size, N_PROBES, 9))
    model = WhitenedModel(problem.prior(), problem.forward_model(dataset.sensors))
    actions = []
    for xi, directions in zip(dataset.xi, probes, strict=True):
        at = model.linearize(xi)
        actions.append(np.stack([at.jvp(p) for p in directions]))
    return replace(dataset, probes=probes, actions=np.stack(actions))


def make(problem, folder, n, seed):
    plan = Plan("darcy", CONFIG, problem.sensors("grid:3x3"), n, seed)
    generate(plan, folder / f"{seed}.nc", folder / f"run{seed}")
    return probed(problem, datasets.read(folder / f"{seed}.nc"), seed)


@pytest.fixture(scope="module")
def dataset(problem, tmp_path_factory):
    return make(problem, tmp_path_factory.mktemp("data"), 80, 4)


@pytest.fixture(scope="module")
def informed(problem, dataset):
    return Latent.fit(dataset, problem, QUICK, 1)


@pytest.fixture(scope="module")
def plain(problem, dataset):
    return Latent.fit(dataset, problem, QUICK.model_copy(update={"derivative_weight": 0.0}), 1)


def errors(surrogate, problem):
    """On fresh draws: relative errors of the data and of the whole Jacobian."""
    sensors = problem.sensors("grid:3x3")
    reference = WhitenedModel(problem.prior(), problem.forward_model(sensors))
    model = surrogate.bind(problem, problem.prior(), sensors)
    value, slope = [], []
    for xi in np.random.default_rng(77).standard_normal((40, 9)):
        a, b = model.linearize(xi), reference.linearize(xi)
        value.append((a.value - b.value, b.value))
        slope.append([np.stack([at.vjp(e) for e in np.eye(9)]) for at in (a, b)])
    e, u = np.array(value).swapaxes(0, 1)
    found, true = np.array(slope).swapaxes(0, 1)
    return np.linalg.norm(e) / np.linalg.norm(u), np.linalg.norm(found - true) / np.linalg.norm(
        true
    )


def test_actions_lower_the_error_of_derivatives_and_of_values(informed, plain, problem):
    (value, slope), (value_plain, slope_plain) = errors(informed, problem), errors(plain, problem)
    assert slope < 0.65 * slope_plain
    assert value < 0.6 * value_plain


def test_actions_of_another_problem_do_harm(problem, dataset, plain):
    """Negative control: it is the actions that help, not the longer loss."""
    shuffled = replace(dataset, actions=-dataset.actions)
    misled = Latent.fit(shuffled, problem, QUICK, 1)
    assert errors(misled, problem)[0] > 2 * errors(plain, problem)[0]


def test_held_out_error_of_derivatives_is_recorded(informed, plain):
    good, bad = (s.metadata["errors"]["derivative_relative"] for s in (informed, plain))
    assert 0 < good < 0.7 * bad
    assert informed.metadata["extra"]["derivatives"] == N_PROBES
    assert plain.metadata["extra"]["derivatives"] == 0


def test_an_informed_network_is_stored_and_differentiated_like_any(informed, problem, tmp_path):
    informed.save(tmp_path / "s")
    places = (problem, problem.prior(), problem.sensors("grid:3x3"))
    model, again = informed.bind(*places), load_surrogate(tmp_path / "s").bind(*places)
    rng = np.random.default_rng(3)
    xi = 0.3 * rng.standard_normal(9)
    np.testing.assert_array_equal(model(xi), again(xi))
    assert dot_product_test(model, xi, rng) < 1e-12
    assert 1.9 < taylor_test(model, xi, rng).slope < 2.1


def test_without_actions_nothing_changes(problem, dataset, plain):
    bare = replace(dataset, probes=None, actions=None)
    again = Latent.fit(bare, problem, QUICK, 1)
    for a, b in zip(again.network.weights, plain.network.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    assert "derivative_relative" not in again.metadata["errors"]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"probes": np.zeros((80, N_PROBES, 4))}, r"do not fit 80 samples of 9 unknowns"),
        ({"actions": np.full((80, N_PROBES, 9), np.nan)}, r"not finite.*generate them again"),
    ],
)
def test_actions_that_do_not_fit_are_refused(problem, dataset, change, text):
    with pytest.raises(DataSchemaError, match=text):
        Latent.fit(replace(dataset, **change), problem, QUICK, 1)


UNIFORM = {
    "equivalence_ratio": {"kind": "uniform", "low": 0.4, "high": 0.5},
    "conductivity": {"kind": "uniform", "low": 0.02, "high": 0.03},
}


@pytest.fixture(scope="module")
def flames(tmp_path_factory):
    """A problem whose priors are uniform, with a small data set and all of its derivative."""
    folder = tmp_path_factory.mktemp("flames")
    table = {"cells": 32, "grading": 0.0, "unknown": UNIFORM}
    problem = make_problem("flame", table)
    plan = Plan("flame", table, problem.sensors("grid:5@T+speed"), 60, 1, jacobian=2)
    generate(plan, folder / "data.nc", folder / "run")
    return problem, datasets.read(folder / "data.nc")


def test_a_network_of_the_unknown_is_a_model_of_xi(flames, tmp_path):
    problem, dataset = flames
    quick = QUICK.model_copy(update={"epochs": 60, "noise_rel": 1e-3})
    found = Latent.fit(dataset, problem, quick.model_copy(update={"inputs": "unknown"}), 1)
    found.save(tmp_path / "net")
    bound = load_surrogate(tmp_path / "net").bind(problem, problem.prior(), dataset.sensors)
    xi = np.array([0.4, -1.2])
    rng = np.random.default_rng(0)
    assert dot_product_test(bound, xi, rng) < 1e-10
    assert 1.9 < taylor_test(bound, xi, rng).slope < 2.1
    np.testing.assert_allclose(bound(np.stack([xi, -xi]))[0], bound(xi), rtol=1e-12)
    assert found.metadata["errors"]["relative_l2"] < 0.1
    low, high = (
        found.inputs.mean - 2.3 * found.inputs.std,
        found.inputs.mean + 2.3 * found.inputs.std,
    )
    m = problem.prior().unwhiten(dataset.xi)
    assert np.all((low < m.min(axis=0)) & (m.max(axis=0) < high))  # scaled as m is, not as xi
