"""MAP, Laplace and ensemble Kalman inversion where the answer is known in closed form."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.engines.eki import Eki, EkiConfig, kalman_update, misfit_step
from pdeinv.engines.gaussian.approximation import gaussian_approximation
from pdeinv.engines.gaussian.laplace import Laplace, LaplaceConfig
from pdeinv.engines.gaussian.map import Map, MapConfig
from pdeinv.engines.gaussian.minimize import OptimizerConfig, find_map
from pdeinv.engines.requests import drive
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run

CASES = {
    "3 unknowns, 5 data": (3, 5),
    "30 unknowns, 8 data": (30, 8),
    "60 unknowns, 90 data": (60, 90),
}


@pytest.fixture(params=CASES.values(), ids=CASES)
def case(request):
    return LinearGaussian.example(np.random.default_rng(11), *request.param)


def covariance_of_m(case, found):
    root = case.posterior().prior.field.root
    return root @ found.covariance(np.eye(len(root))) @ root.T


@pytest.mark.parametrize("method", ["newton-cg", "lbfgs"])
def test_map_of_a_linear_model_is_the_posterior_mean(case, method, tmp_path):
    config = MapConfig(method=method, tolerance=1e-9, max_iterations=500)
    found = run(Map(config), case.posterior, Run(0, tmp_path)).outcome
    assert found.converged
    m = case.posterior().prior.unwhiten(found.xi[0, 0])
    assert np.allclose(m, case.exact()[0], atol=1e-6)


@pytest.mark.parametrize("rank", [1, 5, 200])
def test_laplace_of_a_linear_model_has_the_posterior_covariance(case, rank):
    """The rank grows from one by itself; eigenvalues below the cut-off are left to the prior."""
    on, rng = case.posterior(), np.random.default_rng(0)
    xi = drive(on, find_map(on, rng, OptimizerConfig(tolerance=1e-10)))
    found = drive(on, gaussian_approximation(on, xi, rank, rng))
    exact = case.exact()[1]
    tolerance = 1e-9 if found.residual < 1e-9 else found.residual
    assert np.abs(covariance_of_m(case, found) - exact).max() <= tolerance * np.abs(exact).max()
    assert np.allclose(on.prior.unwhiten(found.mean), case.exact()[0], atol=1e-6)


def test_laplace_actions_agree_with_one_another(case):
    on, rng = case.posterior(), np.random.default_rng(0)
    xi = drive(on, find_map(on, rng))
    found = drive(on, gaussian_approximation(on, xi, 20, rng))
    one = np.eye(on.dim)
    cov = found.covariance(one)
    assert np.allclose(found.root(found.root(one)), cov, atol=1e-10)
    assert np.allclose(found.precision(cov), one, atol=1e-8)
    assert np.allclose(np.diag(cov), found.variance, atol=1e-10)
    kl = np.trace(cov) - on.dim - np.linalg.slogdet(cov)[1] + found.mean @ found.mean
    assert np.isclose(found.kl_divergence, kl / 2)


def test_laplace_stores_the_spectrum_of_the_generalised_problem(tmp_path):
    case = LinearGaussian.example(np.random.default_rng(2), 6, 9)
    found = run(Laplace(LaplaceConfig()), case.posterior, Run(0, tmp_path)).outcome
    hessian = case.matrix.T @ np.linalg.solve(case.noise.covariance, case.matrix)
    exact = np.linalg.eigvals(case.prior_cov @ hessian).real
    exact = np.sort(exact[exact > 0.1])[::-1]
    assert np.allclose(found.groups["laplace"].eigenvalue, exact)
    assert "eigenvector" in found.groups["laplace"]


def test_laplace_misfits_are_those_of_the_model_where_it_is_linear(tmp_path):
    case = LinearGaussian.example(np.random.default_rng(2))
    on = case.posterior()
    found = run(Laplace(LaplaceConfig(tolerance=1e-12)), case.posterior, Run(0, tmp_path)).outcome
    assert np.allclose(found.stats["misfit"][0], on.misfit(found.xi[0]))
    assert np.allclose(found.stats["lp"][0], -on.neg_log_posterior(found.xi[0]))


def test_laplace_says_what_too_small_a_rank_costs():
    """Only the largest eigenvalues are kept, the last of them below 1, so variances are bounded."""
    rng = np.random.default_rng(5)
    q = np.linalg.qr(rng.standard_normal((40, 40)))[0]
    case = LinearGaussian.example(rng, 40, 40)
    spectrum = 30.0 * 0.7 ** np.arange(40)
    root = case.posterior().prior.field.root
    matrix = np.sqrt(spectrum)[:, None] * q.T @ np.linalg.inv(root)
    case = replace(case, matrix=case.noise.root @ matrix)
    on = case.posterior()
    found = drive(on, gaussian_approximation(on, np.zeros(40), 11, rng))
    assert np.allclose(found.eigenvalues, spectrum[:11], rtol=0.02)
    assert 0.1 < found.residual < 1
    exact = np.diag(np.linalg.inv(np.eye(40) + q @ np.diag(spectrum) @ q.T))
    assert np.all(found.variance >= exact - 1e-10)
    assert np.all(found.variance <= (1 + found.residual) * exact + 1e-2)


def eki_covariance_ratio(case, folder, size, seed=0):
    found = run(Eki(EkiConfig(ensemble_size=size)), case.posterior, Run(seed, folder)).outcome
    m = case.posterior().prior.unwhiten(found.xi[0])
    return np.trace(np.linalg.solve(case.exact()[1], np.cov(m.T))) / m.shape[1]


@pytest.mark.parametrize("shape", [(3, 5), (6, 40)])
def test_eki_reaches_the_posterior_covariance_at_time_one(shape, tmp_path):
    case = LinearGaussian.example(np.random.default_rng(3), *shape)
    assert 0.9 < eki_covariance_ratio(case, tmp_path, 4000) < 1.1


def test_eki_collapses_with_too_few_members(tmp_path):
    """Negative control."""
    case = LinearGaussian.example(np.random.default_rng(3), 20, 40)
    assert eki_covariance_ratio(case, tmp_path, 25) < 0.7


def test_data_that_cannot_be_fitted_are_told_beside_a_collapsed_ensemble(tmp_path):
    """Wrong units for instance: more members would not mend them."""
    case = LinearGaussian.example(np.random.default_rng(3), 20, 40)
    ends = {1: "by the ensemble's own linear fit", 20: "ensemble of 25 at tempering time"}
    for factor, begins in ends.items():
        on, spec = replace(case, data=factor * case.data), Run(0, tmp_path / str(factor))
        found = run(Eki(EkiConfig(ensemble_size=25)), on.posterior, spec).outcome
        assert found.message.startswith(begins)
        assert "where noise makes at most 36.7: for that reason, or of wrong data" in found.message
        assert not found.converged


@pytest.mark.parametrize(("members", "n_data"), [(50, 7), (8, 60)])
def test_kalman_update_is_the_same_in_data_space_and_ensemble_space(members, n_data):
    rng = np.random.default_rng(0)
    xi, white = rng.standard_normal((members, 4)), rng.standard_normal((members, n_data))
    residual, dt = rng.standard_normal((members, n_data)), 0.3
    c_ug = np.cov(xi.T, white.T)[:4, 4:]
    gain = c_ug @ np.linalg.inv(np.cov(white.T) + np.eye(n_data) / dt)
    assert np.allclose(kalman_update(xi, white, residual, dt), xi + residual @ gain.T)


def test_misfit_step_follows_iglesias_and_yang():
    misfit = np.array([10.0, 20.0, 30.0])
    by_mean, by_variance = 8 / 40, np.sqrt(8 / (2 * misfit.var()))
    assert misfit_step(misfit, 8, 1.0) == pytest.approx(max(by_mean, by_variance))
    assert misfit_step(misfit, 8, 0.05) == 0.05
    assert misfit_step(np.zeros(3), 8, 1.0) == 1.0


def test_eki_until_discrepancy_stops_earlier(tmp_path):
    case = LinearGaussian.example(np.random.default_rng(3), 6, 40)
    case = replace(case, noise=case.noise.tempered(4.0))
    go = partial(run, build=case.posterior)
    early = go(Eki(EkiConfig(until="discrepancy")), spec=Run(0, tmp_path / "a")).outcome
    full = go(Eki(EkiConfig()), spec=Run(0, tmp_path / "b")).outcome
    assert early.summary["tempering"] < full.summary["tempering"] == 1.0
    assert early.summary["misfit_per_datum"] <= 0.5
    assert "no posterior" in early.message
