"""Data of several kinds at once: each by its own likelihood, in any order."""

import numpy as np
import pytest

from pdeinv.bayes.bernoulli import Bernoulli
from pdeinv.bayes.dice import Dice
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.parts import Parts
from pdeinv.errors import ConfigError, DataSchemaError

ROWS = np.array([0, 2, 5]), np.array([1, 3, 4, 6])
LAWS = Bernoulli(3, "logit", 0.5), Noise(np.array([0.1, 0.2, 0.3, 0.4]))
LAW = Parts(ROWS, LAWS)
DATA = np.array([1.0, 0.3, 0.0, -0.2, 0.9, 1.0, 0.1])
Z = np.random.default_rng(0).standard_normal((5, 7))


def test_the_misfit_is_the_sum_of_the_parts():
    each = [law.misfit(Z[:, rows], DATA[rows]) for rows, law in zip(ROWS, LAWS, strict=True)]
    np.testing.assert_allclose(LAW.misfit(Z, DATA), sum(each))
    assert LAW.size == 7
    np.testing.assert_allclose(LAW.std[ROWS[1]], LAWS[1].std)
    np.testing.assert_allclose(LAW.fisher(Z[0]).std[ROWS[0]], LAWS[0].fisher(Z[0, ROWS[0]]).std)
    moments, alone = LAW.moments(Z), LAWS[0].moments(Z[:, ROWS[0]])
    np.testing.assert_allclose(moments.mean[:, ROWS[0]], alone.mean)
    np.testing.assert_allclose(moments.mean[:, ROWS[1]], Z[:, ROWS[1]])
    np.testing.assert_allclose(moments.noise.std[ROWS[0]], alone.noise.std)
    np.testing.assert_allclose(LAW.tempered(2.0).misfit(Z, DATA), LAW.misfit(Z, DATA) / 2)
    density = LAW.log_density(Z, DATA)
    np.testing.assert_allclose(
        density[:, ROWS[0]], LAWS[0].log_density(Z[:, ROWS[0]], DATA[ROWS[0]])
    )


def test_the_slope_is_its_derivative():
    value, slope = LAW.slope(Z[0], DATA)
    assert value == pytest.approx(LAW.misfit(Z[0], DATA))
    for k in range(7):
        step = np.zeros(7)
        step[k] = 1e-6
        change = LAW.misfit(Z[0] + step, DATA) - LAW.misfit(Z[0] - step, DATA)
        assert change / 2e-6 == pytest.approx(slope[k], rel=1e-5, abs=1e-7)


def test_draws_are_of_their_kinds_and_fit():
    drawn = LAW.draw(np.tile(Z[0], (4000, 1)), np.random.default_rng(1))
    assert set(np.unique(drawn[:, ROWS[0]])) == {0, 1}
    np.testing.assert_allclose(drawn[:, ROWS[1]].std(axis=0), LAWS[1].std, rtol=0.1)
    most = LAW.largest_misfit(lambda: Z[0])
    assert np.mean(LAW.misfit(np.tile(Z[0], (4000, 1)), drawn) > most) < 0.002
    LAW.check(drawn[0])


def test_data_of_the_wrong_kind_and_scores_are_refused():
    with pytest.raises(DataSchemaError):
        LAW.check(DATA + 0.5)
    with pytest.raises(ConfigError, match="a score of masks goes with no other data"):
        Parts(ROWS, (Dice((0, 0, 0)), LAWS[1]))
