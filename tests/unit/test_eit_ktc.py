"""The challenge's score against a direct convolution and known numbers; its segmentation."""

import numpy as np
import pytest
from scipy.signal import convolve2d

from pdeinv.errors import ShapeError
from pdeinv.problems.eit import ktc
from pdeinv.problems.eit.ktc import CONDUCTIVE, RESISTIVE, SIZE, score, segment, similarity
from pdeinv.rng import stream


def disc(centre, radius, shape=(SIZE, SIZE)):
    y, x = np.indices(shape)
    return np.hypot(y - centre[0], x - centre[1]) < radius


def labels(**masks):
    out = np.zeros((SIZE, SIZE), dtype=int)
    for name, mask in masks.items():
        out[mask] = {"resistive": RESISTIVE, "conductive": CONDUCTIVE}[name]
    return out


def dense_similarity(a, b, spread):
    """The definition, with a dense window."""
    r = np.arange(-2 * spread, 2 * spread + 1)
    window = np.exp(-0.5 * (r[:, None] ** 2 + r**2) / spread**2)
    weight = convolve2d(np.ones(a.shape), window, mode="same")
    mean = lambda image: convolve2d(image, window, mode="same") / weight  # noqa: E731
    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma**2, mean(b * b) - mb**2, mean(a * b) - ma * mb
    above = (2 * ma * mb + 1e-4) * (2 * cov + 9e-4)
    return np.mean(above / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4)))


def test_the_separable_window_is_the_dense_one(monkeypatch):
    monkeypatch.setattr(ktc, "SPREAD", 10.0)
    shape = (40, 52)
    a = disc((15, 20), 9, shape).astype(float)
    b = disc((18, 27), 11, shape).astype(float)
    assert similarity(a, b) == pytest.approx(dense_similarity(a, b, 10), abs=1e-12)


def test_the_full_window_is_the_dense_one_at_one_pixel():
    """One pixel of the 80-pixel window by hand: sums over the whole image."""
    a = disc((100, 120), 40).astype(float)
    y, x = np.indices(a.shape)
    weight = np.exp(-0.5 * ((y - 30) ** 2 + (x - 200) ** 2) / 80**2)
    weight[(np.abs(y - 30) > 160) | (np.abs(x - 200) > 160)] = 0
    smooth = ktc._window(a.shape)
    assert smooth(a)[30, 200] == pytest.approx((weight * a).sum() / weight.sum(), rel=1e-12)


def test_known_scores():
    truth = labels(resistive=disc((100, 120), 40))
    nothing = labels()
    missed = similarity((truth == RESISTIVE).astype(float), np.zeros((SIZE, SIZE)))
    shifted = labels(resistive=disc((115, 120), 40))
    assert missed == pytest.approx(0.0003, abs=5e-5)
    assert score(truth, nothing) == pytest.approx((1 + missed) / 2)
    assert 2 * score(truth, shifted) - 1 == pytest.approx(0.731, abs=5e-4)
    assert score(nothing, nothing) == 1
    assert score(truth, truth) == pytest.approx(1)


def test_the_two_kinds_of_inclusion_are_scored_apart():
    mask = disc((120, 90), 30)
    assert score(labels(resistive=mask), labels(conductive=mask)) < 0.01


def test_an_image_of_another_shape_scores_nothing():
    truth = labels(resistive=disc((100, 120), 40))
    assert score(truth, truth[:, :200]) == 0
    with pytest.raises(ShapeError, match="true labels: expected 256 x 256 pixels, got"):
        score(truth[:10], truth)


def test_otsu_finds_both_kinds_in_a_noisy_image():
    truth = labels(resistive=disc((90, 90), 30), conductive=disc((160, 170), 25))
    values = np.choose(truth, [1.0, 0.3, 2.5])
    image = values + 0.1 * stream(1, "image").standard_normal(values.shape)
    assert (segment(image) != truth).mean() < 1e-3
    outside = ~disc((127.5, 127.5), 128)
    image[outside] = np.nan
    assert (segment(image)[outside] == 0).all()
    assert (segment(image) != truth).mean() < 1e-3


@pytest.mark.parametrize(("value", "label"), [(0.2, RESISTIVE), (4.0, CONDUCTIVE)])
def test_otsu_of_an_image_of_two_values(value, label):
    mask = disc((90, 90), 30)
    found = segment(np.where(mask, value, 1.0))
    assert (found[mask] == label).all()
    assert (found[~mask] == 0).all()


def test_otsu_of_a_constant_image_is_water():
    assert (segment(np.full((SIZE, SIZE), 0.8)) == 0).all()


def test_otsu_is_the_exhaustive_search():
    """The thresholds against a plain search over all pairs of bins."""
    values = stream(2, "image").normal([0.0, 3.0, 7.0], [0.6, 0.4, 0.9], (400, 3)).ravel()
    counts, edges = np.histogram(values, ktc.BINS)
    bins = np.arange(1, ktc.BINS + 1)
    mean, best, found = (bins @ counts) / counts.sum(), -1.0, (0, 0)
    for j in range(1, ktc.BINS):
        for i in range(j + 1, ktc.BINS):
            parts = [(counts[a:b].sum(), bins[a:b] @ counts[a:b])
                     for a, b in ((0, j), (j, i), (i, None))]  # fmt: skip
            value = sum(w * (m / w - mean) ** 2 for w, m in parts if w)
            if value > best * (1 + 1e-12):
                best, found = value, (j, i)
    centres = (edges[:-1] + edges[1:]) / 2
    low, high = ktc._thresholds(values)
    assert (low, high) == pytest.approx((centres[found[0] - 1], centres[found[1] - 1]))


def test_pixels_cover_the_tank_from_the_top():
    found = ktc.pixels(0.5)
    assert found.shape == (SIZE, SIZE, 2)
    np.testing.assert_allclose(found[0, 0], [-0.5 + 0.5 / SIZE, 0.5 - 0.5 / SIZE])
