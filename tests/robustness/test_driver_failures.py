"""Failed solves, spent budgets, dead workers, full disks: counted, survived or one clear line."""

import errno
import multiprocessing
import os
import signal
from dataclasses import dataclass, field, replace
from functools import partial
from types import SimpleNamespace
from zlib import crc32

import numpy as np
import pytest
from ours import LEARNED, ours

from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.posterior import Counters, WhitenedModel
from pdeinv.engines.eki import Eki, EkiConfig
from pdeinv.engines.mcmc.pcn import Pcn, PcnConfig
from pdeinv.engines.mcmc.two_level import TwoLevel, TwoLevelConfig
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Budget, Run
from pdeinv.errors import CapabilityError, ConfigError, RunFailed, SolverDiverged
from pdeinv.model.forward import Capability, LinearModel
from pdeinv.plugins import registry

OPTIONS = {
    "map": {},
    "laplace": {"draws": 50},
    "pcn": {"chains": 2, "draws": 300, "warmup": 50, "searches": 0},
    "hmc": {"chains": 2, "draws": 60, "warmup": 30},
    "emcee": {"ensembles": 2, "draws": 30, "warmup": 5, "thin": 2},
    "eki": {"ensemble_size": 100},
    "cma": {"searches": 2},
    "database": {"n": 200},
    "gauss-newton": {"start": "prior"},
    "daps": {"chains": 2, "particles": 5, "levels": 10},
    "diffpir": {"chains": 2, "particles": 5, "levels": 10},
    "diffusionpde": {"chains": 2, "particles": 5, "levels": 10},
    "dps": {"chains": 2, "particles": 5, "levels": 10},
    "enkg": {"ensemble_size": 20, "levels": 10},
    "fundps": {"chains": 2, "particles": 5, "levels": 10},
    "red-diff": {"max_iterations": 40},
    "pnp-dm": {"chains": 2, "draws": 60, "warmup": 30},
    "two-level": {"chains": 2, "draws": 30, "warmup": 5, "tuning": 40, "subchain": 2},
}
EXEMPT = {
    **dict.fromkeys(LEARNED, "solve at an estimate alone; see tests/unit/test_learned_engine.py"),
    "d-bar": "solves once, at its end; see tests/verification/test_dbar.py",
    **dict.fromkeys(("dds", "dmps", "pigdm"), "cannot find out whether such a model is linear"),
    "gaussian": "refuses a model with failed solves, because it cannot be linear",
    "pinn": "trains on residuals and solves once, at its end; see tests/surrogate/test_pinn.py",
}
NAMES = ours("engines")
SURVIVORS = pytest.mark.parametrize("name", sorted(OPTIONS))
CASE = LinearGaussian.example(np.random.default_rng(4), 3, 12)


@dataclass
class Fragile:
    """A linear model whose solve fails for a share of all unknowns, always the same ones."""

    inner: LinearModel
    share: float
    as_nan: bool = False
    failures: list = field(default_factory=list)
    kind: str = "reference"

    def __post_init__(self):
        self.m_space, self.d_space = self.inner.m_space, self.inner.d_space
        batch = {Capability.BATCH} if self.as_nan else set()
        self.capabilities = frozenset({Capability.JVP, Capability.VJP} | batch)

    def fails(self, m):
        bad = crc32(np.ascontiguousarray(m).tobytes()) % 1000 < 1000 * self.share
        if bad:
            self.failures.append(m)
        return bad

    def __call__(self, m, /):
        if self.as_nan:
            bad = np.array([self.fails(row) for row in np.atleast_2d(m)]).reshape(m.shape[:-1])
            return np.where(bad[..., None], np.nan, self.inner(m))
        if self.fails(m):
            raise SolverDiverged("the solver did not converge: planted")
        return self.inner(m)

    def linearize(self, m, /):
        at = self.inner.linearize(m)
        if not self.fails(m):
            return at
        if self.as_nan:
            return replace(at, value=np.full_like(at.value, np.nan))
        raise SolverDiverged("the solver did not converge: planted")


def fragile(share, **options):
    """A posterior whose reference model fails, beside a sound coarse twin; and the model."""
    on = CASE.posterior(replace(CASE, matrix=1.01 * CASE.matrix))
    model = Fragile(on.model.model, share, **options)
    return replace(on, model=WhitenedModel(on.prior, model)), model


def test_failures_of_the_surrogate_are_counted_apart_and_do_not_end_the_run(tmp_path):
    """A coarse model that fails now and then only slows two-level down."""
    on = CASE.posterior(replace(CASE, matrix=1.01 * CASE.matrix))
    inner = Fragile(on.coarse.model.model, 0.05, kind="surrogate")
    on = replace(on, coarse=replace(on.coarse, model=WhitenedModel(on.prior, inner)))
    found = go("two-level", on, tmp_path)
    assert found.counters.n_failed == 0
    assert found.counters.n_surrogate_failed == len(inner.failures) > 100
    assert np.isfinite(found.outcome.stats["misfit"]).all()


def make(name, **more):
    kind = registry.load("engines", name)
    return kind(kind.Config(**{**OPTIONS[name], **more}))


def go(name, on, folder, **spec):
    return run(make(name), lambda: on, Run(seed=3, folder=folder, **spec))


def test_every_registered_engine_is_tried():
    assert set(NAMES) == set(OPTIONS) | set(EXEMPT)


@SURVIVORS
@pytest.mark.parametrize("as_nan", [False, True], ids=["raised", "NaN"])
def test_a_tenth_of_failed_solves_is_survived_and_counted(name, as_nan, tmp_path):
    on, model = fragile(0.1, as_nan=as_nan)
    found = go(name, on, tmp_path)
    assert np.isfinite(found.outcome.xi).all()
    assert np.isfinite(found.outcome.stats["misfit"]).all()
    # gauss-newton moves m itself, where a step that leaves its values is a trial, not a failure
    trials = len(model.failures) if name == "gauss-newton" else 0
    assert found.counters.n_failed == len(model.failures) - trials
    assert found.counters.n_forward > found.counters.n_failed
    if name in {"pcn", "emcee", "eki"}:
        assert len(model.failures) > 10


@pytest.mark.parametrize("method", ["newton-cg", "lbfgs"])
def test_optimizers_shorten_the_step_past_failed_solves(method, tmp_path):
    """Two solves in five fail, and still the minimum is found to the tolerance."""
    mean = CASE.exact()[0]
    on, model = fragile(0.4)
    engine = make("map", method=method, tolerance=1e-5)
    found = run(engine, lambda: on, Run(3, tmp_path))
    assert model.failures
    assert np.allclose(on.prior.unwhiten(found.outcome.xi[0, 0]), mean, atol=0.1)


@pytest.mark.parametrize("name", ["pcn", "hmc", "emcee", "eki", "two-level"])
def test_mostly_failed_solves_end_the_run(name, tmp_path):
    on, _ = fragile(0.8)
    with pytest.raises(RunFailed, match=r"(solves failed|cannot be solved); check the problem's"):
        go(name, on, tmp_path)


@pytest.mark.parametrize("name", ["map", "laplace", "pcn", "hmc", "emcee", "eki"])
def test_nothing_but_failed_solves_is_one_clear_line(name, tmp_path):
    on, _ = fragile(1.0)
    with pytest.raises(RunFailed) as caught:
        go(name, on, tmp_path)
    assert "\n" not in str(caught.value)
    assert "pdeinv check" in str(caught.value)


def test_failed_members_do_not_spoil_the_ensemble(tmp_path):
    """With a tenth of the solves failing at random, eki still finds the posterior moments."""
    on, _ = fragile(0.1)
    found = run(Eki(EkiConfig(ensemble_size=3000)), lambda: on, Run(3, tmp_path)).outcome
    m = on.prior.unwhiten(found.xi[0])
    mean, cov = CASE.exact()
    assert np.abs(m.mean(axis=0) - mean).max() < 0.2 * np.sqrt(np.diag(cov).max())
    assert 0.9 < np.trace(np.linalg.solve(cov, np.cov(m.T))) / 3 < 1.1
    assert found.summary["replaced"] > 300


def test_budget_in_solves_holds(tmp_path):
    found = go("pcn", CASE.posterior(), tmp_path, budget=Budget(n_forward=200))
    assert found.exhausted
    assert found.counters.n_forward == 2 * 200
    assert not found.outcome.converged
    assert found.outcome.message.startswith("budget spent; ")
    assert found.outcome.xi.shape[1] < 300


def test_budget_that_is_never_reached_changes_nothing(tmp_path):
    """Negative control."""
    found = go("pcn", CASE.posterior(), tmp_path, budget=Budget(n_forward=351))
    assert found.counters.n_forward == 2 * 351
    assert not found.exhausted
    assert found.outcome.converged


class Slow(LinearModel):
    """A second for each row, by its own clock."""

    now = 0.0

    def rows(self, ms):
        Slow.now += len(ms)
        return super().rows(ms)


@pytest.mark.parametrize("chains", [1, 2, 3])
def test_budget_in_seconds_ends_each_chain_by_its_share_of_the_clock(chains, tmp_path, monkeypatch):
    ticking = SimpleNamespace(monotonic=lambda: Slow.now, process_time=lambda: Slow.now / 2)
    for module in ("chain", "clock"):
        monkeypatch.setattr(f"pdeinv.engines.run.{module}.time", ticking)
    on = CASE.posterior()
    on.model = WhitenedModel(on.prior, Slow(**vars(on.model.model)))
    engine = make("pcn", chains=chains)
    found = run(engine, lambda: on, Run(3, tmp_path, budget=Budget(seconds=200)))
    assert found.exhausted
    assert found.counters.n_forward == chains * 200
    assert found.seconds == chains * 200
    assert found.cpu_seconds == chains * 100


def test_budget_in_seconds_holds(tmp_path):
    engine = Pcn(PcnConfig(chains=1, draws=10**9, warmup=0))
    found = run(engine, CASE.posterior, Run(0, tmp_path, budget=Budget(seconds=0.2)))
    assert found.exhausted
    assert 0.2 <= found.seconds < 20


def test_stop_before_the_first_draw_says_so(tmp_path):
    with pytest.raises(RunFailed, match="stopped before its first draw; raise the budget"):
        go("pcn", CASE.posterior(), tmp_path, budget=Budget(n_forward=20))


def test_laplace_without_a_spectrum_says_so(tmp_path):
    with pytest.raises(RunFailed, match="spectrum of the Hessian"):
        go("laplace", CASE.posterior(), tmp_path, budget=Budget(n_forward=3))


def test_emcee_refuses_many_unknowns_before_any_solve(tmp_path):
    on = LinearGaussian.example(np.random.default_rng(0), 21).posterior()
    with pytest.raises(CapabilityError, match="at most 20 unknowns, this problem has 21; use pcn"):
        go("emcee", on, tmp_path)
    assert on.counters.n_forward == 0


def test_emcee_refuses_too_few_walkers(tmp_path):
    on = LinearGaussian.example(np.random.default_rng(0), 10).posterior()
    with pytest.raises(ConfigError, match=r"walkers: expected at least 20 .* got 12"):
        run(make("emcee", walkers=12), lambda: on, Run(0, tmp_path))


def test_full_disk_is_one_line_and_keeps_the_last_checkpoint(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    kept = {}

    def fill(chain, step, n_steps, note):
        if step > 20 and not kept:
            kept.update({p: p.read_bytes() for p in tmp_path.glob("chain0*.npz")})
            monkeypatch.setattr(os, "replace", full)

    engine = make("pcn", chains=1, draws=10**6)
    spec = Run(3, tmp_path, checkpoint_seconds=0.1)
    with pytest.raises(RunFailed, match="no space left"):
        run(engine, CASE.posterior, spec, fill)
    monkeypatch.undo()
    assert kept
    assert all(p.read_bytes() == content for p, content in kept.items())
    assert {p.name for p in tmp_path.iterdir()} <= {p.name for p in kept} | {"run.json", "lock"}


class Deadly:
    """A recipe that works here and kills the worker that unpickles it."""

    def __call__(self):
        return CASE.posterior()

    def __reduce__(self):
        return os._exit, (3,)


def test_dead_worker_is_one_clear_line(tmp_path):
    with pytest.raises(RunFailed, match=r"a worker process died .* continue with --resume"):
        run(make("pcn"), Deadly(), Run(3, tmp_path, workers=2))


def test_where_one_worker_is_killed_the_others_save(tmp_path):
    told = set()

    def kill_one(chain, *_):
        told.add(chain)
        if len(told) == 2:
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
            told.add("killed")

    engine = make("pcn", draws=10**6)
    with pytest.raises(RunFailed, match="a worker process died"):
        run(engine, CASE.posterior, Run(3, tmp_path, workers=2), kill_one)
    assert len(list(tmp_path.glob("chain*.state.npz"))) == 1


def test_an_error_in_one_worker_reaches_the_caller(tmp_path):
    on = partial(LinearGaussian.posterior, LinearGaussian.example(np.random.default_rng(0), 21))
    with pytest.raises(CapabilityError, match="at most 20 unknowns"):
        run(make("emcee"), on, Run(3, tmp_path, workers=2))


def test_counters_add_up_over_chains_and_finalize(tmp_path):
    found = go("pcn", CASE.posterior(), tmp_path)
    assert found.counters == Counters(n_forward=2 * 351)


@dataclass
class Hollow:
    """A linear model without derivatives that cannot be solved near a point, or anywhere."""

    inner: LinearModel
    centre: np.ndarray
    radius: float
    kind: str = "surrogate"
    capabilities: frozenset = frozenset()

    def __post_init__(self):
        self.m_space, self.d_space = self.inner.m_space, self.inner.d_space

    def __call__(self, m, /):
        if np.linalg.norm(m - self.centre) < self.radius:
            raise SolverDiverged("planted")
        return self.inner(m)


def hollow(radius):
    """A posterior whose coarse twin fails where its chains want to start: at the prior mean."""
    on = CASE.posterior(replace(CASE, matrix=1.01 * CASE.matrix))
    model = Hollow(on.coarse.model.model, CASE.prior_mean, radius)
    return replace(on, coarse=replace(on.coarse, model=WhitenedModel(on.prior, model)))


def test_two_level_starts_elsewhere_where_the_coarse_model_fails(tmp_path):
    engine = TwoLevel(TwoLevelConfig(chains=2, draws=30, warmup=5, tuning=40, subchain=2))
    on = hollow(1.5)
    assert not np.isfinite(on.coarse.misfit(np.zeros(3)))
    found = run(engine, lambda: on, Run(0, tmp_path))
    assert found.outcome.summary["acceptance_rate"] > 0.1
    assert np.isfinite(found.outcome.stats["coarse_misfit"]).all()
    assert np.ptp(found.outcome.xi, axis=1).min() > 0


def test_two_level_says_so_where_the_coarse_model_fails_everywhere(tmp_path):
    engine = TwoLevel(TwoLevelConfig(chains=1, draws=5))
    with pytest.raises(RunFailed, match="no starting point: 20 solves failed"):
        run(engine, lambda: hollow(np.inf), Run(0, tmp_path))
