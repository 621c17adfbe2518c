"""Seismic waves against what is known exactly: Green's functions, orders, reciprocity, energy."""

import itertools

import numpy as np
import pytest
from scipy import sparse

from pdeinv.problems.seismic import Seismic, SeismicConfig
from pdeinv.problems.seismic.wavelet import ricker

V = 2500.0
CONSTANT = {"unknown": {"kind": "uniform", "low": 1800.0, "high": 3200.0}}
"""One number, the velocity."""


def made(**table):
    return Seismic(SeismicConfig.model_validate({**CONSTANT, **table}))


def traces(problem, m, spec="all", level=0):
    """(shots, receivers, samples)."""
    sensors = problem.sensors(spec)
    shape = [len(np.unique(sensors[c])) for c in ("shot", "receiver", "time")]
    return problem.forward_model(sensors, level)(np.asarray(m)).reshape(shape)


def green(r, t, source):
    """The pressure at distance r of a line source: A w * H(t − r/v)/(2π √(t² − r²/v²)).

    The singular front goes by τ = t − (r/v) cosh θ.
    """
    found = np.zeros(len(t))
    for k in np.flatnonzero(t > r / V):
        theta = np.linspace(0, np.arccosh(t[k] * V / r), 2001)
        tau = t[k] - r / V * np.cosh(theta)
        found[k] = np.trapezoid(ricker(tau - source.peak, source.frequency), theta)
    return source.amplitude * found / (2 * np.pi)


def exact(problem, mirror=0.0):
    """That of every trace; with a mirrored source of that sign above the surface."""
    c, found = problem.config, []
    t = np.arange(1, round(c.time.final / c.time.record) + 1) * c.time.record
    for x, y in c.sources:
        for place in c.receivers:
            one = green(np.hypot(*(place - [x, y])), t, c.source)
            if mirror:
                one = one + mirror * green(np.hypot(*(place - [x, -y])), t, c.source)
            found.append(one)
    return np.array(found).reshape(len(c.sources), len(c.receivers), -1)


def off(found, wanted):
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


def test_traces_are_the_green_function_in_the_whole_plane():
    problem = made(boundary={"width": 640.0}, source={"amplitude": 3.0})
    assert off(traces(problem, [V]), exact(problem)) < 0.01


def test_a_free_surface_is_a_mirror_of_the_other_sign():
    problem = made(boundary={"width": 640.0, "top": "free"})
    assert off(traces(problem, [V]), exact(problem, mirror=-1.0)) < 0.01


def test_the_layer_absorbs():
    """Beside a rectangle so wide that no wave comes back: the outer side alone, and layers."""
    survey = {"sources": [[320.0, 320.0]], "receivers": [[200.0, 250.0], [500.0, 100.0]]}
    time = {"final": 0.8}
    wide = made(survey=survey, time=time, boundary={"width": 1280.0})
    wanted = traces(wide, [V])
    errors = [
        off(traces(made(survey=survey, time=time, boundary={"width": w}), [V]), wanted)
        for w in (0.0, 320.0, 640.0)
    ]
    assert (np.array(errors) < [0.08, 0.05, 0.01]).all(), errors
    assert errors[0] > errors[1] > errors[2]


def test_the_mass_is_diagonal():
    elements = made(degree=5).discretisation(0).scheme.elements
    rest = elements.mass - sparse.diags_array(elements.mass.diagonal())
    assert abs(rest).max() <= 1e-15 * elements.weights.max()
    np.testing.assert_allclose(elements.mass.diagonal(), elements.weights, rtol=1e-13)
    assert elements.weights.min() > 0


SMOOTH = {"unknown": {"kind": "log-gaussian", "length": 300.0, "std": 0.15},
          "survey": {"sources": [[150.0, 310.0]], "receivers": [[330.0, 250.0], [560.0, 480.0]]},
          "cells": 10, "boundary": {"width": 128.0}, "source": {"frequency": 6.0}}  # fmt: skip


def test_errors_fall_exponentially_with_the_degree():
    """With one short time step for all, so that space alone is left."""
    found = {}
    survey = SMOOTH["survey"]
    time = {"step": 0.005 / 32, "final": 0.35}
    for degree in (3, 4, 5, 6, 7, 8):
        problem = made(survey=survey, cells=5, degree=degree, time=time,
                       boundary={"width": 128.0}, source={"frequency": 6.0})  # fmt: skip
        found[degree] = traces(problem, [V])
    errors = np.array([off(found[p], found[8]) for p in (3, 4, 5, 6, 7)])
    assert errors[0] < 0.02
    assert (errors[1:] < 0.4 * errors[:-1]).all(), errors
    assert errors[-1] < 2e-5


def test_errors_fall_with_the_square_of_the_time_step():
    found = []
    for parts in (4, 8, 16, 64):
        time = {"step": 0.005 / parts, "final": 0.35}
        problem = Seismic(SeismicConfig.model_validate({**SMOOTH, "time": time}))
        found.append(traces(problem, problem.prior().unwhiten(np.zeros(16))))
    errors = [off(f, found[-1]) for f in found[:-1]]
    rates = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(rates, 2.0, atol=0.1)


def test_an_interface_between_nodes_is_where_it_is():
    """The reflection of an interface comes from its depth, not from that of a node."""
    survey = {"sources": [[320.0, 100.0]], "receivers": [[420.0, 100.0]]}
    table = {"unknown": {"kind": "layers", "thicknesses": [330.0], "velocities": [2000.0, 2800.0]},
             "survey": survey, "time": {"final": 0.45}, "cells": 20,
             "boundary": {"width": 320.0}}  # fmt: skip
    problem, v = made(**table), (2000.0, 2800.0)
    for depth in (330.0, 337.0, 345.0):
        coarse, fine = (traces(problem, [depth, *v], level=k) for k in (0, 1))
        assert off(coarse, fine) < 0.003
    ways = np.array([np.hypot(100.0, 2 * (d - 100.0)) for d in (330.0, 345.0)])
    direct = traces(problem, [1e5, *v])
    echoes = [traces(problem, [d, *v])[0, 0] - direct[0, 0] for d in (330.0, 345.0)]
    t = np.arange(1, 91) * 0.005
    fine = np.linspace(0.2, 0.44, 4001)
    tops = [fine[np.abs(np.interp(fine, t, e)).argmax()] for e in echoes]
    assert tops[1] - tops[0] == pytest.approx((ways[1] - ways[0]) / 2000.0, abs=1.5e-3)


def test_source_and_receiver_may_change_places():
    a, b = [130.0, 210.0], [475.0, 390.0]
    table = {k: v for k, v in SMOOTH.items() if k != "survey"}
    ways = []
    for one, other in ((a, b), (b, a)):
        survey = {"sources": [one], "receivers": [other]}
        problem = Seismic(SeismicConfig.model_validate({**table, "survey": survey}))
        m = problem.prior().unwhiten(np.sin(np.arange(problem.prior().dim)))
        ways.append(traces(problem, m))
    assert off(*ways) < 1e-10


@pytest.mark.parametrize("top", ["free", "absorbing"])
def test_energy_leaves_by_what_the_damping_takes(top):
    """E = a|u⁺ − u|² + u⁺·K u changes by −c|u⁺ − u⁻|² and falls once the source is silent."""
    problem = made(boundary={"top": top, "width": 320.0}, time={"final": 0.8})
    on = problem.discretisation(0)
    rows = problem._every()
    run = on.run(np.array([V]), on.ends(rows), None)
    a, c = on.scheme.coefficients(on.medium(np.array([V])))
    run.wavelet[160:] = 0.0
    u = run.states(np.arange(160, 480))
    k = on.scheme.elements.stiffness

    def energy(now, after):
        return float((a[:, None] * (after - now) ** 2).sum() + (after * (k @ now)).sum())

    energies = np.array([energy(p, q) for p, q in itertools.pairwise(u)])
    lost = np.array([(c[:, None] * (r - p) ** 2).sum() for p, r in zip(u[:-2], u[2:], strict=True)])
    assert energies[0] > 0
    np.testing.assert_allclose(np.diff(energies), -lost, atol=1e-11 * energies[0])
    assert (np.diff(energies) < 0).all()
    assert energies[-1] < 0.1 * energies[0]


def test_the_largest_stable_step_is_the_largest_one():
    """At the limit a run stays bounded; the first bound that Rayleigh gives is sharp to 2 %."""
    from scipy.sparse.linalg import eigsh

    problem = made()
    clock = problem.discretisation(0).clock
    e = problem.discretisation(0).scheme.elements
    root = sparse.diags_array(1 / np.sqrt(e.weights))
    largest = eigsh(root @ e.stiffness @ root, 1, which="LA", return_eigenvectors=False)[0]
    assert clock.stable <= 2 / np.sqrt(largest) * (1 + 1e-10)
    assert clock.stable > 0.98 * 2 / np.sqrt(largest)
    limit = clock.limit
    long = made(time={"final": 2.0, "fastest": limit, "step": clock.dt},
                unknown={"kind": "uniform", "low": 1800.0, "high": limit * 1.0001})  # fmt: skip
    found = traces(long, [limit])
    assert np.abs(found[..., -50:]).max() < 0.1 * np.abs(found).max()
