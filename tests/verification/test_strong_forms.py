"""Exact solutions leave no residual in any strong form, wrong ones do; data are read off right."""

import numpy as np
import pytest
import torch
from darcy_exact import SMOOTH, configuration
from scipy.interpolate import make_interp_spline

from pdeinv.bayes.prior import sample
from pdeinv.errors import PdeinvError
from pdeinv.fem.mesh import SIDES
from pdeinv.model.strong_form import Side, box_side
from pdeinv.plugins.recipe import make_problem
from pdeinv.surrogates.pinn.ansatz import derivatives
from pdeinv.surrogates.pinn.network import Jets
from pdeinv.surrogates.pinn.objective import inside, on_side, tensors

PI = torch.pi
ROUNDING = 1e-9


def residual(form, equation, exact, m, points):
    """The largest residual of a function at points, in units of the equation's terms."""
    u = derivatives(exact, points, form.curved, torch.float64)
    m = torch.as_tensor(m, dtype=torch.float64)
    found = equation.residual(u, tensors(equation.coefficients(points), m, torch.float64))
    return float((found / equation.scale).abs().max())


def everywhere(form, exact, m, n=64):
    """The residual of each equation, and the gap of each prescribed value."""
    rng = np.random.default_rng(0)
    out = {"interior": residual(form, form.interior, exact, m, inside(form, n, rng))}
    for side, equation in form.soft.items():
        out[side] = residual(form, equation, exact, m, on_side(form, side, n, rng))
    for side, values in form.held.items():
        x = torch.as_tensor(on_side(form, side, n, rng))
        out[side] = float((values(x) - exact(x)).abs().max()) / form.scale
    return out


def holds(form, exact, wrong, m, n=64):
    """Exact: rounding everywhere. Wrong: seen inside."""
    assert max(everywhere(form, exact, m, n).values()) < ROUNDING
    assert everywhere(form, wrong, m, n)["interior"] > 1e-4


def column(values):
    return values[:, None]


def darcy_exact(x):
    return column(torch.sin(PI * x[:, 0]) * torch.cos(PI * x[:, 1] / 2) + x[:, 0] * x[:, 1])


@pytest.mark.parametrize("flux", [(), ("right", "top"), ("left", "bottom")], ids=str)
def test_darcy_with_variable_conductivity(flux):
    config = configuration(SMOOTH, "P1", flux_sides=flux).model_dump(mode="json")
    problem = make_problem("darcy", config)
    x, y = problem.unknown.variable.places.T
    form, m = problem.strong_form(), 1 + x + 2 * y + x * y / 2
    assert set(form.soft) == {box_side(SIDES, s) for s in flux}
    holds(form, darcy_exact, lambda p: 1.001 * darcy_exact(p), m)
    assert residual(form, form.interior, darcy_exact, 1.001 * m, np.full((1, 2), 0.3)) > 1e-4


def test_darcy_with_one_number_for_the_conductivity():
    table = {"source": 2.0, "unknown": {"kind": "uniform", "low": 0.5, "high": 2.0}}
    walls = {s: {"kind": "flux"} for s in ("bottom", "top")}
    form = make_problem("darcy", {**table, "boundary": walls}).strong_form()
    exact = lambda p: column(p[:, 0] * (1 - p[:, 0]) / 0.8)  # noqa: E731
    holds(form, exact, lambda p: exact(p) * p[:, :1], [0.8])


HEAT_1D = {"lengths": [1.0], "time": {"final": 2.0}}


def test_heat_with_a_known_variable_conductivity_and_capacity():
    source = "exp(-t)*(-2*sin(pi*x) + (1 + x/2)*pi^2*sin(pi*x) - pi/2*cos(pi*x))"
    table = {"conductivity": "1 + x/2", "capacity": 2.0, "source": source, "initial": "sin(pi*x)"}
    problem = make_problem("heat", {**HEAT_1D, **table, "unknown": {"kind": "source"}})
    form = problem.strong_form()
    exact = lambda p: column(torch.exp(-p[:, 1]) * torch.sin(PI * p[:, 0]))  # noqa: E731
    holds(form, exact, lambda p: 1.001 * exact(p), np.zeros(problem.prior().space.size))
    assert Side(1, 0) in form.held


def test_heat_with_an_unknown_conductivity_in_the_plane():
    source = "2*(x + y) - t*(1 + 2)"  # c (x + y) - ∇k·∇u with k = 1 + x + 2y
    table = {"capacity": 2.0, "source": source, "unknown": {"kind": "conductivity"}}
    sides = {s: {"kind": "dirichlet", "value": "t*(x + y)"} for s in SIDES}
    problem = make_problem("heat", {**table, "boundary": sides})
    x, y = problem.unknown.variable.places.T
    exact = lambda p: column(p[:, 2] * (p[:, 0] + p[:, 1]))  # noqa: E731
    holds(problem.strong_form(), exact, lambda p: 1.01 * exact(p), 1 + x + 2 * y)


def test_heat_with_an_unknown_source_profile_and_box():
    table = {"lengths": [1.0, 2.0, 1.0], "cells": 4, "conductivity": 0.5}
    unknown = {"kind": "source", "profile": "2*t", "prior": {"kind": "gaussian", "length": 0.5}}
    sides = {
        s: {"kind": "dirichlet", "value": "t^2*(x - z)"}
        for s in ("left", "right", "front", "back", "bottom", "top")
    }
    problem = make_problem("heat", {**table, "unknown": unknown, "boundary": sides})
    nodes = problem.unknown.variable.places
    exact = lambda p: column(p[:, 3] ** 2 * (p[:, 0] - p[:, 2]))  # noqa: E731
    m = nodes[:, 0] - nodes[:, 2]
    holds(problem.strong_form(), exact, lambda p: 1.01 * exact(p), m)


def test_heat_with_unknown_flux_and_robin_sides():
    left = {"kind": "dirichlet", "value": 0.0}
    exact = lambda p: column(p[:, 1] * p[:, 0])  # noqa: E731
    robin = {"kind": "robin", "coefficient": 7.0, "ambient": "1.25*t"}
    table = {**HEAT_1D, "conductivity": 0.5, "source": "x"}
    problem = make_problem(
        "heat",
        {
            **table,
            "boundary": {"left": left, "right": robin},
            "unknown": {"kind": "robin", "side": "right"},
        },
    )
    form = problem.strong_form()
    holds(form, exact, lambda p: exact(p) * p[:, :1], [2.0])
    assert everywhere(form, exact, [2.1])[Side(0, 1)] > 1e-3
    flux = {"left": left, "right": {"kind": "flux", "value": "0.25*t"}}
    unknown = {"kind": "flux", "side": "right", "knots": 17}
    problem = make_problem("heat", {**table, "boundary": flux, "unknown": unknown})
    m = 0.75 * np.linspace(0, 2, 17)  # -k ∂u/∂x = -t/2 = t/4 - g
    assert max(everywhere(problem.strong_form(), exact, m).values()) < ROUNDING
    assert everywhere(problem.strong_form(), exact, 1.1 * m)[Side(0, 1)] > 1e-3


def test_heat_with_an_unknown_initial_state():
    table = {
        **HEAT_1D,
        "source": "x",
        "boundary": {"right": {"kind": "dirichlet", "value": "1 + t"}},
    }
    problem = make_problem("heat", {**table, "unknown": {"kind": "initial-state"}})
    form, m = problem.strong_form(), problem.unknown.variable.places[:, 0]
    exact = lambda p: column((1 + p[:, 1]) * p[:, 0])  # noqa: E731
    holds(form, exact, lambda p: exact(p) * p[:, :1], m)
    assert everywhere(form, exact, 0.9 * m)[Side(1, 0)] > 1e-2


def test_helmholtz_with_a_source_between_walls():
    unknown = {"kind": "gaussian", "length": 0.3, "grid": [17, 17]}
    problem = make_problem(
        "helmholtz",
        {
            "quantity": "source",
            "truncation": {"kind": "dirichlet"},
            "wavenumbers": [7.0],
            "unknown": unknown,
        },
    )
    form = problem.strong_form()
    x, y = np.meshgrid(np.linspace(0, 1, 17), np.linspace(0, 1, 17))
    nodes = np.stack([x.ravel(), y.ravel()], axis=1)
    m = (49 - 5 * np.pi**2) * np.sin(np.pi * nodes[:, 0]) * np.sin(2 * np.pi * nodes[:, 1])
    exact = lambda p: column(torch.sin(PI * p[:, 0]) * torch.sin(2 * PI * p[:, 1]))  # noqa: E731
    assert residual(form, form.interior, exact, m, nodes) < ROUNDING
    assert residual(form, form.interior, exact, 1.01 * m, nodes) > 1e-4
    assert all(v(torch.as_tensor(nodes)).abs().max() == 0 for v in form.held.values())


SCATTERING = {
    "wavenumbers": [3.0, 5.0],
    "incident": {"kind": "plane", "angles": [0.0, 60.0]},
    "unknown": {"kind": "uniform", "low": 0.1, "high": 0.5},
    "region": [0.0, 1.0, 0.0, 1.0],
    "taper": 0.0,
}


def split(waves):
    return torch.stack([waves.real, waves.imag], dim=2).reshape(len(waves), -1)


def other_plane_wave(problem, q):
    """u_s with u_s + u_inc a plane wave of the medium: exact where there are no walls."""
    phi = torch.as_tensor(np.deg2rad(problem.config.incident.directions))

    def exact(p):
        parts = []
        for k in problem.config.ks:
            along = p[:, :1] * torch.cos(phi) + p[:, 1:] * torch.sin(phi)
            across = p[:, :1] * torch.sin(phi) - p[:, 1:] * torch.cos(phi)
            inner = k * np.sqrt(1 + q)
            parts.append(torch.exp(1j * inner * across) - torch.exp(1j * k * along))
        return split(torch.cat(parts, dim=1))

    return exact


def test_helmholtz_scattering_at_two_frequencies():
    problem = make_problem("helmholtz", {**SCATTERING, "truncation": {"kind": "dirichlet"}})
    form, exact = problem.strong_form(), other_plane_wave(problem, 0.3)
    assert len(form.outputs) == 8
    points = inside(form, 64, np.random.default_rng(0))
    assert residual(form, form.interior, exact, [0.3], points) < ROUNDING
    assert residual(form, form.interior, exact, [0.31], points) > 1e-4


def test_helmholtz_outgoing_sides():
    problem = make_problem("helmholtz", {**SCATTERING, "truncation": {"kind": "impedance"}})
    form = problem.strong_form()

    def to_the_right(p):
        waves = [torch.exp(1j * k * p[:, :1]).expand(-1, 2) for k in problem.config.ks]
        return split(torch.cat(waves, dim=1))

    rng = np.random.default_rng(0)
    gaps = {
        s: residual(form, e, to_the_right, [0.3], on_side(form, s, 16, rng))
        for s, e in form.soft.items()
    }
    assert gaps[Side(0, 1)] < ROUNDING
    assert min(gaps[Side(0, 0)], gaps[Side(1, 0)]) > 0.1


@pytest.mark.parametrize("total", [False, True])
@pytest.mark.parametrize(
    ("measure", "spec"), [("field", "grid:3x2"), ("normal-derivative", "boundary:2")]
)
def test_waves_at_receivers_are_those_of_the_finite_elements(measure, spec, total):
    """The same wave, as a polynomial, seen by the strong form and by the elements."""
    table = {**SCATTERING, "truncation": {"kind": "dirichlet"}, "cells": 6}
    problem = make_problem("helmholtz", {**table, "measure": measure, "total": total})
    form, sensors = problem.strong_form(), problem.sensors(spec)
    scales = np.arange(1.0, 9.0)

    def polynomial(p):
        bump = p[:, :1] ** 2 * p[:, 1:] + p[:, :1]
        return bump * p.new_tensor(scales)

    points, observe = form.sensing(sensors)
    seen = observe(derivatives(polynomial, points, form.curved, torch.float64)).numpy()
    m, nodes = np.array([0.3]), form.nodes(1)
    fields = form.dataset(m, polynomial(torch.as_tensor(nodes)).numpy(), 1)
    np.testing.assert_allclose(seen, problem.observe(fields, sensors), atol=1e-10)


@pytest.mark.parametrize("name", ["darcy", "heat"])
def test_fields_have_the_layout_of_the_reference_solver(name):
    problem = make_problem(name, {"cells": 4})
    form, m = problem.strong_form(), sample(problem.prior(), np.random.default_rng(0), 1)[0]
    reference = problem.solve(m, 1)
    nodes = form.nodes(1)
    found = form.dataset(m, np.arange(len(nodes), dtype=float)[:, None], 1)
    assert found.sizes == reference.sizes
    assert set(found) == set(reference)
    assert found.attrs == reference.attrs
    assert found["u"].attrs == reference["u"].attrs
    sensors = problem.sensors("list:0.5,0.5")
    if name == "darcy":
        copy = form.dataset(m, reference["u"].values.ravel()[:, None], 1)
        np.testing.assert_array_equal(
            problem.observe(copy, sensors), problem.observe(reference, sensors)
        )


def test_a_number_that_autograd_cannot_fool():
    """Negative control of the helper: a wrong derivative would show."""
    points = np.random.default_rng(0).random((5, 2))
    u = derivatives(lambda p: column(p[:, 0] ** 3 * p[:, 1]), points, (0,), torch.float64)
    x, y = points.T
    np.testing.assert_allclose(u.first(0)[:, 0], 3 * x**2 * y)
    np.testing.assert_allclose(u.first(1)[:, 0], x**3)
    np.testing.assert_allclose(u.second(0)[:, 0], 6 * x * y)
    assert not np.allclose(u.second(0)[:, 0], 3 * x * y)


FREE_FLAME = {
    "equivalence_ratio": 0.42,
    "unknown": {
        "activation_energy": {"kind": "normal", "mean": 121417.2, "std": 1e3},
        "inlet_gradient": {"kind": "normal", "mean": 1e5, "std": 1e3},
    },
}


def test_a_flame_of_finite_elements_leaves_little_and_another_speed_or_energy_does_not():
    """Derivatives are those of a quintic spline through the nodes of 1600 quadratic cells."""
    problem = make_problem("flame", {**FREE_FLAME, "cells": 400, "grading": 0.0})
    form, m = problem.strong_form(), np.array([121417.2, 1e5])
    fields = problem.solve(m, 2)
    x = form.nodes(2)[:, 0]
    spline = make_interp_spline(x, np.asarray(fields["T"]), k=5)

    def worst(equation, points, speed=1.0, m=m):
        parts = (torch.as_tensor(spline(points, nu)[:, None]) for nu in (0, 1, 2))
        value, slope, curve = parts
        numbers = {"s_L": torch.tensor([[speed * float(fields["s_L"])]], dtype=torch.float64)}
        u = Jets(value, slope[None], curve[None], (0,), numbers)
        c = tensors(equation.coefficients(points[:, None]), torch.as_tensor(m), torch.float64)
        return float((equation.residual(u, c) / equation.scale).abs().max())

    inside_it = np.linspace(0.05e-3, 1.45e-3, 400)
    assert worst(form.interior, inside_it) < 1e-3
    assert worst(form.interior, inside_it, speed=1.01) > 0.02
    assert worst(form.interior, inside_it, m=1.01 * m) > 0.02
    inlet = form.soft[Side(0, 0)]
    assert worst(inlet, np.zeros(1)) < 1e-3
    assert worst(inlet, np.zeros(1), m=1.01 * m) == pytest.approx(0.01, rel=0.1)
    assert worst(form.soft[Side(0, 1)], x[-1:]) < 1e-2


def test_a_flame_reads_data_off_as_finite_elements_do():
    problem = make_problem("flame", FREE_FLAME)
    form, m = problem.strong_form(), np.array([121417.2, 1e5])
    sensors = problem.sensors("grid:7@T,u,Y+speed")
    points, observe = form.sensing(sensors)
    fields = problem.solve(m, 1)
    speed = torch.tensor([[float(fields["s_L"])]], dtype=torch.float64)
    values = torch.as_tensor(np.interp(points, np.asarray(fields["x"]), np.asarray(fields["T"])))
    zero = torch.zeros(0, *values.shape, dtype=torch.float64)
    read = observe(Jets(values, zero, zero, (), {"s_L": speed})).numpy()
    np.testing.assert_allclose(read, problem.observe(fields, sensors), rtol=1e-4)


@pytest.mark.parametrize(
    ("table", "spec", "error"),
    [
        ({"unknown": {"pressure": {"kind": "uniform", "low": 1e5, "high": 1.2e5}}}, "", "pressure"),
        (FREE_FLAME, "grid:3+speed:0.45", "of one flame"),
    ],
)
def test_flames_of_several_inlets_have_no_strong_form(table, spec, error):
    problem = make_problem("flame", table)
    with pytest.raises(PdeinvError, match=error):
        problem.strong_form().sensing(problem.sensors(spec))
