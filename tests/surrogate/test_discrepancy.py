"""The learned discrepancy: errors it reports, derivatives, weights, and what it must not learn."""

import numpy as np
import pytest
from promise_of_rows import assert_rows_keep_their_promise

from pdeinv.bayes.check import dot_product_test, taylor_test
from pdeinv.bayes.posterior import xi_space
from pdeinv.errors import DataSchemaError, SolverDiverged
from pdeinv.model.forward import Capability, Linearization
from pdeinv.model.rows import linearize_each, rows_each
from pdeinv.model.spaces import Space, Variable
from pdeinv.model.tangent import Tangent
from pdeinv.surrogates.common.bound import BoundModel, RangeWatch
from pdeinv.surrogates.multifidelity import coarse_part
from pdeinv.surrogates.multifidelity.coarse_part import Factored
from pdeinv.surrogates.multifidelity.discrepancy import Discrepancy, DiscrepancyConfig
from pdeinv.surrogates.multifidelity.kernel_ridge import Grams, KernelFit
from pdeinv.surrogates.multifidelity.model import MultifidelityModel, Selected
from pdeinv.surrogates.multifidelity.pairs import Pairs, relevance

DIM, N_OBS = 6, 20
STD = np.full(N_OBS, 0.05)
MIX = np.random.default_rng(7).standard_normal((DIM, N_OBS))
BEND = np.random.default_rng(8).standard_normal((DIM, N_OBS))


def coarse_of(xi):
    return np.tanh(xi @ MIX / 2)


def fine_of(xi, bend=1.0):
    """An offset, a slope, a factor on the coarse data, and a smooth remainder."""
    smooth = 0.05 * bend * np.sin(xi @ BEND / 2)
    return 1.1 * coarse_of(xi) + 0.3 + 0.2 * xi @ BEND / 3 + smooth


def pairs(n, seed=0, bend=1.0, fine=None):
    xi = np.random.default_rng(seed).standard_normal((n, DIM))
    fine = fine_of(xi, bend) if fine is None else fine
    return Pairs(xi, coarse_of(xi), fine, STD, np.ones(n))


def true_rms(d, bend=1.0):
    xi = np.random.default_rng(99).standard_normal((2000, DIM))
    error = coarse_of(xi) + d(xi, coarse_of(xi)) - fine_of(xi, bend)
    return np.sqrt(np.mean((error / STD) ** 2))


@pytest.fixture(scope="module")
def learned():
    return Discrepancy.fit(pairs(200))


def test_stages_lower_the_error_one_by_one(learned):
    e = learned.errors
    assert e["coarse"] > e["constant"] > 3 * e["linear"] > 3 * e["kernel"] > 0
    assert learned.stage == "kernel"
    assert learned.rms == e["kernel"]
    assert true_rms(learned) < 0.25


@pytest.mark.parametrize("n", [12, 30, 60, 120])
def test_reported_error_is_that_of_fresh_samples(n):
    """With fewer samples than inputs too, where centring could leak the left-out sample."""
    d = Discrepancy.fit(pairs(n))
    assert 0.5 < d.rms / true_rms(d) < 2


def test_training_error_would_have_been_no_measure():
    """Negative control: the residuals on the training samples are far below the true error."""
    p = pairs(30)
    d = Discrepancy.fit(p)
    residual = (p.coarse + d(p.xi, p.coarse) - p.fine) / STD
    assert np.sqrt(np.mean(residual**2)) < 0.5 * true_rms(d)


def test_affine_discrepancy_is_learned_to_rounding_like_size():
    d = Discrepancy.fit(pairs(100, bend=0.0))
    assert true_rms(d, bend=0.0) < 5e-3


def test_pure_noise_is_not_learned():
    """What cannot be predicted leaves the constant in place, and the error is not hidden."""
    xi = np.random.default_rng(0).standard_normal((80, DIM))
    noise = STD * np.random.default_rng(1).standard_normal((80, N_OBS))
    d = Discrepancy.fit(pairs(80, fine=coarse_of(xi) + 0.5 + noise))
    assert d.rms > 0.95
    fresh = np.random.default_rng(2).standard_normal((500, DIM))
    correction = d(fresh, coarse_of(fresh))
    np.testing.assert_allclose(correction.mean(axis=0), 0.5, atol=4 * STD[0] / np.sqrt(80))
    assert correction.std(axis=0).max() < 0.5 * STD[0]


def test_constant_difference_is_corrected_exactly():
    xi = np.random.default_rng(0).standard_normal((40, DIM))
    d = Discrepancy.fit(pairs(40, fine=coarse_of(xi) + 0.25))
    np.testing.assert_allclose(d(xi, coarse_of(xi)), 0.25, atol=1e-6)


def test_equal_models_need_no_correction():
    xi = np.random.default_rng(0).standard_normal((40, DIM))
    d = Discrepancy.fit(pairs(40, fine=coarse_of(xi)))
    assert np.abs(d(xi, coarse_of(xi))).max() < 1e-9


def test_fit_is_deterministic_and_does_not_depend_on_order(learned):
    xi = np.random.default_rng(3).standard_normal((5, DIM))
    again = Discrepancy.fit(pairs(200))
    assert np.array_equal(again(xi, coarse_of(xi)), learned(xi, coarse_of(xi)))
    p, turn = pairs(200), np.random.default_rng(4).permutation(200)
    turned = Pairs(p.xi[turn], p.coarse[turn], p.fine[turn], STD, p.variance)
    other = Discrepancy.fit(turned)
    np.testing.assert_allclose(
        other(xi, coarse_of(xi)), learned(xi, coarse_of(xi)), atol=0.5 * STD[0]
    )


def test_repeated_and_failed_pairs_change_nothing(learned):
    p = pairs(200)
    xi = np.concatenate([p.xi, p.xi[:50], p.xi[:1] + 1])
    coarse = np.concatenate([p.coarse, p.coarse[:50], np.full((1, N_OBS), np.nan)])
    fine = np.concatenate([p.fine, p.fine[:50], p.fine[:1]])
    d = Discrepancy.fit(Pairs(xi, coarse, fine, STD, np.ones(251)))
    assert d.n_pairs == 200
    assert np.array_equal(d(p.xi, p.coarse), learned(p.xi, p.coarse))


def test_too_few_pairs_are_refused():
    with pytest.raises(DataSchemaError, match=r"at least 10 different solved pairs, got 9"):
        Discrepancy.fit(pairs(9))


def test_more_than_max_points_are_thinned_by_a_stream():
    config = DiscrepancyConfig(max_points=50)
    first, second = (Discrepancy.fit(pairs(80), config, seed) for seed in (0, 1))
    assert first.n_pairs == second.n_pairs == 50
    xi = np.random.default_rng(3).standard_normal((5, DIM))
    assert not np.array_equal(first(xi, coarse_of(xi)), second(xi, coarse_of(xi)))


def test_method_linear_has_no_smooth_part():
    d = Discrepancy.fit(pairs(100), DiscrepancyConfig(method="linear"))
    assert d.smooth is None
    assert set(d.errors) == {"coarse", "constant", "linear"}


def test_arrays_restore_the_same_numbers(learned):
    again = Discrepancy.from_arrays(learned.arrays(), learned.errors, learned.n_pairs)
    xi = np.random.default_rng(3).standard_normal((5, DIM))
    assert np.array_equal(again(xi, coarse_of(xi)), learned(xi, coarse_of(xi)))


class Coarse:
    """The coarse model of this file on xi."""

    kind = "surrogate"
    capabilities = frozenset({Capability.BATCH, Capability.JVP, Capability.VJP})
    m_space = xi_space(DIM)

    def __init__(self):
        from pdeinv.model.observed import Observed

        places = {"x": np.arange(float(N_OBS))}
        self.d_space = Observed("u", "1", "u", {"x": "1"}).space(places)

    def __call__(self, xi):
        return coarse_of(xi)

    def linearize(self, xi):
        slope = (1 - coarse_of(xi) ** 2) / 2
        return Linearization(
            coarse_of(xi), lambda v: slope * (v @ MIX), lambda w: MIX @ (slope * w)
        )


class WrongCoarse(Coarse):
    """With a gradient that is one per cent off."""

    def linearize(self, xi):
        at = super().linearize(xi)
        return Linearization(at.value, at.jvp, lambda w: 1.01 * at.vjp(w))


def test_corrected_model_has_the_right_derivatives(learned):
    rng = np.random.default_rng(5)
    model, xi = MultifidelityModel(Coarse(), learned), 0.3 * rng.standard_normal(DIM)
    assert dot_product_test(model, xi, rng) < 1e-10
    assert taylor_test(model, xi, rng).slope > 1.9
    assert dot_product_test(MultifidelityModel(WrongCoarse(), learned), xi, rng) > 1e-4


class CoarseRows(Coarse):
    """The same with rows, where xi is finite."""

    capabilities = frozenset({Capability.ROWS, Capability.JVP, Capability.VJP})

    def __call__(self, xi):
        if not np.isfinite(xi).all():
            raise SolverDiverged("planted")
        return super().__call__(xi)

    def linearize(self, xi):
        self(xi)
        return super().linearize(xi)

    def rows(self, xis):
        return rows_each(self, xis)

    def linearize_rows(self, xis):
        return linearize_each(self, xis)


def test_rows_of_the_corrected_model_keep_the_promise(learned):
    xis = np.random.default_rng(3).standard_normal((9, DIM))
    whole = MultifidelityModel(CoarseRows(), learned)
    assert_rows_keep_their_promise(whole, xis, np.full(DIM, np.nan))
    some = Selected(whole, np.array([3, 0, 3]))
    space = CoarseRows().d_space.variables[0]
    labels = Space((Variable(space.name, ("obs",), (3,)),))
    watch = RangeWatch(np.full(DIM, -9.0), np.full(DIM, 9.0), "multifidelity")
    bound = BoundModel(some, DIM, labels, watch, some.capabilities)
    assert_rows_keep_their_promise(bound, xis, np.full(DIM, np.nan))


def test_many_data_go_through_factors_to_the_same_numbers(learned, monkeypatch):
    monkeypatch.setattr(coarse_part, "MOST", N_OBS - 1)
    factored = Discrepancy.fit(pairs(200))
    assert isinstance(factored.on_coarse, Factored)
    rng = np.random.default_rng(3)
    tangent = Tangent(
        rng.standard_normal(DIM), rng.standard_normal(N_OBS), np.eye(DIM),
        rng.standard_normal((N_OBS, DIM)),
    )  # fmt: skip
    arrays = factored.arrays()
    stored = Discrepancy.from_arrays(arrays, factored.errors, factored.n_pairs)
    xi, dxi, dc, w = (rng.standard_normal(n) for n in (DIM, DIM, N_OBS, N_OBS))
    pairs_of = [(learned, factored), (learned, stored)]
    pairs_of.append((learned.tilted(tangent), factored.tilted(tangent)))
    for one, other in pairs_of:
        a, b = (d.linearize(xi, coarse_of(xi)) for d in (one, other))
        np.testing.assert_allclose(b.value, a.value, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(b.jvp(dxi, dc), a.jvp(dxi, dc), rtol=1e-9, atol=1e-11)
        for x, y in zip(b.vjp(w), a.vjp(w), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-11)


def test_far_pairs_count_less_and_no_longer_spoil_the_fit():
    """Pairs that explain the data badly come from elsewhere, where the discrepancy is another."""
    near, far = pairs(120), pairs(60, seed=5)
    xi = np.concatenate([near.xi, 3 * far.xi + 4])
    strange = fine_of(3 * far.xi + 4) + 5 * np.sin(3 * (3 * far.xi + 4) @ BEND)
    fine = np.concatenate([near.fine, strange])
    misfit = np.concatenate([np.full(120, 10.0), np.full(60, 4000.0)])
    plain = Pairs(xi, coarse_of(xi), fine, STD, np.ones(180))
    weighted = Pairs(xi, coarse_of(xi), fine, STD, relevance(misfit))
    assert true_rms(Discrepancy.fit(weighted)) < 0.2 * true_rms(Discrepancy.fit(plain))


def test_relevance_is_one_for_the_better_half_and_grows_with_the_misfit():
    v = relevance(np.array([50.0, 60.0, 70.0, 140.0, np.nan, 1e9]))
    np.testing.assert_allclose(v[:3], [1, 1, (70 / 60) ** 2])
    assert 1 < v[2] < v[3] < v[4] == v[5] == 1e8


def test_leave_one_out_residuals_are_those_of_refits():
    rng = np.random.default_rng(6)
    z, c, y = (rng.standard_normal((25, k)) for k in (3, 4, 2))
    log_parameters = np.array([-0.5, -1.0, 0.2, 0.1, -2.0])

    def fit(rows):
        return KernelFit.solve(
            Grams.of(z[rows], c[rows], np.ones(len(rows))), y[rows], log_parameters, True
        )

    everything = fit(np.arange(25))
    k = Grams.of(z, c, np.zeros(25)).kernel(log_parameters, True)
    for i in (0, 11):
        rest = np.delete(np.arange(25), i)
        # the intercept's weight depends on the samples; the refit must use the same one
        inner = k[np.ix_(rest, rest)] + np.exp(-2.0) * np.eye(24)
        predicted = k[i, rest] @ np.linalg.solve(inner, y[rest])
        np.testing.assert_allclose(everything.residuals[i], y[i] - predicted, rtol=1e-8)


@pytest.mark.slow
def test_a_network_learns_what_the_affine_part_cannot():
    config = DiscrepancyConfig(method="network")
    d = Discrepancy.fit(pairs(300), config)
    assert d.stage == "network"
    assert d.rms < 0.8 * d.errors["linear"]
    assert 0.4 < d.rms / true_rms(d) < 2.5
    xi = np.random.default_rng(3).standard_normal((5, DIM))
    again = Discrepancy.from_arrays(d.arrays(), d.errors, d.n_pairs)
    assert np.array_equal(again(xi, coarse_of(xi)), d(xi, coarse_of(xi)))
    rng, model = np.random.default_rng(5), MultifidelityModel(Coarse(), d)
    assert dot_product_test(model, 0.3 * xi[0], rng) < 1e-10
    assert taylor_test(model, 0.3 * xi[0], rng).slope > 1.9
    assert_rows_keep_their_promise(MultifidelityModel(CoarseRows(), d), xi, np.full(DIM, np.nan))


def test_a_network_is_dropped_where_it_learns_nothing():
    """Negative control: with an affine discrepancy plus noise the affine part is kept alone."""
    p = pairs(80, bend=0.0)
    noise = STD * np.random.default_rng(1).standard_normal((80, N_OBS))
    noisy = Pairs(p.xi, p.coarse, p.fine + noise, STD, p.variance)
    d = Discrepancy.fit(noisy, DiscrepancyConfig(method="network"))
    assert d.errors["network"] > d.errors["linear"] * 0.9
    if d.stage != "network":
        assert d.smooth is None
