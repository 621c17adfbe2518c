"""Parts of Hamiltonian Monte Carlo: moves, divergences, what the warm-up learns."""

import contextlib
from dataclasses import replace

import numpy as np
import pytest

from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.posterior import WhitenedModel
from pdeinv.bayes.reference import Reference
from pdeinv.engines.mcmc.adaptation import (
    Moments,
    Path,
    rebased,
    turning_points,
    with_directions,
)
from pdeinv.engines.mcmc.hmc import Hmc, HmcConfig
from pdeinv.engines.mcmc.kernel import Kernel, reference_for
from pdeinv.engines.mcmc.start import ABSURD, dispersed_start
from pdeinv.engines.requests import Misfit, advance, answered, drive
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.engines.solvable import Place
from pdeinv.errors import CapabilityError, SolverDiverged
from pdeinv.model.forward import Capability
from pdeinv.plugins import registry

CASE = LinearGaussian.example(np.random.default_rng(3), 4, 6)
ELSEWHERE = Reference.from_moments(np.full(4, 0.3), np.diag([0.5, 1.0, 1.5, 0.8]))


def at(posterior, kernel, seed=0):
    xi = np.random.default_rng(seed).standard_normal(4)
    return drive(posterior, kernel.at(Place(xi, float(posterior.misfit(xi)))))


def flown(posterior, kernel, here, velocity, n):
    for _ in range(n):
        here, velocity = drive(posterior, kernel.leapfrog(here, velocity, 0.4 / n))
    return here, velocity


def test_a_path_back_ends_where_it_began():
    on, kernel = CASE.posterior(), Kernel(ELSEWHERE, 0.0, guided=True)
    here, velocity = at(on, kernel), np.array([0.3, -1.0, 0.2, 0.9])
    there, fast = flown(on, kernel, here, velocity, 5)
    back, slow = flown(on, kernel, there, -fast, 5)
    assert np.allclose(back.z, here.z, atol=1e-12)
    assert np.allclose(slow, -velocity, atol=1e-12)


def test_the_energy_error_falls_with_the_square_of_the_step():
    on, kernel = CASE.posterior(), Kernel(ELSEWHERE, 0.0, guided=True)
    here, velocity = at(on, kernel), np.array([0.3, -1.0, 0.2, 0.9])
    errors = []
    for n in (32, 64, 128):
        there, fast = flown(on, kernel, here, velocity, n)
        errors.append(abs(there.energy(fast) - here.energy(velocity)))
    slopes = np.diff(np.log2(errors))
    assert np.allclose(slopes, -2, atol=0.1)


def test_a_point_about_another_reference_is_the_point_asked_for_there():
    on = CASE.posterior()
    old, new = Kernel(Reference.standard(4), 0.0, True), Kernel(ELSEWHERE, 0.0, True)
    moved, asked = rebased(at(on, old), old.reference, new.reference), at(on, new)
    assert np.allclose(moved.z, asked.z)
    assert np.isclose(moved.psi, asked.psi)
    assert np.allclose(moved.gradient, asked.gradient)


@pytest.mark.parametrize("dim", [5, 300])
def test_moments_of_many_draws_become_the_reference(dim):
    rng = np.random.default_rng(0)
    q = np.linalg.qr(rng.standard_normal((dim, 3)))[0]
    start = with_directions(Reference(np.zeros(dim), q, np.array([-0.5, 0.2, 0.0])))
    true = Reference(q @ np.array([0.5, -1.0, 0.2]), q, np.array([-0.9, 1.5, 0.4]))
    moments = Moments.none(start)
    for _ in range(20000):
        moments = moments.with_draw(start, start.whiten(true.unwhiten(rng.standard_normal(dim))))
    found = moments.refined(start)
    covariances = [(r.basis * r.excess) @ r.basis.T for r in (found, true)]
    assert np.abs(found.mean - true.mean).max() < 0.05
    assert np.abs(covariances[0] - covariances[1]).max() < 0.08


def rises(starts):
    """Of J over its minimum at each start from a reference ten times too wide, by dimension."""
    on = CASE.posterior()
    reference = drive(on, reference_for(on, np.random.default_rng(0)))
    wide = replace(reference, excess=100 * (1 + reference.excess) - 1)
    least = float(on.neg_log_posterior(reference.mean))
    found = [starts(wide, np.random.default_rng(k)) for k in range(30)]
    return np.array([float(on.neg_log_posterior(xi)) - least for xi in found]) / 4


def test_no_chain_starts_at_an_absurd_energy():
    found = rises(lambda wide, rng: drive(CASE.posterior(), dispersed_start(wide, rng)).xi)
    assert found.max() <= ABSURD
    assert np.std(found) > 0.1  # they are not all at the mean


def test_draws_of_a_reference_that_is_too_wide_are_absurd():
    """Negative control."""
    assert rises(lambda wide, rng: wide.unwhiten(rng.standard_normal(4))).max() > 2 * ABSURD


def test_few_draws_hardly_move_the_reference():
    start = with_directions(Reference.standard(50))
    moments = Moments.none(start).with_draw(start, np.full(50, 9.0))
    assert moments.refined(start) is start
    moments = moments.with_draw(start, np.full(50, 9.0))
    assert np.abs(moments.refined(start).mean).max() < 0.2


def test_without_a_hessian_the_first_directions_are_learned():
    found = with_directions(Reference.standard(500))
    assert found.basis.shape == (500, 200)
    assert np.array_equal(found.root(np.arange(500.0)), np.arange(500.0))


@pytest.mark.parametrize("start", [0.6, 2.3])
def test_the_path_of_a_gaussian_becomes_a_quarter_turn(start):
    rng, path = np.random.default_rng(1), Path(np.log(start))
    for k in range(1, 4000):
        z, v = rng.standard_normal((2, 20))
        t = np.exp(path.log_mean) * rng.uniform(0.6, 1.4)
        there, speed = np.cos(t) * z + np.sin(t) * v, np.cos(t) * v - np.sin(t) * z
        slope = t * (there @ there - z @ z) * (there @ speed)
        path = path.climbed(slope, k)
    assert 1.2 < np.exp(path.log_mean) < 1.8


def test_the_path_may_be_given(tmp_path):
    config = HmcConfig(chains=2, draws=200, warmup=50, path=0.8)
    found = run(Hmc(config), CASE.posterior, Run(0, tmp_path)).outcome
    assert 0.7 < found.summary["path"] < 0.9


def test_turning_points_are_in_order_however_short_the_warmup():
    for warmup in (0, 1, 2, 7, 500):
        points = turning_points(warmup)
        assert points == sorted(points)
        assert points[-1] <= warmup


class Walled:
    """A model that cannot be solved, or has no gradient, where the first unknown is large."""

    def __init__(self, inner, limit, *, raises):
        self.inner, self.limit, self.raises = inner, limit, raises
        self.m_space, self.d_space, self.kind = inner.m_space, inner.d_space, inner.kind
        self.capabilities = inner.capabilities - {Capability.ROWS, Capability.BATCH}

    def __call__(self, m):
        if self.raises and m[0] > self.limit:
            raise SolverDiverged("planted")
        return self.inner(m)

    def linearize(self, m):
        at = replace(self.inner.linearize(m), value=self(m))
        return replace(at, vjp=lambda _: np.full(len(m), np.nan)) if m[0] > self.limit else at


@pytest.mark.parametrize("raises", [True, False], ids=["failed solve", "NaN"])
def test_a_trajectory_into_a_wall_is_a_counted_rejection(raises, tmp_path):
    whole = CASE.posterior()
    mean, covariance = CASE.exact()
    limit = mean[0] + 1.5 * np.sqrt(covariance[0, 0])
    model = WhitenedModel(whole.prior, Walled(whole.model.model, limit, raises=raises))
    on = replace(whole, model=model)
    config = HmcConfig(chains=2, draws=300, warmup=50)
    found = run(Hmc(config), lambda: on, Run(0, tmp_path)).outcome
    m = on.prior.unwhiten(found.xi)
    assert m[..., 0].max() <= limit
    assert np.isfinite(found.stats["misfit"]).all()
    assert found.summary["divergences"] == found.stats["diverging"].sum() > 5
    assert 0.2 < found.summary["acceptance_rate"] < 0.99


def test_a_model_without_walls_has_no_divergence(tmp_path):
    """Negative control."""
    found = run(Hmc(HmcConfig(chains=2, draws=100, warmup=50)), CASE.posterior, Run(0, tmp_path))
    assert found.outcome.summary["divergences"] == 0
    assert found.outcome.summary["acceptance_rate"] > 0.8


def test_a_chain_solves_for_no_point_of_its_start_twice():
    on, found, asked = CASE.posterior(), None, []
    steps = Hmc(HmcConfig()).init(on, np.random.default_rng(0))
    with contextlib.suppress(StopIteration):
        while True:
            request = advance(steps, found)
            if isinstance(request, Misfit) and request.xi.ndim == 1:
                asked.append(request.xi)
            found = answered(on, request)
    last = [np.array_equal(asked[-1], xi) for xi in asked[:-1]]
    assert len(last) > 1
    assert not any(last)


def test_every_gradient_of_a_draw_is_counted(tmp_path):
    def go(draws, folder):
        engine = Hmc(HmcConfig(chains=1, draws=draws, warmup=0, max_leapfrogs=3))
        return run(engine, CASE.posterior, Run(0, folder))

    few, many = go(20, tmp_path / "few"), go(60, tmp_path / "many")
    steps = many.outcome.stats["n_steps"]
    assert 1 <= steps.min() <= steps.max() <= 3
    assert many.counters.n_forward - few.counters.n_forward == steps[0, 20:].sum()


def test_a_model_without_adjoint_is_refused(tmp_path):
    whole = CASE.posterior()
    inner = Walled(whole.model.model, np.inf, raises=False)
    inner.capabilities = frozenset()
    on = replace(whole, model=WhitenedModel(whole.prior, inner))
    with pytest.raises(CapabilityError, match="engine 'hmc' needs vjp"):
        run(registry.load("engines", "hmc")(HmcConfig()), lambda: on, Run(0, tmp_path))
