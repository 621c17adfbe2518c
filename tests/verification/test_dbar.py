"""The D-bar method against analytic boundary maps, its linear limit and the finite-element map."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import j0, j1

from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.engines.ended import Ended
from pdeinv.engines.requests import drive
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.errors import CapabilityError, DataSchemaError, RunFailed, SolverDiverged
from pdeinv.problems.darcy import Darcy
from pdeinv.problems.eit import Eit
from pdeinv.problems.eit.dbar import Dbar
from pdeinv.problems.eit.dbar.engine import DbarConfig
from pdeinv.problems.eit.dbar.equation import KGrid, gmres, solve_at
from pdeinv.problems.eit.dbar.scattering import (
    BoundaryMap,
    frequencies,
    full_matrix,
    profile,
    scattering_transform,
    stable_radius,
)


def two_layers(sigma, rho, modes=16):
    """Eigenvalues of the disc's map, conductivity ``sigma`` within radius ``rho``, 1 outside."""
    n = frequencies(2 * modes)
    mu = (sigma - 1) / (sigma + 1) * rho ** (2 * n)
    return n * (1 + mu) / (1 - mu)


def traced(sigma, rho, modes):
    """The excess as the engine's single-layer traces see it, for rotationally symmetric maps."""
    n, lam = frequencies(2 * modes), two_layers(sigma, rho, modes)
    return np.diag((lam - n) * 2 * n / (n + lam))


def error(image, sigma, rho, r):
    truth = np.where(r < rho, sigma, 1.0)
    return np.sqrt(np.sum(r * (image - truth) ** 2) / np.sum(r * truth**2))


def test_scattering_transform_of_a_symmetric_disc_is_radial_and_real():
    excess = np.diag(two_layers(2.0, 0.5) - frequencies(32))
    turn = np.exp(1j * np.linspace(0, 6, 7))
    for radius in (0.3, 2.0, 5.0):
        t = scattering_transform(excess, radius * turn)
        assert np.allclose(t, t[0].real)
    rng = np.random.default_rng(0)
    lopsided = excess + 0.1 * np.diag(rng.standard_normal(31), 1)
    assert np.ptp(np.abs(scattering_transform(lopsided, 2.0 * turn))) > 0.1


def test_weak_contrast_gives_the_fourier_transform():
    """t / (-2|k|²) → ∫ (σ - 1) e^{i(kz + k̄z̄)} dz, a Bessel function for a disc."""
    small, rho = 1e-5, 0.6
    k = np.array([0.2, 1.0 + 1j, 3j, 4 - 2j])
    t = scattering_transform(np.diag(two_layers(1 + small, rho) - frequencies(32)), k)
    size = np.abs(k)
    wanted = -2 * np.pi * rho * size * j1(2 * size * rho)
    assert np.allclose(t / small, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [32, 64])
def test_weak_contrast_gives_the_band_limited_picture(size):
    small, rho, radius = 1e-4, 0.5, 4.0
    excess = np.diag(two_layers(1 + small, rho, 24) - frequencies(48))
    grid, r = KGrid(radius, size), np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    z = r * np.exp(1j * np.arange(5))
    mu, residual = solve_at(grid, scattering_transform(excess, grid.points), z, 1e-8)
    wanted = [rho * quad(lambda a, s=s: j1(rho * a) * j0(s * a), 0, 2 * radius)[0] for s in r]
    assert residual.max() < 1e-8
    assert np.allclose((mu.real**2 - 1) / small, wanted, atol=0.03 if size == 32 else 0.015)
    assert np.abs(mu.imag).max() < 1e-6


@pytest.mark.parametrize("sigma", [2.0, 0.5])
def test_picture_converges_as_the_cut_moves_out(sigma):
    r, rho, errors = np.linspace(0, 0.98, 40), 0.5, []
    for radius in (2.0, 6.0, 10.0):
        grid = KGrid(radius, 64)
        t = scattering_transform(traced(sigma, rho, 40), grid.points)
        mu, _ = solve_at(grid, t, r.astype(complex), 1e-6)
        errors.append(error(mu.real**2, sigma, rho, r))
    flat = error(np.ones_like(r), sigma, rho, r)
    assert errors[0] < 0.65 * flat
    assert errors[2] < errors[1] < 0.8 * errors[0]


def test_batched_gmres_solves_real_linear_systems():
    rng = np.random.default_rng(1)
    kernel = 0.5 * (rng.standard_normal((3, 6, 6)) + 1j * rng.standard_normal((3, 6, 6)))
    b = rng.standard_normal((3, 6)) + 1j * rng.standard_normal((3, 6))
    b[1] = 0

    def action(x):
        return x + np.einsum("bij,bj->bi", kernel, np.conj(x))

    x, residual = gmres(action, b, 1e-10)
    assert np.allclose(action(x), b)
    assert residual.max() < 1e-10
    assert not x[1].any()


def test_boundary_maps_of_either_kind_radius_and_background_agree():
    n, lam = frequencies(16), two_layers(3.0, 0.4, 8)
    wanted = np.diag(lam - n)
    for radius in (1.0, 0.115):
        dtn = 5.0 * np.diag(lam) / radius
        ntd = np.diag(radius / lam) / 5.0
        for kind, matrix, constant in [
            ("dirichlet-to-neumann", dtn, 5.0 * np.diag(n) / radius),
            ("neumann-to-dirichlet", ntd, np.diag(radius / n) / 5.0),
        ]:
            plain, less = BoundaryMap(kind, radius), BoundaryMap(kind, radius, 5.0)
            assert plain.background(matrix) == pytest.approx(5.0, rel=1e-3)
            assert np.allclose(plain.excess(matrix, 5.0), wanted)
            assert np.allclose(less.excess(matrix - constant, 5.0), wanted)
            assert less.background(matrix - constant) == 5.0


def test_entries_may_come_from_one_triangle_but_not_be_missing():
    matrix = np.array([[1.0, 2.0], [4.0, 3.0]])
    i, j = (a.ravel() for a in np.indices((2, 2)))
    assert np.allclose(full_matrix(matrix.ravel(), i, j, 2), [[1, 3], [3, 3]])
    assert np.allclose(
        full_matrix(matrix[[0, 0, 1], [0, 1, 1]], i[[0, 1, 3]], j[[0, 1, 3]], 2)[1, 0], 2
    )
    with pytest.raises(DataSchemaError, match=r"entry \(1, 1\) and its mirror are missing"):
        full_matrix(matrix.ravel()[:3], i[:3], j[:3], 2)


def test_the_cut_ends_where_noise_takes_over():
    excess = np.diag(two_layers(2.0, 0.5) - frequencies(32))
    radii = np.linspace(0.5, 8, 31)
    ends = []
    for level in (1e-6, 1e-3, 1e-1):
        noise = level * np.random.default_rng(0).standard_normal((20, 32, 32))
        found = profile(excess, excess + noise, radii)
        ends.append(stable_radius(found, 3.0))
        before = found.radii < ends[-1]
        assert (found.signal[before] >= 3 * found.noise[before]).all()
    assert ends[0] > ends[1] > ends[2]


# ---- the engine on finite-element data ----


def body(unknown=None, **options):
    unknown = unknown or {"kind": "level-set", "grid": [25, 25]}
    return Eit(Eit.Config(model="continuum", modes=12, unknown=unknown, **options))


def posterior(problem, truth, noise=1e-3, spec="all"):
    """Data of a mesh twice as fine, with noise relative to the largest entry."""
    sensors, prior = problem.sensors(spec), problem.prior()
    clean = problem.forward_model(sensors, 1)(truth)
    law = Noise(np.full(len(clean), noise * np.abs(clean).max()))
    data = clean + law.sample(np.random.default_rng(0))
    model = problem.forward_model(sensors)
    return Posterior(prior, WhitenedModel(prior, model), data, law)


def places(problem):
    v = problem.prior().space.variables[0]
    x, y = np.meshgrid(v.coords["x"][1], v.coords["y"][1])
    return (x + 1j * y).ravel()


def reconstruct(on, tmp_path, **options):
    engine = Dbar(DbarConfig(grid=32, **options))
    found = run(engine, lambda: on, Run(0, tmp_path / str(len(list(tmp_path.iterdir()))))).outcome
    return found, found.m[0, 0]


@pytest.mark.parametrize("kind", ["dirichlet-to-neumann", "neumann-to-dirichlet"])
def test_finite_element_data_show_an_inclusion_where_it_is(kind, tmp_path):
    problem = body(cells=16, map=kind)
    z = places(problem)
    truth = np.where(np.abs(z - 0.35j) < 0.3, 2.0, 1.0)
    found, m = reconstruct(posterior(problem, truth, 1e-4), tmp_path)
    inside = np.abs(z) < 0.95
    assert found.ended is Ended.MISSED  # a direct picture does not fit data as exact as these
    assert np.abs(z[inside][np.argmax(m[inside])] - 0.35j) < 0.15
    assert np.corrcoef(m[inside], truth[inside])[0, 1] > 0.75
    flat = np.linalg.norm(1 - truth[inside])
    assert np.linalg.norm(m[inside] - truth[inside]) < 0.7 * flat
    assert (m[np.abs(z) > 1] == found.summary["background"]).all()


def test_a_constant_body_gives_its_constant_in_any_radius(tmp_path):
    problem = body(cells=16, domain={"kind": "disc", "radius": 0.1})
    truth = np.full(problem.prior().space.size, 3.0)
    m = reconstruct(posterior(problem, truth), tmp_path)[1]
    assert np.allclose(m, 3.0, rtol=0.02)
    off = reconstruct(posterior(problem, truth), tmp_path, background=1.0)[1]
    assert not np.allclose(off, 3.0, rtol=0.02)


def test_difference_data_give_the_same_picture(tmp_path):
    z = places(body(cells=16))
    truth = np.where(np.abs(z + 0.3) < 0.3, 2.0, 1.0)
    pictures = []
    for difference in (False, True):
        problem = body(cells=16, difference=difference)
        on = posterior(problem, truth, 1e-9)
        pictures.append(reconstruct(on, tmp_path, radius=4.0, background=1.0)[1])
    assert np.allclose(*pictures, atol=0.03)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"model": "electrodes"}, "got model 'electrodes'; use gauss-newton"),
        ({"domain": {"kind": "ellipse"}}, "got domain ellipse"),
        ({"frequency": 50.0}, "got data at 50 Hz"),
        ({"unknown": {"kind": "ellipses"}}, "without places"),
    ],
)
def test_everything_else_is_refused(options, text):
    problem = Eit(Eit.Config(**{"model": "continuum", "modes": 2, "cells": 6, **options}))
    sensors, prior = problem.sensors("all"), problem.prior()
    model = WhitenedModel(prior, problem.forward_model(sensors))
    n = model.d_space.size
    on = Posterior(prior, model, np.zeros(n), Noise(np.ones(n)))
    with pytest.raises(CapabilityError, match=text):
        drive(on, Dbar(DbarConfig()).init(on, np.random.default_rng(0)))


def test_other_problems_and_broken_data_are_refused():
    darcy = Darcy(Darcy.Config(cells=4))
    sensors, prior = darcy.sensors("grid:3x3"), darcy.prior()
    model = WhitenedModel(prior, darcy.forward_model(sensors))
    on = Posterior(prior, model, np.zeros(9), Noise(np.ones(9)))
    with pytest.raises(CapabilityError, match="got another model; use gauss-newton"):
        drive(on, Dbar(DbarConfig()).init(on, np.random.default_rng(0)))
    problem = body(cells=8)
    good = posterior(problem, np.ones(problem.prior().space.size))
    bad = replace(good, data=-good.data)
    with pytest.raises(RunFailed, match="check their sign and units"):
        drive(bad, Dbar(DbarConfig()).init(bad, np.random.default_rng(0)))


def test_a_picture_that_cannot_be_solved_for_is_one_clear_line(tmp_path):
    problem = body(cells=8)
    good = posterior(problem, np.ones(problem.prior().space.size))
    inner = good.model.model

    class Failing:
        config, m_space, d_space, kind = inner.config, inner.m_space, inner.d_space, inner.kind
        capabilities = frozenset()

        def __call__(self, m, /):
            raise SolverDiverged("planted")

    on = replace(good, model=WhitenedModel(good.prior, Failing()))
    with pytest.raises(RunFailed, match=r"cannot be solved for; lower engine\.radius"):
        reconstruct(on, tmp_path)
    assert on.counters.n_failed == 1
