"""Sections of the ground in families: published moments, layers, dips and throws."""

import dataclasses

import numpy as np
import pytest

from pdeinv.bayes.prior import sample
from pdeinv.config import parse
from pdeinv.errors import CapabilityError, ConfigError
from pdeinv.problems.seismic import Seismic, SeismicConfig
from pdeinv.problems.seismic.families import FAMILIES as LAWS
from pdeinv.problems.seismic.families import LAYERED, STYLES
from pdeinv.problems.seismic.strata import Bend, Fault, Section

PUBLISHED = {
    "flatvel-a": (2782, 786),
    "flatvel-b": (3001, 867),
    "curvevel-a": (2788, 794),
    "curvevel-b": (3001, 865),
    "flatfault-a": (3089, 855),
    "flatfault-b": (3055, 876),
    "curvefault-a": (3083, 852),
    "curvefault-b": (3036, 890),
    "style-a": (2729, 666),
    "style-b": (2837, 638),
}
"""Mean and standard deviation of all velocities, of the normalisation of OpenFWI's labels (GFI)."""

LENGTHS = (690.0, 690.0)
X, Z = np.linspace(0, 690, 24)[None, :], np.linspace(0, 690, 24)[:, None]


def sections(family, n, seed=1):
    rng = np.random.default_rng(seed)
    return [family.section(rng.random(family.dim), LENGTHS) for _ in range(n)]


def moments(family):
    values = np.array([s.velocity(X, Z) for s in sections(family, 8000)])
    return values.mean(), values.std()


def prior(family, grid=(70, 70), **table):
    unknown = {"kind": "family", "family": family, "grid": grid, **table}
    table = {"preset": "openfwi", "unknown": unknown}
    return Seismic(parse(SeismicConfig, table, "problem")).prior()


@pytest.mark.parametrize("name", LAYERED)
def test_layered_families_have_the_published_moments(name):
    assert moments(LAYERED[name]) == pytest.approx(PUBLISHED[name], rel=0.02)


def test_another_law_of_velocities_misses_the_published_moments():
    other = dataclasses.replace(LAYERED["flatvel-a"], mean=2900.0, std=850.0)
    mean, std = moments(other)
    assert abs(mean / 2782 - 1) > 0.02
    assert abs(std / 786 - 1) > 0.02


@pytest.mark.parametrize("name", STYLES)
def test_styles_have_the_published_moments(name):
    values = sample(prior(name, (32, 32)), np.random.default_rng(5), 2000)
    assert (values.mean(), values.std()) == pytest.approx(PUBLISHED[name], rel=0.02)


def test_style_a_is_smoother_than_b():
    a, b = (sample(prior(s), np.random.default_rng(0), 4).reshape(4, 70, 70) for s in STYLES)
    assert np.abs(np.diff(b)).mean() > 1.5 * np.abs(np.diff(a)).mean()


@pytest.mark.parametrize("name", LAYERED)
def test_layers_are_as_many_as_the_family_says_and_ordered_in_a(name):
    family, drawn = LAYERED[name], sections(LAYERED[name], 400)
    counts = {len(s.velocities) for s in drawn}
    assert counts == set(range(family.layers[0], family.layers[1] + 1))
    ordered = [bool((np.diff(s.velocities) >= 0).all()) for s in drawn]
    assert all(ordered) if name.endswith("a") else not all(ordered)
    thinnest = min(np.diff([0, *s.edges, 690.0]).min() for s in drawn)
    assert thinnest >= 0.08 * 690 - 1e-9
    assert all(s.velocities.min() >= 1500 and s.velocities.max() <= 4500 for s in drawn)


@pytest.mark.parametrize("name", LAYERED)
def test_faults_dips_and_curves_stay_in_their_ranges(name):
    family, drawn = LAYERED[name], sections(LAYERED[name], 400)
    counts = {len(s.faults) for s in drawn}
    assert counts == set(range(family.faults[0], family.faults[1] + 1))
    throws = np.array([f.throw for s in drawn for f in s.faults]) / 690
    leans = np.degrees(np.arctan([f.lean for s in drawn for f in s.faults]))
    for found, ends in ((throws, family.throw), (leans, family.lean)):
        assert ((np.abs(found) >= ends[0]) & (np.abs(found) <= ends[1])).all()
        assert not len(found) or found.min() < 0 < found.max()
    dips = np.abs(np.degrees(np.arctan([s.bend.slope for s in drawn])))
    assert dips.min() >= family.dip[0]
    assert dips.max() <= family.dip[1]
    heights = np.array([s.bend.amplitude for s in drawn]) / 690
    assert heights.min() >= family.amplitude[0]
    assert heights.max() <= family.amplitude[1]


def test_a_fault_shifts_the_layers_by_its_throw():
    section = Section(
        (600.0, 600.0), np.array([300.0]), np.array([2000.0, 3000.0]), faults=(Fault(300.0, 0, 60),)
    )
    z = np.arange(0.5, 600)
    tops = [z[section.velocity(x, z) > 2500][0] for x in (100.0, 500.0)]
    assert tops[1] - tops[0] == pytest.approx(60, abs=1)


def test_a_later_fault_moves_an_earlier_one():
    old, new = Fault(300.0, 0.0, 80.0), Fault(300.0, 1.0, 100.0)
    both = Section((600.0, 600.0), np.array([300.0]), np.array([2e3, 3e3]), faults=(old, new))
    x, z = 290.0, 250.0  # right of the later one, whose right side went down by 50
    restored = z - 50.0
    assert both.stratum(np.array(x), np.array(z)) == pytest.approx(restored + 40.0)


def test_layers_dip_by_their_slope_and_never_cross():
    bend = Bend(amplitude=80.0, waves=1.0, phase=0.1, growth=0.8, slope=np.tan(np.radians(5)))
    section = Section((600.0, 600.0), np.array([200.0, 260.0]), np.array([2e3, 2.5e3, 3e3]), bend)
    x, z = np.linspace(0, 600, 61), np.linspace(0, 600, 601)
    assert (np.diff(section.stratum(x[None, :], z[:, None]), axis=0) > 0).all()
    straight = dataclasses.replace(section, bend=Bend(slope=bend.slope))
    d = straight.stratum(x, np.full(61, 300.0))
    assert np.degrees(np.arctan(-(d[-1] - d[0]) / 600)) == pytest.approx(5, abs=1e-9)


def test_a_seed_gives_the_same_section_on_any_grid():
    coarse, fine = prior("curvefault-b", (35, 35)), prior("curvefault-b", (69, 69))
    xi = np.random.default_rng(7).standard_normal(coarse.dim)
    every = fine.unwhiten(xi).reshape(69, 69)[::2, ::2]
    assert np.array_equal(coarse.unwhiten(xi).reshape(35, 35), every)
    assert np.array_equal(fine.unwhiten(np.stack([xi, xi]))[1], fine.unwhiten(xi))


def test_velocities_are_scaled_to_other_ends():
    xi = np.random.default_rng(7).standard_normal(17)
    v, scaled = (prior("flatvel-b", **t).unwhiten(xi) for t in ({}, {"low": 3e3, "high": 6e3}))
    assert scaled == pytest.approx(v + 1500)
    with pytest.raises(ConfigError, match="low must be less than high, got low 5000, high 4500"):
        prior("flatvel-b", low=5000.0)


def test_numbers_that_are_not_finite_give_no_velocities():
    law = prior("flatfault-a")
    assert np.isnan(law.unwhiten(np.full(law.dim, np.nan))).all()
    assert np.isfinite(law.unwhiten(np.full(law.dim, 50.0))).all()


def test_layers_have_no_derivative_and_styles_have():
    law, style = prior("curvevel-a"), prior("style-a")
    assert style.differentiable
    assert not law.differentiable
    with pytest.raises(CapabilityError, match=r"no derivative; use an engine without gradients"):
        law.unwhiten_jvp(np.zeros(17), np.zeros(17))
    with pytest.raises(CapabilityError, match="no derivative"):
        law.unwhiten_vjp(np.zeros(17), np.zeros(4900))


# --- basins ---------------------------------------------------------------------------------------


def basin(seed=0, shape=(121, 301)):
    table = {"preset": "marmousi-like"}
    law = Seismic(parse(SeismicConfig, table, "problem")).prior()
    return law.unwhiten(np.random.default_rng(seed).standard_normal(law.dim)).reshape(shape)


def test_a_basin_has_water_beds_and_velocities_that_grow_with_depth():
    found = np.array([basin(seed) for seed in range(8)])
    assert (found >= 1500).all()
    assert (found <= 4500).all()
    sea = (found == 1500).sum(axis=1) / 121
    assert ((sea > 0.04) & (sea < 0.1)).all()
    depths = found.mean(axis=(0, 2))
    assert depths[20] < 2300
    assert depths[100] > 3000
    turns = (np.diff(found[:, :, 150], axis=1) < -50).sum(axis=1)
    assert turns.mean() >= 4  # slower beds below faster ones, as in Marmousi


def test_the_faults_of_a_basin_throw_its_beds_to_one_side():
    law = LAWS["marmousi-like"]
    for seed in range(8):
        u = np.random.default_rng(seed).random(law.dim)
        young = law.section(u, (6000.0, 2400.0), (1500.0, 4500.0)).young
        assert len(young.faults) == 4
        assert all(0.02 * 2400 <= f.throw <= 0.07 * 2400 for f in young.faults)
        assert all(20 <= np.degrees(np.arctan(f.lean)) <= 40 for f in young.faults)
        assert (np.diff([f.x for f in young.faults]) > 0).all()


def test_a_basin_is_that_of_its_seed():
    assert np.array_equal(basin(3), basin(3))
    assert not np.array_equal(basin(3), basin(4))
