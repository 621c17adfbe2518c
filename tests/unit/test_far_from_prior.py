"""A number that its prior had all but excluded is told with the verdict; nothing else is."""

import numpy as np
import pytest

import pdeinv
from pdeinv.jobs.invert.far import far_from_prior


def draws(*means):
    return np.random.default_rng(0).standard_normal((2, 50, len(means))) + np.array(means)


@pytest.mark.parametrize("place", [8.0, -8.0])
def test_a_number_far_from_its_prior_is_named(place):
    said = far_from_prior(pdeinv.problem("flame").prior(), draws(7.0, place))
    assert said.startswith("activation_energy lies 8 standard deviations of xi from the middle")


@pytest.mark.parametrize("places", [(0.0, 0.0), (5.0, -5.0)])
def test_nothing_is_told_within_the_prior(places):
    assert not far_from_prior(pdeinv.problem("flame").prior(), draws(*places))


def test_nothing_is_told_of_the_modes_of_a_field():
    unknown = {"kind": "log-gaussian", "modes": 4, "grid": (9, 9)}
    prior = pdeinv.problem("darcy", cells=8, unknown=unknown).prior()
    assert not far_from_prior(prior, draws(20.0, 0.0, 0.0, 0.0))
