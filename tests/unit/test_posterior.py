"""The posterior of the whitened unknown: values, derivatives, counters and failed solves."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from pdeinv.bayes.field_prior import build
from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Counters, Posterior, WhitenedModel, xi_space
from pdeinv.bayes.prior import cost
from pdeinv.bayes.prior_config import LogGaussianConfig, TwoPhaseConfig
from pdeinv.errors import CapabilityError, ConfigError, ShapeError, SolverDiverged
from pdeinv.model.forward import Capability, Linearization, LinearModel
from pdeinv.model.spaces import Space, Variable

DATA = Space((Variable("d", ("obs",), (4,)),))
NOISE = Noise.from_covariance(0.1 * np.eye(4) + 0.05)


@dataclass(frozen=True)
class Squares:
    """G(m) = A m²; it fails where any unknown exceeds ``limit``."""

    m_space: Space
    matrix: np.ndarray
    limit: float = np.inf
    kind: str = "reference"
    d_space: Space = DATA
    capabilities: frozenset = frozenset({Capability.JVP, Capability.VJP})

    def __call__(self, m):
        if np.max(m) > self.limit:
            raise SolverDiverged("unknown too large")
        return self.matrix @ m**2

    def linearize(self, m):
        return Linearization(
            self(m), lambda dm: self.matrix @ (2 * m * dm), lambda w: 2 * m * (self.matrix.T @ w)
        )


def posterior(limit=np.inf, kind="reference"):
    config = LogGaussianConfig(grid=(5, 4), modes=6, mean=0.3, std=0.5)
    prior = build(config, name="m", units="1", long_name="m")
    rng = np.random.default_rng(2)
    model = Squares(prior.space, rng.standard_normal((4, 20)) / 5, limit, kind)
    return Posterior(prior, WhitenedModel(prior, model), rng.standard_normal(4), NOISE)


XI = np.random.default_rng(1).standard_normal((3, 6))


def test_misfit_and_density_are_their_formulas():
    p = posterior()
    residual = p.model(XI[0]) - p.data
    exact = 0.5 * residual @ np.linalg.solve(NOISE.covariance, residual)
    assert p.misfit(XI[0]) == pytest.approx(exact, rel=1e-12)
    assert p.neg_log_posterior(XI[0]) == pytest.approx(exact + 0.5 * XI[0] @ XI[0], rel=1e-12)
    np.testing.assert_allclose(p.misfit(XI), [p.misfit(x) for x in XI], rtol=1e-12)


def test_the_gradient_is_the_derivative_of_the_density():
    p, h = posterior(), 1e-5
    steps = h * np.eye(6)
    numeric = [
        (p.neg_log_posterior(XI[0] + s) - p.neg_log_posterior(XI[0] - s)) / (2 * h) for s in steps
    ]
    at = p.linearize(XI[0])
    np.testing.assert_allclose(at.gradient, numeric, rtol=1e-6)
    assert np.abs(at.gradient - XI[0] - numeric).max() > 1e-2
    assert at.neg_log_posterior == pytest.approx(at.misfit + float(cost(XI[0])))


def test_the_gauss_newton_action_is_symmetric_and_positive():
    at = posterior().linearize(XI[0])
    matrix = np.stack([at.gauss_newton(e) for e in np.eye(6)])
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12 * np.abs(matrix).max())
    values = np.linalg.eigvalsh(matrix)
    assert values.min() > -1e-12 * values.max()
    assert np.sum(values > 1e-9 * values.max()) == 4


def test_every_solve_is_counted_once():
    p = posterior()
    p.misfit(XI)
    p.neg_log_posterior(XI[0])
    at = p.linearize(XI[0])
    at.gauss_newton(XI[1])
    assert p.counters == Counters(n_forward=5, n_tangent=1, n_adjoint=2)


def test_a_surrogate_is_counted_as_one():
    p = posterior(kind="surrogate")
    p.misfit(XI)
    p.linearize(XI[0])
    assert p.counters.as_dict()["n_surrogate"] == 5
    assert p.counters.as_dict()["n_forward"] == 0


def test_failed_solves_have_infinite_misfit_and_are_counted():
    p = posterior(limit=2.0)
    points = np.stack([np.zeros(6), np.full(6, 4.0)])
    np.testing.assert_array_equal(np.isinf(p.misfit(points)), [False, True])
    assert np.isinf(p.misfit(points[1]))
    with pytest.raises(SolverDiverged, match="unknown too large"):
        p.linearize(points[1])
    assert p.counters.n_failed == 3


def test_failed_rows_are_counted_once_each_with_and_without_derivatives():
    p = posterior(limit=2.0)
    points = np.stack([np.zeros(6), np.full(6, 4.0), np.full(6, 5.0)])
    assert np.isnan(p.predict(points)).all(axis=1).tolist() == [False, True, True]
    assert (p.counters.n_forward, p.counters.n_failed) == (3, 2)
    rows = p.linearize_rows(points)
    assert rows.failures == {1: "unknown too large", 2: "unknown too large"}
    assert (p.counters.n_forward, p.counters.n_failed) == (6, 4)
    np.testing.assert_array_equal(rows.values[0].gradient, p.linearize(points[0]).gradient)


@dataclass(frozen=True)
class Steep(Squares):
    """Its values are finite and its derivative is not."""

    def linearize(self, m):
        return replace(super().linearize(m), vjp=lambda _: np.nan * m)


def test_a_gradient_that_is_not_finite_is_a_failure():
    p = posterior()
    p.model = WhitenedModel(p.prior, Steep(p.prior.space, p.model.model.matrix))
    with pytest.raises(SolverDiverged, match="the gradient is not finite"):
        p.linearize(XI[0])
    assert p.linearize_rows(XI[:1]).failures == {0: "the gradient is not finite"}
    assert p.counters == Counters(n_forward=2, n_adjoint=2, n_failed=2)


def test_actions_of_a_point_are_charged_to_whom_the_point_was():
    p, later = posterior(), Counters()
    first, at = p.counters, p.linearize(XI[0])
    p.charge(later)
    at.gauss_newton(XI[1])
    assert first == Counters(n_forward=1, n_tangent=1, n_adjoint=2)
    assert later == Counters()


def test_counters_add_up():
    a, b = Counters(1, 2, 3, 4, 5, 6), Counters(10, 20, 30, 40, 50, 60)
    a.add(b)
    assert list(a.as_dict().values()) == [11, 22, 33, 44, 55, 66]


def test_charging_moves_the_count_to_other_counters():
    p, counters = posterior(), Counters()
    p.coarse = posterior(kind="surrogate")
    p.charge(counters)
    p.misfit(XI)
    p.coarse.misfit(XI)
    assert (counters.n_forward, counters.n_surrogate) == (3, 3)


def test_a_level_set_takes_the_derivatives_away():
    config = TwoPhaseConfig(grid=(5, 4), modes=3)
    prior = build(config, name="m", units="1", long_name="m")
    model = WhitenedModel(prior, Squares(prior.space, np.ones((4, 20))))
    assert model.capabilities == frozenset()
    with pytest.raises(CapabilityError):
        model.linearize(np.zeros(9)).jvp(np.zeros(9))


def test_sizes_that_disagree_are_refused():
    p = posterior()
    message = r"^data: the model predicts 4 values, the observations hold 3 with 4 noise values$"
    with pytest.raises(ShapeError, match=message):
        Posterior(p.prior, p.model, np.zeros(3), NOISE)
    other = LinearModel(xi_space(7), DATA, np.zeros((4, 7)), np.zeros(4))
    with pytest.raises(ConfigError, match=r"^model takes 7 unknowns, the prior has 6$"):
        Posterior(p.prior, other, np.zeros(4), NOISE)


def test_the_exact_linear_gaussian_posterior_minimises_and_curves_as_it_should():
    case = LinearGaussian.example(np.random.default_rng(4))
    mean, cov = case.exact()
    inverse = np.linalg.inv
    precision = case.matrix.T @ inverse(case.noise.covariance) @ case.matrix
    np.testing.assert_allclose(inverse(cov), precision + inverse(case.prior_cov), rtol=1e-9)
    p = case.posterior()
    root = p.prior.field.root
    xi = np.linalg.solve(root, mean - case.prior_mean)
    assert np.abs(p.linearize(xi).gradient).max() < 1e-10
    curvature = np.stack([p.linearize(xi).gauss_newton(e) + e for e in np.eye(3)])
    np.testing.assert_allclose(root @ inverse(curvature) @ root.T, cov, rtol=1e-9)
