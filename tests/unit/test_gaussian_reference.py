"""Gaussian references of few and of many unknowns, whose roots are computed in two ways."""

import numpy as np
import pytest

from pdeinv.bayes.reference import SMALL, Reference


def reference(dim, rank):
    rng = np.random.default_rng(dim + rank)
    basis = np.linalg.qr(rng.standard_normal((dim, rank)))[0]
    return Reference(rng.standard_normal(dim), basis, rng.uniform(-0.9, 3.0, rank))


@pytest.mark.parametrize(
    ("dim", "rank"), [(5, 0), (5, 2), (SMALL, 3), (SMALL + 40, 3), (SMALL + 40, SMALL)]
)
def test_roots_are_those_of_the_covariance(dim, rank):
    law, z = reference(dim, rank), np.random.default_rng(1).standard_normal(dim)
    root = np.stack([law.root(e) for e in np.eye(dim)], axis=1)
    np.testing.assert_allclose(root @ root.T, law.covariance, atol=1e-12)
    np.testing.assert_allclose(law.inverse_root(law.root(z)), z, atol=1e-12)
    np.testing.assert_allclose(law.whiten(law.unwhiten(z)), z, atol=1e-12)
    np.testing.assert_allclose(law.unwhiten(np.zeros(dim)), law.mean, atol=0)
