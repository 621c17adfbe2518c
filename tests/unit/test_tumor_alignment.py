"""Simulations in one brain held against data of another, by the map between their tissues."""

import json

import numpy as np
import pytest
import xarray as xr

import pdeinv
from pdeinv.bayes.noise import Noise
from pdeinv.config import parse
from pdeinv.errors import DataSchemaError
from pdeinv.plugins.aligned import Measured
from pdeinv.problems.tumor import Tumor, TumorConfig
from pdeinv.problems.tumor.alignment import Alignment

pytestmark = pytest.mark.usefixtures("solves_here")

PLACES = "grid:15"
AXES = np.array([70.0, 60.0, 60.0])


def made(**table):
    base = {"cells": 48, "solver": "finite-differences", "time": {"steps": 20}}
    return Tumor(parse(TumorConfig, {**base, **table}, "problem"))


def head(scale=1.0, **more):
    """A brain whose every length is scaled along x and y, in a box that is scaled as well."""
    size = np.broadcast_to(np.asarray(scale, dtype=float), 2)
    return made(lengths=(192 * size).tolist(), **more)


def smooth(axes=AXES, **more):
    """A brain without folds, whose shape follows from its axes up to what has a size of its own."""
    tissue = {"kind": "phantom", "semi_axes": list(axes), "folds": 0.0, "ventricles": 0.01}
    return made(tissue=tissue, **more)


def measured(problem, spec=PLACES, m=None):
    sensors = problem.sensors(spec)
    values = problem.forward_model(sensors)(np.array([0.8, 0.05, 110.0, 100.0]) if m is None else m)
    return Measured(sensors, values, Noise(np.full(len(values), 0.1)))


def test_the_map_takes_mean_and_spread_of_one_tissue_to_those_of_the_other():
    here, there = made(tissue={"kind": "phantom", "patient": 5}), made()
    by = Alignment.of(here, there)
    np.testing.assert_allclose(by.places(by.there), by.centre)
    np.testing.assert_allclose(by.places(by.there + np.ones(2)) - by.centre, by.scale)
    back = Alignment.of(there, here)
    np.testing.assert_allclose(back.places(by.places(np.array([[90.0, 70.0]]))), [[90.0, 70.0]])
    assert np.abs(by.scale - 1).max() < 0.2
    assert (by.scale != 1).any()


def test_an_ellipse_is_mapped_by_its_axes():
    by = Alignment.of(smooth(), smooth(AXES * [1.1, 0.9, 1.0]))
    np.testing.assert_allclose(by.scale, [1 / 1.1, 1 / 0.9], rtol=0.02)
    np.testing.assert_allclose(by.centre, by.there, atol=0.5)


WHITE = {"kind": "homogeneous"}


def test_growth_in_a_head_of_another_size_is_the_same_growth():
    """x scaled by s and D by s²: a similar tumor, at every place that corresponds."""
    s = 1.25
    here, there = head(s, tissue=WHITE, seed={"width": 5.0}), head(tissue=WHITE)
    m = np.array([[0.6, 0.07, 100.0, 110.0]])
    found = here.aligned(measured(here, "grid:15"), there, there.sensors(PLACES))
    back = here.prior().unwhiten(found.back(_whitened(there, m)))
    np.testing.assert_allclose(back, [[0.6 * s**2, 0.07, 100 * s, 110 * s]], rtol=1e-9)
    there_c = there.forward_model(there.sensors(PLACES))(m[0])[found.columns]
    np.testing.assert_allclose(measured(here, "grid:15", back[0]).values, there_c, atol=1e-10)
    np.testing.assert_allclose(found.values, measured(here, "grid:15").values)


def _whitened(problem, m):
    from pdeinv.bayes.prior import whiten

    return whiten(problem.prior(), m)


def test_axes_that_are_scaled_differently_scale_d_by_their_mean_square():
    here, there = head([1.2, 0.9], tissue=WHITE), head(tissue=WHITE)
    found = here.aligned(measured(here), there, there.sensors(PLACES))
    back = here.prior().unwhiten(found.back(np.zeros((1, 4))))
    d, rho, x, y = back[0]
    median = there.config.unknown
    assert d == pytest.approx(median.diffusivity.median * (1.2**2 + 0.9**2) / 2)
    assert (rho, x, y) == pytest.approx((median.growth_rate.median, 96 * 1.2, 96 * 0.9))


def test_data_are_those_of_the_nearest_place_and_none_is_made_up():
    here, there = made(tissue=WHITE), made(tissue=WHITE)
    few = here.sensors("list:90,80;100,80;90,90;100,90")
    data = Measured(few, np.array([0.1, 0.2, 0.3, 0.4]), Noise(np.array([1.0, 2.0, 3.0, 4.0])))
    asked = there.sensors("list:91,81;140,80;99,91;101,78;93,84")
    found = here.aligned(data, there, asked)
    np.testing.assert_array_equal(found.columns, [0, 2, 3, 4])
    np.testing.assert_array_equal(found.values, [0.1, 0.4, 0.2, 0.1])
    # four values there weigh as much as four here
    np.testing.assert_array_equal(found.likelihood.std, [1.0, 4.0, 2.0, 1.0])


def test_many_values_weigh_as_much_as_the_data_that_there_are():
    here, there = made(), made()
    data = measured(here, "grid:9")
    found = here.aligned(data, there, there.sensors("grid:19"))
    n, k = len(data.values), len(found.values)
    assert k > 3 * n
    off = found.likelihood.misfit(np.zeros(k), found.values) / data.likelihood.misfit(
        np.zeros(n), data.values
    )
    assert off == pytest.approx(1, rel=0.2)


def test_unknowns_beyond_the_prior_come_to_lie_just_inside():
    here = made(unknown={"low": [80.0, 80.0], "high": [100.0, 100.0]})
    found = here.aligned(measured(here), made(), made().sensors(PLACES))
    m = here.prior().unwhiten(found.back(np.array([[0.0, 0.0, 2.0, -2.0], [0.0, 0.0, 0.0, 0.0]])))
    np.testing.assert_allclose(m[:, 2:], [[99.98, 80.02], [96.0, 96.0]])


MASKS = {"whole": 0.25, "core": 0.6}


def test_thresholds_that_one_of_the_two_knows_are_carried():
    here = made(masks={"whole": [0.05, 0.5], "core": [0.5, 0.85]})
    there = made(masks=MASKS)
    sensors = here.sensors("grid:9")
    data = Measured(sensors, (np.arange(len(sensors["x"])) % 3 == 0) * 1.0, None)
    found = here.aligned(data, there, sensors)
    m = here.prior().unwhiten(found.back(np.zeros((2, 4))))
    np.testing.assert_allclose(m[:, 4:], [[0.25, 0.6]] * 2)
    np.testing.assert_array_equal(found.values, data.values)
    back = there.aligned(data, here, sensors)
    assert back.back(np.zeros((2, 6))).shape == (2, 4)


def test_the_same_brain_at_the_same_places_is_compared_as_it_is():
    data = measured(made())
    assert made().aligned(data, made(), made().sensors(PLACES)) is None
    assert made().aligned(data, made(), made().sensors("grid:14")) is not None


@pytest.mark.parametrize(
    ("there", "spec", "words"),
    [
        (made(lengths=[192.0] * 3, cells=12), "grid:5",
         "simulated in 3 dimensions, this run has 2"),
        (made(), f"{PLACES}@60", "simulated at times 60, the data are at 100, or of other regions"),
        (made(), "list:140,80", "none of its sensors comes to lie near a datum of this brain"),
    ],
    ids=["dimensions", "times", "places"],
)  # fmt: skip
def test_what_cannot_be_compared_is_one_clear_line(there, spec, words):
    here = made()
    with pytest.raises(DataSchemaError, match=words):
        here.aligned(measured(here, "list:90,80;100,80"), there, there.sensors(spec))


def test_masks_of_another_softness_are_refused():
    here, there = made(masks=MASKS), made(masks={**MASKS, "softness": 0.1})
    with pytest.raises(DataSchemaError, match=r"softness = 0.1, this run has softness = 0.05"):
        here.aligned(measured(here, "grid:9"), there, there.sensors("grid:9"))


# ---- the whole way ----


@pytest.fixture(scope="module", name="cases")
def _cases(tmp_path_factory):
    """300 simulations in the reference brain, and masks of a patient."""
    folder = tmp_path_factory.mktemp("cases")
    how = {"cells": 32, "solver": "finite-differences", "time": {"steps": 30}, "masks": MASKS}
    pdeinv.generate(pdeinv.problem("tumor", **how), n=300, seed=1, sensors="all",
                    out=folder / "data.nc")  # fmt: skip
    mine = {**how, "cells": 48, "tissue": {"kind": "phantom", "patient": 2}}
    patient = pdeinv.problem("tumor", **mine)
    m = np.array([0.9, 0.055, 118.0, 76.0])
    pdeinv.solve(patient, m=m, out=folder / "truth.nc")
    pdeinv.observe(folder / "truth.nc", sensors="all", seed=2, out=folder / "obs.nc")
    return folder


def search(cases, **options):
    data = cases / "data.nc"
    return pdeinv.invert(cases / "obs.nc", engine="database", simulations=data, seed=3, **options)


def test_a_patient_is_found_in_simulations_of_the_reference_brain(cases):
    found = search(cases, refine="none")
    hits = found["hits"].to_dataset()
    assert hits.sizes["hit"] == 8
    seed = np.stack([hits["seed_x"][0], hits["seed_y"][0]])
    assert np.linalg.norm(seed - [118.0, 76.0]) < 15
    every = xr.load_dataset(cases / "data.nc")
    off = np.hypot(every["seed_x"] - 118.0, every["seed_y"] - 76.0)
    assert np.linalg.norm(seed - [118.0, 76.0]) < np.quantile(off, 0.1)


def test_the_refinement_is_in_the_anatomy_of_the_patient(cases):
    found = search(cases)
    assert found.attrs["pdeinv_converged"]
    summary = json.loads(found.attrs["pdeinv_summary"])
    assert summary["objective"] < 0.5 * summary["objective_simulated"]
    estimate = found["posterior"]
    at = [
        float(estimate[name].squeeze())
        for name in ("diffusivity", "growth_rate", "seed_x", "seed_y")
    ]
    np.testing.assert_allclose(at, [0.9, 0.055, 118.0, 76.0], rtol=0.1)


def test_an_empty_mask_has_no_score_there(cases):
    empty = xr.load_dataset(cases / "obs.nc")
    empty["mask"][empty["region"].values == 2] = 0.0
    empty.to_netcdf(cases / "empty.nc")
    tables = {"problem": {"masks": {"score": "dice"}}}
    with pytest.raises(DataSchemaError, match="mask 1 is empty and has no Dice score"):
        pdeinv.invert(cases / "empty.nc", engine="database", simulations=cases / "data.nc",
                      tables=tables, seed=3)  # fmt: skip
