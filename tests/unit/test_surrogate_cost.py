"""Pace and verdict of two-level follow from costs; the clock is the test's own."""

from dataclasses import replace

import numpy as np
import pytest

from pdeinv.bayes import solve_costs as clocked
from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.solve_costs import solve_costs
from pdeinv.jobs.two_level import cost
from pdeinv.jobs.two_level.cost import ENOUGH, Costs, Quality, advice, measured, paced

LINEAR = LinearGaussian.example(np.random.default_rng(1))


class Clock:
    """Time that passes when a model is asked."""

    now = 0.0

    def process_time(self):
        return self.now


class Timed:
    """A model that takes some seconds of the clock for a row, and half of them without gradient."""

    def __init__(self, inner, clock, seconds):
        self.inner, self.clock, self.seconds = inner, clock, seconds

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def rows(self, ms):
        self.clock.now += 0.5 * self.seconds * len(ms)
        return self.inner.rows(ms)

    def linearize_rows(self, ms):
        self.clock.now += self.seconds * len(ms)
        return self.inner.linearize_rows(ms)


@pytest.fixture
def timed(monkeypatch):
    """A posterior whose models take so many seconds a row."""
    clock = Clock()
    monkeypatch.setattr(clocked, "time", clock)

    def made(fine, coarse):
        posterior = LINEAR.posterior(LINEAR)
        for twin, seconds in ((posterior, fine), (posterior.coarse, coarse)):
            twin.model = Timed(twin.model, clock, seconds)
        return posterior

    return made


def test_a_dry_run_tells_what_solves_take(timed):
    posterior = timed(0.02, 0.001)
    assert solve_costs(posterior, 1000) == {
        "solve, alone (ms)": 10.0,
        "solve, 16 together (ms)": 10.0,
        "value and gradient, alone (ms)": 20.0,
        "value and gradient, 16 together (ms)": 20.0,
        "CPU of hmc for as many steps, about (s)": 100.0,
        "surrogate's value and gradient, 16 together (ms)": 1.0,
    }
    assert posterior.counters.n_forward == posterior.coarse.counters.n_surrogate == 0


class Keeping(Timed):
    """A model that has what it was asked last for nothing."""

    last = None

    def rows(self, ms):
        return self._free(ms, super().rows)

    def linearize_rows(self, ms):
        return self._free(ms, super().linearize_rows)

    def _free(self, ms, ask):
        before, kept = self.clock.now, self.last is not None and np.array_equal(ms[-1], self.last)
        found, self.last = ask(ms), ms[-1]
        if kept and len(ms) == 1:
            self.clock.now = before + 0.001
        return found


@pytest.mark.parametrize("seconds", [0.02, 50.0])
def test_a_dry_run_does_not_take_what_is_kept_for_the_cost_of_a_solve(monkeypatch, seconds):
    clock, posterior = Clock(), LINEAR.posterior(LINEAR)
    monkeypatch.setattr(clocked, "time", clock)
    posterior.model = Keeping(posterior.model, clock, seconds)
    posterior.coarse.model = Timed(posterior.coarse.model, clock, seconds)
    found = solve_costs(posterior, 1000)
    assert found["solve, alone (ms)"] == found["solve, 16 together (ms)"] == 500 * seconds
    assert found["value and gradient, alone (ms)"] == 1000 * seconds
    assert found["value and gradient, 16 together (ms)"] == 1000 * seconds


def test_costs_are_those_of_one_row_and_no_solve_is_counted(timed):
    posterior = timed(0.02, 0.03)
    found = measured(posterior, np.random.default_rng(0).standard_normal((40, posterior.dim)))
    assert found.surrogate == pytest.approx(0.03)
    assert (found.solve, found.fine_move) == pytest.approx((0.01, 0.02))
    assert found.ratio == pytest.approx(1.5)
    assert posterior.counters.n_forward == 0


MANY, GOOD = 100_000, Quality(sd=0.5, iact=9.0)


def test_a_cheap_surrogate_pays_and_walks_far():
    pace = paced(Costs(1e-5, 1.0, 3.0), GOOD, MANY, 5)
    assert pace.subchain == max(cost.LENGTHS)
    assert pace.gain > 5
    assert advice(Costs(1e-5, 1.0, 3.0), pace.gain, derivatives=True) == ""


def test_a_dear_one_walks_less_far_and_is_told():
    costs = Costs(2.0, 1.0, 3.0)
    pace = paced(costs, GOOD, MANY, 5)
    assert pace.subchain < max(cost.LENGTHS) / 2
    assert pace.gain < 1
    told = advice(costs, pace.gain, derivatives=True)
    assert "does not pay" in told
    assert "takes 0.67 of a solve with its adjoint, so try engine hmc" in told
    assert "of a solve, so try engine pcn" in advice(costs, pace.gain, derivatives=False)


def test_few_draws_want_long_subchains_whatever_they_cost():
    dear = Costs(2.0, 1.0, 3.0)
    few, many = (paced(dear, GOOD, draws, 5).subchain for draws in (9000, MANY))
    assert few > many
    assert 9000 / GOOD.steps_per_draw(few) >= ENOUGH


def test_a_better_surrogate_wants_fewer_short_moves():
    shares = [Quality(sd).near for sd in (0.1, 0.5, 0.7, 1.0, 3.0)]
    assert shares == pytest.approx([0.05, 0.075, 0.147, 0.3, 0.3])
    assert paced(Costs(1e-5, 1.0, 3.0), GOOD, MANY, 5).near == GOOD.near
    assert GOOD.moves(1) == 1
    assert GOOD.moves(5) == pytest.approx(0.925 * 5 + 0.075)


def test_a_surrogate_far_off_costs_steps():
    assert replace(GOOD, sd=3.0).steps_per_draw(5) > 5 * GOOD.steps_per_draw(5)
    assert GOOD.steps_per_draw(12) < GOOD.steps_per_draw(1)
