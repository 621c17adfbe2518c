"""Tumors at points: models leave little residual; networks find what they find, or say why not."""

import numpy as np
import pytest
import torch

from pdeinv.bayes.noise import Noise
from pdeinv.engines.gaussian.minimize import find_map
from pdeinv.engines.requests import drive
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.errors import CapabilityError, ConfigError, SolverDiverged
from pdeinv.plugins.recipe import PosteriorRecipe, make_problem
from pdeinv.problems.tumor.smooth_tissue import SmoothTissue
from pdeinv.surrogates.pinn.config import PinnConfig
from pdeinv.surrogates.pinn.engine import Pinn, PinnEngineConfig
from pdeinv.surrogates.pinn.forward import NetworkSolution, relative_l2, solve
from pdeinv.surrogates.pinn.network import Jets, Network
from pdeinv.surrogates.pinn.objective import Objective, tensors

LINE = {
    "lengths": [80.0],
    "cells": 80,
    "tissue": {"kind": "homogeneous"},
    "solver": "finite-differences",
}
AT = np.array([0.5, 0.06, 35.0])
SMALL = {"width": 8, "depth": 2, "points": 200, "adam_steps": 100, "block": 100}
ABOVE = 3.0


def logit(c):
    return np.log(c / (1.0 - c))


def correction(form, problem, m, points, psi):
    """u of a logit ψ: what the network would have learned."""
    off = psi - logit(form.state(m, points, np.zeros((len(points), 1)))[:, 0])
    return np.log(np.expm1(ABOVE)) - np.log(np.expm1(ABOVE - off))


def residual(problem, m, claimed, time=60.0):
    """The rms of the equation at ``claimed`` for the solution of ``m``, by differences of it."""
    config, form = problem.config, problem.strong_form()
    d, h = config.dim, config.lengths[0] / config.counts[0]
    on = problem.discretisation(0)
    fields = problem.solve(m, 0)
    times = fields["time"].values
    k = int(np.argmin(abs(times - time)))
    lattice, states = on.lattice, fields["c"].values[k - 1 : k + 2]
    u = np.full((3, *lattice.active.shape), np.nan)
    for i, t in enumerate(times[k - 1 : k + 2]):
        points = np.column_stack([lattice.points, np.full(lattice.size, t)])
        u[i][lattice.active] = correction(form, problem, claimed, points, logit(states[i]))
    steps = [(t - s) for s, t in zip(times[k - 1 :], times[k : k + 2], strict=False)]
    along = [np.gradient(u[1], h, axis=d - 1 - a) for a in range(d)]
    twice = [
        (np.roll(u[1], 1, d - 1 - a) - 2 * u[1] + np.roll(u[1], -1, d - 1 - a)) / h**2
        for a in range(d)
    ]
    in_time = (u[2] - u[0]) / sum(steps)
    seen = np.zeros(lattice.active.shape, dtype=bool)
    seen[lattice.active] = (states[1] > 0.02) & (states[1] < 0.98)
    seen &= np.isfinite(sum(along) + sum(twice))
    points = np.column_stack([lattice.points[seen[lattice.active]], np.full(seen.sum(), times[k])])
    column = lambda v: torch.as_tensor(v[seen][:, None])  # noqa: E731
    jets = Jets(
        column(u[1]),
        torch.stack([column(v) for v in (*along, in_time)]),
        torch.stack([column(v) for v in twice]),
        form.curved,
    )
    found = tensors(form.interior.coefficients(points), torch.as_tensor(claimed), torch.float64)
    rows = form.interior.residual(jets, found) / claimed[1]
    return float(rows.square().mean().sqrt())


PLANE = {"solver": "finite-differences", "time": {"steps": 400}}


@pytest.mark.parametrize(
    ("table", "m", "small"),
    [
        ({**LINE, "cells": 320, "time": {"steps": 400}}, AT, 0.01),
        (PLANE, np.array([0.5, 0.06, 70.0, 125.0]), 0.04),
    ],
    ids=["line", "phantom"],
)
def test_solutions_of_the_model_obey_the_strong_form_and_no_others(table, m, small):
    problem = make_problem("tumor", table)
    assert residual(problem, m, m) < small
    for k in (0, 1):
        wrong = m.copy()
        wrong[k] *= 1.5
        assert residual(problem, m, wrong) > 4 * small


@pytest.mark.parametrize("d", [1, 2, 3])
def test_the_guess_is_exact_where_cells_only_spread_or_only_grow(d):
    """In any dimension; cells that are few spread and do not feel that they grow."""
    sides = {"lengths": [60.0] * d, "cells": 12, "tissue": {"kind": "homogeneous"}}
    points = np.random.default_rng(0).uniform(20.0, 40.0, (50, d + 1))
    value, slopes, curves = (torch.zeros(k, 50, 1) for k in (1, d + 1, d))
    none = Jets(value[0], slopes, curves, tuple(range(d)))

    def left(peak, spread, rate):
        form = make_problem("tumor", {**sides, "seed": {"peak": peak}}).strong_form()
        m = torch.tensor([spread, rate, *[30.0] * d])
        found = tensors(form.interior.coefficients(points), m, torch.float64)
        return float(form.interior.residual(none, found).abs().max())

    assert left(1e-6, 0.5, 0.0) < 1e-7
    assert left(0.5, 0.0, 0.06) < 1e-12
    assert left(0.5, 0.5, 0.06) > 1e-4


def test_blended_tissue_has_the_slopes_that_it_says():
    problem = make_problem("tumor", {"lengths": [192.0] * 3, "cells": 48})
    smooth = SmoothTissue.of(problem.config, problem.tissue)
    places = np.random.default_rng(0).uniform(30.0, 160.0, (20, 3))
    found = smooth.at(places)
    assert found["tissue"].min() >= 0.0
    assert found["tissue"].max() <= 1.0 + 1e-12
    for k, step in enumerate(1e-4 * np.eye(3)):
        change = smooth.at(places + step)["spread"] - smooth.at(places - step)["spread"]
        np.testing.assert_allclose(found[f"spread_{k}"], change / 2e-4, atol=1e-7)
    assert abs(found["spread_0"]).max() > 0.01


def test_points_are_taken_where_the_tumor_of_the_unknown_is():
    problem = make_problem("tumor", {**LINE, "lengths": [400.0]})
    form, config = problem.strong_form(), PinnConfig(points=64, side_points=8)
    (low, high), _ = form.focus(AT)
    assert low == 0.0
    assert 60.0 < high < 120.0
    objective = Objective(form, config, Network.of(form, config, np.random.default_rng(0), AT), AT)
    x = objective.collocate(np.random.default_rng(0), np.zeros(objective.size))[0].points[:, 0]
    assert x.max() < high
    moved = AT + np.array([0.0, 0.0, 200.0])
    assert form.focus(moved)[0] == pytest.approx((270.0 - high, high + 200.0))


@pytest.fixture(scope="module")
def found():
    return solve(make_problem("tumor", LINE), AT, PinnConfig(**SMALL), 1)


def test_a_network_finds_the_growth_of_the_model(found):
    problem = found.problem
    fields = found.fields(2)
    assert relative_l2(problem.strong_form(), fields, problem.solve(AT, 2)) < 0.02
    c = fields["c"].values
    assert 0.0 <= c.min() <= c.max() <= 1.0
    x = np.linspace(0.0, 80.0, 9)
    bump = 0.5 * np.exp(-((x - AT[2]) ** 2) / 32)
    start = found(np.column_stack([x, np.zeros(9)]))[:, 0]
    np.testing.assert_allclose(start, bump, rtol=1e-9, atol=1e-300)


def test_it_is_stored_with_the_problem(found, tmp_path):
    found.save(tmp_path / "net")
    again = NetworkSolution.load(tmp_path / "net")
    np.testing.assert_array_equal(again.fields(0)["c"], found.fields(0)["c"])


def test_an_inversion_by_a_network_is_near_that_by_the_adjoint(tmp_path):
    problem = make_problem("tumor", LINE)
    sensors = problem.sensors("grid:20@60,100")
    noise = Noise(np.full(len(sensors["x"]), 0.02))
    clean = problem.forward_model(sensors, 1)(AT)
    data = clean + noise.std * np.random.default_rng(0).standard_normal(len(clean))
    recipe = PosteriorRecipe("tumor", LINE, sensors, data, noise)
    posterior = recipe()
    best = drive(posterior, find_map(posterior, np.random.default_rng(0)))
    engine = Pinn(PinnEngineConfig(**SMALL))
    ended = run(engine, lambda: posterior, Run(1, tmp_path)).outcome
    assert ended.converged, ended.message
    assert ended.summary["misfit"] < posterior.misfit(best) + 3.0
    np.testing.assert_allclose(ended.xi[0, 0], best, atol=0.15)


def test_what_obeys_no_equation_is_an_error():
    lazy = PinnConfig(width=2, depth=1, points=16, adam_steps=1, newton_steps=0)
    with pytest.raises(SolverDiverged, match="the network found no growth: the rms"):
        solve(make_problem("tumor", LINE), AT, lazy, 1)


REFUSED = {
    "unknown.duration": {"unknown": {"duration": [50.0, 200.0]}},
    "unknown.growth_factor": {"unknown": {"growth_factor": {"std": 0.3}}},
    "problem.tensor": {"tensor": {"uniform": [2.0]}},
    "problem.voxel": {"voxel": 4.0},
    "problem.seed.peak = 1": {"seed": {"peak": 1.0}},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_strong_form_does_not_know_is_refused(name):
    with pytest.raises(ConfigError, match=f"does not know {name}; leave it out, or use finite"):
        make_problem("tumor", {**LINE, **REFUSED[name]}).strong_form()


def test_masks_are_refused_where_they_would_be_read(tmp_path):
    problem = make_problem("tumor", {**LINE, "masks": {}})
    with pytest.raises(ConfigError, match="reads concentrations, and data are 'mask'"):
        problem.strong_form().sensing(problem.sensors("grid:4"))
    law = problem.likelihood(problem.sensors("grid:4"))
    recipe = PosteriorRecipe("tumor", {**LINE, "masks": {}}, problem.sensors("grid:4"),
                             np.zeros(8), law)  # fmt: skip
    with pytest.raises(CapabilityError, match="engine 'pinn' takes data whose likelihood"):
        run(Pinn(PinnEngineConfig(**SMALL)), recipe, Run(1, tmp_path))
