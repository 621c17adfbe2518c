"""pCN's acceptance does not depend on the dimension; a random walk's does."""

from dataclasses import replace

import numpy as np
import pytest
from smooth_functionals import smooth

from pdeinv.bayes.prior import cost
from pdeinv.engines.mcmc.chains import Move
from pdeinv.engines.mcmc.pcn import Pcn, PcnConfig
from pdeinv.engines.requests import Misfit
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run


class RandomWalk(Pcn):
    """A Metropolis random walk with the same steps."""

    def move(self, posterior, state, rng):
        xi = state.xi + np.exp(state.log_beta) * rng.standard_normal(posterior.dim)
        misfit = float((yield Misfit(xi)))
        gain = state.misfit + cost(state.xi) - misfit - cost(xi)
        accept = bool(np.log(rng.random()) < gain)
        return Move(replace(state, xi=xi, misfit=misfit) if accept else state, accept)


def acceptance(kind, dim, folder):
    engine = kind(PcnConfig(chains=1, draws=4000, warmup=0, beta=0.25))
    found = run(engine, lambda: smooth(dim), Run(0, folder)).outcome
    return found.summary["acceptance_rate"]


@pytest.mark.parametrize("dim", [64, 512])
def test_pcn_acceptance_is_the_same_in_every_dimension(dim, tmp_path):
    few, many = (acceptance(Pcn, n, tmp_path) for n in (16, dim))
    assert 0.2 < few < 0.8
    assert abs(many - few) < 0.05


def test_random_walk_acceptance_is_not(tmp_path):
    """Negative control."""
    few, many = (acceptance(RandomWalk, n, tmp_path) for n in (16, 512))
    assert many < 0.2 * few


def test_warmup_brings_the_acceptance_to_its_target(tmp_path):
    config = PcnConfig(chains=2, draws=4000, warmup=2000, beta=0.9, target_acceptance=0.3)
    found = run(Pcn(config), lambda: smooth(64), Run(0, tmp_path)).outcome
    assert 0.24 < found.summary["acceptance_rate"] < 0.36
