"""Regular grids: node order, quadrature, labels and refused extents."""

import numpy as np
import pytest

from pdeinv.bayes.fields.grid import RegularGrid, cells
from pdeinv.errors import ConfigError

BOX = ((0.0, 2.0), (-1.0, 1.0), (5.0, 6.0))


@pytest.mark.parametrize("d", [1, 2, 3])
def test_points_run_with_x_fastest(d):
    grid = RegularGrid(BOX[:d], (3, 4, 5)[:d])
    points = grid.points.reshape(*grid.shape, d)
    assert grid.size == len(grid.points)
    for i, axis in enumerate(grid.axes):
        along = np.moveaxis(points[..., i], d - 1 - i, -1)
        np.testing.assert_array_equal(along, np.broadcast_to(axis, along.shape))


@pytest.mark.parametrize("d", [1, 2, 3])
def test_weights_integrate_multilinear_functions_exactly(d):
    grid = RegularGrid(BOX[:d], (3, 4, 5)[:d])
    exact = 1.0
    for low, high in BOX[:d]:
        exact *= (high - low) + (high**2 - low**2)
    values = np.prod(1 + 2 * grid.points, axis=1)
    assert grid.weights @ values == pytest.approx(exact, rel=1e-13)


def test_the_variable_has_labelled_axes():
    variable = RegularGrid(BOX, (3, 4, 5)).variable("k", "m s-1", "conductivity", "km")
    array = variable.to_xarray(np.zeros(60))
    assert array.dims == ("z", "y", "x")
    assert array.shape == (5, 4, 3)
    assert array.attrs == {"units": "m s-1", "long_name": "conductivity"}
    assert array.x.attrs == {"units": "km", "long_name": "x coordinate", "axis": "X"}
    np.testing.assert_allclose(array.y, [-1, -1 / 3, 1 / 3, 1])


def test_cells_have_their_centres_as_coordinates():
    array = cells(BOX[:2], (4, 2), ("k", "1", "phase")).to_xarray(np.arange(8.0))
    np.testing.assert_allclose(array.x, [0.25, 0.75, 1.25, 1.75])
    np.testing.assert_allclose(array.y, [-0.5, 0.5])
    assert float(array.sel(x=0.75, y=0.5)) == 5.0


@pytest.mark.parametrize(
    ("extent", "nodes", "message"),
    [
        ((), (), "extent: expected 1 to 3 intervals, got 0"),
        (((1.0, 1.0),), (3,), r"extent along x: expected low < high, got \(1, 1\)"),
        (((0.0, 1.0), (0.0, np.inf)), (3, 3), r"extent along y: expected low < high"),
        (BOX[:1], (3, 3), r"grid: expected 1 numbers for a 1-D domain, got \(3, 3\)"),
        (BOX[:2], (3, 1), r"grid: expected at least 2 along each axis, got \(3, 1\)"),
    ],
)
def test_bad_grids_are_refused(extent, nodes, message):
    with pytest.raises(ConfigError, match=message):
        RegularGrid(extent, nodes)


def test_one_cell_is_enough():
    assert cells(BOX[:2], (1, 1), ("k", "1", "phase")).size == 1
