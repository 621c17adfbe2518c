"""What cannot be compared is refused: by every Metropolis step, and by the test of a surrogate."""

import math
from dataclasses import replace

import numpy as np
import pytest

from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import WhitenedModel
from pdeinv.bayes.reference import Reference
from pdeinv.engines.acceptance import log_acceptance
from pdeinv.engines.eki import Eki, EkiConfig
from pdeinv.engines.mcmc.emcee import snooker
from pdeinv.engines.mcmc.kernel import Kernel
from pdeinv.engines.mcmc.pcn import Pcn, PcnConfig
from pdeinv.engines.mcmc.two_level import TwoLevel, TwoLevelConfig
from pdeinv.engines.requests import drive
from pdeinv.engines.solvable import Place
from pdeinv.errors import SurrogateRejected
from pdeinv.jobs.two_level.admission import Difference, expectation, judge
from pdeinv.model.forward import Capability

CASE = LinearGaussian.example(np.random.default_rng(0))


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(-1.5, -1.5), (2.0, 0.0), (math.inf, 0.0), (-math.inf, -math.inf), (math.nan, -math.inf)],
)
def test_the_log_probability_is_that_of_metropolis_and_nan_is_refused(ratio, expected):
    assert log_acceptance(ratio) == expected
    assert log_acceptance(np.float64(ratio)) == expected


class Broken:
    """A model whose adjoint has no numbers where the first unknown is above a limit."""

    def __init__(self, inner, limit):
        self.inner, self.limit = inner, limit
        self.m_space, self.d_space, self.kind = inner.m_space, inner.d_space, inner.kind
        self.capabilities = inner.capabilities - {Capability.ROWS}

    def __call__(self, m):
        return self.inner(m)

    def linearize(self, m):
        at = self.inner.linearize(m)
        return replace(at, vjp=lambda _: np.full(len(m), np.nan)) if m[0] > self.limit else at


def test_a_trajectory_that_ends_without_an_energy_is_refused():
    whole = CASE.posterior()
    limit = float(whole.prior.unwhiten(np.zeros(3))[0])
    on = replace(whole, model=WhitenedModel(whole.prior, Broken(whole.model.model, limit)))
    start = np.array([-2.0, 0.0, 0.0]) * np.sign(whole.prior.unwhiten(np.eye(3)[0])[0] - limit)
    kernel = Kernel(Reference.standard(3), float(np.log(0.4)), guided=True, path=0.6)
    here, rng = (
        drive(on, kernel.at(Place(start, float(on.misfit(start))))),
        np.random.default_rng(1),
    )
    places = []
    for _ in range(400):
        moved = drive(on, kernel.move(here, rng))
        here = moved.point
        places.append(on.prior.unwhiten(here.place.xi)[0])
        assert 0 <= moved.chance <= 1
    assert len(set(places)) > 20
    assert max(places) <= limit


class Lost(Pcn):
    """Cannot tell the weight of its proposals."""

    def _proposed(self, state, i, noise):
        return super()._proposed(state, i, noise)[0], math.nan


def test_pcn_stays_where_the_ratio_is_unknown_and_draws_as_ever():
    on, config = CASE.posterior(), PcnConfig(warmup=0)
    streams = [np.random.default_rng(3) for _ in range(2)]
    states = []
    for kind, rng in zip((Pcn, Lost), streams, strict=True):
        engine = kind(config)
        chain = [drive(on, engine.init(on, rng))]
        for _ in range(20):
            chain.append(drive(on, engine.step(on, chain[-1], rng)))
        states.append(chain)
    assert streams[0].random() == streams[1].random()
    assert states[0][-1].n_accepted > 0
    assert states[1][-1].n_accepted == 0
    assert np.array_equal(states[1][-1].xi, states[1][0].xi)


def test_delayed_acceptance_stays_where_the_ratio_is_unknown():
    on = CASE.posterior(replace(CASE, matrix=1.02 * CASE.matrix))
    engine, rng = TwoLevel(TwoLevelConfig(tuning=20, warmup=0)), np.random.default_rng(3)
    state = drive(on, engine.init(on, rng))
    state = replace(state, here=replace(state.here, fine=math.nan))
    for _ in range(10):
        moved = drive(on, engine.step(on, state, rng))
        assert moved.here is state.here


def test_a_snooker_move_between_walkers_at_one_place_is_refused():
    walkers = np.array([[1.0, 2.0], [0.5, 0.5]])
    others = [np.array([[1.0, 2.0]]), np.array([[1.0, 2.0]]), np.array([[1.0, 2.0]])]
    proposals, factors = snooker(walkers, others, np.random.RandomState(0))
    assert np.isfinite(proposals).all()
    assert np.array_equal(proposals[0], walkers[0])
    assert factors[0] == -np.inf
    assert np.isfinite(factors[1])


class Steep:
    """A model whose predictions are finite and cannot be squared where the unknown is large."""

    capabilities: frozenset[Capability] = frozenset()

    def __init__(self, inner, limit):
        self.inner, self.limit = inner, limit
        self.m_space, self.d_space, self.kind = inner.m_space, inner.d_space, inner.kind

    def __call__(self, m):
        return self.inner(m) * (1e200 if m[0] > self.limit else 1.0)


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_an_ensemble_takes_no_member_whose_misfit_is_infinite():
    whole = CASE.posterior()
    limit = float(whole.prior.unwhiten(np.zeros(3))[0]) + 0.7
    on = replace(whole, model=WhitenedModel(whole.prior, Steep(whole.model.model, limit)))
    engine, rng = Eki(EkiConfig(ensemble_size=100)), np.random.default_rng(4)
    first = drive(on, engine.init(on, rng))
    assert first.replaced > 0
    assert np.isfinite(first.misfit).all()
    assert drive(on, engine.step(on, first, rng)).t < 1


def test_a_surrogate_of_which_nothing_is_known_is_refused():
    on = CASE.posterior(CASE)
    xis = np.zeros((3, 3))
    fine = np.full((3, on.n_data), np.nan)
    fine[0] = on.predict(xis[0])
    found = Difference.of(on.coarse, xis, fine)
    assert math.isnan(found.sd)
    assert not found.within(1e9)
    with pytest.raises(SurrogateRejected, match="misfit difference"):
        judge(found, "train it again")


class Vague(Broken):
    """A surrogate whose variance has no numbers."""

    def __init__(self, inner):
        super().__init__(inner, math.inf)
        self.capabilities = inner.capabilities - {Capability.ROWS} | {Capability.VARIANCE}

    def variance(self, xis):
        return np.full((len(xis), self.d_space.size), np.nan)


def test_a_surrogate_that_expects_nothing_is_refused():
    on = CASE.posterior(CASE).coarse
    on = replace(on, model=Vague(on.model), likelihood=Noise(np.ones(on.n_data)))
    with pytest.raises(SurrogateRejected, match="by its own variance"):
        expectation(on, np.random.default_rng(0))
