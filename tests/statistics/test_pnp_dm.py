"""Split Gibbs: weights of modes that the data leave open, and an invariant likelihood step."""

from dataclasses import replace

import numpy as np
import pytest

from pdeinv.bayes.denoisers import MixtureDenoiser
from pdeinv.bayes.fields.base import IndependentField
from pdeinv.bayes.linear_mixture import LinearMixture
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.bayes.prior import FieldPrior
from pdeinv.bayes.transforms import Identity
from pdeinv.engines.base import Outcome
from pdeinv.engines.diffusion.affine import Affine
from pdeinv.engines.diffusion.conditioned import About, Tie, anew, moved
from pdeinv.engines.diffusion.coupled import judged
from pdeinv.engines.diffusion.fitted import Sums
from pdeinv.engines.diffusion.local import Curvature, seen
from pdeinv.engines.diffusion.pnp_dm import PnpDm, PnpDmConfig
from pdeinv.engines.diffusion.searched import best_near
from pdeinv.engines.ended import Ended
from pdeinv.engines.requests import drive
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.errors import ConfigError, SolverDiverged
from pdeinv.model.forward import DERIVATIVES, Linearization
from pdeinv.model.spaces import Space, Variable
from pdeinv.plugins.registry import configured

DIM, N_D = 6, 4


def case(weights=(0.75, 0.25), apart=3.0):
    """Two modes along a direction that the data do not see."""
    rng = np.random.default_rng(3)
    matrix = rng.standard_normal((N_D, DIM))
    unseen = np.linalg.svd(matrix)[2][-1]
    law = MixtureDenoiser(np.array(weights), apart * np.stack([-unseen, unseen]), np.full(DIM, 1.0))
    return LinearMixture.simulated(matrix, law, 0.5, rng), unseen


def drawn(mixture, folder, **options):
    how = {"chains": 4, "walkers": 100, "draws": 40, "warmup": 200, "thin": 20, "coupling": 0.2}
    engine = PnpDm(PnpDmConfig(**{**how, **options}))
    return run(engine, mixture.posterior, Run(1, folder)).outcome


def test_the_exact_weights_are_those_of_prior_modes_that_no_datum_tells_apart():
    mixture, unseen = case()
    assert np.allclose(mixture.weights, [0.75, 0.25])
    draws = mixture.sample(np.random.default_rng(0), 20_000)
    assert np.mean(draws @ unseen < 0) == pytest.approx(0.75, abs=0.02)
    side = draws[draws @ unseen > 0]
    assert np.allclose(side.mean(axis=0), mixture.means[1], atol=0.1)
    assert np.allclose(np.cov(side.T), mixture.covariance, atol=0.1)


def test_weights_means_and_spreads_of_two_modes_are_found(tmp_path):
    mixture, unseen = case()
    found = drawn(mixture, tmp_path)
    xi = found.xi.reshape(-1, DIM)
    left = xi @ unseen < 0
    assert left.mean() == pytest.approx(0.75, abs=0.07)
    std = np.sqrt(np.diag(mixture.covariance))
    for i, side in enumerate((left, ~left)):
        assert np.all(np.abs(xi[side].mean(axis=0) - mixture.means[i]) < 0.15 * std)
        assert np.all(np.abs(xi[side].std(axis=0) / std - 1) < 0.12)
    assert "with respect to the learned prior" in found.note
    assert "lp" not in found.stats


def test_couplings_that_begin_within_a_mode_get_the_weights_wrong(tmp_path):
    """Negative control: walkers stay where prior draws of N(0, I) have put them."""
    mixture, unseen = case(apart=4.0)
    xi = drawn(mixture, tmp_path, first_coupling=0.4).xi.reshape(-1, DIM)
    assert abs(np.mean(xi @ unseen < 0) - 0.75) > 0.12


def test_a_coupling_that_widens_the_fitted_data_is_no_posterior(tmp_path):
    rng = np.random.default_rng(4)
    law = MixtureDenoiser(np.ones(1), np.zeros((1, DIM)), np.full(DIM, 0.01))
    narrow = LinearMixture.simulated(rng.standard_normal((N_D, DIM)), law, 0.5, rng)
    found = drawn(narrow, tmp_path, coupling=0.3, first_coupling=1.0)
    assert found.ended is Ended.COUPLED
    assert "lower engine.coupling" in found.message
    good = drawn(narrow, tmp_path / "fine", coupling=0.02, first_coupling=1.0, draws=200)
    assert good.ended is Ended.DRAWN
    assert good.summary["fitted_sd_ratio"] < 1.05


def outcome(ended=Ended.DRAWN):
    return Outcome(np.zeros((1, 1, 1)), {"misfit": np.zeros((1, 1))}, ended, "so", note="law")


def sums(sd, n=4000):
    return Sums.none(2).plus(np.random.default_rng(0).standard_normal((n, 2)) * sd)


def test_what_fitted_data_cannot_show_is_known_from_the_coupling():
    """Along unseen directions draws of a Gaussian prior are √(1 + r² / s²) times too wide."""
    seen = (sums(1.0), sums(1.0))
    fine = judged(outcome(), 0.32, 1.0, *seen)
    assert fine.converged
    assert fine.summary["unseen_sd_ratio"] < 1.05
    for ended in (Ended.DRAWN, Ended.CUT):
        far = judged(outcome(ended), 1.0, 1.0, *seen)
        assert far.ended is Ended.COUPLED
        assert "at least 1.41 times" in far.message
        assert "at most 0.32" in far.message
        assert far.message.endswith("lower engine.coupling")
    assert judged(outcome(), 0.32, 0.9, *seen).ended is Ended.COUPLED
    assert judged(outcome(), 1.0, 1.0, sums(1.0, 1), sums(1.0, 1)).ended is Ended.COUPLED


def test_a_wide_coupling_is_no_posterior_although_fitted_data_are_right(tmp_path):
    mixture, unseen = case(apart=0.0)
    found = drawn(mixture, tmp_path, coupling=1.0)
    assert (found.xi.reshape(-1, DIM) @ unseen).std() == pytest.approx(2**0.5, rel=0.05)
    assert found.ended is Ended.COUPLED


def test_a_spread_that_is_all_the_couplings_own_is_told_in_words():
    for narrow, wide in ((1.0, 3.0), (0.0, 0.0)):
        found = judged(outcome(), 0.1, 1.0, sums(wide), sums(narrow))
        assert found.ended is Ended.COUPLED
        assert "nothing can be said of the spread of fitted data" in found.message
        assert "fitted_sd_ratio" not in found.summary
        assert "inf" not in found.message
        assert all(np.isfinite(list(found.summary.values())))


def test_a_ratio_that_is_left_out_is_spoken_of():
    found = judged(outcome(), 0.1, 1.0, sums(1.0, 199), sums(1.0))
    assert "fitted_sd_ratio" not in found.summary
    assert found.note.startswith("law; fitted data were not compared")
    assert "199 seen, 200 needed" in found.note
    assert judged(outcome(), 0.1, 1.0, sums(1.0, 200), sums(1.0)).note == "law"


def test_a_coupling_has_to_fall():
    with pytest.raises(ConfigError, match=r"first_coupling = 0.5 is below twice coupling = 0.3"):
        configured("engines", "pnp-dm", {"first_coupling": 0.5})
    assert PnpDmConfig(first_coupling=0.6).first_coupling == 0.6


class Curved:
    """G(m) = m + m³ / 3, whose linearizations differ everywhere."""

    kind, capabilities = "reference", DERIVATIVES
    m_space = Space((Variable("m", ("m_dim",), (1,)),))
    d_space = Space((Variable("d", ("d_dim",), (1,)),))

    def __call__(self, m):
        return m + m**3 / 3

    def linearize(self, m):
        return Linearization(self(m), lambda dm: (1 + m**2) * dm, lambda w: (1 + m**2) * w)


def curved():
    prior = FieldPrior(Curved.m_space, IndependentField(np.zeros(1), np.ones(1)), Identity())
    return Posterior(prior, WhitenedModel(prior, Curved()), np.array([1.0]), Noise(np.array([0.4])))


TIE = Tie(np.zeros((1500, 1)), 1.5)
NONE = Curvature(np.zeros(1), np.zeros((1, 1)))


def stationary():
    """Mean and sd of many walkers after some moves from exact draws, and the exact ones."""
    on, rng = curved(), np.random.default_rng(5)
    axis = np.linspace(-6, 6, 20_001)
    log = -0.5 * ((axis + axis**3 / 3 - 1) / 0.4) ** 2 - 0.5 * (axis / 1.5) ** 2
    mass = np.exp(log - log.max())
    mass /= mass.sum()
    xi = rng.choice(axis, size=(1500, 1), p=mass)
    at = drive(on, seen(on, xi, Affine.unknown()))
    best = drive(on, best_near(on, TIE, Affine.unknown(), NONE))
    found = drive(on, moved(on, at, TIE, best, Affine.unknown(), 24, rng))
    assert 0.5 < found.accepted / (24 * 1500) < 1
    mean = mass @ axis
    return found.at.xi, mean, np.sqrt(mass @ (axis - mean) ** 2)


def test_metropolised_moves_leave_the_tied_likelihood_as_it_is():
    xi, mean, std = stationary()
    assert abs(xi.mean() - mean) < 0.1 * std
    assert xi.std() == pytest.approx(std, rel=0.08)


def test_moves_without_the_density_of_the_proposal_are_caught(monkeypatch):
    """Negative control."""
    monkeypatch.setattr(About, "log_density", lambda _, xi: np.zeros(len(xi)))
    xi, mean, std = stationary()
    assert abs(xi.mean() - mean) > 0.1 * std or abs(xi.std() / std - 1) > 0.08


def test_a_search_ends_at_the_best_point_near_each_centre():
    on, centre = curved(), np.array([[-4.0], [0.0], [0.7], [5.0]])
    best = drive(on, best_near(on, Tie(centre, 1.5), Affine.unknown(), NONE))
    axis = np.linspace(-6, 6, 20_001)
    for c, x in zip(centre[:, 0], best.xi[:, 0], strict=True):
        density = -0.5 * ((axis + axis**3 / 3 - 1) / 0.4) ** 2 - 0.5 * ((axis - c) / 1.5) ** 2
        assert x == pytest.approx(axis[np.argmax(density)], abs=0.1)


class Broken(Curved):
    """Without derivatives where m is above 1, and without data above 2."""

    def __call__(self, m):
        if np.any(m > 2):
            raise SolverDiverged("too large")
        return super().__call__(m)

    def linearize(self, m):
        if np.any(m > 1):
            raise SolverDiverged("no derivative")
        return super().linearize(m)


def test_rows_that_cannot_be_searched_from_their_centre_stay_where_they_are():
    prior = curved().prior
    model = WhitenedModel(prior, Broken())
    on = Posterior(prior, model, np.array([1.0]), Noise(np.array([0.4])))
    tie = Tie(np.array([[0.0], [1.5], [3.0]]), 1.0)
    best = drive(on, best_near(on, tie, Affine.unknown(), NONE))
    assert np.isfinite(best.misfit).tolist() == [True, False, False]
    at = drive(on, seen(on, np.full((3, 1), 0.5), Affine.unknown()))
    rng = np.random.default_rng(0)
    found = drive(on, moved(on, at, tie, best, Affine.unknown(), 8, rng)).at
    fresh = [drive(on, anew(on, at, tie, best, Affine.unknown(), rng)) for _ in range(8)]
    for xi in (found.xi, *(one.xi for one in fresh)):
        assert (xi[1:, 0] == 0.5).all()
    assert found.xi[0, 0] != 0.5 != fresh[0].xi[0, 0]


class Lonely(Curved):
    """Solved nowhere but where it is linearized."""

    def __call__(self, m):
        raise SolverDiverged("too far")

    def linearize(self, m):
        return Curved().linearize(m)


def test_a_search_of_which_no_step_can_be_solved_stays_at_its_centre():
    prior = curved().prior
    on = Posterior(prior, WhitenedModel(prior, Lonely()), np.array([1.0]), Noise(np.array([0.4])))
    centre = np.array([[-2.0], [3.0]])
    best = drive(on, best_near(on, Tie(centre, 1.0), Affine.unknown(), NONE))
    np.testing.assert_array_equal(best.xi, centre)
    assert np.isfinite(best.misfit).all()


def test_a_step_of_linear_data_is_always_accepted_and_asks_for_no_solve(tmp_path):
    mixture, _ = case()
    on = replace(mixture.posterior())
    engine = PnpDm(PnpDmConfig(chains=1, draws=20, warmup=20, walkers=5))
    found = run(engine, lambda: on, Run(1, tmp_path))
    assert found.outcome.summary["acceptance_rate"] == 1.0
    assert found.counters.n_forward <= 6
