"""A learned map is level far from its samples, with the derivatives that this implies."""

import numpy as np

from pdeinv.model.tangent import Tangent
from pdeinv.surrogates.common.scaling import Standard
from pdeinv.surrogates.multifidelity.discrepancy import Discrepancy, DiscrepancyConfig, reach_of
from pdeinv.surrogates.multifidelity.pairs import Pairs
from pdeinv.surrogates.multifidelity.reach import INNER, OUTER, Reach

RNG = np.random.default_rng(2)
REACH = Reach(Standard(np.array([1.0, -2.0]), np.array([0.5, 2.0])))


def test_within_four_deviations_nothing_changes():
    x = REACH.scale.mean + REACH.scale.std * RNG.uniform(-INNER, INNER, (20, 2))
    np.testing.assert_array_equal(REACH(x), REACH.scale(x))
    np.testing.assert_allclose(REACH.held(x), x, rtol=1e-12)


def test_beyond_it_is_level_and_its_slope_says_so():
    far = REACH.scale.mean + 1e6 * np.array([1.0, -1.0])
    np.testing.assert_allclose(REACH(far), [OUTER, -OUTER])
    for t in (0.0, 3.9, 4.1, 4.5, 7.0, -4.3):
        x, h = REACH.scale.mean + REACH.scale.std * t, 1e-6
        difference = (REACH(x + h) - REACH(x - h)) / (2 * h)
        np.testing.assert_allclose(REACH.linearize(x)[1], difference, rtol=1e-5, atol=1e-9)


def fitted():
    """A discrepancy with squares in it, learned from 60 pairs of two unknowns."""
    xi = RNG.standard_normal((60, 2))
    coarse = xi @ np.array([[1.0, 0.5, 0.2], [0.0, 1.0, -1.0]])
    fine = coarse + 0.3 * np.stack([xi[:, 0] ** 2, xi[:, 1] ** 2, xi[:, 0]], axis=1)
    pairs = Pairs(xi, coarse, fine, np.full(3, 0.05), np.ones(60))
    return pairs, Discrepancy.fit(pairs, DiscrepancyConfig())


def test_a_discrepancy_of_squares_stays_bounded():
    pairs, found = fitted()
    inside = np.abs(found(pairs.xi, pairs.coarse)).max()
    far = 100 * RNG.standard_normal((50, 2))
    assert np.abs(found(far, np.zeros((50, 3)))).max() < 20 * inside
    assert (0.3 * far**2).max() > 1000 * inside  # negative control: what was learned from


def test_derivatives_of_a_discrepancy_are_right_within_and_beyond():
    _, found = fitted()
    for x in (np.array([0.3, -0.4]), np.array([4.4, 4.2]), np.array([9.0, 0.1])):
        c, dx, dc, h = np.zeros(3), RNG.standard_normal(2), RNG.standard_normal(3), 1e-5
        at = found.linearize(x, c)
        slope = (found(x + h * dx, c + h * dc) - found(x - h * dx, c - h * dc)) / (2 * h)
        np.testing.assert_allclose(at.jvp(dx, dc), slope, rtol=1e-5, atol=1e-8)
        w = RNG.standard_normal(3)
        to_x, to_c = at.vjp(w)
        np.testing.assert_allclose(at.jvp(dx, dc) @ w, dx @ to_x + dc @ to_c, rtol=1e-10)


def test_a_tangent_becomes_part_of_a_discrepancy():
    """T(xi) + D(xi, c + T(xi)), with T read within the reach of the samples."""
    pairs, found = fitted()
    tangent = Tangent(
        np.array([0.2, 0.1]), np.array([1.0, 2.0, 3.0]), np.eye(2), RNG.standard_normal((3, 2))
    )
    tilted, reach = found.tilted(tangent), reach_of(pairs)
    for scale in (1.0, 30.0):
        xi, c = scale * RNG.standard_normal((7, 2)), RNG.standard_normal((7, 3))
        seen = tangent(reach.held(xi))
        np.testing.assert_allclose(tilted(xi, c), seen + found(xi, c + seen), rtol=1e-9, atol=1e-9)
