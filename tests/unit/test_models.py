"""Forward models: batches, failed solves, and refusals of what is not declared."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from pdeinv.errors import CapabilityError, ShapeError, SolverDiverged
from pdeinv.model.forward import (
    Capability,
    ForwardModel,
    LinearModel,
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
