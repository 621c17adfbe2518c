"""The mask of largest mean overlap, against all masks there are."""

from itertools import product

import numpy as np
import pytest

from pdeinv.bayes.best_mask import best_mask, overlap


@pytest.mark.parametrize("seed", range(12))
def test_no_other_mask_overlaps_more(seed):
    rng = np.random.default_rng(seed)
    draws = rng.random((5, 8)) < rng.random(8)
    found = best_mask(draws)
    every = [np.array(m, dtype=bool) for m in product((False, True), repeat=8)]
    values = [np.mean([overlap(m, d) for d in draws]) for m in every]
    assert found.expected == pytest.approx(max(values), rel=1e-12)
    assert np.mean([overlap(found.inside, d) for d in draws]) == pytest.approx(found.expected)


def test_it_holds_points_that_are_less_probable_than_a_half():
    """Independent points, so that sizes hardly differ: the level is half of the overlap."""
    rng, p = np.random.default_rng(0), np.linspace(0, 1, 800)
    draws = rng.random((2000, 800)) < p
    found = best_mask(draws)
    assert p[found.inside].min() == pytest.approx(found.expected / 2, abs=0.05)
    half = np.mean([overlap(p > 0.5, d) for d in draws])
    assert found.expected > half + 0.01


def test_many_points_are_tried_by_size():
    rng = np.random.default_rng(1)
    x = np.arange(20_000)
    draws = np.stack([x < end for end in rng.normal(6000, 900, 30)])
    found = best_mask(draws)
    every = max(np.mean([overlap(x < k, d) for d in draws]) for k in range(3000, 9000, 7))
    assert found.expected >= every


def test_where_most_draws_are_empty_so_is_the_mask():
    draws = np.zeros((4, 6), dtype=bool)
    draws[0, 2] = True
    found = best_mask(draws)
    assert not found.inside.any()
    assert found.expected == 0.75
    assert best_mask(np.zeros((3, 4), dtype=bool)).expected == 1.0
