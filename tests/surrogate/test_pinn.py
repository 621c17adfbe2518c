"""Physics-informed networks: derivatives, hard conditions, a known solution, resuming, storing."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.noise import Noise
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.errors import ConfigError, DataSchemaError, Preempted, RunFailed, SolverDiverged
from pdeinv.model.forward import Capability
from pdeinv.model.strong_form import Equation, Side, StrongForm
from pdeinv.plugins.fitting import FitRun
from pdeinv.plugins.recipe import make_problem
from pdeinv.surrogates.pinn.ansatz import Ansatz, derivatives
from pdeinv.surrogates.pinn.config import PinnConfig
from pdeinv.surrogates.pinn.engine import Pinn, PinnEngineConfig
from pdeinv.surrogates.pinn.forward import HISTORY, NetworkSolution, relative_l2, solve
from pdeinv.surrogates.pinn.gauss_newton import linearized
from pdeinv.surrogates.pinn.network import Jets, Network
from pdeinv.surrogates.pinn.objective import Inference, Objective, inside, on_side
from pdeinv.surrogates.pinn.training import first_state

DOUBLE = torch.float64
SMALL = PinnConfig(
    width=6,
    depth=2,
    points=32,
    side_points=8,
    adam_steps=20,
    newton_steps=12,
    block=10,
    newton_block=3,
    patience=99,
)


def form_of(held, curved=(0, 1), soft=None, box=((0.0, 2.0), (-1.0, 1.0))):
    """Two outputs on a box with some prescribed values."""
    nothing = Equation(lambda u, _c: u.value, lambda _: {}, 1.0)
    return StrongForm(
        axes=("x", "y", "t")[: len(box)],
        box=box,
        outputs=("a", "b"),
        scale=3.0,
        curved=curved,
        interior=nothing,
        held=held,
        soft=soft or {},
        sensing=lambda _: (np.zeros((0, 2)), None),
        fields=(),
        nodes=lambda _: np.zeros((0, 2)),
        dataset=lambda *_: None,
    )


def two(function):
    return lambda x: torch.stack([function(x), 2.0 * function(x)], dim=1)


@pytest.mark.parametrize("options", [{}, {"activation": "sine"}, {"features": 5}], ids=str)
@pytest.mark.parametrize("curved", [(0, 1), (1,), ()], ids=str)
def test_derivatives_are_those_of_autograd(options, curved):
    form = form_of({}, curved)
    net = Network.of(form, PinnConfig(width=7, depth=2, **options), np.random.default_rng(0))
    theta = torch.as_tensor(net.start(np.random.default_rng(1)))
    points = inside(form, 6, np.random.default_rng(2))
    found = net(theta, torch.as_tensor(points))
    by_value = derivatives(lambda x: net(theta, x).value, points, (), DOUBLE)
    torch.testing.assert_close(found.slopes, by_value.slopes)
    for axis in curved:
        by_slope = derivatives(lambda x, i=axis: net(theta, x).first(i), points, (), DOUBLE)
        torch.testing.assert_close(found.second(axis), by_slope.first(axis))


@pytest.mark.parametrize("activation", ["tanh", "sine"])
def test_gradients_by_the_weights_are_right(activation):
    form = form_of({})
    config = PinnConfig(width=5, depth=2, activation=activation)
    net = Network.of(form, config, np.random.default_rng(0))
    theta = torch.as_tensor(net.start(np.random.default_rng(1))).requires_grad_()
    points = torch.as_tensor(inside(form, 4, np.random.default_rng(2)))

    def mixed(theta):
        u = net(theta, points)
        parts = (u.value, u.first(0), u.first(1), u.second(0), u.second(1))
        return sum((k + 1.0) * p.square().sum() for k, p in enumerate(parts))

    assert torch.autograd.gradcheck(mixed, (theta,))


HELD = {
    "all sides": {
        Side(0, 0): lambda x: x[:, 1],
        Side(0, 1): lambda x: x[:, 1] + 2 * x[:, 1] ** 2,
        Side(1, 0): lambda x: -1 + x[:, 0] * 1.0,
        Side(1, 1): lambda x: 1 + x[:, 0],
    },
    "one side": {Side(1, 1): lambda x: torch.sin(x[:, 0])},
    "opposite sides": {
        Side(0, 0): lambda x: x[:, 1] ** 2,
        Side(0, 1): lambda x: torch.exp(x[:, 1]),
    },
    "start and a side": {
        Side(1, 0): lambda x: torch.cos(x[:, 0]),
        Side(0, 0): lambda x: 2 + x[:, 1],
    },
}


@pytest.mark.parametrize("name", HELD)
def test_hard_conditions_hold_whatever_the_weights(name):
    form = form_of({side: two(f) for side, f in HELD[name].items()})
    net, ansatz = Network.of(form, SMALL, np.random.default_rng(0)), Ansatz(form)
    rng = np.random.default_rng(1)
    for _ in range(3):
        theta = torch.as_tensor(5 * rng.standard_normal(net.n_weights))
        for side, values in form.held.items():
            points = on_side(form, side, 16, rng)
            u = ansatz.frame(points, DOUBLE)(net(theta, torch.as_tensor(points)))
            wanted = values(torch.as_tensor(points))
            assert float((u.value - wanted).abs().max()) < 1e-13
        points = inside(form, 16, rng)
        u = ansatz.frame(points, DOUBLE)(net(theta, torch.as_tensor(points)))
        lift = ansatz.frame(points, DOUBLE).lift.value
        assert float((u.value - lift).abs().min()) > 1e-6  # the network is not shut out inside


def test_the_frame_obeys_the_product_rule():
    form = form_of({side: two(f) for side, f in HELD["all sides"].items()})
    net, ansatz = Network.of(form, SMALL, np.random.default_rng(0)), Ansatz(form)
    theta = torch.as_tensor(net.start(np.random.default_rng(1)))
    points = inside(form, 5, np.random.default_rng(2))
    u = ansatz.frame(points, DOUBLE)(net(theta, torch.as_tensor(points)))
    h = 1e-5
    for axis in (0, 1):
        step = h * np.eye(2)[axis]
        low, high = (
            ansatz.frame(p, DOUBLE)(net(theta, torch.as_tensor(p)))
            for p in (points - step, points + step)
        )
        torch.testing.assert_close(
            u.first(axis), (high.value - low.value) / (2 * h), rtol=1e-6, atol=1e-7
        )
        torch.testing.assert_close(
            u.second(axis), (high.first(axis) - low.first(axis)) / (2 * h), rtol=1e-6, atol=1e-6
        )


def test_values_that_disagree_in_a_corner_are_refused():
    held = {Side(0, 0): two(lambda x: x[:, 1]), Side(1, 0): two(lambda x: x[:, 0] * 0)}
    with pytest.raises(ConfigError, match="prescribed at x = 0 and y = -1 differ by 2"):
        Ansatz(form_of(held))


ROD = {
    "lengths": [1.0],
    "cells": 16,
    "time": {"final": 1.0, "steps": 20},
    "conductivity": 0.1,
    "initial": "sin(pi*x)",
    "unknown": {"kind": "source", "prior": {"kind": "gaussian", "grid": [17], "modes": 4}},
}
QUICK = PinnConfig(width=12, depth=2, points=128, adam_steps=100, newton_steps=60)


@pytest.fixture(scope="module")
def rod():
    problem = make_problem("heat", ROD)
    return solve(problem, np.zeros(problem.prior().space.size), QUICK, 1)


def exact_rod(points):
    x, t = points.T
    return np.exp(-0.1 * np.pi**2 * t) * np.sin(np.pi * x)


def test_learns_a_known_solution(rod):
    points = np.random.default_rng(0).random((500, 2))
    error = np.linalg.norm(rod(points)[:, 0] - exact_rod(points)) / np.linalg.norm(
        exact_rod(points)
    )
    assert error < 0.005
    start = np.linspace(0, 1, 9)
    at_start = rod(np.stack([start, np.zeros(9)], axis=1))[:, 0]
    np.testing.assert_allclose(at_start, np.sin(np.pi * start), atol=1e-13)


def test_untrained_it_does_not_know_the_solution(rod):
    """Negative control of the test above."""
    state = first_state(
        Objective(
            rod.problem.strong_form(),
            QUICK,
            Network.of(rod.problem.strong_form(), QUICK, np.random.default_rng(0)),
            m=rod.m,
        ),
        np.random.default_rng(0),
    )
    raw = replace(rod, state=state)
    points = np.random.default_rng(0).random((500, 2))
    error = np.linalg.norm(raw(points)[:, 0] - exact_rod(points)) / np.linalg.norm(
        exact_rod(points)
    )
    assert error > 0.05


def test_its_fields_are_near_those_of_finite_elements(rod):
    reference = rod.problem.solve(rod.m, 1)
    form = rod.problem.strong_form()
    assert relative_l2(form, rod.fields(1), reference) < 0.01
    assert relative_l2(form, 1.1 * reference, reference) == pytest.approx(0.1)


def test_stored_and_loaded_it_gives_the_same_numbers(rod, tmp_path):
    rod.save(tmp_path / "net")
    back = NetworkSolution.load(tmp_path / "net")
    points = np.random.default_rng(0).random((20, 2))
    np.testing.assert_array_equal(back(points), rod(points))
    assert back.config == rod.config
    (tmp_path / "net/metadata.json").write_text(json.dumps({"surrogate": "pinn-solution"}))
    with pytest.raises(DataSchemaError, match="is incomplete"):
        NetworkSolution.load(tmp_path / "net")


def soft_problem():
    """An equation on a side and the initial state in the mean, so that weights are balanced."""
    left = {"left": {"kind": "robin", "coefficient": 2.0, "ambient": 1.0}}
    return make_problem("heat", {**ROD, "initial": 0.3, "boundary": left})


LBFGS = SMALL.model_copy(update={"finish": "lbfgs", "lbfgs_steps": 40})


@pytest.mark.parametrize("config", [SMALL, LBFGS], ids=["gauss-newton", "lbfgs"])
def test_stopped_and_resumed_equals_uninterrupted(config, tmp_path):
    problem = soft_problem()
    m = np.zeros(problem.prior().space.size)
    whole = solve(problem, m, config, 3, FitRun(tmp_path / "whole"))
    asked = []
    stop = FitRun(tmp_path / "part", should_stop=lambda: asked.append(0) or len(asked) in (1, 4))
    with pytest.raises(Preempted, match="continue with --resume"):
        solve(problem, m, config, 3, stop)
    with pytest.raises(Preempted):
        solve(problem, m, config, 3, replace(stop, resume=True))
    found = solve(problem, m, config, 3, replace(stop, resume=True))
    np.testing.assert_array_equal(found.state.z, whole.state.z)
    histories = [(tmp_path / d / HISTORY).read_text() for d in ("whole", "part")]
    assert histories[0] == histories[1]
    assert len(histories[0].splitlines()) == config.blocks == 6
    assert whole.state.weights.shape == (3,)
    assert not np.allclose(whole.state.weights, 1.0)
    with pytest.raises(ConfigError, match="belongs to another problem"):
        solve(problem, m, config, 4, FitRun(tmp_path / "part", resume=True))


def test_another_seed_gives_another_network_and_the_global_generator_is_left_alone():
    problem = soft_problem()
    m = np.zeros(problem.prior().space.size)
    before = torch.random.get_rng_state()
    one, two = (solve(problem, m, SMALL, seed) for seed in (3, 4))
    assert torch.equal(before, torch.random.get_rng_state())
    assert not np.allclose(one.state.z, two.state.z)


def test_single_precision_trains_too():
    problem = soft_problem()
    m = np.zeros(problem.prior().space.size)
    found = solve(problem, m, SMALL.model_copy(update={"dtype": "float32"}), 3)
    assert found.state.loss < 1


def test_an_equation_that_gives_no_numbers_ends_in_one_line():
    form = soft_problem().strong_form()
    broken = replace(form, interior=replace(form.interior, scale=0.0))
    net = Network.of(broken, SMALL, np.random.default_rng(0))
    objective = Objective(broken, SMALL, net, m=np.zeros(17))
    from pdeinv.surrogates.pinn.training import advance

    with pytest.raises(RunFailed, match="training diverged in block 1"):
        advance(
            objective,
            first_state(objective, np.random.default_rng(0)),
            SMALL,
            np.random.default_rng(0),
        )


TINY = {"width": 4, "depth": 1, "points": 16, "adam_steps": 20, "newton_steps": 60, "block": 20}


class Lost:
    """A reference model that cannot be solved anywhere."""

    def __init__(self, inner):
        self.inner, self.prior = inner, inner.prior
        self.m_space, self.d_space, self.kind = inner.m_space, inner.d_space, inner.kind
        self.capabilities = inner.capabilities - {Capability.ROWS}
        self.strong_form = inner.strong_form

    def __call__(self, xi, /):
        raise SolverDiverged("planted")


def test_a_failed_reference_solve_at_the_end_is_one_clear_line(tmp_path):
    on = LinearGaussian.example(np.random.default_rng(4)).posterior()
    lost = replace(on, model=Lost(on.model))
    with pytest.raises(RunFailed, match="cannot be solved at the network's unknown"):
        run(Pinn(PinnEngineConfig(**TINY)), lambda: lost, Run(3, tmp_path))


def test_the_penalty_decides_how_well_the_equation_holds(tmp_path):
    """Without the equation the data are met and the unknown stays at the prior's mean."""
    on = LinearGaussian.example(np.random.default_rng(4)).posterior()
    weak = {**TINY, "penalty_start": 1e-8, "penalty": 1e-8}
    loose, strict = (
        run(Pinn(PinnEngineConfig(**t)), lambda: on, Run(3, tmp_path / str(i))).outcome
        for i, t in enumerate((weak, {**TINY, "newton_steps": 400}))
    )
    assert np.abs(loose.xi).max() < 0.01 < np.abs(strict.xi).max()
    assert loose.summary["misfit_of_network"] < 1e-3 < loose.stats["misfit"][0, 0]
    assert strict.summary["misfit_of_network"] == pytest.approx(
        strict.stats["misfit"][0, 0], rel=0.05
    )


def test_jets_name_their_axes():
    jets = Jets(torch.zeros(1, 1), torch.arange(3.0).view(3, 1, 1), torch.ones(1, 1, 1), (2,))
    assert float(jets.first(1)) == 1.0
    assert float(jets.second(2)) == 1.0
    with pytest.raises(ValueError, match="not in tuple"):
        jets.second(0)


def test_lbfgs_learns_the_same_solution():
    problem = make_problem("heat", ROD)
    options = {"finish": "lbfgs", "lbfgs_steps": 300, "block": 100, "patience": 9}
    found = solve(problem, np.zeros(17), QUICK.model_copy(update=options), 1)
    points = np.random.default_rng(0).random((500, 2))
    exact = exact_rod(points)
    assert np.linalg.norm(found(points)[:, 0] - exact) / np.linalg.norm(exact) < 0.02


JACOBIANS = {
    "darcy": ("darcy", {"boundary": {"left": {"kind": "flux", "value": "y"}}}, "grid:3x3"),
    "heat": ("heat", {"unknown": {"kind": "conductivity"}}, "grid:3x3@0.3,0.6"),
    "helmholtz": (
        "helmholtz",
        {"truncation": {"kind": "impedance"}, "wavenumbers": [3.0, 4.0], "total": True},
        "grid:2x2",
    ),
    "tumor": (
        "tumor",
        {"lengths": [60.0, 50.0], "tissue": {"kind": "homogeneous"}},
        "grid:3x3@60,100",
    ),
}


@pytest.mark.parametrize("name", JACOBIANS)
def test_rows_and_jacobian_are_those_of_the_objective(name):
    """Against autograd for the gradient, and against differences of the rows along a direction."""
    kind, config, spec = JACOBIANS[name]
    problem = make_problem(kind, {**config, "cells": 8})
    prior, sensors, rng = problem.prior(), problem.sensors(spec), np.random.default_rng(0)
    n = len(next(iter(sensors.values())))
    spread = rng.standard_normal((n, n))
    noise = Noise.from_covariance(spread @ spread.T / n + np.eye(n))
    form = problem.strong_form()
    inference = Inference(prior, sensors, rng.standard_normal(n), noise)
    objective = Objective(form, SMALL, Network.of(form, SMALL, rng), inference=inference)
    z = np.concatenate([objective.net.start(rng), rng.standard_normal(prior.dim)])
    parts = objective.collocate(rng, z)
    weights = 1.0 + np.arange(len(parts))
    rows, jacobian = linearized(objective, z, parts, weights, 7.0)
    at = torch.as_tensor(z).requires_grad_()
    total = objective.total(at, parts, weights, 7.0)
    (gradient,) = torch.autograd.grad(total, at)
    assert 0.5 * rows @ rows == pytest.approx(float(total.detach()), rel=1e-12)
    scale = float(gradient.abs().max())
    np.testing.assert_allclose(jacobian.T @ rows, gradient.numpy(), atol=1e-12 * scale)
    direction, h = rng.standard_normal(len(z)), 1e-6
    low, high = (
        linearized(objective, z + s * h * direction, parts, weights, 7.0)[0] for s in (-1, 1)
    )
    change = jacobian @ direction
    np.testing.assert_allclose(
        (high - low) / (2 * h), change, atol=1e-6 * np.abs(change).max(), rtol=1e-6
    )
