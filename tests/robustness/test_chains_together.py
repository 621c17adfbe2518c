"""Chains whose solves are made together are, bit for bit, what each of them is alone."""

from dataclasses import dataclass, field, replace
from functools import partial
from zlib import crc32

import numpy as np
import pytest

from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.posterior import WhitenedModel
from pdeinv.engines.mcmc.pcn import Pcn, PcnConfig
from pdeinv.engines.progress import silent
from pdeinv.engines.requests import advance, answered
from pdeinv.engines.run import pool
from pdeinv.engines.run.chain import LiveChain, state_type
from pdeinv.engines.run.checkpoint import ChainStore
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Budget, Run
from pdeinv.engines.run.together import run_chains
from pdeinv.errors import Preempted, RunFailed, SolverDiverged
from pdeinv.model.forward import DERIVATIVES, Capability, LinearModel
from pdeinv.model.rows import linearize_each, rows_each
from pdeinv.plugins import registry
from pdeinv.plugins.conformance.engine_case import same
from pdeinv.rng import stream

OPTIONS = {
    "pcn": {"chains": 3, "draws": 40, "warmup": 10, "thin": 2},
    "emcee": {"ensembles": 3, "draws": 8, "warmup": 2, "thin": 2},
    "two-level": {"chains": 3, "draws": 10, "warmup": 2, "tuning": 20, "subchain": 2},
    "gaussian": {"chains": 3, "draws": 9},
    "hmc": {"chains": 3, "draws": 6, "warmup": 8},
}
NAMES = pytest.mark.parametrize("name", sorted(OPTIONS))
CASE = LinearGaussian.example(np.random.default_rng(4), 3, 12)


@dataclass
class Rowed:
    """A linear model that takes rows and fails for a share of all unknowns, always the same ones.

    ``asked`` holds the number of rows of each call, ``off`` breaks the promise by so much.
    """

    inner: LinearModel
    share: float = 0.0
    off: float = 0.0
    rows_offered: bool = True
    asked: list = field(default_factory=list)

    def __post_init__(self):
        self.m_space, self.d_space = self.inner.m_space, self.inner.d_space
        self.kind = self.inner.kind
        self.capabilities = DERIVATIVES | ({Capability.ROWS} if self.rows_offered else set())

    def _solve(self, m):
        if crc32(np.ascontiguousarray(m).tobytes()) % 1000 < 1000 * self.share:
            raise SolverDiverged("planted")

    def __call__(self, m, /):
        self.asked.append(1)
        self._solve(m)
        return self.inner(m)

    def linearize(self, m, /):
        self.asked.append(1)
        self._solve(m)
        return self.inner.linearize(m)

    def rows(self, ms, /):
        self.asked.append(len(ms))
        found = rows_each(replace(self, asked=[]), ms)
        return replace(found, values=found.values * (1 + self.off * (len(ms) - 1)))

    def linearize_rows(self, ms, /):
        self.asked.append(len(ms))
        return linearize_each(replace(self, asked=[]), ms)


def posterior(coarse_rows=True, **options):
    """The posterior with such models on both levels; and both models."""
    on = CASE.posterior(replace(CASE, matrix=1.01 * CASE.matrix))
    fine = Rowed(on.model.model, **options)
    cheap = Rowed(on.coarse.model.model, rows_offered=coarse_rows)
    twin = replace(on.coarse, model=WhitenedModel(on.prior, cheap))
    return replace(on, model=WhitenedModel(on.prior, fine), coarse=twin), fine, cheap


def make(name, **more):
    kind = registry.load("engines", name)
    return kind(kind.Config(**{**OPTIONS.get(name, {}), **more}))


def spec(folder, **more):
    folder.mkdir(parents=True, exist_ok=True)
    return Run(seed=3, folder=folder, **more)


def chain(engine, folder, k):
    """What is left of a chain: its last state with generator and counts, and its records."""
    store = ChainStore(folder, k)
    saved = store.load(state_type(engine))
    return saved, store.records(saved.n_chunks)


def assert_same_chain(engine, a, b, k):
    (one, first), (other, second) = chain(engine, a, k), chain(engine, b, k)
    assert same(one.state, other.state), k
    assert one.rng.bit_generator.state == other.rng.bit_generator.state
    assert (one.step, one.counters) == (other.step, other.counters)
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[n], second[n], equal_nan=True) for n in first)


def alone(engine, folder, k, **options):
    run_chains(engine, posterior(**options)[0], spec(folder), [k], silent)


def together(engine, on, folder, ks=(0, 1, 2), **more):
    run_chains(engine, on, spec(folder, **more), ks, silent)


@pytest.mark.parametrize(
    ("name", "share"),
    [(n, s) for n in sorted(OPTIONS) for s in (0.0, 0.1) if n != "gaussian" or s == 0],
)
@pytest.mark.parametrize("coarse_rows", [True, False], ids=["coarse rows", "single coarse"])
def test_a_chain_is_the_same_alone_and_together(name, share, coarse_rows, tmp_path):
    engine, options = make(name), {"share": share, "coarse_rows": coarse_rows}
    on, fine, cheap = posterior(**options)
    together(engine, on, tmp_path / "all")
    together(engine, posterior(**options)[0], tmp_path / "turned", (2, 0, 1))
    for k in range(3):
        alone(engine, tmp_path / f"{k}", k, **options)
        assert_same_chain(engine, tmp_path / "all", tmp_path / f"{k}", k)
        assert_same_chain(engine, tmp_path / "turned", tmp_path / f"{k}", k)
    if name != "gaussian":
        walkers = 16 if name == "emcee" else 1
        assert max(fine.asked) >= 3 * walkers
        spent = sum(chain(engine, tmp_path / "all", k)[0].counters.n_forward for k in range(3))
        # points that ask for products with their Hessians are linearized again, uncounted
        searches = name in ("hmc", "pcn")
        assert spent <= sum(fine.asked) <= (1.1 if searches else 1) * spent
        assert len(fine.asked) < (0.65 if searches else 0.5) * spent
    if name == "two-level":
        assert (max(cheap.asked) == 3) == coarse_rows


def test_a_model_that_breaks_the_promise_is_seen(tmp_path):
    """Negative control: bits that depend on the number of rows."""
    engine = make("pcn")
    together(engine, posterior(off=1e-15)[0], tmp_path / "all")
    alone(engine, tmp_path / "1", 1, off=1e-15)
    with pytest.raises(AssertionError):
        assert_same_chain(engine, tmp_path / "all", tmp_path / "1", 1)


@NAMES
def test_chains_that_were_stopped_at_different_steps_go_on_together(name, tmp_path):
    engine = make(name)
    together(engine, posterior()[0], tmp_path / "whole")
    folder = tmp_path / "parts"
    for k, solves in ((0, 10**6), (1, 4), (2, 40)):
        together(engine, posterior()[0], folder, [k], budget=Budget(n_forward=solves))
    together(engine, posterior()[0], folder)
    for k in range(3):
        assert_same_chain(engine, folder, tmp_path / "whole", k)


def test_a_budget_in_solves_ends_each_chain_at_the_same_step_as_alone(tmp_path):
    engine, budget = make("two-level"), Budget(n_forward=11)
    together(engine, posterior(share=0.1)[0], tmp_path / "all", budget=budget)
    for k in range(3):
        together(engine, posterior(share=0.1)[0], tmp_path / f"{k}", [k], budget=budget)
        assert_same_chain(engine, tmp_path / "all", tmp_path / f"{k}", k)
        assert chain(engine, tmp_path / "all", k)[0].step < engine.n_steps


class Mortal(Pcn):
    """One of its chains cannot go on after its fifth step."""

    victim = None

    def step(self, posterior, state, rng):
        if state.n == 5 and rng.bit_generator.seed_seq.spawn_key == self.victim:
            raise RunFailed("planted")
        return super().step(posterior, state, rng)


@pytest.mark.parametrize("rows_offered", [True, False], ids=["rows", "one by one"])
def test_where_one_chain_fails_the_others_are_saved_and_go_on_later(rows_offered, tmp_path):
    engine = Mortal(PcnConfig(chains=3, draws=40, warmup=10, searches=0))
    whole, folder = tmp_path / "whole", tmp_path / "failed"
    together(engine, posterior(rows_offered=rows_offered)[0], whole)
    seen = []

    def mark(k, step, n, note):
        seen.append(k)

    broken = Mortal(engine.config)
    broken.victim = stream(3, "chain", 1).bit_generator.seed_seq.spawn_key
    on = posterior(rows_offered=rows_offered)[0]
    with pytest.raises(RunFailed, match=r"^planted$"):
        run_chains(broken, on, spec(folder), range(3), mark)
    saved = [ChainStore(folder, k).load(state_type(engine)) for k in range(3)]
    assert saved[1] is None
    assert saved[0].step in ({5, 6} if rows_offered else {50})
    assert (saved[2] is None) == (not rows_offered)
    together(engine, posterior(rows_offered=rows_offered)[0], folder)
    for k in range(3):
        assert_same_chain(engine, folder, whole, k)


def test_a_stop_saves_all_chains_and_they_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr("pdeinv.engines.run.chain.LOOK_SECONDS", 0.0)
    on, engine, folder = posterior()[0], make("pcn"), tmp_path / "stopped"
    whole = run(engine, lambda: on, Run(3, tmp_path / "whole"))

    def stop(k, step, n, note):
        if k == 2 and step > 0:  # at 0 chains look for their start
            (folder / "STOP").touch()

    with pytest.raises(Preempted):
        run(engine, lambda: on, Run(3, folder), stop)
    steps = [chain(engine, folder, k)[0].step for k in range(3)]
    assert max(steps) < engine.n_steps
    again = run(engine, lambda: on, Run(3, folder, resume=True))
    assert np.array_equal(again.outcome.xi, whole.outcome.xi)
    assert again.counters == whole.counters


def test_a_start_that_took_long_is_saved_before_the_chain_waits(tmp_path):
    engine, on = make("pcn"), posterior()[0]
    live = LiveChain(engine, on, spec(tmp_path, checkpoint_seconds=0.0), 0, silent)
    request = advance(live.steps, None)
    while not live.begun:
        request = advance(live.steps, answered(on, request))
    saved, _ = chain(engine, tmp_path, 0)
    assert saved.step == 0
    assert saved.counters == live.counters


def test_chains_of_a_model_without_rows_run_one_after_another(tmp_path):
    on, fine, _ = posterior(rows_offered=False)
    seen = []
    run_chains(make("pcn"), on, spec(tmp_path), range(3), lambda k, *_: seen.append(k))
    assert seen == sorted(seen)
    assert max(fine.asked) == 1


def test_workers_that_take_several_chains_give_the_same_bits(tmp_path):
    build = partial(CASE.posterior, replace(CASE, matrix=1.01 * CASE.matrix))
    engine = make("pcn", chains=5)
    one = run(engine, build, Run(3, tmp_path / "one"))
    two = run(engine, build, Run(3, tmp_path / "two", workers=2))
    assert np.array_equal(one.outcome.xi, two.outcome.xi)
    assert one.counters == two.counters
    for k in range(5):
        assert_same_chain(engine, tmp_path / "one", tmp_path / "two", k)


def test_a_run_that_turns_out_long_goes_on_in_workers_with_the_same_bits(tmp_path, monkeypatch):
    build = partial(CASE.posterior, replace(CASE, matrix=1.01 * CASE.matrix))
    engine, steps, spread = make("pcn", chains=5), [], pool._spread

    def handed_over(engine, build, spec, progress):
        found = [ChainStore(spec.folder, k).load(state_type(engine)) for k in range(5)]
        steps.extend(saved.step for saved in found)
        spread(engine, build, spec, progress)

    monkeypatch.setattr(pool, "_spread", handed_over)
    monkeypatch.setattr("pdeinv.engines.run.alone.LOOK_SECONDS", 0.0)
    monkeypatch.setattr("pdeinv.engines.run.alone.LONG", 0.0)
    one = run(engine, build, Run(3, tmp_path / "one"))
    two = run(engine, build, Run(3, tmp_path / "two", workers=2, alone_first=True))
    assert all(0 < k < engine.n_steps for k in steps)
    assert len(steps) == 5
    assert np.array_equal(one.outcome.xi, two.outcome.xi)
    assert one.counters == two.counters


def test_a_short_run_starts_no_worker_and_a_surely_long_one_starts_them_at_once(
    tmp_path, monkeypatch
):
    build = partial(CASE.posterior, replace(CASE, matrix=1.01 * CASE.matrix))
    engine, spread, begun = make("pcn", chains=5), pool._spread, []

    def noted(engine, build, spec, progress):
        begun.append(ChainStore(spec.folder, 0).load(state_type(engine)))
        spread(engine, build, spec, progress)

    monkeypatch.setattr(pool, "_spread", noted)
    run(engine, build, Run(3, tmp_path / "short", workers=2, alone_first=True))
    assert begun == []
    monkeypatch.setattr("pdeinv.engines.run.alone.SURE", 0.0)
    run(engine, build, Run(3, tmp_path / "long", workers=2, alone_first=True))
    assert begun == [None]
