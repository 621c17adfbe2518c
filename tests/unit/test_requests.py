"""Requests and their answers: who is asked, what is charged, where failures arrive."""

from dataclasses import replace

import numpy as np
import pytest

from pdeinv.bayes.jacobian import dense_jacobian, unwhitened
from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.posterior import Counters, WhitenedModel
from pdeinv.engines.ended import Ended
from pdeinv.engines.requests import Jacobian, Linearize, Misfit, Predict, drive, on_coarse
from pdeinv.errors import SolverDiverged

CASE = LinearGaussian.example(np.random.default_rng(2), 3, 5)
XI = np.random.default_rng(0).standard_normal((4, 3))


def posterior():
    return CASE.posterior(replace(CASE, matrix=1.5 * CASE.matrix))


def ask(request):
    return (yield request)


def test_each_request_is_answered_by_what_it_names():
    on = posterior()
    np.testing.assert_array_equal(drive(on, ask(Misfit(XI))), on.misfit(XI))
    np.testing.assert_array_equal(drive(on, ask(Predict(XI[0]))), on.predict(XI[0]))
    at = drive(on, ask(Linearize(XI[0])))
    np.testing.assert_array_equal(at.gradient, on.linearize(XI[0]).gradient)
    np.testing.assert_array_equal(at.jvp(XI[1]), on.model.linearize(XI[0]).jvp(XI[1]))


def test_levels_are_the_posterior_its_twin_and_the_model_of_m():
    on, m = posterior(), np.array([1.0, 2.0, 3.0])
    assert drive(on, ask(Misfit(XI[0], "coarse"))) == on.coarse.misfit(XI[0])
    assert drive(on, ask(Misfit(m, "unknown"))) == unwhitened(on, "test").misfit(m)
    assert on.counters.n_forward == 2
    assert on.coarse.counters.n_surrogate == 2


def test_steps_on_the_coarse_model_are_the_same_steps():
    on = posterior()

    def two():
        first = yield Misfit(XI[0])
        second = yield Linearize(XI[1])
        return float(first), second.misfit

    assert drive(on, on_coarse(two())) == drive(on.coarse, two())
    assert on.counters == Counters()


@pytest.mark.parametrize("n_d", [2, 5])
def test_a_jacobian_in_parts_is_the_whole_one(n_d):
    on = LinearGaussian.example(np.random.default_rng(2), 3, n_d).posterior()
    whole = dense_jacobian(on, XI[0]).jacobian
    parts = [drive(on, ask(Jacobian(XI[0], part=slice(k, k + 1)))) for k in range(min(3, n_d))]
    axis = 1 if n_d >= 3 else 0
    np.testing.assert_array_equal(np.concatenate([p.jacobian for p in parts], axis), whole)
    np.testing.assert_array_equal(parts[0].value, on.predict(XI[0]))


class Nowhere:
    """A model that can be solved nowhere."""

    def __init__(self, inner):
        self.m_space, self.d_space, self.kind = inner.m_space, inner.d_space, inner.kind
        self.capabilities = frozenset({"jvp", "vjp"})

    def __call__(self, m, /):
        raise SolverDiverged("planted")

    def linearize(self, m, /):
        raise SolverDiverged("planted")


@pytest.mark.parametrize("wrap", [lambda steps: steps, on_coarse])
@pytest.mark.parametrize("kind", [Linearize, Jacobian])
def test_a_failed_linearization_is_raised_where_it_was_asked_for(kind, wrap):
    on = posterior()
    on.model = WhitenedModel(on.prior, Nowhere(on.model.model))
    on.coarse.model = WhitenedModel(on.prior, Nowhere(on.coarse.model.model))

    def careful():
        try:
            yield kind(XI[0])
        except SolverDiverged as error:
            return f"caught {error}"

    assert drive(on, wrap(careful())) == "caught planted"
    with pytest.raises(SolverDiverged, match="planted"):
        drive(on, wrap(ask(kind(XI[0]))))
    failed = on.counters if wrap is not on_coarse else on.coarse.counters
    assert failed.n_failed + failed.n_surrogate_failed == 2


def test_failed_misfits_are_infinite_and_failed_predictions_not_finite():
    on = posterior()
    on.model = WhitenedModel(on.prior, Nowhere(on.model.model))
    assert np.isinf(drive(on, ask(Misfit(XI)))).all()
    assert np.isnan(drive(on, ask(Predict(XI[0])))).all()
    assert on.counters.n_failed == 5


def test_how_a_run_ended_is_a_number_with_words_and_advice():
    assert [int(e) for e in Ended] == list(range(len(Ended)))
    assert {e for e in Ended if e.converged} == {Ended.CONVERGED, Ended.DRAWN, Ended.FITTED}
    assert Ended(2) is Ended.STALLED
    assert all(e.words and "\n" not in e.words + e.advice for e in Ended)
    assert Ended.CONVERGED.sentence("done") == "done"
    assert Ended.BUDGET.sentence("stopped") == f"stopped; {Ended.BUDGET.advice}"
