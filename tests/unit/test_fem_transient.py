"""What the equation in time is made of: stiffness as a tensor, products on its pattern."""

import numpy as np
import pytest

from pdeinv.fem import pairs
from pdeinv.kernels import build
from pdeinv.problems.heat import Heat, HeatConfig


def system_of(element="P1", lengths=(1.0, 1.0)):
    table = {"cells": 4, "element": element, "lengths": lengths}
    config = HeatConfig.model_validate({**table, "unknown": {"kind": "conductivity"}})
    problem = Heat(config)
    return problem.forward_model(problem.sensors("grid:2")).discretisation.system


@pytest.mark.parametrize(
    ("element", "lengths"),
    [("P1", (1.0,)), ("P1", (1.0, 1.0)), ("P2", (1.0, 1.0)), ("Q1", (1.0, 1.0)),
     ("Q2", (1.0, 2.0)), ("P1", (1.0, 1.0, 0.5))],
)  # fmt: skip
def test_the_tensor_gives_the_stiffness_that_dolfinx_assembles(element, lengths):
    system = system_of(element, lengths)
    kappa = np.random.default_rng(0).uniform(0.5, 2.0, len(system.conduction.weights))
    assembled = system.stiffness_of(kappa)
    tensor = system.tensor
    keep = tensor.rows >= tensor.columns
    np.testing.assert_array_equal(tensor.rows[keep], system.lower[0])
    np.testing.assert_array_equal(tensor.columns[keep], system.lower[1])
    found, wanted = tensor.entries(kappa)[keep], system.lower_of(assembled.data)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-13 * np.abs(wanted).max())
    whole = assembled.toarray()
    np.testing.assert_array_equal(wanted, whole[system.lower])


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("count", [0, 1, 37])
def test_pairs_on_a_pattern_are_those_of_the_dense_matrix(count, compiled, monkeypatch):
    if compiled and not build.available():
        pytest.skip("no C compiler")
    monkeypatch.setattr(pairs, "available", lambda: compiled)
    rng = np.random.default_rng(0)
    rows, columns = np.tril_indices(9)
    left, right = rng.standard_normal((2, count, 9))
    found = pairs.summed_pairs(9, rows, columns, zip(left, right, strict=True))
    both = left.T @ right
    wanted = (both + both.T - np.diag(np.diag(both)))[rows, columns]
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-13)
