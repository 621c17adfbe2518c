"""The search among simulations against what is known of the minimum and of every simulation."""

from dataclasses import replace

import numpy as np
import pytest
from folded import two_modes
from functions import Function, posterior_of

from pdeinv.bayes.bernoulli import Bernoulli
from pdeinv.bayes.dice import Dice
from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.prior import cost
from pdeinv.bayes.simulations import READ, Simulations
from pdeinv.engines.cma import Cma, CmaConfig
from pdeinv.engines.database.config import DatabaseConfig
from pdeinv.engines.database.engine import Database
from pdeinv.engines.database.hits import Hits
from pdeinv.engines.ended import Ended
from pdeinv.engines.gaussian.map import Map, MapConfig
from pdeinv.engines.requests import drive
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Budget, Run
from pdeinv.errors import CapabilityError, RunFailed, SolverDiverged
from pdeinv.model.forward import Linearization
from pdeinv.rng import stream

CASE = LinearGaussian.example(np.random.default_rng(5), 4, 9)
X = np.linspace(-2, 2, 50)


def inside(m):
    """z of a band about m_0 of half width exp(m_1 / 2), whose edges are steps."""
    return np.where(np.abs(X - m[0]) < np.exp(0.5 * m[1]), 3.0, -3.0)


BAND = np.where(np.abs(X - 0.4) < 0.8, 1.0, 0.0)
BANDS = [Dice((0,) * 50), Dice((0, 1) * 25), Bernoulli(50, "threshold"), Noise(np.full(50, 0.4))]


def band(law):
    """The same band seen as zeros and ones, or as z with additive noise."""
    return posterior_of(inside, 6 * BAND - 3 if isinstance(law, Noise) else BAND, law)


def found(on, folder, seed=2, spec=None, **options):
    how = {"seed": seed, "folder": folder, **(spec or {})}
    return run(Database(DatabaseConfig(**options)), lambda: on, Run(**how))


def drawn(on, n, seed=2):
    """The prior draws of a run and their Φ + R, one by one."""
    xi = stream(seed, "chain", 0).standard_normal((n, on.dim))
    return xi, np.array([float(on.neg_log_posterior(one)) for one in xi])


def test_what_is_kept_are_the_best_of_all_prior_draws(tmp_path):
    on = posterior_of(inside, BAND, BANDS[0])
    hits = found(on, tmp_path, n=130, keep=7, refine="none").outcome.groups["hits"]
    xi, score = drawn(on, 130)
    best = np.argsort(score, kind="stable")[:7]
    np.testing.assert_array_equal(hits["simulation"], best)
    np.testing.assert_array_equal(hits["xi"], xi[best])
    np.testing.assert_array_equal(hits["objective"], score[best])
    np.testing.assert_array_equal(hits["m"], on.prior.unwhiten(xi[best]))


def test_it_finds_the_minimum_that_is_known(tmp_path):
    on = CASE.posterior()
    outcome = found(on, tmp_path, n=50).outcome
    assert outcome.ended is Ended.CONVERGED
    np.testing.assert_allclose(on.prior.unwhiten(outcome.xi[0, 0]), CASE.exact()[0], atol=1e-6)
    before = outcome.summary["objective_simulated"]
    assert before == drawn(on, 50)[1].min()
    assert outcome.summary["objective"] < before
    assert outcome.message.startswith(f"the best of 50 simulations has objective {before:.4g}, ref")


@pytest.mark.parametrize("law", BANDS, ids=lambda law: type(law).__name__)
def test_without_derivatives_it_searches_by_an_evolution_strategy(law, tmp_path):
    on = band(law)
    outcome = found(on, tmp_path, n=64).outcome
    assert "cma converged" in outcome.message
    centre, width = outcome.xi[0, 0, 0], np.exp(0.5 * outcome.xi[0, 0, 1])
    assert abs(centre - 0.4) < 0.12
    assert abs(width - 0.8) < 0.12


def test_a_good_start_saves_the_search_most_of_its_solves(tmp_path):
    """The search from the best hits begins where they are, as wide as they are apart."""
    truth = np.array([1.9, -1.7])
    on = posterior_of(lambda m: m, truth, Noise(np.full(2, 0.02)))
    mine = found(on, tmp_path / "mine", n=400, refine="cma")
    alone = run(Cma(CmaConfig(searches=1)), lambda: on, Run(2, tmp_path / "alone"))
    np.testing.assert_allclose(mine.outcome.xi, alone.outcome.xi, atol=1e-2)
    hits = mine.outcome.groups["hits"]["xi"].values
    assert np.abs(hits - truth).max() < 1
    assert mine.counters.n_forward - 400 < alone.counters.n_forward


def test_searches_start_from_the_hits_and_find_both_modes(tmp_path):
    """From one start there is one minimum; hits lie about both, the better of which is told."""
    outcome = found(two_modes(), tmp_path / "two", n=64, starts=8).outcome
    assert outcome.summary["optima"] == 2
    optima = outcome.groups["optima"]
    assert optima["searches"].sum() == 8
    alone = found(two_modes(), tmp_path / "one", n=64, starts=1).outcome
    assert "optima" not in alone.summary
    np.testing.assert_allclose(outcome.xi, alone.xi, atol=1e-4)


def test_a_global_minimum_that_the_prior_mean_does_not_lead_to(tmp_path):
    """Many side minima: one of the best of many draws lies in the right one."""

    class Waves(Function):
        capabilities = frozenset({"jvp", "vjp"})

        def linearize(self, m):
            slope = np.diag(1 - 3.0 * np.sin(6 * m))
            return Linearization(self(m), lambda v: slope @ v, lambda w: slope.T @ w)

    model = Waves(lambda m: m + 0.5 * np.cos(6 * m), 2)
    on = posterior_of(model, model(np.array([1.6, -1.2])), Noise(np.full(2, 0.05)))
    from_mean = run(Map(MapConfig(starts=1)), lambda: on, Run(2, tmp_path / "map")).outcome
    searched = found(on, tmp_path / "mine", n=512, starts=8).outcome
    grid = np.stack(np.meshgrid(*2 * [np.linspace(-3, 3, 601)]), axis=-1).reshape(-1, 2)
    lowest = (on.misfit_of(model(grid)) + cost(grid)).min()
    assert -searched.stats["lp"].item() < lowest + 0.01
    assert -from_mean.stats["lp"].item() > lowest + 0.5


def test_without_refinement_nothing_has_converged(tmp_path):
    outcome = found(CASE.posterior(), tmp_path, n=50, refine="none").outcome
    assert outcome.ended is Ended.UNREFINED
    assert not outcome.converged
    assert outcome.message.startswith("database finished: the best of 50 simulations has objective")
    assert outcome.message.endswith("; the best of what was simulated and no minimum: set refine "
                                    "to 'local' or 'cma'")  # fmt: skip


@pytest.mark.parametrize("how", ["local", "cma"])
def test_a_refinement_that_is_cut_has_not_converged(how, tmp_path):
    outcome = found(CASE.posterior(), tmp_path, n=50, refine=how, max_iterations=1).outcome
    assert outcome.ended is Ended.RUNNING
    assert "stopped at the largest number of iterations" in outcome.message.partition(";")[0]
    assert "; the best of 50 simulations" in outcome.message


def test_data_that_no_unknown_explains_are_told(tmp_path):
    wrong = replace(CASE.posterior(), data=CASE.data + 50 * np.tile([1.0, -1.0], 5)[:9])
    assert found(wrong, tmp_path, n=50).outcome.ended is Ended.MISSED


def test_slopes_that_are_not_there_are_refused_before_any_solve(tmp_path):
    on = posterior_of(inside, BAND, BANDS[0])
    with pytest.raises(CapabilityError, match="engine 'database' with refine 'local' needs jvp"):
        found(on, tmp_path, refine="local")
    assert on.counters.n_forward == 0


def never(m):
    raise SolverDiverged("everywhere")


def test_where_nothing_is_solved_it_says_so(tmp_path):
    with pytest.raises(RunFailed, match="none of 9 simulations can be solved; check the problem"):
        found(posterior_of(never, np.zeros(2), Noise(np.ones(2))), tmp_path, n=9)


def half(m):
    if m[0] < 0.2:
        raise SolverDiverged("left of the edge")
    return m


def test_simulations_that_fail_are_left_out(tmp_path):
    on = posterior_of(half, np.array([0.6, -0.5]), Noise(np.full(2, 0.1)))
    failed = int((stream(2, "chain", 0).standard_normal((15, 2))[:, 0] < 0.2).sum())
    counted = found(on, tmp_path / "few", n=15, refine="none")
    assert counted.counters.n_failed == failed > 3
    kept = counted.outcome.groups["hits"]
    assert kept.sizes["hit"] == min(8, 15 - failed)
    assert (kept["xi"][:, 0] >= 0.2).all()


# ---- simulations that are at hand ----


def held(on, n=300, seed=9, spoil=None):
    """The posterior with simulations of its own model, or of one that says something else."""
    xi = np.random.default_rng(seed).standard_normal((n, on.dim))
    predictions = on.predict(xi)
    if spoil is not None:
        spoil(predictions)
    return replace(on, simulations=Simulations("data.nc", xi, predictions, on.data, on.likelihood))


@pytest.mark.parametrize("law", BANDS, ids=lambda law: type(law).__name__)
def test_simulations_at_hand_are_searched_without_a_solve(law, tmp_path):
    on = held(band(law))
    result = found(on, tmp_path, simulations="data.nc", keep=5, refine="none")
    score = law.misfit(on.simulations.predictions, on.data) + cost(on.simulations.xi)
    best = np.argsort(score, kind="stable")[:5]
    hits = result.outcome.groups["hits"]
    np.testing.assert_array_equal(hits["simulation"], best)
    np.testing.assert_array_equal(hits["score"], score[best])
    assert result.counters.n_forward == 5
    assert result.outcome.message.startswith("database finished: the best of 300 simulations in da")


def test_the_model_of_the_run_has_the_last_word(tmp_path):
    """Predictions of a file may be of another mesh, or wrong: they only choose."""

    def flattered(predictions):
        predictions[17] = CASE.data

    on = held(CASE.posterior(), spoil=flattered)
    outcome = found(on, tmp_path, simulations="data.nc", refine="none").outcome
    hits = outcome.groups["hits"]
    at = int(np.flatnonzero(hits["simulation"] == 17)[0])
    assert at > 0
    assert hits["score"][at] == hits["score"].min()
    true = on.neg_log_posterior(on.simulations.xi[17])
    np.testing.assert_allclose(hits["objective"][at], true)
    np.testing.assert_array_equal(hits["objective"], np.sort(hits["objective"]))


def test_hits_that_the_model_cannot_solve_are_dropped_and_all_of_them_end_the_run(tmp_path):
    on = posterior_of(half, np.array([0.15, -0.5]), Noise(np.full(2, 0.1)))
    xi = np.random.default_rng(3).standard_normal((200, 2))
    both = replace(on, simulations=Simulations("d.nc", xi, xi.copy(), on.data, on.likelihood))
    kept = found(both, tmp_path / "some", simulations="d.nc", keep=20, refine="none")
    hits = kept.outcome.groups["hits"]
    assert 0 < hits.sizes["hit"] < 20
    assert (hits["xi"][:, 0] >= 0.2).all()
    left = xi[xi[:, 0] < 0.2]
    none = replace(on, simulations=Simulations("d.nc", left, left.copy(), on.data, on.likelihood))
    with pytest.raises(RunFailed, match="none of the best 8 simulations can be solved"):
        found(none, tmp_path / "none", simulations="d.nc")


def test_predictions_that_are_not_finite_are_never_a_hit(tmp_path):
    def spoilt(predictions):
        predictions[::2] = np.nan

    on = held(CASE.posterior(), spoil=spoilt)
    hits = found(on, tmp_path, simulations="data.nc", refine="none").outcome.groups["hits"]
    assert (hits["simulation"] % 2 == 1).all()


class Counted:
    """Rows that note which of them were asked for at a time."""

    def __init__(self, values):
        self.values, self.asked = values, []

    def __len__(self):
        return len(self.values)

    def __getitem__(self, rows):
        self.asked.append(rows.stop - rows.start)
        return self.values[rows]


def test_blocks_bound_the_memory_and_change_no_bit():
    n_data = READ // 8
    rng = np.random.default_rng(1)
    z, y = rng.standard_normal((19, n_data)), np.where(rng.random(n_data) < 0.4, 1.0, 0.0)
    law = Dice(tuple((np.arange(n_data) % 2).tolist()))
    rows = Counted(z)
    at_hand = Simulations("d.nc", np.zeros((19, 2)), rows, y, law)
    whole = at_hand.misfit(range(19))
    assert max(rows.asked) == 8
    np.testing.assert_array_equal(whole, law.misfit(z, y))
    parts = [at_hand.misfit(range(i, min(i + 5, 19))) for i in range(0, 19, 5)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    assert at_hand.misfit(range(3, 3)).shape == (0,)


@pytest.mark.parametrize("how", ["local", "cma", "none"])
@pytest.mark.parametrize("solves", [1, 4, 9, 30])
def test_a_search_in_simulations_resumes_to_the_same_bits(how, solves, tmp_path):
    on = held(CASE.posterior())
    options = {"simulations": "data.nc", "refine": how}
    whole = found(on, tmp_path / "whole", **options).outcome
    cut = {"budget": Budget(n_forward=solves), "checkpoint_seconds": 0}
    found(on, tmp_path / "cut", spec=cut, **options)
    again = found(on, tmp_path / "cut", spec={"resume": True}, **options).outcome
    np.testing.assert_array_equal(again.xi, whole.xi)
    assert (again.message, again.summary) == (whole.message, whole.summary)
    assert again.groups["hits"].identical(whole.groups["hits"])


def test_a_posterior_without_the_file_is_refused(tmp_path):
    with pytest.raises(CapabilityError, match=r"is to search in data\.nc, which this posterior"):
        found(CASE.posterior(), tmp_path, simulations="data.nc")


def test_a_search_begins_as_wide_as_the_hits_are_apart():
    on, rng = posterior_of(lambda m: m, np.zeros(2), Noise(np.ones(2))), np.random.default_rng(0)
    xi = np.array([[1.0, 2.0], [1.3, 2.0], [0.7, 2.0], [1.0, 5.0]])
    hits = Hits.of(0, xi, np.arange(4.0))
    np.testing.assert_allclose(hits.spread, [np.sqrt(0.06), 1.0])
    np.testing.assert_allclose(hits.rows(np.arange(1)).spread, [0.5, 0.5])
    np.testing.assert_allclose(hits.rows(np.array([0, 2])).spread, [0.3, 0.1])
    engine = Cma(CmaConfig(population=2000), hits.spread)
    state = drive(on, engine.init(on, rng, xi[0]))
    asked = next(engine.step(on, state, rng)).xi
    np.testing.assert_allclose(asked.mean(axis=0), xi[0], atol=0.1)
    np.testing.assert_allclose(asked.std(axis=0), hits.spread, rtol=0.1)


class Edge(Function):
    """z of a smooth edge at m_0 with slope exp(m_1), with its derivative."""

    capabilities = frozenset({"jvp", "vjp"})

    def __init__(self):
        super().__init__(lambda m: (X - m[0]) * np.exp(m[1]), len(X))

    def linearize(self, m):
        slope = np.stack([np.full(len(X), -np.exp(m[1])), self(m)], axis=1)
        return Linearization(self(m), lambda v: slope @ v, lambda w: slope.T @ w)


def test_by_slopes_it_takes_the_method_that_suits_the_likelihood(tmp_path):
    on = posterior_of(Edge(), (X > 0.3) * 1.0, Bernoulli(50, "threshold"))
    seen = found(on, tmp_path / "seen", n=64).outcome
    assert "; lbfgs converged" in seen.message
    forced = found(on, tmp_path / "forced", n=64, method="newton-cg").outcome
    assert "; newton-cg " in forced.message
    noisy = found(CASE.posterior(), tmp_path / "noisy", n=64).outcome
    assert "; newton-cg converged" in noisy.message


def test_no_step_holds_many_simulations_and_none_is_left_out():
    for n in (1, 63, 65, 1024, 5000):
        engine = Database(DatabaseConfig(n=n, refine="none"))
        on, rng = (
            posterior_of(lambda m: m, np.zeros(2), Noise(np.ones(2))),
            np.random.default_rng(0),
        )
        state, steps = drive(on, engine.init(on, rng)), 0
        while not engine.finished(state):
            before, steps = state.done, steps + 1
            state = drive(on, engine.step(on, state, rng))
            assert 1 <= state.done - before <= 32
        assert state.done == n
        assert steps <= engine.n_steps
