"""D between voxels from tissue that is sampled finer than they are."""

import numpy as np
import pytest

from pdeinv.problems.tumor import Tumor, TumorConfig
from pdeinv.problems.tumor.faces import faces_of
from pdeinv.problems.tumor.tissue import Smooth

SOLID = TumorConfig(lengths=(40.0, 24.0, 16.0), cells=(10, 6, 4))
EXACT = {"rtol": 1e-12}


def layered(axis, ends):
    """White up to each end of a layer, grey up to the next, along one axis."""

    def fractions(points):
        white = (np.searchsorted(ends, points[:, axis]) % 2 == 0).astype(float)
        return white, 1 - white

    return Smooth(fractions)


def test_resistances_of_layers_add_up_along_the_flux():
    x = faces_of(SOLID, layered(0, [10.0, 20.0, 32.0]), SOLID.counts)[0]
    assert x.shape == (4, 6, 10)
    assert np.all(x[..., 0] == 0)
    # from 2 to 38 mm: 8 + 12 of white matter, 10 + 6 of grey
    np.testing.assert_allclose(np.sum(4.0 / x[..., 1:], axis=-1), 20.0 + 16.0 * 10.0, **EXACT)


def test_what_flows_side_by_side_adds_up():
    x, y, z = faces_of(SOLID, layered(1, [6.0]), SOLID.counts)
    # half of the second voxel along y is white
    wanted = np.array([1.0, 0.55, 0.1, 0.1, 0.1, 0.1])
    np.testing.assert_allclose(x[..., 1:], np.broadcast_to(wanted[:, None], (4, 6, 9)), **EXACT)
    np.testing.assert_allclose(z[1:], np.broadcast_to(wanted[:, None], (3, 6, 10)), **EXACT)
    np.testing.assert_allclose(np.sum(4.0 / y[:, 1:], axis=1), 4.0 + 160.0, **EXACT)


def test_tissue_that_lets_nothing_through_closes_a_face():
    wall = Smooth(lambda p: ((np.abs(p[:, 0] - 19.0) > 1.0) * 1.0, np.zeros(len(p))))
    x = faces_of(SOLID, wall, SOLID.counts)[0]
    assert np.all(x[..., 5] == 0)
    assert np.all(x[..., [1, 2, 3, 4, 6, 7, 8, 9]] == 1)


@pytest.mark.parametrize("lengths", [(60.0,), (60.0, 50.0), (60.0, 50.0, 40.0)])
def test_one_tissue_has_the_same_solution_by_both(lengths):
    table = {"solver": "finite-differences", "lengths": lengths, "cells": 12, "time": {"steps": 9}}
    m = np.array([0.8, 0.07, *(0.45 * n for n in lengths)])
    found = []
    for faces in ("mean", "sampled"):
        config = {**table, "tissue": {"kind": "homogeneous"}, "faces": faces}
        problem = Tumor(TumorConfig.model_validate(config))
        found.append(problem.forward_model(problem.sensors("grid:5"))(m))
    np.testing.assert_allclose(*found, rtol=1e-12)


def test_a_tumor_that_meets_grey_matter_is_nearer_to_that_of_fine_voxels():
    """In voxels of 4 mm, against linear elements on 1 mm."""
    m = np.array([0.5, 0.06, 120.0, 60.0])

    def data(cells, **more):
        problem = Tumor(TumorConfig.model_validate({"cells": cells, **more}))
        return problem.forward_model(sensors)(m)

    sensors = Tumor(TumorConfig(cells=48)).sensors("grid:15")
    fine = data(192)
    gaps = [
        np.sqrt(np.mean((data(48, solver="finite-differences", faces=faces) - fine) ** 2))
        for faces in ("mean", "sampled")
    ]
    assert gaps[1] < 0.8 * gaps[0]
