"""Data are told to be unlike those expected by chance as often as is said, and where they are."""

from dataclasses import replace

import numpy as np
import pytest

from pdeinv.bayes.denoisers import MixtureDenoiser
from pdeinv.bayes.likelihoods import bernoulli
from pdeinv.bayes.likeness import UNLIKE, informed, likeness, share_as_odd, share_in_words
from pdeinv.bayes.linear_mixture import LinearMixture
from pdeinv.bayes.noise import Noise
from pdeinv.errors import DataSchemaError
from pdeinv.io.runs import FORESEEN, resumable
from pdeinv.jobs import foreseen as module
from pdeinv.jobs.foreseen import DRAWS, UnlikeLearned, compared, foreseen
from pdeinv.model.rows import Rows

TRIALS = 400
MODES = 0.7 ** np.arange(40)


def heavy(rng, n, size=1.0):
    """Rows that are no Gaussian, with falling modes and some noise."""
    amplitudes = rng.laplace(size=(n, 40)) * MODES * rng.gamma(4.0, 0.25, size=(n, 1))
    return size * 30 * amplitudes + rng.standard_normal((n, 40))


def plain(rng, n, size=1.0):
    """Gaussian ones."""
    return size * 30 * MODES * rng.standard_normal((n, 40)) + rng.standard_normal((n, 40))


def flagged(draw, trials=TRIALS, law=heavy):
    found = []
    for k in range(trials):
        rng = np.random.default_rng([4, k])
        found.append(likeness(draw(rng), law(rng, 100), 9) < UNLIKE)
    return float(np.mean(found))


def test_false_alarms_are_as_many_as_is_said_whatever_the_law():
    assert 0.015 < flagged(lambda rng: heavy(rng, 1)[0]) < 0.065


@pytest.mark.parametrize("size", [4.0, 0.05])
def test_data_that_are_too_far_or_too_near_are_unlike(size):
    assert flagged(lambda rng: plain(rng, 1, size)[0], 60, plain) > 0.9


def test_other_directions_are_unlike():
    assert flagged(lambda rng: heavy(rng, 1)[0][::-1], 60) > 0.6


def test_shares_are_ranks_and_never_zero():
    odd = np.array([3.0, 1.0, 2.0])
    np.testing.assert_allclose(share_as_odd(odd, np.array([0.0, 2.0, 5.0])), [1.0, 0.75, 0.25])
    assert share_in_words(0.4) == "0.4"
    assert share_in_words(1 / 101) == "fewer than 1 in 100"


def test_directions_are_informed_where_predictions_vary_more_than_noise():
    rng = np.random.default_rng(1)
    assert informed(30 * MODES * rng.standard_normal((2000, 40))) == 10


LAW = MixtureDenoiser(np.array([0.5, 0.5]), 2 * np.eye(12)[:2], np.full(12, 0.5))


def case(size=1.0, matrix=None):
    """Linear data of a field that is ``size`` times as large as the law's."""
    rng = np.random.default_rng(5)
    matrix = rng.standard_normal((30, 12)) if matrix is None else matrix
    truth = size * (LAW.means[0] + np.sqrt(LAW.variance) * rng.standard_normal(12))
    noise = Noise(np.full(len(matrix), 0.1))
    return LinearMixture(matrix, LAW, noise, matrix @ truth + noise.sample(rng)).posterior()


def test_a_learned_prior_tells_of_data_that_it_does_not_foresee(tmp_path):
    alike = foreseen(case(), 1, tmp_path)
    assert alike.likeness > UNLIKE
    assert alike.remark == ""
    assert (alike.draws.shape, alike.counters.n_forward) == ((DRAWS, 12), DRAWS)
    with pytest.warns(UnlikeLearned, match="unlike what the learned prior foresees: .* fewer than"):
        odd = foreseen(case(5.0), 1, tmp_path)
    assert odd.likeness < UNLIKE
    np.testing.assert_array_equal(odd.draws, alike.draws)


def test_where_nothing_is_learned_nothing_is_foreseen(tmp_path):
    assert foreseen(replace(case(), denoiser=None), 1, tmp_path) is None


def test_draws_that_cannot_be_solved_are_left_out_and_of_too_few_nothing_is_told(monkeypatch):
    posterior, solve = case(), type(case()).predict_rows

    def failing(every):
        def rows(self, xis, charged=None):
            values = solve(self, xis, charged).values.copy()
            values[::every] = np.nan
            return Rows(values, {})

        monkeypatch.setattr(type(posterior), "predict_rows", rows)
        return compared(posterior, LAW, 1)

    assert failing(2).likeness is not None
    assert failing(1).likeness is None


def test_noise_that_is_not_additive_is_compared_by_spreads():
    posterior, sure = case(), MixtureDenoiser(np.ones(1), 2 * np.ones((1, 12)), np.full(12, 0.1))
    law = bernoulli()(posterior.n_data)
    said = law.draw(posterior.predict_rows(2 * np.ones((1, 12))).values, np.random.default_rng(1))
    for data, unlike in ((said[0], False), (1 - said[0], True)):
        found = compared(replace(posterior, data=data, likelihood=law), sure, 1)
        assert bool(found.remark) is unlike, found.likeness


def test_a_run_that_goes_on_takes_what_it_has_foreseen(tmp_path, monkeypatch):
    first = foreseen(case(), 1, tmp_path)
    monkeypatch.setattr(module, "law_draws", None)
    again = foreseen(case(), 1, tmp_path, resume=True)
    np.testing.assert_array_equal(again.draws, first.draws)
    assert (again.likeness, again.counters) == (first.likeness, first.counters)
    assert not resumable(tmp_path)  # nothing of the run itself is there
    first = replace(first, likeness=None)
    first.keep(tmp_path / FORESEEN)
    assert foreseen(case(), 1, tmp_path, resume=True).likeness is None
    (tmp_path / FORESEEN).write_bytes(b"PK")
    with pytest.raises(DataSchemaError, match=r"foreseen.npz is damaged .*--overwrite"):
        foreseen(case(), 1, tmp_path, resume=True)
    with pytest.raises(TypeError):  # a run that begins draws anew
        foreseen(case(), 1, tmp_path)
