"""Weights of the modes of a posterior against quadrature, with and without moves between them."""

from dataclasses import replace

import numpy as np
import pytest
from folded import by_quadrature, two_modes
from scipy import stats

from pdeinv.bayes.diagnostics import summary
from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.reference import Reference
from pdeinv.engines.gaussian.approximation import LaplaceApproximation
from pdeinv.engines.gaussian.optima import Optimum
from pdeinv.engines.mcmc.hmc import Hmc, HmcConfig
from pdeinv.engines.mcmc.kernel import reference_for
from pdeinv.engines.mcmc.modes import Modes, searched_modes
from pdeinv.engines.mcmc.pcn import Pcn, PcnConfig
from pdeinv.engines.mcmc.tuning import tune
from pdeinv.engines.requests import drive
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.engines.solvable import Place

SHARE, MEAN = by_quadrature()


def shares(xi):
    """Of a > 0, by chain."""
    return (two_modes().prior.unwhiten(xi)[..., 0] > 0).mean(axis=1)


def z_score(estimates, truth):
    """Student's t of independent chains, as a normal score of the same probability."""
    n = len(estimates)
    t = (estimates.mean() - truth) / (estimates.std(ddof=1) / np.sqrt(n))
    return stats.norm.isf(stats.t.sf(np.abs(t), n - 1))


ENGINES = {
    "hmc": (Hmc, HmcConfig(chains=8, draws=500, warmup=150)),
    "pcn": (Pcn, PcnConfig(chains=8, draws=1600, warmup=400, thin=2)),
    "pcn-laplace": (
        Pcn,
        PcnConfig(chains=8, draws=1600, warmup=400, thin=2, proposal="laplace"),
    ),
}


def drawn(name, folder, **options):
    kind, config = ENGINES[name]
    config = config.model_copy(update=options)
    return run(kind(config), two_modes, Run(1, folder)).outcome


def test_three_quarters_of_the_mass_are_in_one_mode():
    assert 0.745 < SHARE < 0.755


@pytest.mark.parametrize("name", ENGINES)
def test_weights_of_two_modes_are_those_of_quadrature(name, tmp_path):
    found = drawn(name, tmp_path)
    assert z_score(shares(found.xi), SHARE) < 4
    assert max(z_score(found.xi[..., i].mean(axis=1), MEAN[i]) for i in range(2)) < 4
    assert abs(shares(found.xi).mean() - SHARE) < 0.03
    assert summary(found.xi).r_hat < 1.01
    assert found.summary["modes"] == 2
    first = found.groups["modes"].xi.values[0, 0] + 0.307 > 0
    positive = two_modes().prior.unwhiten(found.xi)[..., 0] > 0
    assert np.array_equal(found.stats["mode"] == 0, positive == first)
    assert "2 modes hold" in found.note


@pytest.mark.parametrize("name", ENGINES)
def test_without_searches_chains_do_not_agree(name, tmp_path):
    """Negative control: the weights are wrong, and R-hat says so."""
    found = drawn(name, tmp_path, searches=0)
    assert summary(found.xi).r_hat > 1.05
    assert np.ptp(shares(found.xi)) > 0.2


def test_jumps_between_wrong_gaussians_are_exact():
    assert jump_score(lopsided()) < 4


def test_a_determinant_that_is_left_out_is_caught(monkeypatch):
    """Negative control: exactness is not that of good proposals."""
    monkeypatch.setattr(Modes, "_log_determinants", property(lambda modes: np.zeros(modes.count)))
    assert jump_score(lopsided()) > 6


def test_steps_that_depend_on_the_mode_are_exact():
    assert variance_score() < 4


def test_a_tilt_that_is_left_out_is_caught(monkeypatch):
    """Negative control."""
    monkeypatch.setattr(Modes, "tilt", lambda *_: 0.0)
    assert variance_score() > 6


def variance_score():
    """Of E[xi²] of walks on the prior, narrow ones in the middle and wide ones outside."""
    on = replace(two_modes(), likelihood=Noise(np.array([1e9, 1e9])))
    one = Modes.none(Reference.standard(2))
    both, directions = np.zeros((2, 2)), np.stack([np.eye(2)] * 2)
    widths = np.array([[0.05, 0.05], [4.0, 4.0]]) - 1
    modes = replace(one, mean=both, basis=directions, excess=widths, log_weight=np.log([0.5, 0.5]))
    squares = []
    for k in range(16):
        rng, place, kept = np.random.default_rng(k), Place(np.ones(2), 0.0), []
        for _ in range(1500):
            place = walked(on, modes, place, rng)
            kept.append(place.xi @ place.xi)
        squares.append(np.mean(kept[100:]))
    return z_score(np.array(squares), 2.0)


def lopsided():
    """Three Gaussians of other widths, centres and weights than those of the posterior."""
    on = two_modes()
    reference = drive(on, reference_for(on, np.random.default_rng(0)))
    found = drive(on, searched_modes(on, reference, 8, np.random.default_rng(0)))
    order = [0, 1, 1]
    scale = np.array([[0.6], [2.5], [1.5]])
    shift = np.array([[0.1, 0.2], [-0.2, 0.1], [0.3, -0.3]])
    return replace(
        found,
        mean=found.mean[order] + shift,
        basis=found.basis[order],
        excess=scale * (1 + found.excess[order]) - 1,
        log_weight=np.log([0.2, 0.5, 0.3]),
    )


def jump_score(modes):
    """Chains of jumps and tilted random walks; the largest score of share and means."""
    on, chains = two_modes(), []
    for k in range(16):
        rng = np.random.default_rng(k)
        xi, kept = modes.mean[k % 3], []
        place = Place(xi, float(on.misfit(xi)))
        for _ in range(1000):
            place = drive(on, modes.jump(place, rng)).place
            place = walked(on, modes, place, rng)
            kept.append(place.xi)
        chains.append(kept[100:])
    xi = np.array(chains)
    scores = [z_score(xi[..., i].mean(axis=1), MEAN[i]) for i in range(2)]
    return max(z_score(shares(xi), SHARE), *scores)


def walked(on, modes, place, rng):
    """A random walk of the mode that is drawn, whose width depends on it."""
    i = modes.drawn(place.xi, rng)
    xi = place.xi + 0.5 * modes.reference(i).root(rng.standard_normal(2))
    misfit = float(on.misfit(xi))
    gain = place.misfit - misfit + 0.5 * (place.xi @ place.xi - xi @ xi)
    gain += modes.tilt(i, place.xi, xi)
    return replace(place, xi=xi, misfit=misfit) if np.log(rng.random()) < gain else place


def test_a_tuned_kernel_goes_between_modes():
    """What the base chains of two-level are made of."""
    on, chains = two_modes(), []
    for k in range(8):
        rng = np.random.default_rng(k)
        tuned = drive(on, tune(on, 100, rng, searches=8))
        trail = drive(on, tuned.kernel.trail(tuned.place, 500, rng))
        chains.append([place.xi for place in trail])
    found = shares(np.array(chains))
    assert z_score(found, SHARE) < 4
    assert abs(found.mean() - SHARE) < 0.05


def test_modes_of_no_mass_are_left_out():
    def optimum(objective):
        return Optimum(
            objective, LaplaceApproximation(np.zeros(2), np.ones(1), np.eye(2)[:, :1], 0.0)
        )

    assert Modes.of([optimum(3.0), optimum(8.0), optimum(20.0)]).count == 2
    assert Modes.of([optimum(20.0), optimum(3.0)]).count == 2  # a chain begins in the first
    alone = Modes.of([optimum(5000.0), optimum(3.0)])  # where it has any mass at all
    assert alone.count == 1
    np.testing.assert_array_equal(alone.objective, [3.0])


@pytest.mark.parametrize("name", ["hmc", "pcn"])
def test_one_mode_changes_no_draw(name, tmp_path):
    """The searches take their random numbers from elsewhere."""
    kind, config = ENGINES[name]
    config = config.model_copy(update={"chains": 2, "draws": 40, "warmup": 20})
    case = LinearGaussian.example(np.random.default_rng(3), 4, 6)
    found = [
        run(
            kind(config.model_copy(update={"searches": n})),
            case.posterior,
            Run(0, tmp_path / str(n)),
        )
        for n in (0, 5)
    ]
    assert np.array_equal(found[0].outcome.xi, found[1].outcome.xi)
    assert found[0].counters.n_adjoint < found[1].counters.n_adjoint


def test_shares_are_those_of_t_densities():
    modes, xi = lopsided(), np.array([0.4, -1.1])
    densities = []
    for i in range(3):
        reference = modes.reference(i)
        t = stats.multivariate_t(reference.mean, reference.covariance, df=4)
        densities.append(np.exp(modes.log_weight[i]) * t.pdf(xi))
    expected = np.array(densities) / np.sum(densities)
    assert np.allclose(np.exp(modes.log_shares(xi)), expected)
    assert modes.nearest(xi) == np.argmax(expected)


def test_a_chain_leaves_a_start_that_explains_nothing():
    """Where its own search got stuck, the minimum that others found is the only one."""
    on = two_modes()
    stuck = Reference(np.full(2, 60.0), np.eye(2)[:, :1], np.array([-0.5]))
    modes = drive(on, searched_modes(on, stuck, 8, np.random.default_rng(0)))
    assert modes.count == 2  # those of the posterior
    assert modes.objective.max() < 100
    np.testing.assert_array_equal(modes.first(stuck).mean, modes.mean[0])
    alone = Modes.none(stuck)
    assert alone.first(stuck) is stuck
