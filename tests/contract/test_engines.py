"""Every registered engine against every clause of the engine protocol."""

import json
import pickle
from copy import deepcopy
from dataclasses import fields, is_dataclass, replace
from typing import get_args, get_type_hints

import numpy as np
import pytest
import xarray as xr
from pydantic import ValidationError

from pdeinv.bayes.jacobian import unwhitened
from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Counters, Posterior, WhitenedModel
from pdeinv.config import Config
from pdeinv.engines.base import Chain, Need, Produces, check_posterior
from pdeinv.engines.ended import Ended
from pdeinv.engines.requests import Misfit, Predict, answer, drive
from pdeinv.engines.run.chain import state_type
from pdeinv.engines.run.checkpoint import ChainStore, Saved
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.errors import CapabilityError
from pdeinv.model.forward import Capability
from pdeinv.plugins import registry
from pdeinv.rng import stream
from pdeinv.typing import Array

SMALL = {
    "map": {},
    "laplace": {"draws": 7},
    "pcn": {"chains": 2, "draws": 4, "warmup": 2, "thin": 2},
    "emcee": {"ensembles": 2, "draws": 4, "warmup": 2, "thin": 2},
    "eki": {"ensemble_size": 20},
    "d-bar": {"grid": 16, "parts": 2},
    "gauss-newton": {},
    "gaussian": {"chains": 2, "draws": 4},
    "pinn": {
        "width": 4,
        "depth": 1,
        "points": 8,
        "adam_steps": 8,
        "newton_steps": 12,
        "block": 4,
        "newton_block": 3,
        "settle": 0,
    },
    "two-level": {"chains": 2, "draws": 4, "warmup": 1, "tuning": 20, "subchain": 2},
}
NAMES = registry.names("engines")
ALL = pytest.mark.parametrize("name", NAMES)


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


def posterior_of(name, n_m=3, **options):
    return disc(n_m) if name == "d-bar" else posterior(n_m, **options)


def make(name, **options):
    kind = registry.load("engines", name)
    return kind(kind.Config(**{**SMALL[name], **options}))


def same(a, b):
    if not is_dataclass(a):
        return np.array_equal(np.asarray(a), np.asarray(b), equal_nan=True)
    return all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))


def advance(engine, on, seed=0, k=0, most=6):
    """States and records of the first steps of chain ``k``."""
    rng = stream(seed, "chain", k)
    states, records = [drive(on, engine.init(on, rng))], []
    while len(states) <= most and not engine.finished(states[-1]):
        states.append(drive(on, engine.step(on, states[-1], rng)))
        records.append(engine.record(states[-1], len(states) - 1))
    return states, [r for r in records if r is not None]


def finished_chain(engine, on, k):
    states, records = advance(engine, on, k=k, most=engine.n_steps)
    names = records[0] if records else ()
    return Chain(states[-1], {n: np.stack([r[n] for r in records]) for n in names}, Counters(), 1.0)


def outcome(name, on):
    engine = make(name)
    chains = [finished_chain(engine, on, k) for k in range(engine.n_chains)]
    return engine, engine.finalize(on, chains, stream(0, "finalize"))


def test_every_registered_engine_has_a_small_case_here():
    assert set(NAMES) == set(SMALL)


@ALL
def test_class_says_what_it_is(name):
    kind = registry.load("engines", name)
    assert kind.name == name
    assert kind.produces in get_args(Produces)
    assert isinstance(kind.requires, frozenset)
    assert kind.requires <= set(Capability)
    assert isinstance(kind.needs, frozenset)
    assert kind.needs <= set(Need)
    assert kind.__doc__


@ALL
def test_config_is_frozen_documented_and_refuses_unknown_keys(name):
    config_type = registry.load("engines", name).Config
    assert issubclass(config_type, Config)
    config = config_type()
    with pytest.raises(ValidationError):
        config_type(no_such_key=1)
    field = next(iter(config_type.model_fields))
    with pytest.raises(ValidationError):
        setattr(config, field, getattr(config, field))
    assert all(f.description for f in config_type.model_fields.values())
    assert config_type(**json.loads(config.model_dump_json())) == config


@ALL
def test_engine_carries_its_config_and_counts(name):
    engine = make(name)
    assert engine.config.model_dump(include=set(SMALL[name])) == SMALL[name]
    assert engine.n_chains >= 1
    assert engine.n_steps >= 1
    assert pickle.loads(pickle.dumps(engine)).config == engine.config


@ALL
def test_state_is_a_frozen_dataclass_of_arrays_and_numbers(name):
    engine = make(name)
    kind = state_type(engine)
    for state in advance(engine, posterior_of(name))[0]:
        assert_plain(state, kind)


def assert_plain(state, kind):
    """A frozen dataclass of arrays, numbers and further ones."""
    assert is_dataclass(kind)
    assert kind.__dataclass_params__.frozen
    assert type(state) is kind
    for part, wanted in get_type_hints(kind).items():
        value = getattr(state, part)
        if is_dataclass(wanted):
            assert_plain(value, wanted)
        elif wanted == Array:
            assert isinstance(value, np.ndarray), f"{part} is {type(value)}"
        else:
            assert wanted in {int, float, bool, Ended}
            assert isinstance(value, wanted), f"{part} is {type(value)}"


@ALL
def test_step_leaves_the_old_state_alone_and_depends_on_the_stream_only(name):
    engine, on = make(name), posterior_of(name)
    rng = stream(1, "chain")
    state = drive(on, engine.init(on, rng))
    kept = deepcopy(state)
    drive(on, engine.step(on, state, rng))
    assert same(state, kept)
    first, second = advance(make(name), on)[0], advance(make(name), posterior_of(name))[0]
    assert all(same(a, b) for a, b in zip(first, second, strict=True))


@ALL
def test_other_streams_give_other_states(name):
    """Negative control of the test above; the deterministic engines start from a prior draw."""
    by_start = "start" in registry.load("engines", name).Config.model_fields
    engine, on = make(name, **({"start": "prior"} if by_start else {})), posterior_of(name)
    assert not same(advance(engine, on, seed=0)[0][0], advance(engine, on, seed=1)[0][0])


@ALL
def test_state_survives_a_checkpoint_bit_for_bit(name, tmp_path):
    engine, on = make(name), posterior_of(name)
    states, records = advance(engine, on)
    store, rng = ChainStore(tmp_path, 0), stream(3, "x")
    store.save(Saved(states[-1], rng, len(states) - 1, 0, Counters(), 0.5), records)
    back = store.load(type(states[-1]))
    assert back is not None
    assert same(back.state, states[-1])
    assert_plain(back.state, type(states[-1]))
    assert back.rng.standard_normal() == rng.standard_normal()
    assert {len(v) for v in store.records(back.n_chunks).values()} <= {len(records)}


@ALL
def test_records_keep_their_names_and_shapes(name):
    engine = make(name)
    _, records = advance(engine, posterior_of(name), most=engine.n_steps)
    assert len({tuple((k, np.shape(v)) for k, v in r.items()) for r in records}) <= 1


@ALL
@pytest.mark.parametrize("n_m", [1, 3])
def test_outcome_has_the_promised_shape(name, n_m):
    on = posterior_of(name, n_m)
    engine, found = outcome(name, on)
    chain, draw, dim = found.xi.shape
    assert dim == (n_m if found.m is None else 0)
    assert found.unknowns(on.prior).shape == (chain, draw, n_m)
    assert np.isfinite(found.unknowns(on.prior)).all()
    assert (chain, draw) == (1, 1) or engine.produces != "point"
    assert "misfit" in found.stats
    for values in found.stats.values():
        assert values.shape == (chain, draw)
        assert np.isfinite(values).all()
    assert np.isfinite(found.xi).all()
    assert isinstance(found.ended, Ended)
    assert isinstance(found.converged, bool)
    assert found.message
    assert "\n" not in found.message
    assert all(isinstance(v, float) for v in found.summary.values())
    assert all(isinstance(g, xr.Dataset) for g in found.groups.values())
    assert isinstance(found.independent_chains, bool)


@ALL
def test_misfits_belong_to_the_draws(name):
    on = posterior_of(name)
    _, found = outcome(name, on)
    at = on if found.m is None else unwhitened(on, "the test")
    draws = found.xi if found.m is None else found.m
    assert np.allclose(at.misfit(draws.reshape(-1, 3)), found.stats["misfit"].ravel())


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


@ALL
def test_missing_capabilities_are_refused_before_any_solve(name):
    engine, full = make(name), posterior_of(name, coarse=False)
    on = replace(full, model=WhitenedModel(full.prior, Plain(full.model.model)))
    if engine.requires or Need.COARSE in engine.needs:
        with pytest.raises(CapabilityError, match=f"engine '{name}' needs"):
            check_posterior(engine, on)
        assert on.counters.n_forward == 0
    else:
        check_posterior(engine, on)
        assert np.isfinite(outcome(name, on)[1].xi).all()


def test_pcn_about_the_laplace_approximation_wants_derivatives():
    full = posterior(coarse=False)
    on = replace(full, model=Plain(full.model))
    with pytest.raises(CapabilityError, match="engine 'pcn' with proposal = 'laplace' needs jvp"):
        drive(on, make("pcn", proposal="laplace").init(on, stream(0, "chain")))
    assert on.counters.n_forward == 0


# ---- whoever answers the requests, the chains are the same ----


@ALL
def test_an_engine_driven_by_hand_gives_the_chains_of_the_driver(name, tmp_path):
    engine, on = make(name), posterior_of(name)
    by_hand = [finished_chain(engine, on, k) for k in range(engine.n_chains)]
    run(make(name), lambda: posterior_of(name), Run(0, tmp_path))
    for k, chain in enumerate(by_hand):
        saved = ChainStore(tmp_path, k).load(state_type(engine))
        assert same(saved.state, chain.state)
        records = ChainStore(tmp_path, k).records(saved.n_chunks)
        assert records.keys() == chain.records.keys()
        assert all(np.array_equal(records[r], chain.records[r], equal_nan=True) for r in records)


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
        apart = advance(engine, on, k=k, most=5)[0]
        assert len(apart) == len(states)
        assert all(same(a, b) for a, b in zip(apart, states, strict=True))
    assert on.counters.n_forward == 2 * solves
