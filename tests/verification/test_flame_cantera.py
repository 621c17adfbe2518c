"""Flames with detailed chemistry: they are Cantera's, converge with the grid, and conserve."""

import cantera as ct
import numpy as np
import pytest

from pdeinv.config import parse
from pdeinv.problems.flame.detailed import DetailedConfig, FlameCantera


def made(**table):
    return FlameCantera(parse(DetailedConfig, table, "problem"))


def plain(phi, slope=0.06, transport="mixture-averaged"):
    """s_L as a user of Cantera computes it."""
    gas = ct.Solution("h2o2.yaml")
    gas.set_equivalence_ratio(phi, "H2", {"O2": 0.21, "N2": 0.79})
    gas.TP = 298.0, 101325.0
    flame = ct.FreeFlame(gas, width=0.03)
    flame.set_refine_criteria(ratio=3, slope=slope, curve=2 * slope)
    flame.solve(loglevel=0)
    flame.transport_model = transport
    flame.soret_enabled = transport == "multicomponent"
    flame.solve(loglevel=0)
    return flame.velocity[0]


@pytest.mark.parametrize("transport", ["mixture-averaged", "multicomponent"])
def test_flame_speeds_are_cantera_s(transport):
    problem = made(transport=transport, soret=transport == "multicomponent")
    speeds = problem.forward_model(problem.sensors("speed:0.7,1.0,1.8"))(np.zeros(2))
    theirs = [plain(phi, transport=transport) for phi in (0.7, 1.0, 1.8)]
    np.testing.assert_allclose(speeds, theirs, rtol=2e-3)


def test_speeds_converge_with_order_one_to_those_of_fine_grids():
    problem = made()
    at = problem.sensors("speed:0.7,1.4")
    s = [problem.forward_model(at, level)(np.zeros(2)) for level in range(4)]
    ratios = (s[2] - s[1]) / (s[3] - s[2])
    assert ((ratios > 1.6) & (ratios < 2.6)).all()
    limit = 2 * s[3] - s[2]
    assert np.abs(s[1] / limit - 1).max() > 1e-3
    for level, most in ((0, 3e-3), (1, 1e-3)):
        two = made(extrapolate=True).forward_model(at, level)(np.zeros(2))
        np.testing.assert_allclose(two, limit, rtol=most)


def test_mass_and_elements_are_conserved():
    problem = made(configuration="burner", mass_flux=0.5)
    fields = problem.solve(np.array([0.1, -0.1]), 0)
    gas = ct.Solution("h2o2.yaml")
    fractions = np.stack([fields[f"Y_{name}"].values for name in gas.species_names], axis=1)
    np.testing.assert_allclose(fractions.sum(axis=1), 1.0, atol=1e-8)
    flux = []
    for t, u, y in zip(fields["T"].values, fields["u"].values, fractions, strict=True):
        gas.TPY = t, 101325.0, y
        flux.append(u * gas.density)
    np.testing.assert_allclose(flux, 0.5, rtol=1e-8)


def test_a_factor_is_that_of_the_mechanism_with_another_constant(tmp_path):
    text = (ct.Solution("h2o2.yaml").write_yaml(tmp_path / "own.yaml"), tmp_path / "own.yaml")[1]
    gas = ct.Solution(str(text))
    reaction, gone = gas.reaction(10), gas.reaction(21)
    old = reaction.rate
    reaction.rate = ct.ArrheniusRate(
        2.0 * old.pre_exponential_factor, old.temperature_exponent + 0.05,
        old.activation_energy + 5e5,
    )  # fmt: skip
    gas.modify_reaction(10, reaction)
    rate = gone.rate
    for limit in ("low_rate", "high_rate"):
        k = getattr(rate, limit)
        setattr(rate, limit, ct.ArrheniusRate(
            3.0 * k.pre_exponential_factor, k.temperature_exponent + 0.1, k.activation_energy
        ))  # fmt: skip
    gone.rate = rate
    gas.modify_reaction(21, gone)
    gas.write_yaml(tmp_path / "changed.yaml")
    rates = {
        "10": {"log_a": {"std": 1.0}, "b": {"std": 1.0}, "ea": {"std": 1e3}},
        "21": {"log_a": {"std": 1.0}, "b": {"std": 1.0}},
    }
    own = made(unknown={"rates": rates})
    at = own.sensors("speed")
    found = own.forward_model(at)(np.array([np.log10(2.0), 0.05, 500.0, np.log10(3.0), 0.1]))
    changed = made(mechanism=str(tmp_path / "changed.yaml"))
    # the grids differ, each being refined for its own rates
    both = [own.forward_model(at, 2), changed.forward_model(at, 2)]
    assert found[0] > 1.05 * own.forward_model(at)(np.zeros(5))[0]
    speeds = [both[0](np.array([np.log10(2.0), 0.05, 500.0, np.log10(3.0), 0.1])),
              both[1](np.zeros(2))]  # fmt: skip
    np.testing.assert_allclose(*speeds, rtol=3e-3)


def test_an_imposed_profile_is_the_temperature():
    x, t = [0.0, 0.002, 0.03], [300.0, 1600.0, 1800.0]
    problem = made(configuration="burner", temperatures={"x": x, "T": t})
    fields = problem.solve(np.zeros(2), 0)
    np.testing.assert_allclose(fields["T"], np.interp(fields["x"], x, t), rtol=1e-10)


def test_data_do_not_depend_on_what_was_solved_before():
    problem = made()
    at = problem.sensors("speed:0.8,1.2")
    model, m = problem.forward_model(at), np.array([0.2, -0.1])
    first = model(m)
    model(-m)
    np.testing.assert_array_equal(model(m), first)
    other = problem.forward_model(at)
    other(np.array([-0.3, 0.3]))
    np.testing.assert_array_equal(other(m), first)


def test_the_coarsest_level_keeps_its_points():
    problem = made()
    coarse = problem.forward_model(problem.sensors("speed"), -3)
    speed = problem.forward_model(problem.sensors("speed"))(np.zeros(2))
    np.testing.assert_allclose(coarse(np.zeros(2)), speed, rtol=0.2)
    assert problem.dofs(-3) < problem.dofs(-2) < problem.dofs(-1) < problem.dofs(0)
