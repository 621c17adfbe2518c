"""Diagnostics call good chains good and bad chains bad, and say how long the chains' memory is."""

import numpy as np
import pytest
from scipy.signal import lfilter

from pdeinv.bayes.diagnostics import autocorrelation, summary
from pdeinv.errors import ShapeError
from pdeinv.rng import stream


def white(shape, k=0):
    return stream(21, "diagnostics", k).standard_normal(shape)


def ar1(shape, a, k=0):
    """Stationary draws with autocorrelation a^lag along axis 1: τ = (1 + a)/(1 - a)."""
    noise = white(shape, k)
    noise[:, 1:] *= np.sqrt(1 - a**2)
    return lfilter([1.0], [1.0, -a], noise, axis=1)


def test_independent_draws_converge_with_an_ess_of_their_number():
    found = summary(white((4, 1000, 5)))
    assert found.converged
    assert found.r_hat < 1.005
    assert 3200 < found.ess_bulk < 4800
    assert 3000 < found.ess_tail < 4800
    np.testing.assert_allclose(found.mcse, 1 / np.sqrt(4000), rtol=0.15)
    assert found.verdict.startswith("converged: R-hat 1.0")


def test_ess_of_correlated_draws_is_their_number_over_tau():
    # a = 0.9 has τ = 19.
    found = summary(ar1((4, 20_000, 3), 0.9))
    assert found.converged
    assert found.ess_bulk == pytest.approx(80_000 / 19, rel=0.15)
    np.testing.assert_allclose(found.mcse, np.sqrt(19 / 80_000), rtol=0.15)


def test_the_standard_error_covers_the_mean():
    z = []
    for k in range(40):
        chains = ar1((4, 2000, 5), 0.9, k)
        z.append(chains.mean(axis=(0, 1)) / summary(chains).mcse)
    assert 0.8 < np.sqrt(np.mean(np.square(z))) < 1.25


def bad_chains():
    chains = white((4, 1000, 3))
    apart, wide, stuck, trend = (chains.copy() for _ in range(4))
    apart[0, :, 1] += 1.0
    wide[0, :, 1] *= 3.0
    stuck[2, :, 1] = 0.3
    trend[:, :, 1] += np.linspace(-1, 1, 1000)
    standing = chains.copy()
    standing[:, :, 1] = np.arange(4.0)[:, None]
    return {"apart": apart, "wide": wide, "stuck": stuck, "trend": trend, "standing": standing}


@pytest.mark.parametrize("name", ["apart", "wide", "stuck", "trend", "standing"])
def test_chains_that_have_not_mixed_are_found_at_their_component(name):
    found = summary(bad_chains()[name])
    assert not found.converged
    assert found.r_hat > 1.02
    assert found.worst == 1
    assert found.verdict.startswith("not converged: R-hat ")
    assert "at component 1 (below 1.01 wanted)" in found.verdict


def test_a_scale_that_differs_is_seen_by_the_folded_draws_only():
    chains = bad_chains()["wide"][:, :, 1]
    ranks = chains.argsort(axis=None).argsort().reshape(chains.shape)
    assert np.ptp(ranks.mean(axis=1)) / 4000 < 0.05
    assert summary(chains[:, :, None]).r_hat > 1.05


def test_too_few_effective_draws_do_not_converge():
    found = summary(ar1((4, 1000, 2), 0.98))
    assert not found.converged
    assert found.ess_bulk < 200
    assert "bulk ESS" in found.verdict
    assert "(400 wanted)" in found.verdict


def test_tails_that_mix_slowly_are_seen_by_the_tail_ess():
    chains = np.exp(ar1((4, 2000, 1), 0.95, 1)) * white((4, 2000, 1), 2)
    found = summary(chains)
    assert found.ess_bulk > 4000
    assert found.ess_tail < 2000


def test_a_single_chain_is_compared_with_itself_and_never_converged():
    found = summary(white((1, 2000, 2)))
    assert found.r_hat < 1.01
    assert not found.converged
    assert found.verdict.startswith("not converged: one chain cannot tell, run several (R-hat 1.0")
    assert summary(white((2, 2000, 2))).converged
    drift = white((1, 2000, 2))
    drift[0, :, 0] += np.linspace(0, 2, 2000)
    assert "R-hat" in summary(drift).verdict
    assert summary(drift).r_hat > 1.02


def test_each_component_has_figures_of_its_own():
    chains = bad_chains()["apart"]
    chains[:, :, 2] = 5.0
    each = summary(chains, named=lambda i: f"k[{i}]").each
    assert each.r_hat[0] < 1.01
    assert each.r_hat[1] > 1.05
    assert each.ess_bulk[1] < each.ess_bulk[0] / 10
    assert each.mcse[0] == pytest.approx(1 / np.sqrt(4000), rel=0.15)
    assert np.isnan([each.r_hat[2], each.ess_bulk[2], each.ess_tail[2]]).all()
    assert " at k[1] (below" in summary(chains, named=lambda i: f"k[{i}]").verdict


def test_a_component_that_never_moves_is_a_fault_unless_it_may():
    chains = white((4, 1000, 3))
    chains[:, :, 2] = 5.0
    strict, lenient = summary(chains), summary(chains, allow_constant=True)
    assert strict.n_constant == lenient.n_constant == 1
    assert strict.verdict == "not converged: 1 of 3 components never moved; draw more"
    assert lenient.converged
    assert lenient.mcse[2] == 0
    assert np.all(lenient.mcse[:2] > 0)


@pytest.mark.parametrize(
    ("chains", "verdict"),
    [
        (np.zeros((4, 100, 2)), "not converged: no component moved; shorten the steps"),
        (white((4, 3, 2)), "not converged: 3 draws per chain are too few to judge; draw more"),
        (white((1, 7, 2)), "not converged: 7 draws per chain are too few to judge; draw more"),
        (np.full((2, 50, 1), np.nan), "not converged: some draws are not finite"),
        (np.full((2, 50, 1), np.inf), "not converged: some draws are not finite"),
    ],
)
def test_chains_that_say_nothing_do_not_converge(chains, verdict):
    found = summary(chains)
    assert found.verdict == verdict
    assert not found.converged
    assert np.isnan([found.r_hat, found.ess_bulk, found.ess_tail]).all()
    assert found.mcse.shape == chains.shape[2:]


@pytest.mark.parametrize("draws", [4, 5, 8, 9])
def test_short_chains_are_judged_without_warnings(draws):
    assert not summary(white((3, draws, 2))).converged


@pytest.mark.parametrize("shape", [(100,), (4, 100), (4, 0, 2), (1, 2, 3, 4)])
def test_draws_of_another_shape_are_refused(shape):
    for function in (summary, autocorrelation):
        with pytest.raises(
            ShapeError, match=r"^draws: expected shape \(chain, draw, dim\), got \("
        ):
            function(np.zeros(shape))


def test_the_autocorrelation_time_of_an_ensemble():
    found = autocorrelation(ar1((8, 20_000, 2), 0.9))
    np.testing.assert_allclose(found.tau, 19, rtol=0.1)
    assert found.reliable
    np.testing.assert_allclose(autocorrelation(white((8, 5000, 2))).tau, 1, rtol=0.1)


def test_a_short_ensemble_is_not_reliable():
    assert not autocorrelation(ar1((8, 300, 2), 0.9)).reliable


def test_a_walker_that_never_moves_has_no_autocorrelation_time():
    ensemble = white((8, 1000, 2))
    ensemble[3, :, 1] = 0.0
    found = autocorrelation(ensemble)
    assert found.tau[0] < 2
    assert np.isinf(found.tau[1])
    assert not found.reliable
