"""Where the gradient vanishes there need be no minimum: saddle points are left, and not listed."""

import numpy as np
import pytest
from folded import Folded

from pdeinv.bayes.fields.base import IndependentField
from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.bayes.prior import FieldPrior
from pdeinv.bayes.transforms import Identity
from pdeinv.engines.ended import Ended
from pdeinv.engines.gaussian import minimize
from pdeinv.engines.gaussian.approximation import laplace_at_map
from pdeinv.engines.gaussian.curvature import Stationary, lower_point
from pdeinv.engines.gaussian.laplace import Laplace
from pdeinv.engines.gaussian.map import Map
from pdeinv.engines.gaussian.minimize import find_map
from pdeinv.engines.gaussian.optima import found_optima
from pdeinv.engines.requests import drive
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run

ENGINES = pytest.mark.parametrize("engine", [Map, Laplace])


def ridge():
    """Two minima at a = ±1.48, and a saddle point at the prior mean between them."""
    prior = FieldPrior(Folded.m_space, IndependentField(np.zeros(2), np.ones(2)), Identity())
    model = WhitenedModel(prior, Folded(slant=0.0))
    return Posterior(prior, model, np.array([2.25, 0.3]), Noise(np.array([0.3, 0.6])))


def lowest_curvature(xi, step=1e-4):
    """Of J, by central differences of its gradient."""
    ahead = [ridge().linearize(xi + step * e).gradient for e in np.eye(2)]
    behind = [ridge().linearize(xi - step * e).gradient for e in np.eye(2)]
    return np.linalg.eigvalsh((np.array(ahead) - np.array(behind)) / (2 * step)).min()


@pytest.mark.parametrize("method", ["newton-cg", "lbfgs"])
@pytest.mark.parametrize("starts", [1, 8])
@ENGINES
def test_a_saddle_point_is_left_and_is_no_optimum(engine, starts, method, tmp_path):
    at = drive(ridge(), find_map(ridge(), np.random.default_rng(0)))
    assert lowest_curvature(at) < -1  # negative control: the minimization itself ends there
    found = run(engine(engine.Config(starts=starts, method=method)), ridge, Run(0, tmp_path))
    outcome, optima = found.outcome, found.outcome.groups["optima"].xi.values
    assert "left 1 saddle point" in outcome.message
    assert outcome.converged == (starts == 1 or engine is Map)
    assert len(optima) == min(starts, 2)
    assert all(lowest_curvature(xi) > 0 for xi in optima)
    assert np.abs(optima[:, 0]) == pytest.approx(1.48, abs=0.01)


@ENGINES
def test_a_saddle_point_that_cannot_be_left_is_no_result(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(minimize, "ESCAPES", 0)
    outcome = run(engine(engine.Config()), ridge, Run(0, tmp_path)).outcome
    assert outcome.ended is Ended.SADDLE
    assert Ended.SADDLE.advice in outcome.message
    assert "optima" not in outcome.groups


class Still(np.random.Generator):
    """Draws on the ridge only."""

    def standard_normal(self, size=None):
        drawn = np.array(super().standard_normal(size))
        drawn[..., 0] = 0.0
        return drawn


def test_a_search_that_starts_on_a_ridge_ends_at_a_minimum():
    (found,) = drive(ridge(), found_optima(ridge(), 1, Still(np.random.PCG64(0))))
    assert lowest_curvature(found.xi) > 0


def test_looking_at_a_linear_model_costs_few_gradients():
    on = LinearGaussian.example(np.random.default_rng(3), 30, 20).posterior()
    rng = np.random.default_rng(0)
    found = drive(on, laplace_at_map(on, rng))
    at = Stationary(found.mean, float(on.neg_log_posterior(found.mean)), found.root)
    before = on.counters.n_forward
    assert drive(on, lower_point(at, rng)) is None
    assert on.counters.n_forward - before <= 3
