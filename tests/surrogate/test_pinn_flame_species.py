"""Flames of five species at points: the equations of the elements, and networks that solve them."""

import numpy as np
import pytest
import torch
from scipy.interpolate import make_interp_spline

from pdeinv.errors import ConfigError, DataSchemaError, SolverDiverged
from pdeinv.plugins.recipe import make_problem
from pdeinv.problems.flame.species.dual import Dual, DualFunctions
from pdeinv.problems.flame.species.flames import continuation, setting_of
from pdeinv.problems.flame.species.gas import SPECIES
from pdeinv.problems.flame.species.guess import Thin
from pdeinv.problems.flame.species.physics import SCALED
from pdeinv.problems.flame.species.pointwise import Pointwise, fractions
from pdeinv.problems.flame.species.strong_form import WORST
from pdeinv.rng import stream
from pdeinv.surrogates.pinn.config import PinnConfig
from pdeinv.surrogates.pinn.forward import relative_l2, solve
from pdeinv.surrogates.pinn.network import Network
from pdeinv.surrogates.pinn.objective import Objective
from pdeinv.surrogates.pinn.training import first_state

ENERGY = {"activation_energy": {"kind": "log-normal", "median": 83680.0, "std": 0.03}}
COARSE = {"slope": 0.1, "curve": 0.2}
TINY = PinnConfig(width=4, depth=1, points=16, adam_steps=0)
QUICK = PinnConfig(width=12, depth=3, points=150, adam_steps=0, newton_steps=80)
FREE, BETWEEN = "free", "counterflow"


def flame(configuration=FREE, **more):
    return make_problem(
        "flame-species", {"configuration": configuration, "unknown": ENERGY, **more}
    )


def middle(problem):
    return problem.prior().unwhiten(np.zeros(problem.prior().dim))


def fine(configuration):
    """Fields of finite elements with both derivatives, by splines through their nodes."""
    config = flame(configuration).config
    known = continuation(config, 2, config.centre)
    values = known.flame.values
    last = 1 - values[:, 1:5].sum(axis=1, keepdims=True)
    table = np.hstack([values[:, :5], last, values[:, 5:]])
    spline = make_interp_spline(known.equations.grid.x, table, k=5)
    x = np.linspace(0, config.length, 2003)[1:-1]
    parts = tuple(torch.as_tensor(spline.derivative(k)(x) if k else spline(x)) for k in range(3))
    numbers = {n: torch.full((1, 1), getattr(config.centre, n, 0.0)) for n in SCALED}
    numbers["eigenvalue"] = torch.full((1, 1), known.flame.eigenvalue)
    return config, parts, {k: v.double() for k, v in numbers.items()}


def shares(configuration, factor=1.0):
    """The rms of each balance by that of its largest term, with a conductivity that is off."""
    config, parts, numbers = fine(configuration)
    numbers["conductivity_scale"] = numbers["conductivity_scale"] * factor
    physics = Pointwise(setting_of(config), config.law)
    w, w1, _ = parts
    flux = w[:, 7:8] if config.counterflow else numbers["eigenvalue"]
    found = physics.balances(parts, flux, numbers)
    terms = [1400.0 * flux * w1[:, :1], *(flux * w1[:, k : k + 1] for k in range(1, 5))]
    if config.counterflow:
        terms += [numbers["eigenvalue"].expand(len(w), 1), w1[:, 7:8]]
    rms = lambda t: float(t.square().mean().sqrt())  # noqa: E731
    return [rms(r) / rms(t) for r, t in zip(found, terms, strict=True)]


@pytest.mark.parametrize("configuration", [FREE, BETWEEN])
def test_flames_of_finite_elements_solve_the_equations_at_points(configuration):
    assert max(shares(configuration)) < 5e-3
    assert shares(configuration, 1.05)[0] > 0.02  # conductivity off by 5 %


def test_a_free_flame_conserves_energy_and_elements():
    config, parts, numbers = fine(FREE)
    setting = setting_of(config)
    fresh, thin = setting.inlet(config.centre)[0], Thin.of(setting, config.law, config.centre)
    inlet = setting.gas.enthalpy(300.0, fresh), fresh
    physics, flux = Pointwise(setting, config.law), numbers["eigenvalue"]
    energy, *moles = physics.integrals(parts, flux, numbers, inlet)
    assert float(energy.abs().max()) < 1e-3 * thin.carried[0]
    assert max(float(gap.abs().max()) for gap in moles) < 1e-3 * thin.flux * thin.moles
    lighter = inlet[0] + 1e5, fresh
    assert float(physics.integrals(parts, flux, numbers, lighter)[0].abs().max()) > 1e4


def test_the_guess_has_nearly_the_speed_and_lambda_of_finite_elements():
    for configuration, name in ((FREE, "s_L"), (BETWEEN, "Lambda")):
        problem = flame(configuration)
        start = problem.strong_form().numbers[0].start
        exact = float(problem.solve(middle(problem), 0)[name])
        assert start == pytest.approx(exact, rel=0.06)


def test_fractions_are_positive_and_sum_to_one_with_their_derivatives():
    x = torch.linspace(-2, 2, 9, dtype=torch.float64)[:, None].requires_grad_()
    powers = torch.tensor([1.0, 2.0, 3.0, 0.5], dtype=torch.float64)
    z = powers * torch.sin(powers * x) - 3.0
    z1, z2 = powers**2 * torch.cos(powers * x), -(powers**3) * torch.sin(powers * x)
    y, y1, y2 = fractions(z, z1, z2)
    assert float(y.detach().min()) > 0
    np.testing.assert_allclose(y.sum(1).detach(), 1.0, rtol=1e-14)
    for k in range(len(SPECIES)):
        (once,) = torch.autograd.grad(y[:, k].sum(), x, create_graph=True)
        (twice,) = torch.autograd.grad(once.sum(), x, retain_graph=True)
        np.testing.assert_allclose(once.detach()[:, 0], y1[:, k].detach(), atol=1e-12)
        np.testing.assert_allclose(twice.detach()[:, 0], y2[:, k].detach(), atol=1e-12)


def test_a_dual_number_carries_the_derivative():
    of = DualFunctions()

    def formula(t):
        some = 2 / (1 - of.sqrt(t)) + of.exp(-t) * of.ln(3 - t) ** 2 / (t + 1) - (t - 1) * t
        return some + of.max_value(t, 0.25) * of.min_value(t, 0.3)

    t = torch.tensor([0.1, 0.2, 0.28, 0.4], dtype=torch.float64)
    found = formula(Dual(t, torch.ones_like(t)))
    h = 1e-6
    up, down = (formula(Dual(t + s * h, 0 * t)).value for s in (1, -1))
    np.testing.assert_allclose(found.change, (up - down) / (2 * h), rtol=1e-7)


@pytest.mark.parametrize("configuration", [FREE, BETWEEN])
def test_what_streams_prescribe_holds_whatever_the_weights(configuration):
    problem = flame(configuration)
    form = problem.strong_form()
    objective = Objective(form, TINY, Network.of(form, TINY, np.random.default_rng(0)))
    z = 3.0 * np.random.default_rng(1).standard_normal(objective.size)
    ends = objective.evaluate(z, np.array([[0.0], [problem.config.length]]))
    assert ends[0, 0] == pytest.approx(300.0, abs=1e-2)
    y = torch.softmax(torch.nn.functional.pad(torch.as_tensor(ends[:, 1:5]), (0, 1)), 1).numpy()
    setting = setting_of(problem.config)
    np.testing.assert_allclose(y[0], setting.inlet(problem.config.centre)[0], atol=1e-5)
    if configuration == FREE:
        held = problem.config.domain.held
        assert objective.evaluate(z, np.array([[held]]))[0, 0] == pytest.approx(1000.0, abs=0.5)
        np.testing.assert_allclose(y[1], setting.burnt(problem.config.centre)[1], atol=1e-5)
        return
    np.testing.assert_allclose(y[1], setting.opposed, atol=1e-5)
    np.testing.assert_allclose(ends[:, 5], 0.0, atol=1e-2)
    np.testing.assert_allclose(ends[:, 6], [1.0, -1.0], atol=1e-5)


@pytest.fixture(scope="module")
def found():
    problem = flame()
    return solve(problem, middle(problem), QUICK, 1)


def test_a_free_flame_and_its_speed_are_those_of_finite_elements(found):
    problem = found.problem
    reference, own = problem.solve(found.m, 1), found.fields(1)
    assert relative_l2(problem.strong_form(), own, reference) < 0.01
    assert found.numbers["s_L"] == pytest.approx(float(reference["s_L"]), rel=0.01)
    for name in SPECIES[:-1]:
        gap = np.linalg.norm(own[f"Y_{name}"] - reference[f"Y_{name}"])
        assert gap < 0.01 * np.linalg.norm(reference[f"Y_{name}"])


def test_its_data_are_those_of_the_fields(found):
    problem = found.problem
    sensors = problem.sensors("list:0.0068;0.0071;0.0075@T,u,Y_O2,Y_N2+speed")
    form = problem.strong_form()
    points, observe = form.sensing(sensors)
    net = Network.of(form, found.config, stream(1, "pinn-features"))
    objective = Objective(form, found.config, net, m=found.m)
    frame = objective.ansatz.frame(points, torch.float64)
    z = torch.as_tensor(found.state.z)
    read = observe(objective.solution(z, torch.as_tensor(points), frame)).detach().numpy()
    np.testing.assert_allclose(read, problem.observe(found.fields(2), sensors), rtol=2e-3)


def test_what_is_no_flame_is_an_error_and_no_profile():
    problem = flame(BETWEEN)
    with pytest.raises(SolverDiverged, match="found no flame: the rms of its residual is"):
        solve(problem, middle(problem), TINY.model_copy(update={"newton_steps": 20}), 1)
    check = problem.strong_form().check
    cold = lambda points: np.full((len(points), 7), 400.0)  # noqa: E731
    with pytest.raises(SolverDiverged, match=r"reaches \d % of the rise of temperature"):
        check(cold, {"Lambda": -1e4}, WORST / 2)


def test_streams_that_are_sought_and_data_of_other_flames_are_refused():
    sought = {"equivalence_ratio": {"kind": "normal", "mean": 0.8, "std": 0.05}}
    with pytest.raises(ConfigError, match="prescribes the streams, and equivalence_ratio is"):
        flame(unknown=sought).strong_form()
    problem = flame()
    with pytest.raises(DataSchemaError, match="of one flame, that with"):
        problem.strong_form().sensing(problem.sensors("speed:0.8,1.0"))


def test_the_search_begins_at_the_guess():
    form = flame(BETWEEN).strong_form()
    objective = Objective(form, TINY, Network.of(form, TINY, np.random.default_rng(0)))
    state = first_state(objective, np.random.default_rng(1))
    assert objective.numbers_at(state.z) == pytest.approx({"Lambda": form.numbers[0].start})
    rng = np.random.default_rng(0)
    places = objective.collocate(rng, state.z)[0].points.numpy()
    assert 0 < places.min() < places.max() < 0.02
    assert (np.abs(places - form.centres[0]) < form.widths[0]).mean() > 0.6
