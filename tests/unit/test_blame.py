"""The verdict of two-level names the surrogate where it is to blame, and nothing of it is lost."""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from pdeinv.bayes.counters import Counters
from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.engines.base import Chain, Outcome
from pdeinv.engines.ended import Ended
from pdeinv.engines.mcmc.faults import faults_of, slowed
from pdeinv.engines.mcmc.two_level import REFUTED, STARTS, Levels, TwoLevel, TwoLevelConfig
from pdeinv.engines.requests import drive
from pdeinv.errors import SurrogateRejected
from pdeinv.jobs.two_level.admission import Difference, SurrogateReport, judge, trusted

FINITE = xr.Dataset({"finite": ("estimator", [1])}, {"estimator": ["split"]})


def chain(misfit):
    records = {"misfit": np.asarray(misfit, float), "base_misfit": np.ones(len(misfit))}
    return Chain(None, records, Counters(), 0.0)


MOVING = np.random.default_rng(0).standard_normal(400)


def test_a_chain_that_stands_still_is_a_fault_of_the_surrogate():
    stuck = MOVING.copy()
    stuck[100:200] = 7.0
    found = faults_of([chain(MOVING), chain(stuck)], np.array([0.5, 0.4]), FINITE)
    assert "a chain stood still for 25% of its draws" in found
    assert "the likely cause is the surrogate" in found
    stuck[150:] = MOVING[150:]
    assert faults_of([chain(MOVING), chain(stuck)], np.array([0.5, 0.4]), FINITE) == ""


def test_few_draws_that_are_alike_are_none():
    assert faults_of([chain([1.0] * 10 + [2.0] * 10)], np.array([0.1]), FINITE) == ""


def test_a_surrogate_that_costs_draws_is_named():
    assert slowed(np.array([0.4, 0.3]), 1.0) == ""
    told = slowed(np.array([0.1, 0.2]), 3.2)
    assert "the surrogate holds the chains back" in told
    assert "accepts 15% of its proposals" in told


def test_a_spurious_mode_is_refused_by_its_mean():
    """All draws in a mode that is not there: the spread alone is small."""
    with pytest.raises(SurrogateRejected, match=r"5e\+02 ± 1 \(mean ± sd\)"):
        judge(Difference(500.0, 1.0), "train it")
    assert judge(Difference(0.4, 1.0), "")["surrogate_weak"] == 0.0
    assert judge(Difference(5.0, 1.0), "")["surrogate_weak"] == 1.0
    assert not Difference(3.0, 1.0).within(1.2)
    assert Difference(2.0, 1.0).within(1.2)


def test_many_failed_solves_pass_no_test():
    on = LinearGaussian.example(np.random.default_rng(0)).posterior()
    xis = np.random.default_rng(1).standard_normal((40, on.dim))
    fine = on.predict(xis)
    fine[:3] = np.nan
    assert Difference.of(on, xis, fine).within(1.0)
    fine[:10] = np.nan
    assert not Difference.of(on, xis, fine).within(1e9)


def test_a_training_that_did_not_agree_is_in_the_verdict():
    figures = {
        "training_agreed": 0.0,
        "explorers_r_hat": 1.31,
        "mean_misfit_difference_heldout": 0.5,
        "sd_misfit_difference_heldout": 2.0,
    }
    remark = SurrogateReport(figures=figures).remark
    assert "did not pass its test twice in a row: R-hat of explorers 1.310" in remark
    assert SurrogateReport(figures={**figures, "training_agreed": 1.0}).remark == ""
    assert SurrogateReport().remark == ""
    good = Outcome(np.zeros((1, 1, 1)), {}, Ended.DRAWN, "converged: R-hat 1.002")
    led = trusted(good, SurrogateReport(figures=figures))
    assert not led.converged
    assert led.message.startswith("not converged: the surrogate did not pass its test")
    assert led.message.endswith("R-hat 1.002")
    assert trusted(good, SurrogateReport()) is good
    short = replace(good, ended=Ended.BUDGET, message="not converged: budget spent")
    told = trusted(short, SurrogateReport(figures=figures)).message
    assert told == f"not converged: budget spent; {remark}"


class Led(TwoLevel):
    """Its starts have misfits of the two models as given."""

    levels: list[tuple[float, float]]

    def _started(self, posterior, rng):
        tuned, start = yield from super()._started(posterior, rng)
        fine, coarse = self.levels.pop(0)
        return tuned, replace(start, fine=fine, coarse=coarse)


@pytest.mark.parametrize(
    ("levels", "taken", "left"),
    [
        ([(3.0, 2.0), (9.0, 9.0)], (3.0, 2.0), 1),
        ([(REFUTED + 9, 2.0), (9.0, 9.0), (1.0, 1.0)], (9.0, 9.0), 1),
        ([(REFUTED * k, 0.0) for k in (9, 3, 2, 5)], (2 * REFUTED, 0.0), 0),
    ],
)
def test_a_start_that_the_reference_refutes_is_made_anew(levels, taken, left):
    case = LinearGaussian.example(np.random.default_rng(0))
    engine = Led(TwoLevelConfig(tuning=5))
    engine.levels = list(levels)
    state = drive(case.posterior(case), engine.init(case.posterior(case), np.random.default_rng(1)))
    assert isinstance(state.here, Levels)
    assert (state.here.fine, state.here.coarse) == taken
    assert len(engine.levels) == left
    assert STARTS == 4
