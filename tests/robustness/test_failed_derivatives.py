"""A solve, tangent or adjoint that fails or is not finite: one typed, counted thing everywhere.

Each engine meets a model that fails for some unknowns, by an error or by NaN, one point at a time
and in rows.
"""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
from ours import LEARNED, ours

from pdeinv.bayes.check import derivatives_at_a_draw
from pdeinv.bayes.counters import Counters
from pdeinv.bayes.fields.base import IndependentField
from pdeinv.bayes.jacobian import dense_jacobian, dense_jacobians
from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.bayes.prior import FieldPrior
from pdeinv.bayes.reference import Reference
from pdeinv.bayes.transforms import Identity
from pdeinv.engines.gaussian.newton_cg import conjugate_gradient
from pdeinv.engines.gaussian.randomized_eig import Sketch, eigenpairs, grow
from pdeinv.engines.mcmc.kernel import Kernel
from pdeinv.engines.requests import drive
from pdeinv.engines.run.driver import run
from pdeinv.engines.run.spec import Run
from pdeinv.engines.solvable import Place
from pdeinv.errors import RunFailed, SolverDiverged
from pdeinv.model.forward import (
    DERIVATIVES,
    Capability,
    Linearization,
    LinearModel,
    Rows,
    RowsLinearization,
)
from pdeinv.model.rows import evaluate, linearize, linearize_rows
from pdeinv.model.spaces import Space, Variable
from pdeinv.plugins import registry
from pdeinv.plugins.conformance.engine_failures import Failing
from pdeinv.rng import stream

CASE = LinearGaussian.example(np.random.default_rng(0), 3, 12)
OPTIONS = {
    "map": {},
    "lbfgs": {"method": "lbfgs"},
    "laplace": {"draws": 50},
    "gaussian": {"draws": 50, "chains": 2},
    "gauss-newton": {"start": "prior", "regularization": "prior"},
    "pcn": {"chains": 2, "draws": 200, "warmup": 50},
    "pcn-laplace": {"chains": 2, "draws": 200, "warmup": 50, "proposal": "laplace"},
    "hmc": {"chains": 2, "draws": 100, "warmup": 50},
    "emcee": {"ensembles": 2, "draws": 30, "warmup": 5, "thin": 2},
    "eki": {"ensemble_size": 60},
    "cma": {"searches": 2},
    "database": {"n": 200},
    "database-cma": {"n": 200, "refine": "cma"},
    "daps": {"chains": 2, "particles": 5, "levels": 10},
    "dds": {"chains": 2, "particles": 5, "levels": 10},
    "diffpir": {"chains": 2, "particles": 5, "levels": 10},
    "dmps": {"chains": 2, "particles": 5, "levels": 10},
    "dps": {"chains": 2, "particles": 5, "levels": 10},
    "enkg": {"ensemble_size": 20, "levels": 10},
    "fundps": {"chains": 2, "particles": 5, "levels": 10},
    "pigdm": {"chains": 2, "particles": 5, "levels": 10},
    "pnp-dm": {"chains": 2, "draws": 60, "warmup": 30},
    "two-level": {"chains": 2, "draws": 30, "warmup": 5, "tuning": 40, "subchain": 2},
}
KIND = {"lbfgs": "map", "pcn-laplace": "pcn", "database-cma": "database"}
EXEMPT = {"d-bar", "diffusionpde", "pinn", "red-diff", *LEARNED}
"""They solve once (tests/verification/test_dbar.py, tests/surrogate/test_pinn.py), polish with the
steps of gauss-newton (tests/unit/test_learned_engine.py), or end in one line where no field is left
that can be solved (tests/contract/test_engines.py)."""

PARTS = ["value", "tangent", "adjoint"]
WAYS = pytest.mark.parametrize("as_nan", [False, True], ids=["raised", "NaN"])
HOW = pytest.mark.parametrize("rows", [False, True], ids=["one by one", "rows"])


def asked(model, rows):
    model.capabilities = DERIVATIVES | ({Capability.ROWS} if rows else set())
    return model


def failing(inner, above, parts, *, as_nan=False, rows=False):
    return asked(Failing(inner, above, parts, as_nan), rows)


def posterior(part, as_nan, rows):
    """Fails from a standard deviation above the posterior mean on, its coarse twin as well."""
    on = CASE.posterior(replace(CASE, matrix=1.02 * CASE.matrix))
    mean, covariance = CASE.exact()
    above = float(mean[0] + np.sqrt(covariance[0, 0]))

    def changed(one):
        model = failing(one.model.model, above, {part}, as_nan=as_nan, rows=rows)
        return replace(one, model=WhitenedModel(one.prior, model))

    return replace(changed(on), coarse=changed(on.coarse))


def go(name, on, folder):
    kind = registry.load("engines", KIND.get(name, name))
    return run(kind(kind.Config(**OPTIONS[name])), lambda: on, Run(seed=3, folder=folder))


def test_every_registered_engine_is_tried():
    assert set(ours("engines")) == ({KIND.get(n, n) for n in OPTIONS} | EXEMPT)


@pytest.mark.parametrize("name", sorted(OPTIONS))
@pytest.mark.parametrize("part", PARTS)
@WAYS
@HOW
def test_failures_are_survived_or_one_line_and_counted(name, part, as_nan, rows, tmp_path):
    on = posterior(part, as_nan, rows)
    found = go(name, on, tmp_path)
    assert np.isfinite(found.outcome.xi).all()
    assert np.isfinite(found.outcome.stats["misfit"]).all()
    planted = on.model.model.n_failed + on.coarse.model.model.n_failed
    assert found.counters.n_failed + found.counters.n_surrogate_failed == planted
    guided, walks = {"hmc", "two-level"}, {
        "hmc", "two-level", "pcn", "pcn-laplace", "emcee", "eki", "cma",
        "database", "database-cma",
    }  # fmt: skip
    if name in {"value": walks, "adjoint": guided, "tangent": set()}[part]:
        assert planted > 10


class NowAndThen(Failing):
    """Fails at every third call of a part."""

    def __init__(self, inner, part, as_nan):
        super().__init__(inner, -np.inf, {part}, as_nan)
        self.n = 0

    def _tried(self, part, m, numbers):
        self.n += part in self.parts
        self.above = -np.inf if self.n % 3 == 2 else np.inf
        return super()._tried(part, m, numbers)


def wearing(part, as_nan, rows):
    on = CASE.posterior(replace(CASE, matrix=1.02 * CASE.matrix))
    model = asked(NowAndThen(on.model.model, part, as_nan), rows)
    return replace(on, model=WhitenedModel(on.prior, model))


GUIDED = ["map", "lbfgs", "laplace", "gaussian", "gauss-newton", "pcn-laplace", "hmc"]


@pytest.mark.parametrize("name", GUIDED)
@pytest.mark.parametrize("part", PARTS[1:])
@WAYS
@HOW
def test_single_derivatives_that_fail_are_survived_and_counted(name, part, as_nan, rows, tmp_path):
    on = wearing(part, as_nan, rows)
    found = go(name, on, tmp_path)
    assert np.isfinite(found.outcome.xi).all()
    assert found.counters.n_failed == on.model.model.n_failed
    used = {"lbfgs": {"adjoint"}, "gaussian": {"tangent"}, "gauss-newton": {"tangent"}}
    assert on.model.model.n_failed > 0 or part not in used.get(name, PARTS)
    if name == "gaussian":
        m = found.outcome.groups["gaussian"]["xi_mean"].values
        assert np.allclose(on.prior.unwhiten(m), CASE.exact()[0])
    if found.outcome.ended.converged and name in {"map", "lbfgs", "laplace"}:
        assert np.allclose(
            on.prior.unwhiten(found.outcome.xi).mean((0, 1)), CASE.exact()[0], atol=0.2
        )


@pytest.mark.parametrize("name", GUIDED)
@WAYS
@HOW
def test_derivatives_that_always_fail_are_one_line_or_a_verdict(name, as_nan, rows, tmp_path):
    on = CASE.posterior()
    model = failing(on.model.model, -np.inf, set(PARTS[1:]), as_nan=as_nan, rows=rows)
    on = replace(on, model=WhitenedModel(on.prior, model))
    if name in {"map", "gauss-newton"}:
        found = go(name, on, tmp_path).outcome
        assert not found.ended.converged
        assert "stalled" in found.message
        return
    with pytest.raises(RunFailed, match=r"'pdeinv check'|use pcn") as caught:
        go(name, on, tmp_path)
    assert "\n" not in str(caught.value)


@dataclass
class Cracked:
    """G(m) = m by rows, whose value or adjoint is NaN, without a failure, beyond 1."""

    part: str
    n: int = 2
    kind: str = "reference"
    capabilities = DERIVATIVES | {Capability.ROWS}

    def __post_init__(self):
        self.m_space = self.d_space = Space((Variable("m", ("i",), (self.n,)),))

    def spoilt(self, part, ms, values):
        bad = ms[:, :1] > 1.0
        return np.where(bad & (part == self.part), np.nan, values)

    def __call__(self, m, /):
        return self.rows(m[None]).values[0]

    def linearize(self, m, /):
        return self.linearize_rows(m[None]).at(0)

    def rows(self, ms, /):
        return Rows(self.spoilt("value", ms, ms.copy()), {})

    def linearize_rows(self, ms, /):
        def act(part, vs):
            return self.spoilt(part, ms, vs)

        def at(i):
            m = ms[i : i + 1]
            return Linearization(
                self.spoilt("value", m, m)[0],
                lambda v: self.spoilt("tangent", m, v[None])[0],
                lambda w: self.spoilt("adjoint", m, w[None])[0],
            )

        values = self.spoilt("value", ms, ms.copy())
        return RowsLinearization(values, {}, partial(act, "tangent"), partial(act, "adjoint"), at)


def cracked(part):
    prior = FieldPrior(Cracked(part).m_space, IndependentField(np.zeros(2), np.ones(2)), Identity())
    return Posterior(prior, Cracked(part), np.zeros(2), Noise(np.full(2, 0.1)))


XIS = np.array([[0.5, 0.2], [1.5, 0.1], [-2.0, 0.3]])


@pytest.mark.parametrize("part", PARTS)
def test_rows_that_are_not_finite_fail_though_the_model_does_not_say_so(part):
    on, payers = cracked(part), [Counters() for _ in XIS]
    found = on.linearize_rows(XIS, payers)
    failed = [] if part == "tangent" else [1]
    assert sorted(found.failures) == failed
    assert [p is None for p in found.values] == [i in failed for i in range(3)]
    assert [c.n_failed for c in payers] == [int(i in failed) for i in range(3)]
    jacobians = dense_jacobians(on, XIS, None, [Counters() for _ in XIS])
    assert sorted(jacobians.failures) == ([] if part == "adjoint" else [1])
    if part != "adjoint":
        with pytest.raises(SolverDiverged, match="is not finite"):
            dense_jacobian(on, XIS[1], None)


@pytest.mark.parametrize("part", PARTS)
def test_a_row_says_what_one_point_says(part):
    on = cracked(part)
    at = linearize_rows(on.model, XIS)
    assert np.array_equal(at.at(0).jvp(XIS[0]), XIS[0])
    ask = {"value": lambda: at.at(1), "tangent": lambda: at.at(1).jvp(XIS[0])}
    with pytest.raises(SolverDiverged, match="not finite"):
        ask.get(part, lambda: at.at(1).vjp(XIS[0]))()
    asks = [lambda at: at.value, lambda at: at.jvp(XIS[0]), lambda at: at.vjp(XIS[0])]
    with pytest.raises(SolverDiverged, match="not finite"):
        asks[PARTS.index(part)](linearize(on.model, XIS[1]))


@pytest.mark.parametrize("step", [0.05, 1.5])
def test_moves_never_enter_where_the_gradient_is_not_a_number(step):
    """Its values are finite there, 10 standard deviations of the posterior away."""
    on, kernel = cracked("adjoint"), Kernel(Reference.standard(2), float(np.log(step)), True)
    trail = drive(on, kernel.trail(Place(np.zeros(2), 0.0), 2000, np.random.default_rng(0)))
    xis = np.array([place.xi for place in trail])
    assert np.abs(xis).max() < 0.6
    assert step == 1.5 or np.allclose(xis.std(axis=0), 0.0995, rtol=0.15)
    assert (step == 0.05) == (on.counters.n_failed == 0)


class Batch(LinearModel):
    """Refuses a batch in which one unknown is large."""

    def __call__(self, m):
        if np.max(np.abs(m)) > 1:
            raise SolverDiverged("too large")
        return super().__call__(m)


def test_a_batch_that_is_refused_is_solved_one_by_one():
    space = Space((Variable("m", ("i",), (2,)),))
    model = Batch(space, space, np.eye(2), np.zeros(2), capabilities=frozenset({Capability.BATCH}))
    found = evaluate(model, XIS)
    assert dict(found.failures) == {1: "too large", 2: "too large"}
    assert np.array_equal(found.values[0], XIS[0])


def unasked(act):
    """An action on vectors as steps that ask no model."""

    def steps(v):
        return act(v)
        yield

    return steps


def test_conjugate_gradients_keep_what_they_have_where_an_action_fails():
    a, b, n = np.diag([1.0, 10.0, 100.0]), np.ones(3), [0]

    def action(v):
        n[0] += 1
        return a @ v if n[0] != limit else np.full(3, np.nan)

    def solved(most):
        return drive(None, conjugate_gradient(unasked(action), b, 1e-12, most))[0]

    limit = 0
    whole, n[0] = solved(2), 0
    limit = 3
    assert np.array_equal(solved(9), whole)
    n[0], limit = 0, 1
    assert np.array_equal(solved(9), b)


def test_a_sketch_draws_columns_anew_where_an_action_fails():
    turn, n = np.linalg.qr(np.random.default_rng(1).standard_normal((6, 6)))[0], [0]
    hessian = turn @ np.diag([9.0, 4.0, 1.0, 1e-3, 1e-3, 1e-3]) @ turn.T

    def action(vs):
        images = vs @ hessian
        for image in images:
            n[0] += 1
            if n[0] % 3 == 1:
                image[0] = np.nan
        return images

    def grown(act):
        return drive(None, grow(unasked(act), Sketch.empty(6), 4, stream(0, "sketch")))

    found = grown(action)
    assert np.allclose(eigenpairs(found)[0], [9, 4, 1, 0], atol=2e-3)
    assert np.allclose(found.basis.T @ found.basis, np.eye(4))
    with pytest.raises(SolverDiverged, match="fails in 4 of 4 directions"):
        grown(lambda vs: np.full_like(vs, np.nan))


@pytest.mark.parametrize("part", PARTS)
@WAYS
def test_derivatives_are_tested_where_nothing_fails(part, as_nan):
    """A failure at the draw of the test says nothing of the derivative; others are tried."""
    inner, draws = CASE.posterior().model.model, set()
    for seed in range(8):
        model = failing(inner, 0.0, {part}, as_nan=as_nan)
        found = derivatives_at_a_draw(model, np.random.default_rng(seed))
        assert found.error < 1e-12
        assert abs(found.slope - 2) < 0.1
        draws.add(model.n_failed)
    assert draws != {0}
    never = failing(inner, -np.inf, {part}, as_nan=as_nan)
    with pytest.raises(RunFailed, match=r"solves fail at 20 draws, the last since .*check"):
        derivatives_at_a_draw(never, np.random.default_rng(0))
