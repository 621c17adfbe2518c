"""Forward models: batches, failed solves, and refusals of what is not declared."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from promise_of_rows import assert_rows_keep_their_promise

from pdeinv.errors import CapabilityError, ShapeError, SolverDiverged
from pdeinv.model.forward import (
    Capability,
    ForwardModel,
    LinearModel,
    Rows,
    require,
)
from pdeinv.model.rows import evaluate, linearize, linearize_rows
from pdeinv.model.spaces import Space, Variable


def line(name, n):
    return Space((Variable(name, (f"{name}_dim",), (n,)),))


A = np.array([[1.0, 2.0, 0.0], [0.0, -1.0, 3.0]])
MODEL = LinearModel(line("m", 3), line("d", 2), A, np.array([0.5, 0.0]))


@dataclass(frozen=True)
class Fragile(LinearModel):
    """Fails where the first unknown is negative."""

    capabilities: frozenset = frozenset()

    def __call__(self, m):
        if m[0] < 0:
            raise SolverDiverged("negative first unknown")
        return super().__call__(m) if m[0] < 9 else np.array([np.nan, 1.0])


FRAGILE = Fragile(line("m", 3), line("d", 2), A, np.zeros(2))


def test_a_linear_model_is_a_forward_model():
    assert isinstance(MODEL, ForwardModel)
    np.testing.assert_allclose(MODEL(np.array([1.0, 1.0, 1.0])), [3.5, 2.0])
    assert MODEL(np.zeros((4, 5, 3))).shape == (4, 5, 2)
    with pytest.raises(ShapeError, match="array for m: expected last axis 3"):
        MODEL(np.zeros(4))


def test_its_linearization_is_the_matrix():
    at = MODEL.linearize(np.ones(3))
    np.testing.assert_array_equal(at.value, MODEL(np.ones(3)))
    np.testing.assert_array_equal(np.stack([at.jvp(e) for e in np.eye(3)], axis=1), A)
    np.testing.assert_array_equal(np.stack([at.vjp(e) for e in np.eye(2)]), A)


def test_rows_are_evaluated_one_by_one_without_batch_and_together_with_it():
    rows = np.abs(np.random.default_rng(0).standard_normal((5, 3)))
    single = replace(MODEL, capabilities=frozenset())
    np.testing.assert_allclose(
        evaluate(single, rows).values, evaluate(MODEL, rows).values, rtol=1e-14
    )


def test_failed_solves_become_rows_of_nan_with_their_reason():
    found = evaluate(FRAGILE, np.array([[1.0, 0, 0], [-1.0, 0, 0], [2.0, 0, 0]]))
    np.testing.assert_array_equal(np.isnan(found.values).all(axis=1), [False, True, False])
    np.testing.assert_array_equal(found.values[2], [2.0, 0.0])
    assert found.failures == {1: "negative first unknown"}


def test_values_that_are_not_finite_are_failures_with_and_without_batches():
    rows = np.array([[1.0, 0, 0], [9.5, 0, 0]])
    lost = {1: "the prediction is not finite"}
    single = evaluate(FRAGILE, rows)
    assert np.isnan(single.values[1]).all()
    assert single.failures == lost
    batch = replace(
        MODEL, matrix=np.where(A == 2.0, np.inf, A), capabilities=frozenset({Capability.BATCH})
    )
    with np.errstate(invalid="ignore"):
        assert evaluate(batch, np.array([[1.0, 0, 0]])).failures == {
            0: "the prediction is not finite"
        }


def test_linearizations_of_rows_are_points_or_failures():
    rows = np.array([[1.0, 0, 0], [-1.0, 0, 0], [9.5, 0, 0], [2.0, 1, 0]])
    found = linearize_rows(FRAGILE, rows)
    assert np.isnan(found.values).all(axis=1).tolist() == [False, True, True, False]
    assert found.failures == {1: "negative first unknown", 2: "the prediction is not finite"}
    np.testing.assert_array_equal(found.values[3], FRAGILE(rows[3]))
    np.testing.assert_array_equal(found.at(3).vjp(np.ones(2)), A.sum(axis=0))
    np.testing.assert_array_equal(found.vjp(np.ones((4, 2)))[[0, 3]], [A.sum(axis=0)] * 2)
    assert np.isnan(found.jvp(np.ones((4, 3)))).all(axis=1).tolist() == [False, True, True, False]
    with pytest.raises(SolverDiverged, match="negative first unknown"):
        found.at(1)
    with pytest.raises(SolverDiverged, match="the prediction is not finite"):
        linearize(FRAGILE, rows[2])


def test_what_a_model_lacks_is_named():
    require(MODEL, frozenset({Capability.JVP, Capability.VJP}), "engine 'map'")
    message = (
        r"^engine 'map' needs jvp, vjp of the forward model, which offers evaluation only; choose "
        r"an engine without derivatives \(.*\) or a differentiable unknown$"
    )
    with pytest.raises(CapabilityError, match=message):
        require(FRAGILE, frozenset({Capability.JVP, Capability.VJP}), "engine 'map'")


@pytest.mark.parametrize(("n_d", "n_m"), [(1, 1), (2, 3), (7, 5), (33, 64), (100, 300)])
def test_rows_of_a_linear_model_keep_the_promise(n_d, n_m):
    rng = np.random.default_rng(n_d)
    matrix, offset = rng.standard_normal((n_d, n_m)), rng.standard_normal(n_d)
    model = LinearModel(line("m", n_m), line("d", n_d), matrix, offset)
    ms = rng.standard_normal((64, n_m))
    assert_rows_keep_their_promise(model, ms, np.full(n_m, np.nan))
    with pytest.raises(ShapeError, match=f"expected last axis {n_m}"):
        model.rows(np.zeros((2, n_m + 1)))


@dataclass(frozen=True)
class Together(LinearModel):
    """A product of all rows at once, whose bits depend on how many there are."""

    def rows(self, ms):
        return Rows(self(ms), {})


def test_a_product_of_all_rows_at_once_breaks_the_promise():
    """Negative control."""
    rng = np.random.default_rng(0)
    model = Together(line("m", 300), line("d", 100), rng.standard_normal((100, 300)), np.zeros(100))
    with pytest.raises(AssertionError):
        assert_rows_keep_their_promise(model, rng.standard_normal((64, 300)))


def test_a_model_without_rows_is_linearized_one_by_one():
    rows = np.abs(np.random.default_rng(0).standard_normal((5, 3)))
    single = replace(MODEL, capabilities=frozenset({Capability.JVP, Capability.VJP}))
    one, all_ = linearize_rows(single, rows), linearize_rows(MODEL, rows)
    np.testing.assert_allclose(one.values, all_.values, rtol=1e-14)
    np.testing.assert_allclose(one.jvp(rows), all_.jvp(rows), rtol=1e-14)
    np.testing.assert_allclose(one.vjp(np.ones((5, 2))), all_.vjp(np.ones((5, 2))), rtol=1e-14)
