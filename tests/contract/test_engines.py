"""Every registered engine against every clause of the engine protocol."""

from dataclasses import replace

import numpy as np
import pytest
from ours import ours

from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.engines.requests import Misfit, Predict, answer, drive
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


@pytest.mark.parametrize("name", [n for n in ours("engines") if n != "d-bar"])
def test_other_streams_give_other_states(name):
    """Negative control of the clause on streams; deterministic engines start from a prior draw."""
    by_start = "start" in registry.load("engines", name).Config.model_fields
    engine, on = make(name, **({"start": "prior"} if by_start else {})), posterior()
    assert not same(advance(engine, on, seed=0)[0], advance(engine, on, seed=1)[0])


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


def answered_together(on, requests):
    """Answers to one request of each chain: rows of one kind and level in a single call."""
    answers = [None] * len(requests)
    groups = {}
    for i, request in enumerate(requests):
        rows = isinstance(request, Misfit | Predict) and (type(request), request.level)
        groups.setdefault(rows or i, []).append(i)
    for kind, members in groups.items():
        if not isinstance(kind, tuple):
            answers[members[0]] = answer(on, requests[members[0]])
            continue
        points = [np.atleast_2d(requests[i].xi) for i in members]
        values = answer(on, kind[0](np.concatenate(points), kind[1]))
        parts = np.split(values, np.cumsum([len(p) for p in points])[:-1])
        for i, part in zip(members, parts, strict=True):
            answers[i] = part if np.ndim(requests[i].xi) > 1 else part[0]
    return answers


def together(engine, on, n):
    """The states of ``n`` chains whose requests are answered side by side."""

    def whole(k):
        rng = stream(0, "chain", k)
        states = [(yield from engine.init(on, rng))]
        for _ in range(5):
            if not engine.finished(states[-1]):
                states.append((yield from engine.step(on, states[-1], rng)))
        return states

    chains = [whole(k) for k in range(n)]
    found, requests = {}, {}

    def go_on(k, value):
        try:
            requests[k] = chains[k].send(value)
        except StopIteration as end:
            found[k] = end.value

    for k in range(n):
        go_on(k, None)
    while requests:
        pending, requests = list(requests.items()), {}
        answers = answered_together(on, [request for _, request in pending])
        for (k, _), value in zip(pending, answers, strict=True):
            go_on(k, value)
    return [found[k] for k in range(n)]


def single(n_m=3):
    """A posterior, twin included, whose models take one unknown at a time and offer nothing else.

    Its noise is independent: a triangular solve of many right-hand sides rounds otherwise.
    """
    case = LinearGaussian.example(np.random.default_rng(0), n_m)
    case = replace(case, noise=Noise(case.noise.std))
    on = case.posterior(replace(case, matrix=1.01 * case.matrix))
    twin = replace(on.coarse, model=WhitenedModel(on.prior, Plain(on.coarse.model.model)))
    return replace(on, model=WhitenedModel(on.prior, Plain(on.model.model)), coarse=twin)


@pytest.mark.parametrize("name", ["pcn", "emcee", "eki", "two-level"])
def test_chains_are_the_same_whether_answered_apart_or_together(name):
    engine, on = make(name), single()
    batched = together(engine, on, 3)
    solves = on.counters.n_forward
    for k, states in enumerate(batched):
        apart = advance(engine, on, k=k, most=5)
        assert len(apart) == len(states)
        assert all(same(a, b) for a, b in zip(apart, states, strict=True))
    assert on.counters.n_forward == 2 * solves
