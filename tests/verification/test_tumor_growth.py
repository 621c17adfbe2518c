"""Tumor growth against what is known exactly: fronts, logistic growth, mass, bounds, orders."""

import numpy as np
import pytest
from scipy import sparse

from pdeinv.problems.tumor import Tumor, TumorConfig

SOLVERS = ("finite-elements", "finite-differences")


def made(solver, **table):
    table = {"tissue": {"kind": "homogeneous"}, "lengths": [60.0], "cells": 60, **table}
    return Tumor(TumorConfig.model_validate({"solver": solver, **table}))


def unknown(problem, diffusivity, rate, *more):
    middle = [n / 2 for n in problem.config.lengths]
    return np.array([diffusivity, rate, *(more or middle)])


def solved(problem, m, level=0):
    """c (time, node) with the share of each node in the volume."""
    fields = problem.solve(m, level)
    on = problem.discretisation(level)
    volume = getattr(on.diffusion, "mass", np.ones(on.lattice.size))
    return fields, volume / volume.sum()


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_front_has_the_speed_of_fisher_with_the_lag_of_bramson(solver):
    """v = 2 √(D ρ) − (3/(2 t)) √(D/ρ) from a compact start, t in [20, 40]/ρ."""
    diffusivity, rate = 0.4, 0.1
    width, speed = np.sqrt(diffusivity / rate), 2 * np.sqrt(diffusivity * rate)
    length, cell = 220.0, width / 4
    time = {"final": 40 / rate, "steps": 1600}
    problem = made(solver, lengths=[length], cells=round(length / cell), time=time,
                   seed={"width": 1.0}, unknown={"low": [0.0], "high": [1.0]})  # fmt: skip
    fields = problem.solve(np.array([diffusivity, rate, 0.0]), 0)
    x, t, c = (np.asarray(fields[k]) for k in ("x", "time", "c"))
    # where c = 1/2 between two nodes, c falling with x
    front = np.array([np.interp(-0.5, -u, x) for u in c])
    first, last = np.searchsorted(t, [20 / rate, 40 / rate])
    between = slice(first, last + 1)
    found = np.polyfit(t[between], front[between], 1)[0]
    way = speed * (t[last] - t[first]) - 1.5 * width * np.log(t[last] / t[first])
    assert cell <= width / 2
    assert found == pytest.approx(way / (t[last] - t[first]), rel=0.03)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("lengths", [[192.0, 192.0], [160.0, 140.0, 120.0]])
def test_without_growth_the_mass_stays(solver, lengths):
    problem = made(solver, lengths=lengths, cells=20, tissue={"kind": "phantom"})
    fields, volume = solved(problem, unknown(problem, 5.0, 0.0))
    mass = np.asarray(fields["c"]) @ volume
    np.testing.assert_allclose(mass, mass[0], rtol=1e-11)
    assert mass[0] > 0


@pytest.mark.parametrize("solver", SOLVERS)
def test_without_diffusion_each_place_grows_by_itself(solver):
    problem = made(solver, lengths=[60.0, 40.0], cells=12, time={"steps": 3})
    fields, _ = solved(problem, unknown(problem, 0.0, 0.05))
    c, t = np.asarray(fields["c"]), np.asarray(fields["time"])[:, None]
    np.testing.assert_allclose(c, c[0] / (c[0] + (1 - c[0]) * np.exp(-0.05 * t)), rtol=1e-12)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("lengths", [[192.0, 150.0], [180.0, 150.0, 120.0]])
def test_concentrations_stay_between_0_and_1_whatever_the_step(solver, lengths):
    """Voxels that are no cubes, and steps over many of them; nothing is clipped."""
    problem = made(solver, lengths=lengths, cells=18, tissue={"kind": "phantom"},
                   time={"steps": 6}, seed={"peak": 1.0, "width": 12.0})  # fmt: skip
    for diffusivity, rate in ((1e-3, 2.0), (30.0, 0.5), (1e4, 0.1)):
        c = np.asarray(problem.solve(unknown(problem, diffusivity, rate), 0)["c"])
        assert c.min() >= -1e-12
        assert c.max() <= 1 + 1e-12
        assert c.max() > 0.1


@pytest.mark.parametrize("lengths", [[60.0], [192.0, 150.0], [180.0, 150.0, 120.0]])
def test_the_stiffness_of_elements_is_that_of_an_m_matrix(lengths):
    """No positive entry off the diagonal, rows that add up to zero: simplices are not obtuse."""
    tissue = {"kind": "phantom" if len(lengths) > 1 else "homogeneous"}
    problem = made("finite-elements", lengths=lengths, cells=18, tissue=tissue)
    diffusion = problem.discretisation(0).diffusion
    stiffness = sparse.coo_array(diffusion.stiffness)
    off = stiffness.data[stiffness.row != stiffness.col]
    scale = np.abs(stiffness.data).max()
    assert off.max() <= 1e-14 * scale
    assert np.abs(diffusion.stiffness.sum(axis=1)).max() <= 1e-12 * scale
    assert diffusion.mass.min() > 0


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_order_in_space_is_two(solver):
    """A smooth bump in a homogeneous box, read at corners of all grids."""

    def data(cells):
        problem = made(solver, lengths=[60.0, 60.0], cells=cells, time={"steps": 20})
        sensors = problem.sensors("list:24,31.5;37.5,27;30,42")
        return problem.forward_model(sensors)(unknown(problem, 0.8, 0.06, 29.4, 31.7))

    a, b, c = (data(n) for n in (40, 80, 160))
    order = np.log2(np.abs(a - b).max() / np.abs(b - c).max())
    assert order == pytest.approx(2.0, abs=0.15)


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_order_in_time_is_that_of_implicit_euler(solver):
    def data(steps):
        problem = made(solver, lengths=[60.0, 60.0], cells=30, time={"steps": steps})
        sensors = problem.sensors("grid:7")
        return problem.forward_model(sensors)(unknown(problem, 0.8, 0.06))

    a, b, c = (data(n) for n in (80, 160, 320))
    assert np.log2(np.abs(a - b).max() / np.abs(b - c).max()) == pytest.approx(1.0, abs=0.1)


def test_what_the_order_of_directions_matters_is_of_second_order():
    """In a brain, where directions do not commute: x, y first and y, x first."""
    gaps = []
    for steps in (160, 320):
        problem = made("finite-differences", lengths=[192.0, 192.0], cells=48,
                       tissue={"kind": "phantom"}, time={"steps": steps})  # fmt: skip
        on = problem.discretisation(0)
        c = np.exp(-np.sum((on.lattice.points - 96.0) ** 2, axis=1) / 800)[:, None]
        even, odd = on.diffusion.stages(np.array([100 / steps]))
        ends = []
        for pair in ((even, odd), (odd, even)):
            u = c
            for n in range(steps):
                for stage in pair[n % 2]:
                    u = stage.solve(u)
            ends.append(u)
        gaps.append(np.abs(ends[0] - ends[1]).max())
    assert gaps[0] > 1e-7
    assert np.log2(gaps[0] / gaps[1]) == pytest.approx(2.0, abs=0.1)


def test_both_models_agree_and_the_more_so_the_finer():
    gaps = []
    for cells, steps in ((48, 100), (96, 200), (192, 400)):
        table = {"lengths": [192.0, 192.0], "cells": cells, "tissue": {"kind": "phantom"},
                 "time": {"steps": steps}}  # fmt: skip
        both = []
        for solver in SOLVERS:
            problem = made(solver, **table)
            sensors = problem.sensors("grid:12")
            both.append(problem.forward_model(sensors)(unknown(problem, 1.5, 0.06, 120.0, 100.0)))
        gaps.append(np.abs(both[0] - both[1]).max())
    assert gaps[0] < 0.15
    assert gaps[1] < 0.06
    assert gaps[2] < 0.03


@pytest.mark.parametrize("solver", SOLVERS)
def test_time_has_no_scale_of_its_own(solver):
    """Twice the rates for half the time give the same concentrations."""
    found = []
    for factor in (1.0, 2.0):
        problem = made(solver, lengths=[60.0, 60.0], cells=24,
                       time={"final": 100 / factor, "steps": 20})  # fmt: skip
        m = unknown(problem, 0.5 * factor, 0.06 * factor)
        found.append(problem.forward_model(problem.sensors("grid:7"))(m))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-10, atol=1e-14)


def information(sensors, window):
    """The Fisher information of log (D, ρ, T) and its eigenpairs, for a noise of 0.02."""
    problem = made("finite-differences", lengths=[192.0, 192.0], cells=48,
                   tissue={"kind": "phantom"}, time={"window": window},
                   unknown={"duration": [60.0, 150.0]})  # fmt: skip
    m = np.array([1.5, 0.07, 120.0, 100.0, 100.0])
    at = problem.forward_model(problem.sensors(sensors)).linearize(m)
    columns = [at.jvp(m[k] * np.eye(5)[k]) / 0.02 for k in (0, 1, 4)]
    return np.linalg.eigh(np.array(columns) @ np.array(columns).T)


def test_one_time_leaves_the_clock_open_and_two_set_it():
    values, vectors = information("grid:20", 0.0)
    null = vectors[:, 0] / vectors[2, 0]
    np.testing.assert_allclose(null, [-1, -1, 1], atol=1e-6)
    assert abs(values[0]) <= 1e-12 * values[-1]
    values, vectors = information("grid:20@70,100", 30.0)
    assert values[0] > 1e-4 * values[-1]
    error = np.sqrt(np.sum(vectors[2] ** 2 / values))
    assert error < 0.05, f"the duration is known to {100 * error:.0f} % only"
