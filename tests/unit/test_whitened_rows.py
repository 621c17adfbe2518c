"""Rows through priors, noise and the posterior: bits of their own, charged to their own payers."""

from dataclasses import replace
from weakref import ref

import numpy as np
import pytest
from promise_of_rows import assert_rows_keep_their_promise
from scipy import sparse

from pdeinv.bayes.field_prior import build
from pdeinv.bayes.fields import base
from pdeinv.bayes.fields.base import DenseField
from pdeinv.bayes.fields.matern import Matern
from pdeinv.bayes.fields.spde import MeshMatrices, SpdeField
from pdeinv.bayes.jacobian import dense_jacobian, dense_jacobians
from pdeinv.bayes.linear_gaussian import LinearGaussian
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.posterior import Counters, WhitenedModel
from pdeinv.bayes.prior import FieldPrior, ProductPrior
from pdeinv.bayes.prior_config import (
    LogGaussianConfig,
    PiecewiseConfig,
    TwoPhaseConfig,
    UniformConfig,
)
from pdeinv.bayes.prior_rows import linearize_rows
from pdeinv.bayes.transforms import Exponential
from pdeinv.errors import CapabilityError
from pdeinv.model.forward import DERIVATIVES, Capability, LinearModel
from pdeinv.model.spaces import Space, Variable


def line(name, n):
    return Space((Variable(name, (f"{name}_dim",), (n,)),))


def make(config, name):
    return build(config, name=name, units="1", long_name=name)


def spde(n=40):
    """On linear elements of an interval."""
    h, band, ends = 1 / (n - 1), np.ones(n - 1), np.zeros(n)
    ends[[0, -1]] = 1.0
    stiff = sparse.diags([-band, 2 - ends, -band], [-1, 0, 1]) / h
    places = np.linspace(0, 1, n)[:, None]
    mesh = MeshMatrices(places, h * (1 - ends / 2), stiff, sparse.diags(ends))
    field = SpdeField.on_mesh(mesh, Matern(std=0.5, length=0.1, smoothness=1.5))
    return FieldPrior(line("m", n), field, Exponential())


class Mapped(FieldPrior):
    """One that maps in its own way."""

    def unwhiten(self, xi):
        return 2 * super().unwhiten(xi)

    def unwhiten_jvp(self, xi, dxi):
        return 2 * super().unwhiten_jvp(xi, dxi)

    def unwhiten_vjp(self, xi, w):
        return 2 * super().unwhiten_vjp(xi, w)


KL = make(LogGaussianConfig(grid=(17, 17), modes=30), "kl")
CELLS = make(PiecewiseConfig(cells=(2, 3), measure="linear"), "cells")
BOX = make(UniformConfig(low=1.0, high=3.0, cells=(2, 2)), "box")
PRIORS = {
    "kl": KL,
    "kl many": make(LogGaussianConfig(grid=(17, 16), modes=140), "many"),
    "fft": make(LogGaussianConfig(representation="fft", grid=(6, 5)), "fft"),
    "cells": CELLS,
    "box": BOX,
    "phases": make(TwoPhaseConfig(grid=(6, 5), modes=3), "phases"),
    "blended": make(TwoPhaseConfig(grid=(6, 5), modes=3, blend=0.2), "blended"),
    "product": ProductPrior((KL, BOX, CELLS)),
    "spde": spde(),
    "own": Mapped(*vars(KL).values()),
}


@pytest.mark.parametrize("name", PRIORS)
def test_rows_through_a_prior_keep_the_promise(name):
    prior, rng = PRIORS[name], np.random.default_rng(1)
    n = prior.space.size
    model = LinearModel(prior.space, line("d", 9), rng.standard_normal((9, n)), np.zeros(9))
    xis = rng.standard_normal((16, prior.dim))
    # phases take any number, also none
    fails = None if name == "phases" else np.full(prior.dim, np.nan)
    assert_rows_keep_their_promise(WhitenedModel(prior, model), xis, fails)


@pytest.mark.parametrize("name", [n for n in PRIORS if PRIORS[n].differentiable])
def test_rows_of_a_prior_are_its_map_and_its_derivatives(name):
    prior, rng = PRIORS[name], np.random.default_rng(2)
    xis, dxis = rng.standard_normal((2, 3, prior.dim))
    ws = rng.standard_normal((3, prior.space.size))
    rows = linearize_rows(prior, xis)
    for i, xi in enumerate(xis):
        np.testing.assert_allclose(rows.m[i], prior.unwhiten(xi), rtol=1e-11)
        tangent, adjoint = prior.unwhiten_jvp(xi, dxis[i]), prior.unwhiten_vjp(xi, ws[i])
        np.testing.assert_allclose(rows.jvp(dxis)[i], tangent, rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(rows.vjp(ws)[i], adjoint, rtol=1e-9, atol=1e-11)


def test_a_dense_prior_maps_rows_without_a_compiler_too(monkeypatch):
    """By numpy then: the same fields but for the last digits."""
    rng = np.random.default_rng(4)
    xis, ws = rng.standard_normal((11, 30)), rng.standard_normal((11, 289))
    compiled, back = KL.field.apply_rows(xis), KL.field.apply_transpose_rows(ws)
    monkeypatch.setattr(base.build, "available", lambda: False)
    plain = DenseField(KL.field.mean, KL.field.root)
    np.testing.assert_allclose(plain.apply_rows(xis), compiled, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(plain.apply_transpose_rows(ws), back, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(compiled, xis @ KL.field.root.T, rtol=1e-11, atol=1e-12)
    assert not np.allclose(compiled, np.roll(compiled, 1, axis=0))


def test_a_whitened_model_offers_rows_where_its_model_does():
    on = LinearGaussian.example(np.random.default_rng(0)).posterior()
    inner = replace(on.model.model, capabilities=DERIVATIVES)
    plain = WhitenedModel(on.prior, inner)
    assert Capability.ROWS in on.model.capabilities
    assert Capability.ROWS not in plain.capabilities
    with pytest.raises(CapabilityError, match="takes no rows; ask for one point at a time"):
        plain.rows(np.zeros((2, 3)))


@pytest.mark.parametrize("full", [False, True])
def test_noise_whitens_each_row_by_itself(full):
    rng = np.random.default_rng(3)
    a = rng.standard_normal((40, 40))
    noise = Noise.from_covariance(a @ a.T + np.eye(40)) if full else Noise(rng.uniform(1, 2, 40))
    r = rng.standard_normal((64, 40))
    for act in (noise.whiten, noise.whiten_transpose, lambda g: noise.misfit(g, np.ones(40))):
        whole = act(r)
        for rows in ([5], [1, 2], list(range(7)), rng.permutation(64)):
            assert np.array_equal(act(r[rows]), whole[rows])
        assert np.array_equal(act(r[5]), whole[5])
    np.testing.assert_allclose(noise.whiten(r[None])[0], noise.whiten(r))


CASE = LinearGaussian.example(np.random.default_rng(2), 4, 6)
XI = np.random.default_rng(0).standard_normal((5, 4))


def same_point(a, b):
    """Whether two points have the same numbers and actions, bit for bit."""
    v = np.arange(4.0)
    numbers = (a.misfit, a.neg_log_posterior) == (b.misfit, b.neg_log_posterior)
    arrays = zip((a.prediction, a.gradient), (b.prediction, b.gradient), strict=True)
    acted = zip((a.jvp(v), a.gauss_newton(v)), (b.jvp(v), b.gauss_newton(v)), strict=True)
    return numbers and all(np.array_equal(x, y) for x, y in (*arrays, *acted))


def test_a_point_is_the_same_alone_and_among_rows():
    on = CASE.posterior()
    rows = on.linearize_rows(XI)
    assert all(same_point(p, on.linearize(x)) for p, x in zip(rows.values, XI, strict=True))
    assert np.array_equal(on.misfit(XI), [on.misfit(x) for x in XI])
    assert np.array_equal(on.predict(XI), [on.predict(x) for x in XI])
    direct = on.model.linearize(XI[0])
    np.testing.assert_allclose(rows.values[0].jvp(XI[1]), direct.jvp(XI[1]), rtol=1e-13)
    gradient = direct.vjp(CASE.noise.whiten_transpose(CASE.noise.whiten(direct.value - on.data)))
    np.testing.assert_allclose(rows.values[0].gradient, gradient + XI[0], rtol=1e-12)


class Keeping:
    """A model of rows whose linearizations keep something large, as factors are."""

    def __init__(self, model):
        self._model, self.kept = model, []

    def __getattr__(self, name):
        return getattr(self._model, name)

    def linearize_rows(self, ms):
        found, factors = self._model.linearize_rows(ms), np.zeros(7)
        self.kept.append(ref(factors))
        return replace(found, jvp=lambda dms: found.jvp(dms + 0 * factors[0]))


def test_points_let_go_of_what_all_rows_needed():
    on = CASE.posterior()
    model = Keeping(on.model.model)
    on.model = WhitenedModel(on.prior, model)
    rows = on.linearize_rows(XI)
    assert rows.values[0] is not None
    assert [kept() for kept in model.kept] == [None]


def test_each_row_is_charged_to_its_payer_now_and_later():
    on, payers = CASE.posterior(), [Counters() for _ in XI]
    rows = on.linearize_rows(XI, payers)
    rows.values[1].gauss_newton(XI[0])
    on.predict_rows(XI[:2], payers[:2])
    assert payers[0] == Counters(n_forward=2, n_adjoint=1)
    assert payers[1] == Counters(n_forward=2, n_tangent=1, n_adjoint=2)
    assert payers[2] == Counters(n_forward=1, n_adjoint=1)
    assert on.counters == Counters()


@pytest.mark.parametrize("rows", [True, False])
def test_a_row_that_fails_is_charged_and_the_others_are_as_they_were(rows):
    on = CASE.posterior()
    if not rows:
        inner = replace(on.model.model, capabilities=DERIVATIVES)
        on.model = WhitenedModel(on.prior, inner)
    whole, payers = on.linearize_rows(XI), [Counters() for _ in XI]
    broken = XI.copy()
    broken[3] = np.inf
    with np.errstate(invalid="ignore"):
        found = on.linearize_rows(broken, payers)
        assert np.isinf(on.misfit(broken)).tolist() == [False, False, False, True, False]
    assert set(found.failures) == {3}
    assert found.values[3] is None
    assert payers[3] == Counters(n_forward=1, n_failed=1)
    assert payers[4] == Counters(n_forward=1, n_adjoint=1)
    assert same_point(found.values[4], whole.values[4])


@pytest.mark.parametrize("n_d", [3, 6])
def test_jacobians_of_rows_are_those_of_single_points(n_d):
    on = LinearGaussian.example(np.random.default_rng(2), 4, n_d).posterior()
    payers = [Counters() for _ in XI]
    found = dense_jacobians(on, XI, None, payers)
    for x, at in zip(XI, found.values, strict=True):
        one = dense_jacobian(on, x)
        assert np.array_equal(one.jacobian, at.jacobian)
        assert np.array_equal(one.value, at.value)
        assert np.allclose(at.jacobian, on.model.model.matrix @ on.prior.field.root)
    actions = {"n_adjoint": 3} if n_d == 3 else {"n_tangent": 4}
    assert payers[0] == Counters(n_forward=1, **actions)
