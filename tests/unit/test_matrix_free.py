"""Gauss-Newton by products alone: the answers of the whole Jacobian, its weights and refusals."""

import numpy as np
import pytest
from pydantic import ValidationError

from pdeinv.bayes.fields.base import DenseField
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.bayes.prior import FieldPrior
from pdeinv.bayes.transforms import Exponential
from pdeinv.engines.regularized.config import GaussNewtonConfig
from pdeinv.engines.regularized.gauss_newton import GaussNewton
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.model.forward import LinearModel
from pdeinv.model.spaces import Space, Variable

N, DATA, SIGMA = 50, 200, 1e-3
X = np.linspace(0, 1, N)
TRUTH = np.where(np.abs(X - 0.5) < 0.2, 2.0, 1.0)


def posterior():
    """Noisy moving averages of a box, of a positive unknown."""
    matrix = np.exp(-0.5 * ((X - np.linspace(0, 1, DATA)[:, None]) / 0.05) ** 2) / N
    space = Space((Variable("m", ("x",), (N,), coords={"x": (("x",), X)}),))
    data_space = Space((Variable("d", ("obs",), (DATA,)),))
    field = DenseField.from_covariance(np.zeros(N), 0.1 * np.exp(-np.abs(X[:, None] - X) / 0.2))
    prior, noise = FieldPrior(space, field, Exponential()), Noise(np.full(DATA, SIGMA))
    data = matrix @ TRUTH + noise.sample(np.random.default_rng(0))
    model = LinearModel(space, data_space, matrix, np.zeros(DATA))
    return Posterior(prior, WhitenedModel(prior, model), data, noise)


def found(folder, **options):
    config = GaussNewtonConfig.model_validate(options)
    return run(GaussNewton(config), posterior, Run(0, folder)).outcome


@pytest.mark.parametrize("regularization", ["tikhonov", "smoothness", "prior"])
def test_products_and_jacobian_reach_one_minimum(tmp_path, regularization):
    options = {"regularization": regularization, "weight": 2.0, "tolerance": 1e-10, "steps": 200}
    both = []
    for inner in ("dense", "cg"):
        outcome = found(tmp_path / inner, inner=inner, cg_iterations=60, **options)
        assert outcome.ended.name == "CONVERGED", outcome.message
        both.append(outcome.xi[0, 0] if outcome.m is None else outcome.m[0, 0])
    np.testing.assert_allclose(both[1], both[0], atol=2e-3)


def test_total_variation_cools_to_the_noise_and_keeps_edges(tmp_path):
    outcome = found(tmp_path / "tv", inner="cg", regularization="tv")
    assert outcome.converged, outcome.message
    assert outcome.stats["misfit"].item() <= 1.03 * DATA / 2
    flat = found(tmp_path / "flat", inner="cg", regularization="smoothness")
    off = [np.linalg.norm(o.m[0, 0] - TRUTH) for o in (outcome, flat)]
    assert off[0] < 0.8 * off[1]
    weights = outcome.groups["gauss_newton"]["weight"].values
    np.testing.assert_allclose(weights[1:4] / weights[:3], 0.5)


def test_bounds_are_kept(tmp_path):
    bounds = {"positivity": "bounds", "lower": 1.0, "upper": 1.9}
    outcome = found(tmp_path, inner="cg", regularization="tv", steps=15, **bounds)
    assert outcome.m.min() >= 1.0
    assert outcome.m.max() <= 1.9
    assert (outcome.m == 1.9).any()


@pytest.mark.parametrize("options", [{}, {"rule": "gcv"}, {"steps": 1}])
def test_what_needs_the_jacobian_is_refused(options):
    table = {"inner": "cg", "regularization": "tikhonov" if options else "noser", **options}
    with pytest.raises(ValidationError, match="knows no diagonal"):
        GaussNewtonConfig.model_validate(table)
