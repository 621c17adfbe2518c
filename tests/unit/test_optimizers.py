"""The parts of the optimizers, on problems whose answers are known."""

from dataclasses import dataclass

import numpy as np
import pytest
from folded import two_modes
from scipy.optimize import minimize, rosen, rosen_der

from pdeinv.bayes.fields.base import IndependentField
from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.bayes.prior import FieldPrior
from pdeinv.bayes.transforms import Identity
from pdeinv.engines.agreement import Agreement
from pdeinv.engines.cma import Cma, CmaConfig
from pdeinv.engines.ended import Ended
from pdeinv.engines.gaussian.laplace import Laplace, LaplaceConfig
from pdeinv.engines.gaussian.lbfgs import Memory
from pdeinv.engines.gaussian.map import Map, MapConfig
from pdeinv.engines.gaussian.minimize import find_map
from pdeinv.engines.gaussian.newton_cg import conjugate_gradient, forcing
from pdeinv.engines.gaussian.randomized_eig import Sketch, eigenpairs, grow
from pdeinv.engines.gaussian.starts import Found
from pdeinv.engines.line_search import Point, Trial, backtrack, wolfe_search
from pdeinv.engines.requests import drive
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.model.forward import Capability, Linearization
from pdeinv.model.spaces import Space, Variable

RNG = np.random.default_rng(0)


def unasked(steps):
    """The end of steps that ask no model."""
    return drive(None, steps)


def each(act):
    """An action on vectors as steps that ask no model."""

    def steps(v):
        return act(v)
        yield

    return steps


def solved(act, *arguments):
    return unasked(conjugate_gradient(each(act), *arguments))


def grown_by(act, *arguments):
    return unasked(grow(each(lambda vs: np.array([act(v) for v in vs])), *arguments))


def spd(n, condition=100.0):
    q = np.linalg.qr(np.random.default_rng(1).standard_normal((n, n)))[0]
    return q @ np.diag(np.geomspace(1, condition, n)) @ q.T


def test_conjugate_gradient_solves_in_as_many_steps_as_distinct_eigenvalues():
    q = np.linalg.qr(RNG.standard_normal((30, 30)))[0]
    matrix = q @ np.diag(np.repeat([1.0, 7.0, 40.0], 10)) @ q.T
    b = RNG.standard_normal(30)
    x, n = solved(lambda v: matrix @ v, b, 1e-10, 100)
    assert n == 3
    assert np.allclose(matrix @ x, b)


def test_conjugate_gradient_stops_early_with_a_descent_direction():
    matrix, b = spd(40, 1e6), RNG.standard_normal(40)
    for most in (1, 2, 5):
        x, n = solved(lambda v: matrix @ v, b, 0.0, most)
        assert n == most
        assert x @ b > 0


def test_conjugate_gradient_returns_the_gradient_where_curvature_is_not_positive():
    b = RNG.standard_normal(5)
    x, n = solved(lambda v: -v, b, 1e-8, 10)
    assert np.array_equal(x, b)
    assert n == 1


def test_forcing_follows_eisenstat_and_walker():
    assert forcing(1.0, 0.0, 0.5) == 0.5
    assert forcing(0.1, 1.0, 0.1) == pytest.approx(0.009)
    assert forcing(0.1, 1.0, 0.5) == pytest.approx(0.9 * 0.25)
    assert forcing(5.0, 1.0, 0.1) == 0.5


def searched(search, function, *arguments):
    """A line search on a function that asks no model."""

    def value_at(t):
        yield from ()
        return function(t)

    return drive(None, search(value_at, *arguments))


def test_backtrack_takes_a_full_step_where_it_pays():
    assert searched(backtrack, lambda t: (1 - t) ** 2, 1.0, -2.0) == Trial(1.0, 0.0)


def test_backtrack_shortens_past_failed_solves():
    found = searched(backtrack, lambda t: np.inf if t > 0.2 else 1 - t, 1.0, -1.0)
    assert found == Trial(0.125, 1 - 0.125)


def test_backtrack_gives_up_uphill():
    assert searched(backtrack, lambda t: 1 + t, 1.0, -1.0) == Trial(0.0, 1.0)


def test_lbfgs_direction_is_newton_on_a_quadratic_once_its_memory_is_full():
    hessian, n = spd(6), 6
    s, y = RNG.standard_normal((n, 6)), np.zeros((n, 6))
    for i in range(n):  # conjugate steps make the memory exact
        for j in range(i):
            s[i] -= (s[i] @ hessian @ s[j]) / (s[j] @ hessian @ s[j]) * s[j]
        y[i] = hessian @ s[i]
    g = RNG.standard_normal(6)
    direction = Memory(s, y, n).descent_direction(g)
    assert np.allclose(direction, -np.linalg.solve(hessian, g))


def test_lbfgs_direction_is_that_of_the_updated_inverse_hessian():
    """H ← (I - s yᵀ/yᵀs) H (I - y sᵀ/yᵀs) + s sᵀ/yᵀs from γ I, pair by pair (BFGS)."""
    rng, n = np.random.default_rng(3), 5
    s, hessian = rng.standard_normal((3, n)), spd(n)
    y = s @ hessian
    inverse = (s[-1] @ y[-1]) / (y[-1] @ y[-1]) * np.eye(n)
    for a, b in zip(s, y, strict=True):
        left = np.eye(n) - np.outer(a, b) / (a @ b)
        inverse = left @ inverse @ left.T + np.outer(a, a) / (a @ b)
    g = rng.standard_normal(n)
    assert np.allclose(Memory(s, y, 3).descent_direction(g), -inverse @ g)


def test_lbfgs_without_memory_is_steepest_descent():
    g = RNG.standard_normal(4)
    assert np.array_equal(Memory.empty(3, 4).descent_direction(g), -g)


def test_lbfgs_memory_keeps_the_newest_and_refuses_negative_curvature():
    memory = Memory.empty(2, 3)
    for k in range(1, 4):
        memory = memory.remember(k * np.ones(3), k * np.ones(3))
    assert memory.n_pairs == 2
    assert memory.s[:, 0].tolist() == [2.0, 3.0]
    assert memory.remember(np.ones(3), -np.ones(3)) is memory


def test_wolfe_search_meets_both_conditions_on_rosenbrock():
    x = np.array([-1.2, 1.0])
    start = Point(x, rosen(x), rosen_der(x))
    p = -start.gradient

    def at(t):
        return Point(x + t * p, rosen(x + t * p), rosen_der(x + t * p))

    found = searched(wolfe_search, at, start, p, 1.0)
    t = (found.x - x) @ p / (p @ p)
    assert found.value <= start.value + 1e-4 * t * (start.gradient @ p)
    assert found.gradient @ p >= 0.9 * (start.gradient @ p)


def test_wolfe_search_returns_its_start_where_nothing_is_lower():
    start = Point(np.zeros(1), 0.0, np.array([-1.0]))

    def at(t):
        return Point(np.array([t]), np.inf, start.gradient)

    assert searched(wolfe_search, at, start, np.ones(1), 1.0) is start


def test_randomised_eigenpairs_are_those_of_a_low_rank_matrix():
    q = np.linalg.qr(RNG.standard_normal((80, 12)))[0]
    matrix = q @ np.diag(np.geomspace(1e4, 1e-2, 12)) @ q.T
    sketch = grown_by(lambda v: matrix @ v, Sketch.empty(80), 15, np.random.default_rng(3))
    values, vectors = eigenpairs(sketch)
    assert np.allclose(values[:12], np.geomspace(1e4, 1e-2, 12))
    assert np.allclose(matrix @ vectors[:, :8], vectors[:, :8] * values[:8], atol=1e-6)


def test_a_sketch_that_grew_is_as_good_as_one_made_at_once():
    matrix = spd(60, 1e8)
    calls = []

    def action(v):
        calls.append(0)
        return matrix @ v

    rng = np.random.default_rng(3)
    grown = grown_by(action, grown_by(action, Sketch.empty(60), 20, rng), 40, rng)
    assert len(calls) == 2 * 60
    assert np.allclose(grown.basis.T @ grown.basis, np.eye(60), atol=1e-12)
    assert np.allclose(eigenpairs(grown)[0], np.linalg.eigvalsh(matrix)[::-1])
    assert grown_by(action, grown, 5, rng) is grown


@dataclass(frozen=True)
class Waves:
    """G(m) = (m0 + 0.4 m1², 2 sin(m1)), with derivatives; nonlinear enough for many minima."""

    wrong: float = 0.0
    kind: str = "reference"

    m_space = Space((Variable("m", ("i",), (2,)),))
    d_space = Space((Variable("d", ("j",), (2,)),))
    capabilities = frozenset({Capability.JVP, Capability.VJP})

    def __call__(self, m, /):
        return np.array([m[0] + 0.4 * m[1] ** 2, 2 * np.sin(m[1])])

    def linearize(self, m, /):
        jacobian = np.array([[1.0, 0.8 * m[1]], [self.wrong, 2 * np.cos(m[1])]])
        jacobian = -jacobian if self.wrong else jacobian
        return Linearization(self(m), lambda dm: jacobian @ dm, lambda w: jacobian.T @ w)


PRIOR = FieldPrior(
    Waves.m_space, IndependentField(np.array([0.5, 1.0]), np.array([1.0, 2.0])), Identity()
)


def waves(**options):
    model = WhitenedModel(PRIOR, Waves(**options))
    return Posterior(PRIOR, model, np.array([1.0, 1.2]), Noise(np.array([0.1, 0.2])))


@pytest.mark.parametrize("method", ["newton-cg", "lbfgs"])
def test_map_of_a_nonlinear_model_is_the_minimum_that_scipy_finds(method, tmp_path):
    on = waves()
    found = run(Map(MapConfig(method=method)), waves, Run(0, tmp_path)).outcome
    best = minimize(on.neg_log_posterior, found.xi[0, 0], method="Nelder-Mead", tol=1e-12)
    search = find_map(waves(), np.random.default_rng(0), MapConfig(method=method))
    by_hand = drive(waves(), search)
    assert found.converged
    assert np.allclose(found.xi[0, 0], best.x, atol=1e-4)
    assert found.stats["lp"][0, 0] == pytest.approx(-best.fun, abs=1e-8)
    assert np.array_equal(by_hand, found.xi[0, 0])


def test_several_starts_keep_the_best_and_record_all(tmp_path):
    found = run(Map(MapConfig(starts=12)), waves, Run(0, tmp_path)).outcome
    optima = found.groups["optima"]
    assert optima.searches.values.sum() == 12
    assert optima.sizes["optimum"] == found.summary["optima"] > 1
    assert np.ptp(optima.objective.values) > 0.1
    assert -found.stats["lp"][0, 0] == optima.objective.values.min()
    assert np.isclose(optima.mass.values.sum(), 1)
    assert "12 searches found" in found.message
    assert np.all(np.diff(found.groups["course"].objective) <= 1e-12)


def test_a_worse_first_start_gives_way_to_the_best(tmp_path):
    """From the second of two minima, which holds three quarters of the mass of the first."""
    seeds = range(6)
    ones = [
        run(Map(MapConfig(starts=n, start="prior")), waves, Run(s, tmp_path / f"{n}{s}")).outcome
        for s in seeds
        for n in (1, 12)
    ]
    lps = np.array([one.stats["lp"][0, 0] for one in ones]).reshape(-1, 2)
    assert np.ptp(lps[:, 0]) > 0.1  # negative control: one start ends here or there
    assert np.ptp(lps[:, 1]) < 1e-6
    assert np.all(lps[:, 1] >= lps[:, 0] - 1e-9)


class Ripples(Waves):
    """G(m) = m + 2 sin(12 m): minima of many heights."""

    def __call__(self, m, /):
        return m + 2 * np.sin(12 * m)

    def linearize(self, m, /):
        jacobian = np.diag(1 + 24 * np.cos(12 * m))
        return Linearization(self(m), lambda dm: jacobian @ dm, lambda w: jacobian.T @ w)


def ripples():
    data, noise = Ripples()(np.array([1.0, 2.0])), Noise(np.array([0.5, 0.5]))
    return Posterior(PRIOR, WhitenedModel(PRIOR, Ripples()), data, noise)


@pytest.mark.parametrize(
    ("engine", "seed"),
    [(Map(MapConfig(starts=8)), 2), (Cma(CmaConfig(searches=6, sigma=0.02)), 4)],
)
def test_the_best_of_searches_that_mostly_ended_alone_is_not_converged(engine, seed, tmp_path):
    found = run(engine, ripples, Run(seed, tmp_path / "many")).outcome
    assert found.ended is Ended.ALONE
    assert not found.converged
    assert "searches that ended at a minimum are at a height of their own" in found.message
    assert Ended.ALONE.advice in found.message
    two = run(engine, waves, Run(0, tmp_path / "few")).outcome
    assert two.converged
    assert "of their own" not in two.message


def test_a_laplace_approximation_about_such_a_best_is_not_converged(monkeypatch, tmp_path):
    linear = LinearGaussian.example(np.random.default_rng(3)).posterior
    assert run(Laplace(LaplaceConfig()), linear, Run(0, tmp_path / "one")).outcome.converged
    monkeypatch.setattr(Found, "agreement", Agreement(5, 4, best_alone=True))
    found = run(Laplace(LaplaceConfig()), linear, Run(0, tmp_path / "two")).outcome
    assert found.ended is Ended.ALONE
    assert found.message.startswith("4 of 5 searches that ended at a minimum")


@pytest.mark.parametrize(
    ("heights", "scattered", "doubtful"),
    [
        ([], False, False),
        ([7.0], False, False),
        ([7.0, 7.0], False, False),
        ([7.0, 9.0], True, True),
        ([9.0, 7.0, 9.0, 9.0], False, False),
        ([9.0, 7.0, 11.0, 11.0], False, False),  # half of them: as likely as not
        ([9.0, 7.0, 11.0, 13.0, 13.0], True, True),
        ([9.0, 7.0, 7.2, 11.0, 13.0], True, False),  # none is lower by more than matters
    ],
)
def test_the_best_is_doubtful_where_it_and_most_others_are_alone(heights, scattered, doubtful):
    found = Agreement.of(np.array(heights))
    assert (found.scattered, found.doubtful) == (scattered, doubtful)


def test_two_minima_of_like_mass_are_a_warning_and_no_laplace_approximation(tmp_path):
    found = run(Laplace(LaplaceConfig(starts=8)), two_modes, Run(0, tmp_path / "two")).outcome
    assert not found.converged
    assert "2 distinct optima" in found.message
    assert found.message.startswith("the posterior has several modes; one Gaussian does not stand")
    best = run(Map(MapConfig(starts=8)), two_modes, Run(0, tmp_path / "map")).outcome
    assert "the posterior has several modes" in best.message
    linear = LinearGaussian.example(np.random.default_rng(3)).posterior
    one = run(Laplace(LaplaceConfig(starts=8)), linear, Run(0, tmp_path / "one")).outcome
    assert one.converged
    assert "the posterior has several modes" not in one.message


@pytest.mark.parametrize("method", ["newton-cg", "lbfgs"])
def test_a_wrong_derivative_stalls_and_says_so(method, tmp_path):
    found = run(Map(MapConfig(method=method)), lambda: waves(wrong=5.0), Run(0, tmp_path)).outcome
    assert not found.converged
    assert "stalled" in found.message
    assert "pdeinv check" in found.message


def test_few_iterations_are_not_called_converged(tmp_path):
    found = run(Map(MapConfig(max_iterations=2)), waves, Run(0, tmp_path)).outcome
    assert not found.converged
    assert "stopped at the largest number of iterations" in found.message
