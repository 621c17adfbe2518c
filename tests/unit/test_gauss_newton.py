"""Regularized Gauss-Newton and its parts, on problems whose answers are known."""

from dataclasses import replace

import numpy as np
import pytest
from complete_electrode import ring, tank
from pydantic import ValidationError
from scipy import sparse

from pdeinv.bayes.fields.base import IndependentField
from pdeinv.bayes.jacobian import dense_jacobian, unwhitened
from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Counters, Posterior, WhitenedModel
from pdeinv.bayes.prior import FieldPrior, ProductPrior, positive
from pdeinv.bayes.transforms import Exponential, Identity, Interval, LevelSet
from pdeinv.engines.base import check_posterior
from pdeinv.engines.ended import Ended
from pdeinv.engines.regularized.config import GaussNewtonConfig
from pdeinv.engines.regularized.differences import differences, has_places
from pdeinv.engines.regularized.gauss_newton import GaussNewton
from pdeinv.engines.regularized.penalties import TotalVariation, smoothness
from pdeinv.engines.regularized.step import choose, likeliest, prepare
from pdeinv.engines.requests import drive
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.errors import CapabilityError, ConfigError, RunFailed, SolverDiverged
from pdeinv.model.forward import Capability, Linearization, LinearModel
from pdeinv.model.spaces import Space, Variable


def line(name, n, *, at=True):
    coords = {name: ((name,), np.linspace(0, 1, n))} if at else {}
    return Space((Variable("m", (name,), (n,), coords=coords),))


def scattered(points):
    coords = {c: (("node",), points[:, i]) for i, c in enumerate("xyz"[: points.shape[1]])}
    return Space((Variable("m", ("node",), (len(points),), coords=coords),))


def linear(n_m=40, n_d=30, sigma=0.01, truth=None, *, transform=None, mean=1.0):
    """Noisy moving averages of a curve: a smoothing, ill-posed linear map."""
    space, rng = line("x", n_m), np.random.default_rng(0)
    x = np.linspace(0, 1, n_m)
    matrix = np.exp(-0.5 * ((x - np.linspace(0, 1, n_d)[:, None]) / 0.06) ** 2) / n_m
    truth = 1 + np.sin(3 * x) if truth is None else truth(x)
    noise = Noise(np.full(n_d, sigma * np.abs(matrix @ truth).max()))
    model = LinearModel(space, line("d", n_d), matrix, np.zeros(n_d))
    prior = FieldPrior(
        space, IndependentField(np.full(n_m, mean), np.ones(n_m)), transform or Identity()
    )
    data = matrix @ truth + noise.sample(rng)
    return Posterior(prior, WhitenedModel(prior, model), data, noise), truth, matrix


def first(engine, posterior):
    return drive(posterior, engine.init(posterior, np.random.default_rng(0)))


def reconstruct(posterior, tmp_path, **options):
    """The outcome through the driver, and m."""
    engine = GaussNewton(GaussNewtonConfig(**options))
    found = run(engine, lambda: posterior, Run(0, tmp_path / str(len(list(tmp_path.iterdir())))))
    return found.outcome, found.outcome.unknowns(posterior.prior)[0, 0]


# ---- the linear problem for all weights ----


@pytest.mark.parametrize(("n_d", "n_m"), [(5, 9), (9, 5)])
def test_step_solves_the_normal_equations_for_every_weight(n_d, n_m):
    rng = np.random.default_rng(1)
    a, r, e = rng.standard_normal((n_d, n_m)), rng.standard_normal(n_d), rng.standard_normal(n_m)
    R = np.diag(rng.uniform(1, 2, n_m)) + 0.1
    problem = prepare(a, r, sparse.csc_array(R), e)
    for weight in (1e-3, 1.0, 1e3):
        d = np.linalg.solve(a.T @ a + weight * R, -(a.T @ r + weight * R @ e))
        assert np.allclose(problem.step(weight), d)
        assert problem.misfit(weight) == pytest.approx(0.5 * np.sum((r + a @ d) ** 2))
        influence = a @ np.linalg.solve(a.T @ a + weight * R, a.T)
        assert problem.degrees(weight) == pytest.approx(np.trace(influence))


def test_held_entries_stay_and_pull_at_the_others():
    rng = np.random.default_rng(2)
    a, r, e = rng.standard_normal((4, 6)), rng.standard_normal(4), rng.standard_normal(6)
    R, free = np.eye(6) + 0.3, np.array([True, False, True, True, False, True])
    d = prepare(a, r, sparse.csc_array(R), e, free).step(0.7)
    gradient = (a.T @ a + 0.7 * R)[np.ix_(free, free)] @ d + (a.T @ r + 0.7 * R @ e)[free]
    assert np.allclose(gradient, 0)


def test_rules_choose_what_they_say():
    posterior, truth, matrix = linear()
    a, r = matrix / posterior.noise.std[:, None], (matrix @ np.ones(40) - posterior.data)
    problem = prepare(a, r / posterior.noise.std, sparse.csc_array(sparse.eye(40)), np.zeros(40))
    assert choose(problem, "fixed", 3.0, 0.0) == 3.0
    chosen = choose(problem, "discrepancy", 0.0, 15.0)
    assert problem.misfit(chosen) == pytest.approx(15.0)
    assert choose(problem, "discrepancy", 0.0, 0.0) == likeliest(problem) > 1e6 * problem.range[0]
    assert choose(problem, "discrepancy", 0.0, 1e9) == problem.range[1]
    error = {
        w: np.linalg.norm(1 + problem.step(w) - truth) for w in np.geomspace(*problem.range, 100)
    }
    by_gcv = np.linalg.norm(1 + problem.step(choose(problem, "gcv", 0.0, 0.0)) - truth)
    assert by_gcv < 3 * min(error.values())
    ends = error[min(error)], error[max(error)]
    assert min(ends) > 5 * by_gcv


# ---- neighbours and penalties ----


@pytest.mark.parametrize("n", [4, 12])
def test_differences_of_a_linear_function_are_exact_on_grids(n):
    x, y, z = np.linspace(0, 2, n), np.linspace(0, 1, 5), np.linspace(0, 1, 3) ** 2
    coords = {"z": (("z",), z), "y": (("y",), y), "x": (("x",), x)}
    space = Space((Variable("m", ("z", "y", "x"), (3, 5, n), coords=coords),))
    d = differences(space, "test")
    Z, Y, X = np.meshgrid(z, y, x, indexing="ij")
    slopes = d.matrix @ (2 * X + 3 * Y + 5 * Z).ravel()
    assert np.allclose(np.unique(slopes.round(9)), [2, 3, 5])


@pytest.mark.parametrize("d", [1, 2, 3])
def test_smoothness_approximates_the_integral_on_scattered_points(d):
    points = np.random.default_rng(d).uniform(size=({1: 300, 2: 800, 3: 2000}[d], d))
    penalty = smoothness(differences(scattered(points), "test"), np.ones(len(points)))
    slope = np.array([2.0, -1.0, 1.5])[:d]
    wanted = 0.5 * float(slope @ slope)  # on a domain of volume one
    assert penalty.value(points @ slope) == pytest.approx(wanted, rel=0.25)
    assert penalty.value(np.ones(len(points))) < 1e-3 * wanted


def test_long_edges_across_a_gap_are_left_out():
    rng = np.random.default_rng(0)
    left, right = rng.uniform(size=(200, 2)), rng.uniform(size=(200, 2)) + np.array([3.0, 0.0])
    found = differences(scattered(np.concatenate([left, right])), "test").matrix
    step = np.repeat([0.0, 1.0], 200)
    assert not np.any(found @ step)


def test_total_variation_counts_the_height_of_a_jump_and_its_gradient_is_right():
    space = line("x", 101)
    d = differences(space, "test")
    steep, gentle = (np.linspace(0, 1, 101) > 0.5).astype(float), np.linspace(0, 1, 101)
    tv = TotalVariation(d, np.ones(101), 1e-3)
    assert tv.value(steep) == pytest.approx(tv.value(gentle), rel=0.02)
    smooth = smoothness(d, np.ones(101))
    assert smooth.value(steep) > 50 * smooth.value(gentle)
    rough = TotalVariation(d, np.ones(101), 0.5)
    e, v = np.random.default_rng(0).standard_normal((2, 101))
    slope = (rough.value(e + 1e-6 * v) - rough.value(e - 1e-6 * v)) / 2e-6
    assert slope == pytest.approx(float(v @ (rough.matrix(e) @ e)), rel=1e-6)


def test_entries_without_neighbours_are_held_by_their_reference():
    grid = line("x", 10).variables[0]
    space = Space((grid, Variable("z", (), ())))
    R = smoothness(differences(space, "test"), np.full(11, 4.0)).R.toarray()
    assert R[10, 10] == pytest.approx(1 / 16)
    assert not R[10, :10].any()


# ---- the engine ----


def test_prior_gives_the_exact_mode_of_a_linear_gaussian_model(tmp_path):
    case = LinearGaussian.example(np.random.default_rng(3))
    found, m = reconstruct(case.posterior(), tmp_path, regularization="prior")
    assert found.converged
    assert found.m is None
    assert np.allclose(m, case.exact()[0], atol=1e-9)
    _, other = reconstruct(case.posterior(), tmp_path, regularization="prior", weight=2.0)
    assert not np.allclose(other, case.exact()[0], atol=1e-3)


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_one_noser_step_is_the_closed_formula(tmp_path, power):
    posterior, _, matrix = linear()
    options = {"noser_power": power, "weight": 0.3, "steps": 1, "reference": "prior"}
    found, m = reconstruct(posterior, tmp_path, **options)
    H = matrix.T @ np.diag(posterior.noise.std**-2) @ matrix
    g = matrix.T @ ((posterior.data - matrix @ np.ones(40)) / posterior.noise.std**2)
    assert np.allclose(m, 1 + np.linalg.solve(H + 0.3 * np.diag(np.diag(H) ** power), g))
    assert found.converged
    _, tikhonov = reconstruct(posterior, tmp_path, **{**options, "regularization": "tikhonov"})
    assert not np.allclose(m, tikhonov, atol=1e-2)


@pytest.mark.parametrize("regularization", ["noser", "tikhonov", "smoothness", "tv"])
@pytest.mark.parametrize("discrepancy", [1.0, 2.0])
def test_discrepancy_ends_at_the_noise_level(tmp_path, regularization, discrepancy):
    posterior, _, _ = linear()
    found, _ = reconstruct(
        posterior, tmp_path, regularization=regularization, discrepancy=discrepancy, steps=200
    )
    assert found.converged, found.message
    assert found.summary["misfit_per_datum"] == pytest.approx(0.5 * discrepancy**2, rel=0.01)


def test_a_noise_level_that_cannot_be_reached_is_reported(tmp_path):
    posterior, _, _ = linear(n_m=4, n_d=30)
    wrong = replace(posterior, data=posterior.data + np.where(np.arange(30) % 2, 0.1, -0.1))
    found, _ = reconstruct(wrong, tmp_path)
    assert not found.converged
    assert "noise level was not reached" in found.message


def test_tv_keeps_the_edge_that_smoothness_blurs(tmp_path):
    posterior, truth, _ = linear(truth=lambda x: np.where(np.abs(x - 0.5) < 0.2, 3.0, 1.0))
    width = {}
    for name in ("tv", "smoothness"):
        _, m = reconstruct(posterior, tmp_path, regularization=name, steps=200, tolerance=1e-3)
        width[name] = np.mean((m > 1.3) & (m < 2.7)), np.linalg.norm(m - truth)
    assert width["tv"][0] <= 0.5 * width["smoothness"][0]
    assert width["tv"][1] < 0.7 * width["smoothness"][1]
    smooth, curve, _ = linear()
    error = {}
    for name in ("tv", "smoothness"):
        _, m = reconstruct(smooth, tmp_path, regularization=name, steps=200, tolerance=1e-3)
        error[name] = np.linalg.norm(m - curve)
    assert error["smoothness"] < error["tv"]  # and where there is no edge, the other way round


def test_bounds_hold_and_the_point_is_optimal_within_them(tmp_path):
    posterior, _, matrix = linear(truth=lambda x: np.where(np.abs(x - 0.5) < 0.1, 3.0, 1.0))
    options = {"regularization": "tikhonov", "weight": 1.0, "reference": "prior"}
    _, loose = reconstruct(posterior, tmp_path, **options)
    assert loose.min() < 0.99
    found, m = reconstruct(
        posterior, tmp_path, **options, positivity="bounds", lower=1.0, upper=2.5, tolerance=1e-10
    )
    assert "tikhonov converged" in found.message
    assert found.ended is Ended.MISSED  # the truth is beyond the upper bound
    assert m.min() == 1.0
    assert m.max() == 2.5
    residual = (matrix @ m - posterior.data) / posterior.noise.std**2
    gradient = matrix.T @ residual + (m - 1.0)
    assert np.abs(gradient[(m > 1) & (m < 2.5)]).max() < 1e-6
    assert gradient[m == 1.0].min() > -1e-6
    assert gradient[m == 2.5].max() < 1e-6


def test_log_steps_stay_positive_where_plain_ones_do_not(tmp_path):
    posterior, _, _ = linear(truth=lambda x: np.where(np.abs(x - 0.5) < 0.1, 20.0, 0.1))
    _, plain = reconstruct(posterior, tmp_path, regularization="smoothness")
    found, m = reconstruct(posterior, tmp_path, regularization="smoothness", positivity="log")
    assert plain.min() < 0 < m.min()
    assert found.converged, found.message


def test_a_level_set_prior_needs_no_derivative(tmp_path):
    posterior, _, _ = linear(transform=LevelSet((1.5,), (1.0, 3.0)))
    check_posterior(GaussNewton(GaussNewtonConfig()), posterior)
    found, m = reconstruct(posterior, tmp_path)
    assert found.converged
    assert len(np.unique(m)) > 2
    assert found.xi.shape == (1, 1, 0)
    strict = GaussNewton(GaussNewtonConfig(regularization="prior"))
    with pytest.raises(CapabilityError, match="choose an engine without derivatives"):
        check_posterior(strict, posterior)
    with pytest.raises(CapabilityError, match="needs a differentiable prior"):
        first(strict, posterior)


class Fragile:
    """The square of a linear model that cannot be solved where an unknown is negative."""

    def __init__(self, inner):
        self.inner, self.kind = inner, "reference"
        self.m_space, self.d_space = inner.m_space, inner.d_space
        self.capabilities = inner.capabilities - {Capability.ROWS}
        self.asked = self.refused = 0

    def __call__(self, m, /):
        if np.min(m) <= 0:
            self.refused += 1
            raise SolverDiverged("negative")
        return self.inner(m) ** 2

    def linearize(self, m, /):
        value = self(m)
        root = self.inner(m)
        return Linearization(
            value,
            lambda dm: 2 * root * (self.inner.matrix @ dm),
            lambda w: self.inner.matrix.T @ (2 * root * w),
        )


class Direct(Fragile):
    """The same with a Jacobian of its own."""

    def jacobian(self, m, /):
        self.asked += 1
        return 2 * self.inner(m)[:, None] * self.inner.matrix


def nonlinear(kind=Fragile, **options):
    posterior, truth, matrix = linear(**options)
    model = kind(posterior.model.model)
    noise = Noise(2 * posterior.noise.std * np.abs(matrix @ truth).max())
    data = (matrix @ truth) ** 2 + noise.sample(np.random.default_rng(5))
    return Posterior(posterior.prior, WhitenedModel(posterior.prior, model), data, noise), model


def test_failed_solves_shorten_the_step(tmp_path):
    posterior, _ = nonlinear(truth=lambda x: np.where(np.abs(x - 0.5) < 0.3, 9.0, 0.05))
    found, m = reconstruct(posterior, tmp_path, regularization="tikhonov", steps=4)
    assert m.min() > 0
    assert np.isfinite(found.stats["misfit"]).all()


def test_a_start_that_cannot_be_solved_is_reported(tmp_path):
    posterior, _ = nonlinear(mean=-1.0)
    with pytest.raises(RunFailed, match="cannot solve the model at its starting point"):
        reconstruct(posterior, tmp_path)
    found, _ = reconstruct(posterior, tmp_path, reference=1.0)
    assert found.converged


@pytest.mark.parametrize("n_m", [20, 40])
@pytest.mark.parametrize("transform", [Identity(), Exponential()])
def test_jacobians_agree_however_they_are_built(n_m, transform):
    slow, _ = nonlinear(n_m=n_m, transform=transform)
    fast, model = nonlinear(Direct, n_m=n_m, transform=transform)
    xi = 0.3 * np.random.default_rng(1).standard_normal(n_m)
    m = slow.prior.unwhiten(xi)
    m_views = [unwhitened(p, "test") for p in (slow, fast)]
    for a, b, x in [(slow, fast, xi), (*m_views, m)]:
        slowly, directly = dense_jacobian(a, x), dense_jacobian(b, x)
        assert np.allclose(slowly.value, directly.value)
        assert np.allclose(slowly.jacobian, directly.jacobian)
        assert np.allclose(slowly.jacobian[:, 3], a.model.linearize(x).jvp(np.eye(n_m)[3]))
    assert model.asked == 2
    fewer = {"n_tangent": 2 * n_m} if n_m <= 30 else {"n_adjoint": 60}
    assert slow.counters == Counters(n_forward=2, **fewer)
    assert fast.counters == Counters(n_forward=2, n_adjoint=2)


def test_nonlinear_reconstructions_agree_with_and_without_own_jacobian(tmp_path):
    (_, a), (_, b) = (reconstruct(nonlinear(k)[0], tmp_path) for k in (Fragile, Direct))
    assert np.allclose(a, b)


def test_start_from_a_prior_draw_ends_at_the_same_point(tmp_path):
    posterior, _ = nonlinear(transform=Exponential(), mean=0.0)
    options = {"regularization": "smoothness", "positivity": "log", "tolerance": 1e-8}
    _, a = reconstruct(posterior, tmp_path, **options)
    _, b = reconstruct(posterior, tmp_path, **options, start="prior")
    assert np.allclose(a, b, rtol=1e-2)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"rule": "fixed"}, "rule 'fixed' needs weight"),
        ({"rule": "gcv", "weight": 1.0}, "chosen by rule 'gcv'"),
        ({"regularization": "tv", "steps": 1}, "tv needs several steps"),
        ({"regularization": "prior", "positivity": "log"}, "leave out positivity"),
        ({"regularization": "prior", "reference": 1.0}, "leave out reference"),
        ({"positivity": "bounds"}, "lower and upper go with positivity 'bounds'"),
        ({"lower": 0.1}, "lower and upper go with positivity 'bounds'"),
        ({"positivity": "bounds", "lower": 2.0, "upper": 1.0}, "expected lower < upper"),
    ],
)
def test_options_that_contradict_are_refused(options, text):
    with pytest.raises(ValidationError, match=text):
        GaussNewtonConfig(**options)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"positivity": "log", "reference": -1.0}, ConfigError, "needs a positive reference"),
        (
            {"positivity": "bounds", "lower": 2.0, "reference": 1.0},
            ConfigError,
            "within the bounds",
        ),
    ],
)
def test_references_that_do_not_fit_are_refused(options, error, text):
    posterior, _, _ = linear()
    with pytest.raises(error, match=text):
        first(GaussNewton(GaussNewtonConfig(**options)), posterior)


def test_unknowns_without_coordinates_and_whitened_surrogates_are_refused():
    posterior = LinearGaussian.example(np.random.default_rng(0)).posterior()
    engine = GaussNewton(GaussNewtonConfig(regularization="smoothness"))
    with pytest.raises(CapabilityError, match="m has none; use regularization 'noser'"):
        first(engine, posterior)
    surrogate = replace(posterior, model=posterior.model.model)
    with pytest.raises(CapabilityError, match="knows the whitened unknown only"):
        check_posterior(GaussNewton(GaussNewtonConfig()), surrogate)
    with pytest.raises(CapabilityError, match="knows the whitened unknown only"):
        first(GaussNewton(GaussNewtonConfig()), surrogate)


# ---- what is done where nothing is said ----


def test_unknowns_that_are_positive_by_their_prior_stay_so(tmp_path):
    hot = {"truth": lambda x: np.where(np.abs(x - 0.5) < 0.1, 20.0, 0.1)}
    _, m = reconstruct(linear(**hot, transform=Exponential())[0], tmp_path)
    assert m.min() > 0
    _, free = reconstruct(linear(**hot)[0], tmp_path, regularization="smoothness")
    assert free.min() < 0
    space = line("x", 4)
    parts = [
        FieldPrior(space, IndependentField(np.zeros(4), np.ones(4)), t)
        for t in (Exponential(), Identity(), LevelSet((0.0,), (0.5, 2.0)), Interval(0.0, 1.0))
    ]
    expected = np.repeat([True, False, True, True], 4)
    np.testing.assert_array_equal(positive(ProductPrior(tuple(parts))), expected)


def test_trials_that_cannot_be_solved_are_no_failures(tmp_path):
    posterior, model = nonlinear(truth=lambda x: np.where(np.abs(x - 0.5) < 0.3, 9.0, 0.05))
    options = {"regularization": "tikhonov", "weight": 1e-6, "reference": 1.0, "steps": 4}
    engine = GaussNewton(GaussNewtonConfig(**options))
    found = run(engine, lambda: posterior, Run(0, tmp_path / "run"))
    assert model.refused > 0
    assert found.counters.n_failed == 0


def test_the_reference_is_the_constant_that_fits_best(tmp_path):
    posterior, _, _ = linear(truth=lambda x: 7 + 0 * x, transform=Exponential(), mean=-1.0)
    stiff = {"regularization": "tikhonov", "weight": 1e9}
    _, m = reconstruct(posterior, tmp_path, **stiff)
    assert np.allclose(m, 7, rtol=0.01)
    _, prior = reconstruct(posterior, tmp_path, **stiff, reference="prior")
    assert np.allclose(prior, np.exp(-1), rtol=0.01)
    _, given = reconstruct(posterior, tmp_path, **stiff, reference=3.0)
    assert np.allclose(given, 3, rtol=0.01)


def test_numbers_without_a_place_have_no_background():
    number = {"electrode": (("electrode",), np.arange(4.0))}
    units = {"electrode": {"units": "1"}}
    impedance = Variable("z", ("electrode",), (4,), coords=number, coord_attrs=units)
    assert not has_places(impedance)
    assert not has_places(Variable("a", (), ()))
    assert has_places(line("x", 4).variables[0])


@pytest.mark.parametrize("noise", [1.0, 0.1, 0.01])
def test_noise_that_is_understated_makes_no_checkerboard(tmp_path, noise):
    posterior, truth, _ = linear(sigma=0.03)
    told = replace(posterior, likelihood=Noise(noise * posterior.noise.std))
    for name in ("noser", "tikhonov", "smoothness"):
        _, m = reconstruct(told, tmp_path, regularization=name)
        assert np.abs(np.diff(m, 2)).max() < 0.5
        assert np.linalg.norm(m - truth) < 0.3 * np.linalg.norm(truth)


def test_points_of_a_graded_mesh_keep_their_neighbours():
    points = tank(ring(16), along=12, bulk=6).centres
    found = differences(scattered(points), "test")
    assert (found.mass > 0).all()
    penalty = smoothness(found, np.ones(len(points)))
    assert penalty.value(points @ [2.0, -1.0]) == pytest.approx(2.5 * np.pi, rel=0.1)


def test_one_step_is_whole_or_not_converged(tmp_path):
    hard = {"truth": lambda x: np.where(np.abs(x - 0.5) < 0.3, 9.0, 0.05)}
    options = {"regularization": "tikhonov", "steps": 1, "reference": 1.0}
    cut, _ = reconstruct(nonlinear(**hard)[0], tmp_path, **options, weight=1e-6)
    assert cut.ended in (Ended.SHORTENED, Ended.MISSED)
    assert "of its one linearized step" in cut.message
    posterior, model = nonlinear(**hard)
    whole, m = reconstruct(posterior, tmp_path, **options)
    assert "took its one linearized step" in whole.message
    inner, weight = model.inner, whole.summary["weight"]
    at = inner(np.ones(40))
    a = 2 * at[:, None] * inner.matrix / posterior.noise.std[:, None]
    r = (at**2 - posterior.data) / posterior.noise.std
    step = -np.linalg.solve(a.T @ a + weight * np.eye(40), a.T @ r)
    assert np.allclose(m, 1 + step)
