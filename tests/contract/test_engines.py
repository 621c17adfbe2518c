"""Every registered engine against every clause of the engine protocol."""

from dataclasses import replace

import numpy as np
import pytest
from ours import ours

from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.engines.base import Need
from pdeinv.engines.requests import drive
from pdeinv.errors import CapabilityError
from pdeinv.plugins import registry
from pdeinv.plugins.conformance import check_engine
from pdeinv.plugins.conformance.configs import options_from, shortened
from pdeinv.plugins.conformance.engine_case import same
from pdeinv.plugins.conformance.engine_kit import SHORT
from pdeinv.rng import stream


def posterior(n_m=3, *, coarse=True):
    case = LinearGaussian.example(np.random.default_rng(0), n_m)
    return case.posterior(replace(case, matrix=1.01 * case.matrix) if coarse else None)


def disc(n_m=3):
    """The boundary map of a disc, which is all that d-bar works on."""
    from pdeinv.problems.eit import Eit

    unknown = {"kind": "piecewise", "cells": [n_m, 1], "std": 0.3}
    problem = Eit(Eit.Config(model="continuum", cells=8, modes=4, unknown=unknown))
    sensors, prior = problem.sensors("all"), problem.prior()
    model = problem.forward_model(sensors)
    data = model(prior.unwhiten(np.linspace(-1, 1, n_m)))
    return Posterior(prior, WhitenedModel(prior, model), data, Noise(np.full(len(data), 0.01)))


def make(name, **options):
    kind = registry.load("engines", name)
    return kind(options_from(kind, shortened(kind, options, SHORT)))


def advance(engine, on, seed=0, k=0, most=6):
    """States of the first steps of chain ``k``."""
    rng = stream(seed, "chain", k)
    states = [drive(on, engine.init(on, rng))]
    while len(states) <= most and not engine.finished(states[-1]):
        states.append(drive(on, engine.step(on, states[-1], rng)))
    return states


@pytest.mark.parametrize("name", ours("engines"))
def test_an_engine_keeps_its_protocol(name):
    """All clauses of the kit; what is exact is judged by tests/statistics, with more runs."""
    build = disc if name == "d-bar" else None
    report = check_engine(name, posterior=build, without=("exact",))
    report.raise_for_failures()


def draws_nothing(name):
    """Whether it does the same whatever the stream: it begins where it is told to."""
    return name == "d-bar" or Need.ESTIMATE in registry.load("engines", name).needs


@pytest.mark.parametrize("name", [n for n in ours("engines") if not draws_nothing(n)])
def test_other_streams_give_other_states(name):
    """Negative control of the clause on streams; deterministic engines start from a prior draw."""
    by_start = "start" in registry.load("engines", name).Config.model_fields
    engine, on = make(name, **({"start": "prior"} if by_start else {})), posterior()
    walks = [advance(engine, on, seed=seed, most=1) for seed in (0, 1)]
    assert not all(same(*states) for states in zip(*walks, strict=True))


class Plain:
    """A model without derivatives."""

    def __init__(self, inner):
        self.inner, self.capabilities = inner, frozenset()
        self.m_space, self.d_space, self.kind = inner.m_space, inner.d_space, inner.kind
        self.config = getattr(inner, "config", None)

    def __call__(self, m, /):
        return self.inner(m)

    def linearize(self, m, /):
        raise AssertionError("an undeclared capability was used")


def test_pcn_about_the_laplace_approximation_wants_derivatives():
    full = posterior(coarse=False)
    on = replace(full, model=Plain(full.model))
    with pytest.raises(CapabilityError, match="engine 'pcn' with proposal = 'laplace' needs jvp"):
        drive(on, make("pcn", proposal="laplace").init(on, stream(0, "chain")))
    assert on.counters.n_forward == 0
