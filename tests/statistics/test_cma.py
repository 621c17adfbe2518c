"""The evolution strategy against minima that are known."""

from dataclasses import replace

import numpy as np
import pytest
from functions import posterior_of

from pdeinv.bayes.dice import Dice
from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.noise import Noise
from pdeinv.engines.cma import Cma, CmaConfig
from pdeinv.engines.ended import Ended
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.errors import RunFailed, SolverDiverged

CASE = LinearGaussian.example(np.random.default_rng(5), 4, 9)


def found(on, folder, seed=2, **options):
    return run(Cma(CmaConfig(**options)), lambda: on, Run(seed, folder)).outcome


def test_it_finds_the_exact_minimum(tmp_path):
    outcome = found(CASE.posterior(), tmp_path, tolerance=1e-9)
    assert outcome.converged
    m = CASE.posterior().prior.unwhiten(outcome.xi[0, 0])
    np.testing.assert_allclose(m, CASE.exact()[0], atol=1e-3)


def test_numpys_own_generator_plays_no_part(tmp_path):
    np.random.seed(1)  # noqa: NPY002
    one = found(CASE.posterior(), tmp_path / "one")
    np.random.seed(2)  # noqa: NPY002
    np.testing.assert_array_equal(found(CASE.posterior(), tmp_path / "two").xi, one.xi)
    other = found(CASE.posterior(), tmp_path / "other", seed=3)
    assert not np.array_equal(other.xi, one.xi)


def test_it_needs_no_slope(tmp_path):
    """Steps of a threshold have no gradient, and a score no density."""
    x = np.linspace(-2, 2, 50)
    data = np.where(np.abs(x - 0.4) < 0.8, 1.0, 0.0)
    band = posterior_of(
        lambda m: np.where(np.abs(x - m[0]) < np.exp(0.5 * m[1]), 3.0, -3.0), data, Dice((0,) * 50)
    )
    outcome = found(band, tmp_path)
    assert outcome.converged
    centre, width = outcome.xi[0, 0, 0], np.exp(0.5 * outcome.xi[0, 0, 1])
    assert abs(centre - 0.4) < 0.1
    assert abs(width - 0.8) < 0.1


def half(m):
    if m[0] < 0.2:
        raise SolverDiverged("left of the edge")
    return m


def test_failed_solves_are_avoided(tmp_path):
    on = posterior_of(half, np.array([0.6, -0.5]), Noise(np.full(2, 0.1)))
    outcome = found(on, tmp_path)
    assert outcome.converged
    assert outcome.summary["failed"] > 0
    np.testing.assert_allclose(outcome.xi[0, 0], np.array([0.6, -0.5]) / 1.01, atol=0.01)


def never(m):
    raise SolverDiverged("everywhere")


def test_where_nothing_is_solved_it_says_so(tmp_path):
    with pytest.raises(RunFailed, match="no starting point"):
        found(posterior_of(never, np.zeros(2), Noise(np.ones(2))), tmp_path)


def test_a_search_that_is_cut_or_misses_the_data_is_not_converged(tmp_path):
    cut = found(CASE.posterior(), tmp_path / "cut", max_iterations=3)
    assert cut.ended is Ended.RUNNING  # which is not converged
    assert "stopped at the largest number of iterations" in cut.message
    wrong = replace(CASE.posterior(), data=CASE.data + 50 * np.tile([1.0, -1.0], 5)[:9])
    assert found(wrong, tmp_path / "wrong").ended is Ended.MISSED
