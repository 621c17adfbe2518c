"""The derivative that `generate --jacobian` stores against differences and the model itself."""

import numpy as np
import pytest

from pdeinv.bayes.posterior import WhitenedModel
from pdeinv.errors import CapabilityError
from pdeinv.io import datasets
from pdeinv.jobs.generate.actions import actions
from pdeinv.jobs.generate.batches import BatchSolver
from pdeinv.jobs.generate.plan import Plan
from pdeinv.jobs.generate.run import generate
from pdeinv.model.forward import Capability
from pdeinv.plugins.recipe import make_problem

pytestmark = pytest.mark.usefixtures("solves_here")

CONFIG = {"cells": 8, "unknown": {"kind": "log-gaussian", "modes": 5, "grid": [9, 9]}}
PHASES = {"cells": 8, "unknown": {"kind": "two-phase", "grid": [9, 9]}}


def plan(n=3, config=CONFIG, spec="grid:2x2", **more):
    problem = make_problem("darcy", config)
    return Plan("darcy", config, problem.sensors(spec), n, 7, batch_size=3, **more)


def model(what):
    problem = make_problem("darcy", what.problem_config)
    return WhitenedModel(problem.prior(), problem.forward_model(what.sensors, what.level))


@pytest.mark.parametrize("k", [2, 5, 9])
@pytest.mark.parametrize("spec", ["grid:1x2", "grid:3x3"])
def test_actions_are_central_differences_in_the_stored_directions(k, spec):
    what = plan(n=2, spec=spec, jacobian=k)
    found, on, h = BatchSolver(what).solve(0), model(what), 1e-5
    directions = np.broadcast_to(found.probes, (2, min(k, 5), 5))
    np.testing.assert_allclose(np.linalg.norm(directions, axis=2), 1.0, rtol=1e-14)
    for xi, probes, stored in zip(found.xi, directions, found.actions, strict=True):
        steps = np.stack([(on(xi + h * v) - on(xi - h * v)) / (2 * h) for v in probes])
        np.testing.assert_allclose(stored, steps, atol=1e-7 * np.abs(stored).max())


def test_by_rows_and_by_columns_agree_and_each_is_used_where_it_is_cheaper():
    on = model(plan(spec="grid:2x2"))
    at = on.linearize(0.5 * np.ones(5))
    both = frozenset({Capability.JVP, Capability.VJP})
    axes = np.eye(5)
    by_rows, by_columns = (actions(at, axes, 4, frozenset({c})) for c in sorted(both, reverse=True))
    np.testing.assert_allclose(by_rows, by_columns, rtol=1e-9, atol=1e-14)
    np.testing.assert_array_equal(actions(at, axes, 4, both), by_rows)
    np.testing.assert_array_equal(actions(at, axes[:2], 4, both), by_columns[:2])


def test_whole_derivative_along_the_axes_and_grid_leave_the_data_alone(tmp_path):
    sets = {}
    for name, more in (("bare", {}), ("full", {"jacobian": 99, "grid": (5, 6)})):
        generate(plan(n=7, **more), tmp_path / f"{name}.nc", tmp_path / f"{name}.run")
        sets[name] = datasets.read(tmp_path / f"{name}.nc")
    bare, full = sets["bare"], sets["full"]
    assert bare.probes is None
    assert bare.actions is None
    np.testing.assert_allclose(full.values, bare.values, rtol=1e-13)
    np.testing.assert_array_equal(full.probes, np.broadcast_to(np.eye(5), (7, 5, 5)))
    dense = [model(plan()).linearize(xi) for xi in full.xi]
    truth = np.stack([np.stack([at.jvp(v) for v in np.eye(5)]) for at in dense])
    np.testing.assert_allclose(full.actions, truth, rtol=1e-8, atol=1e-13)


def test_directions_depend_on_seed_and_sample_only():
    few, many = plan(n=3, jacobian=2), plan(n=50, jacobian=2)
    np.testing.assert_array_equal(few.probes(2, 5), many.probes(2, 5))
    assert not np.array_equal(few.probes(2, 5), few.probes(1, 5))


def test_unknown_without_derivative_is_refused_before_any_solve(tmp_path):
    what = plan(config=PHASES, jacobian=3)
    with pytest.raises(CapabilityError, match=r"--jacobian needs the derivative.*'darcy'"):
        generate(what, tmp_path / "a.nc", tmp_path / "a.run")
    assert not (tmp_path / "a.run").exists()
