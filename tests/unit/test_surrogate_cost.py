"""The verdict of two-level says when its surrogate costs too much; the clock is the test's own."""

from dataclasses import replace

import numpy as np
import pytest

from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.jobs import cost
from pdeinv.jobs.cost import solve_costs
from pdeinv.jobs.two_level.cost import advice, cost_ratio

LINEAR = LinearGaussian.example(np.random.default_rng(1))


class Clock:
    """Time that passes when a model is asked."""

    now = 0.0

    def process_time(self):
        return self.now


class Timed:
    """A model that takes some seconds of the clock."""

    def __init__(self, inner, clock, seconds):
        self.inner, self.clock, self.seconds = inner, clock, seconds

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def rows(self, ms):
        self.clock.now += self.seconds / 4
        return self.inner.rows(ms)

    def linearize_rows(self, ms):
        self.clock.now += self.seconds
        return self.inner.linearize_rows(ms)


@pytest.fixture
def timed(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(cost, "time", clock)

    def found(fine, coarse):
        posterior = LINEAR.posterior(LINEAR)
        for twin, seconds in ((posterior, fine), (posterior.coarse, coarse)):
            twin.model = Timed(twin.model, clock, seconds)
        return posterior

    return found


@pytest.fixture
def ratio(timed):
    def found(fine, coarse):
        posterior = timed(fine, coarse)
        xis = np.random.default_rng(0).standard_normal((40, posterior.dim))
        value = cost_ratio(posterior, xis)
        assert posterior.counters.n_forward == 0
        return value

    return found


def test_a_dear_surrogate_is_told(ratio):
    assert ratio(0.02, 0.03) == pytest.approx(1.5)
    assert "takes 1.5 of a solve with its adjoint, so try engine hmc" in advice(1.5)


def test_a_cheap_surrogate_is_left_alone(ratio):
    assert advice(ratio(0.5, 0.01)) == ""


def test_without_a_surrogate_there_is_nothing_to_say():
    posterior = replace(LINEAR.posterior(LINEAR), coarse=None)
    assert cost_ratio(posterior, np.zeros((3, posterior.dim))) is None
    assert advice(None) == ""


def test_a_dry_run_tells_what_solves_take(timed):
    posterior = timed(0.08, 0.016)
    assert solve_costs(posterior, 1000) == {
        "solve, alone (ms)": 20.0,
        "solve, 16 together (ms)": 1.2,
        "value and gradient, alone (ms)": 80.0,
        "value and gradient, 16 together (ms)": 5.0,
        "CPU of hmc for as many steps, about (s)": 25.0,
        "surrogate's value and gradient, 16 together (ms)": 1.0,
    }
    assert posterior.counters.n_forward == posterior.coarse.counters.n_surrogate == 0
