"""CPU times by a clock that moves on in steps, as it may for a process with a limit on them."""

import numpy as np
import pytest

from pdeinv import cpu_clock
from pdeinv.bayes import solve_costs
from pdeinv.bayes.solve_costs import least_seconds
from pdeinv.errors import SolverDiverged
from pdeinv.jobs import evaluated_seconds
from pdeinv.jobs.evaluated_seconds import Stopwatch, seconds_at

TICK = 0.004


class Coarse:
    """A clock that shows multiples of a step; each look at it takes a moment."""

    def __init__(self, step):
        self.step, self.now = step, 0.0

    def process_time(self):
        self.now += 1e-7
        return self.step * np.floor(self.now / self.step) if self.step else self.now


@pytest.fixture(params=[TICK, 0.0], ids=["coarse", "fine"])
def clock(request, monkeypatch):
    made = Coarse(request.param)
    for module in (cpu_clock, solve_costs, evaluated_seconds):
        monkeypatch.setattr(module, "time", made)
    cpu_clock.tick.cache_clear()
    yield made
    cpu_clock.tick.cache_clear()


def test_the_step_of_a_clock_is_found(clock):
    assert cpu_clock.tick() == pytest.approx(clock.step or 1e-7)


@pytest.mark.parametrize("seconds", [1e-5, 3e-4, 0.0051, 0.03, 2.0])
def test_work_shorter_than_a_step_is_repeated_until_it_can_be_told(clock, seconds):
    def work():
        clock.now += seconds

    assert least_seconds(work) == pytest.approx(seconds, rel=0.11)


def test_solves_of_a_comparison_too_short_for_the_clock_are_repeated(clock):
    def model(xi):
        if xi[0] > 2:
            raise SolverDiverged("far out")
        clock.now += 2e-4
        return xi

    spent, xi, out = Stopwatch(), np.arange(4.0)[:, None], np.empty((4, 1))
    assert [spent.of(model, *row) for row in zip(xi, out, strict=True)] == ["", "", "", "far out"]
    assert spent.told == (clock.step == 0)
    assert seconds_at(model, xi[:3]) == pytest.approx(2e-4, rel=0.11)
