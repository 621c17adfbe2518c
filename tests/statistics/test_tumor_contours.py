"""The effective share of drawn contours: a claim about variances, held by simulated drawings."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d
from scipy.optimize import brentq

from pdeinv.bayes.links import LINKS
from pdeinv.problems.tumor import TumorConfig
from pdeinv.problems.tumor.contours import (
    FITTING,
    contour_slope,
    effective_share,
    fitting_softness,
)

LINK = LINKS["threshold"]
SD, LENGTH, STEPS = 1.5, 8.0, 2000
"""Of the field, mm, and places along a straight contour, 1 mm apart and closed to a ring."""
ACROSS = np.arange(-20.0, 20.0, 0.5) + 0.25
AREA = 0.5
"""Of a voxel, mm²: the edge along the contour times that across."""


def fields(rng, n):
    width = LENGTH / np.sqrt(2)
    smooth = gaussian_filter1d(rng.standard_normal((n, STEPS)), width, mode="wrap", truncate=6.0)
    return SD * smooth * np.sqrt(2 * np.sqrt(np.pi) * width)


def estimated(field, steepness):
    """Place and curvature of the least Φ of a contour that is straight."""
    seen = ACROSS[:, None] < field

    def slope(place):
        z = steepness * (place - ACROSS)[:, None]
        each = np.where(seen, -LINK.slope(z), LINK.slope(-z))
        return steepness * each.sum()

    place = brentq(slope, -6.0, 6.0, xtol=1e-8)
    step = 0.5
    return place, (slope(place + step) - slope(place - step)) / (2 * step)


def variances(steepness, n=300):
    """What Φ without a share claims, and what estimates do."""
    found = [estimated(f, steepness) for f in fields(np.random.default_rng(1), n)]
    places, curvatures = np.array(found).T
    return 1 / curvatures.mean(), places.var()


@pytest.mark.parametrize("tau", [0.7, FITTING, 2.2])
def test_the_share_makes_the_claimed_variance_that_of_estimates(tau):
    claimed, true = variances(tau / SD)
    share = effective_share(np.sqrt(AREA), SD, LENGTH, tau / SD, dim=2)
    # of 300 drawings the variance is known to 8 %
    assert claimed / share == pytest.approx(true, rel=0.25)
    assert claimed < 0.1 * true  # without a share


def test_at_the_fitting_softness_the_fisher_information_is_the_curvature():
    z = np.linspace(-8, 8, 20001)
    fisher = np.trapezoid(LINK.information(z), z)
    claimed, _ = variances(FITTING / SD)
    assert claimed == pytest.approx(AREA * SD / (FITTING * fisher * STEPS), rel=0.05)


def test_the_share_grows_with_voxels_and_falls_with_errors():
    usual = effective_share(4.0, 1.5, 8.0, 1.0)
    assert effective_share(8.0, 1.5, 8.0, 1.0) == pytest.approx(8 * usual)
    assert effective_share(4.0, 1.5, 16.0, 1.0) == pytest.approx(usual / 4)
    assert effective_share(4.0, 3.0, 8.0, 1.0) < usual / 2
    assert effective_share(4.0, 0.01, 0.1, 1.0) == 1.0


def test_the_slope_of_a_contour_is_that_of_a_front():
    config = TumorConfig.model_validate({"masks": {"whole": 0.5, "core": 0.5}})
    slope = contour_slope(config)
    assert slope == pytest.approx(0.125 * np.sqrt(0.06 / 0.5))
    assert fitting_softness(1.5, slope) == pytest.approx(1.5 * slope / 1.12)
