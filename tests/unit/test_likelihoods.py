"""Data of 0 and 1: links, misfit and slope, Fisher information, the limit of a right model."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from pdeinv.bayes.bernoulli import Bernoulli
from pdeinv.bayes.dice import Dice
from pdeinv.bayes.fit import LEVEL
from pdeinv.bayes.likelihood import LikelihoodKind
from pdeinv.bayes.links import LINKS
from pdeinv.bayes.noise import Noise, additive
from pdeinv.errors import CapabilityError, ConfigError, DataSchemaError

Z = np.array([-30.0, -3.0, -0.7, -0.1, 0.2, 1.1, 4.0, 25.0])


@pytest.fixture(params=LINKS, name="name")
def _name(request):
    return request.param


def derivative(f, z, h=1e-5):
    return (f(z + h) - f(z - h)) / (2 * h)


def test_a_link_is_a_probability_with_its_derivative(name):
    link = LINKS[name]
    np.testing.assert_allclose(link.probability(Z) + link.probability(-Z), 1, rtol=1e-12)
    assert (np.diff(link.probability(Z)) >= 0).all()
    np.testing.assert_allclose(link.slope(Z), derivative(link.log, Z), rtol=1e-6, atol=1e-9)


def test_links_are_those_of_the_literature():
    z = np.array([-1.3, 0.4])
    np.testing.assert_allclose(LINKS["logit"].probability(z), 1 / (1 + np.exp(-z)))
    published = 0.5 + 0.5 * np.sign(z) * (1 - np.exp(-(z**2)))
    np.testing.assert_allclose(LINKS["threshold"].probability(z), published)


def test_the_information_is_that_of_its_definition_and_its_peak_is_the_largest(name):
    link, z = LINKS[name], np.array([-1.0, -0.3, 0.6, 2.0])
    p = link.probability(z)
    exact = derivative(link.probability, z) ** 2 / (p * (1 - p))
    np.testing.assert_allclose(link.information(z), exact, rtol=1e-6)
    most = minimize_scalar(lambda z: -link.information(np.array(z)), bounds=(0, 3)).fun
    np.testing.assert_allclose(max(-most, link.information(np.array(0.0))), link.peak, rtol=1e-5)


def test_misfit_and_slope_agree(name):
    law = Bernoulli(4, name, 0.3)
    z, y = np.array([[0.3, -1.2, 2.0, -0.4]] * 2), np.array([1.0, 1.0, 0.0, 0.0])
    value, slope = law.slope(z, y)
    np.testing.assert_array_equal(value, law.misfit(z, y))
    steps = 1e-6 * np.eye(4)
    found = [(law.misfit(z[0] + e, y) - law.misfit(z[0] - e, y)) / 2e-6 for e in steps]
    np.testing.assert_allclose(slope[0], found, rtol=1e-6)
    p = LINKS[name].probability(z[0])
    exact = -0.3 * np.sum(y * np.log(p) + (1 - y) * np.log(1 - p))
    np.testing.assert_allclose(value, exact)


def test_the_fisher_information_is_the_mean_square_of_the_slope(name):
    law, z = Bernoulli(3, name), np.array([0.5, -0.8, 1.7])
    p = LINKS[name].probability(z)
    ones, zeros = (law.slope(z, y)[1] ** 2 for y in (np.ones(3), np.zeros(3)))
    exact = p * ones + (1 - p) * zeros
    np.testing.assert_allclose(law.fisher(z).std ** -2.0, exact)
    assert np.isfinite(law.fisher(np.full(3, 1e5)).std).all()


@pytest.mark.parametrize("weight", [1.0, 0.25])
def test_right_data_pass_the_limit_and_wrong_ones_do_not(name, weight):
    law, rng = Bernoulli(200, name, weight), np.random.default_rng(4)
    z = 2 * rng.standard_normal(200)
    distinct = round(200 * weight)  # as many data as count, each repeated
    copies = np.repeat(z[:distinct], 200 // distinct)
    y = np.repeat(law.draw(np.tile(z[:distinct], (20_000, 1)), rng), 200 // distinct, axis=1)
    misfit = law.misfit(copies, y)
    limit = law.largest_misfit(lambda: copies)
    assert 0.2 * (1 - LEVEL) <= np.mean(misfit > limit) <= 3 * (1 - LEVEL)
    assert np.mean(law.misfit(copies, 1 - y) > limit) > 0.99
    assert law.largest_misfit(lambda: copies, 2.0) == pytest.approx(4 * limit)


def test_draws_are_as_frequent_as_the_link_says(name):
    z = np.array([-0.5, 0.0, 1.0, np.nan])
    y = Bernoulli(4, name).draw(np.tile(z, (4000, 1)), np.random.default_rng(1))
    p = LINKS[name].probability(z[:3])
    assert (np.abs(y[:, :3].mean(axis=0) - p) < 4 * np.sqrt(p * (1 - p) / 4000)).all()
    assert np.isnan(y[:, 3]).all()


def test_tempering_divides_the_misfit(name):
    law, y = Bernoulli(2, name), np.array([1.0, 0.0])
    assert law.tempered(4.0).misfit(y, y) == pytest.approx(law.misfit(y, y) / 4)


def test_only_zeros_and_ones_are_taken():
    with pytest.raises(DataSchemaError, match=r"must be 0 or 1; usable datum 1 is 0\.5"):
        Bernoulli(2).check(np.array([1.0, 0.5]))


def test_unknown_links_and_weights_are_refused():
    with pytest.raises(ConfigError, match="'probit' is unknown; choose logit, threshold"):
        Bernoulli(2, "probit")
    with pytest.raises(ConfigError, match="weight must be positive"):
        Bernoulli(2, weight=0.0)


def test_kinds_are_ordered():
    gaussian, density, score = LikelihoodKind
    assert score.covers(density)
    assert density.covers(gaussian)
    assert not gaussian.covers(density)
    with pytest.raises(CapabilityError, match="additive Gaussian noise"):
        additive(Bernoulli(2))
    assert additive(Noise(np.ones(2))).size == 2


def test_the_soft_dice_score_and_its_slope(name):
    law = Dice((0, 0, 0, 1, 1), name, 0.5)
    z, y = np.array([0.3, -1.2, 2.0, -0.4, 0.9]), np.array([1.0, 0.0, 1.0, 0.0, 1.0])
    p = LINKS[name].probability(z)
    first, second = (
        2 * np.sum((p * y)[part]) / np.sum((p + y)[part]) for part in (slice(3), slice(3, 5))
    )
    assert law.misfit(z, y) == pytest.approx(-0.5 * (3 * np.log(first) + 2 * np.log(second)))
    steps = 1e-6 * np.eye(5)
    found = [(law.misfit(z + e, y) - law.misfit(z - e, y)) / 2e-6 for e in steps]
    np.testing.assert_allclose(law.slope(z, y)[1], found, rtol=1e-6)
    assert law.misfit(60 * (2 * y - 1), y) == pytest.approx(0, abs=1e-12)
    assert law.tempered(2.0).misfit(z, y) == pytest.approx(law.misfit(z, y) / 2)
    with pytest.raises(CapabilityError, match="has no density"):
        law.draw(z[None], np.random.default_rng(0))


@pytest.mark.parametrize("law", [Bernoulli(900), Dice((0, 1) * 450), Noise(np.full(900, 0.3))])
def test_the_bits_of_a_row_depend_on_it_alone(law):
    rng = np.random.default_rng(6)
    z, y = rng.standard_normal((13, 900)), np.tile([1.0, 1.0, 0.0], 300)
    whole = law.misfit(z, y)
    np.testing.assert_array_equal(whole, [law.misfit(row, y) for row in z])
    np.testing.assert_array_equal(whole[4:7], law.misfit(z[4:7], y))
    np.testing.assert_array_equal(whole, law.slope(z, y)[0])
