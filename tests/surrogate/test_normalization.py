"""Groups of a normalisation."""

import pytest

from pdeinv.surrogates.common.normalization import groups


@pytest.mark.parametrize(
    ("channels", "least", "found"),
    [(1, 1, 1), (8, 1, 8), (12, 1, 6), (11, 1, 1), (96, 1, 8), (8, 4, 2), (32, 4, 8), (3, 4, 1)],
)
def test_the_most_groups_that_fit(channels, least, found):
    assert groups(channels, least) == found


def test_groups_divide_the_channels_and_hold_enough():
    for channels in range(1, 200):
        for least in (1, 4):
            n = groups(channels, least)
            assert channels % n == 0
            assert channels // n >= min(least, channels)
            assert n <= 8
