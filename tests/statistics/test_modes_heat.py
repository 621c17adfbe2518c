"""A heat source left or right of a line of sensors that sees no side: two modes of equal mass."""

import numpy as np
import pytest

import pdeinv
from pdeinv.bayes.diagnostics import summary
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.io.observations import read
from pdeinv.plugins import registry
from pdeinv.plugins.recipe import PosteriorRecipe

MIDDLE = 0.18
"""xi of the coordinate x = 0.5, which is uniform between 0.1 and 0.8."""


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory):
    """The posterior, made by our own verbs."""
    unknown = {
        "kind": "point-sources", "count": 1, "width": 0.1, "speed": 0.0,
        "low": [0.1, 0.1], "high": [0.8, 0.9], "strength": {"mean": 0.0, "std": 0.5},
    }  # fmt: skip
    problem = pdeinv.problem(
        "heat", cells=12, element="Q1", conductivity=0.05, unknown=unknown,
        time={"final": 1.0, "steps": 10},
    )  # fmt: skip
    file = tmp_path_factory.mktemp("heat") / "obs.nc"
    truth = pdeinv.solve(problem, m=np.array([0.3, 0.4, 1.0]), seed=1)
    sensors = "list:0.5,0.2;0.5,0.4;0.5,0.6;0.5,0.8@0.2:1:5"
    pdeinv.observe(truth, sensors=sensors, noise_rel=0.02, seed=2, out=file)
    observations = read(file, problem.observed)
    return PosteriorRecipe.of(problem, observations, level=0)()


def found(name, on, folder, **options):
    kind = registry.load("engines", name)
    return run(kind(kind.Config(**options)), lambda: on, Run(4, folder)).outcome


@pytest.mark.slow
def test_hmc_finds_both_sides_with_their_weights(mirrored, tmp_path):
    outcome = found("hmc", mirrored, tmp_path, draws=100, warmup=60)
    left = (outcome.xi[..., 0] < MIDDLE).mean(axis=1)
    assert np.all(np.abs(left - 0.5) < 0.15)
    assert abs(left.mean() - 0.5) < 0.1
    assert summary(outcome.xi).r_hat < 1.05
    assert outcome.summary["modes"] == 2


def test_without_searches_each_chain_stays_on_its_side(mirrored, tmp_path):
    """Negative control."""
    outcome = found("hmc", mirrored, tmp_path, draws=30, warmup=30, chains=6, searches=0)
    left = (outcome.xi[..., 0] < MIDDLE).mean(axis=1)
    assert set(left) == {0.0, 1.0}
    assert summary(outcome.xi).r_hat > 1.5


def test_point_engines_say_that_there_are_two(mirrored, tmp_path):
    best = found("map", mirrored, tmp_path / "map")
    assert "2 distinct optima" in best.message
    assert "the posterior has several modes" in best.message
    assert np.allclose(best.groups["optima"].mass, 0.5, atol=0.1)
    gaussian = found("laplace", mirrored, tmp_path / "laplace")
    assert not gaussian.converged
