"""Zeros and ones that make no sense are told, or refused, and results keep what was told."""

import numpy as np
import pytest

import pdeinv
from pdeinv.bayes.bernoulli import Bernoulli
from pdeinv.bayes.noise import Noise
from pdeinv.config import parse
from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.io.observations import Observations, read, to_dataset
from pdeinv.jobs.invert.alike import alike
from pdeinv.model.observed import Observed
from pdeinv.problems.tumor import Tumor, TumorConfig

PLANE = {
    "lengths": [60.0, 60.0],
    "cells": 20,
    "solver": "finite-differences",
    "tissue": {"kind": "homogeneous"},
    "time": {"steps": 8},
    "masks": {"whole": 0.2, "core": 0.5},
}
PASSED = Observed("passed", "1", "whether it passed", {"x": "m"}, latent=True)


def made(**masks):
    return Tumor(parse(TumorConfig, {**PLANE, "masks": {**PLANE["masks"], **masks}}, "problem"))


def data(problem, whole, core):
    """Masks within a distance of the middle, by region."""
    sensors = problem.sensors("all")
    far = np.hypot(sensors["x"] - 30, sensors["y"] - 30)
    values = np.where(sensors["region"] == 1, far < whole, far < core).astype(float)
    return Observations(problem.observed, values, sensors, problem.likelihood(sensors))


def odd(problem, whole, core):
    """What is said of masks beside what is said of any of one time."""
    found = problem.remarks(data(problem, whole, core))
    return [text for text in found if "data of one time" not in text and "voxels of" not in text]


def test_regions_that_are_all_alike_are_told():
    problem = made()
    assert alike(data(problem, 20, 10)) == ()
    (none,) = alike(data(problem, 20, 0))
    assert none.startswith("all 400 data of region 2 (core) are 0: they bound")
    both = alike(data(problem, 99, 0))
    assert both[0].startswith("all 400 data of region 1 (whole) are 1: ")
    assert both[1:] == (none,)


def test_any_zeros_or_ones_are_told_and_no_others():
    values = np.ones(7)
    passed = Observations(PASSED, values, {"x": values}, Bernoulli(7))
    assert alike(passed)[0].startswith("all 7 data are 1: ")
    measured = Observations(PASSED, values, {"x": values}, Noise(np.ones(7)))
    assert alike(measured) == ()


def test_a_core_outside_of_the_whole_is_told():
    problem = made()
    assert odd(problem, 20, 10) == []
    (text,) = odd(problem, 10, 20)
    assert "the core was seen at" in text
    assert "is larger (" in text


@pytest.mark.parametrize(("softness", "said"), [(0.5, "hardly anything"), (1e-3, "no slope")])
def test_an_odd_softness_is_told(softness, said):
    (text,) = odd(made(softness=softness), 20, 10)
    assert said in text


@pytest.mark.parametrize(("s", "said"), [(90.0, "hardly anything"), (0.04, "not that sharp")])
def test_an_odd_softness_in_mm_is_told(s, said):
    (text,) = odd(made(softness_mm=s), 20, 10)
    assert said in text


def test_a_softness_beyond_c_is_refused():
    with pytest.raises(ConfigError, match="softness"):
        made(softness=1e9)


def test_a_noise_beside_zeros_and_ones_is_refused(tmp_path):
    problem = made()
    seen = data(problem, 20, 10)
    dataset = to_dataset(seen, {"pdeinv_kind": "observations"})
    dataset["mask_sigma"] = (dataset["mask"].dims, np.ones(dataset["mask"].shape), {"units": "1"})
    dataset.to_netcdf(tmp_path / "o.nc")
    with pytest.raises(DataSchemaError, match="leave out 'mask_sigma'"):
        read(tmp_path / "o.nc", problem.observed, None, problem.likelihood)


def test_tissue_needs_no_kind():
    assert parse(TumorConfig, {"tissue": {"ribbon": 7.0}}, "p").tissue.kind == "phantom"
    with pytest.raises(ConfigError, match="grey"):
        parse(TumorConfig, {"tissue": {"white": "w.nii"}, "lengths": [9.0, 9.0]}, "p")


def test_results_keep_what_was_told():
    problem = made()
    seen = to_dataset(data(problem, 20, 0), {"pdeinv_kind": "observations"})
    result = pdeinv.invert(seen, problem=problem, engine="map", seed=1)
    assert "all 400 data of region 2 (core) are 0" in result.attrs["pdeinv_notes"]
