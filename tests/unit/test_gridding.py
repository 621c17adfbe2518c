"""Gridded fields of problems whose data vary over more than place."""

import numpy as np
import pytest

from pdeinv.errors import ConfigError
from pdeinv.io import datasets, netcdf
from pdeinv.jobs.generate.grid import grid_places, parse_times
from pdeinv.jobs.generate.plan import Plan
from pdeinv.jobs.generate.run import generate
from pdeinv.plugins.recipe import make_problem

pytestmark = pytest.mark.usefixtures("solves_here")

HEAT = {
    "cells": [6, 6],
    "time": {"final": 0.2, "steps": 4},
    "unknown": {"kind": "initial-state", "prior": {"kind": "gaussian", "modes": 3, "grid": [7, 7]}},
}
WAVES = {
    "cells": 6,
    "wavenumbers": [4.0, 5.0],
    "incident": {"kind": "plane", "count": 2},
    "unknown": {"kind": "gaussian", "modes": 3, "grid": [9, 9], "length": 0.4, "std": 0.1},
}


def made(tmp_path, name, config, spec, **more):
    problem = make_problem(name, config)
    plan = Plan(name, config, problem.sensors(spec), 2, 1, **more)
    generate(plan, tmp_path / "d.nc", tmp_path / "d.run")
    return problem, plan, datasets.read(tmp_path / "d.nc")


def test_heat_keeps_the_trajectory_at_the_times_asked_for(tmp_path):
    times = (0.05, 0.1, 0.2)
    problem, _, data = made(tmp_path, "heat", HEAT, "grid:2x2@0.1:0.2:2", grid=(4, 5), times=times)
    assert data.field.shape == (2, 3, 4, 5)
    assert data.coefficient.shape == (2, 4, 5)
    np.testing.assert_array_equal(data.experiments["t"], times)
    assert list(data.axes) == ["y", "x"]
    nodes = problem.grid((4, 5))
    m = problem.prior().unwhiten(data.xi)
    for k, t in enumerate(times):
        model = problem.forward_model({**nodes, "t": np.full(20, t)})
        here = np.stack([model(one) for one in m]).reshape(2, 4, 5)
        np.testing.assert_allclose(data.field[:, k], here, rtol=1e-12, atol=1e-14)
    file = netcdf.read_dataset(tmp_path / "d.nc")
    assert file["u_grid"].dims == ("sample", "grid_t", "grid_y", "grid_x")
    assert file["grid_t"].attrs["units"] == "s"


def test_heat_without_times_has_the_last_state_alone(tmp_path):
    _, _, data = made(tmp_path, "heat", HEAT, "grid:2x2@0.1:0.2:2", grid=(4, 5))
    assert data.field.shape == (2, 4, 5)
    assert dict(data.experiments) == {}


def test_complex_waves_have_axes_for_source_frequency_and_component(tmp_path):
    problem, plan, data = made(tmp_path, "helmholtz", WAVES, "list:0.5,0.5", grid=(5, 5))
    observed = problem.observed
    assert data.field.shape == (2, 2, 2, 2, 5, 5)
    assert list(data.experiments) == ["source", "frequency", "component"]
    file = netcdf.read_dataset(tmp_path / "d.nc")
    assert file[f"{observed.name}_grid"].dims[1:4] == tuple(f"grid_{c}" for c in data.experiments)
    y, x = (data.axes[c] for c in "yx")
    i, j = (int(np.argmin(np.abs(a - 0.5))) for a in (y, x))
    assert y[i] == x[j] == 0.5
    for row in range(data.values.shape[1]):
        at = tuple(
            int(np.flatnonzero(values == plan.sensors[c][row])[0])
            for c, values in data.experiments.items()
        )
        np.testing.assert_allclose(data.field[(slice(None), *at, i, j)], data.values[:, row])


def test_data_that_are_no_values_at_places_have_the_coefficient_alone(tmp_path):
    problem, _, data = made(
        tmp_path, "helmholtz", {**WAVES, "measure": "far-field"}, "ring:4", grid=(5, 5)
    )
    assert data.field is None
    m = problem.prior().unwhiten(data.xi)
    there = np.asarray((problem.grid_operator((5, 5)) @ m.T).T).reshape(2, 5, 5)
    np.testing.assert_allclose(data.coefficient, there, rtol=1e-13)
    assert list(data.axes) == ["y", "x"]
    assert netcdf.read_dataset(tmp_path / "d.nc")["grid_x"].attrs["units"] == "m"


def test_ellipses_have_their_coefficient_on_a_grid_although_no_matrix_gives_it(tmp_path):
    config = {"model": "continuum", "modes": 2, "cells": 6, "unknown": {"kind": "heart-and-lungs"}}
    problem = make_problem("eit", config)
    plan = Plan("eit", config, problem.sensors("all"), 3, 1, grid=(5, 7))
    generate(plan, tmp_path / "data.nc", tmp_path / "run")
    found = datasets.read(tmp_path / "data.nc")
    ms = problem.prior().unwhiten(found.xi)
    assert found.field is None
    for image, m in zip(found.coefficient, ms, strict=True):
        assert np.array_equal(image.ravel(), problem.on_grid(m, (5, 7)))


def test_places_run_over_nodes_fastest():
    places = grid_places({"x": np.array([0.0, 1.0])}, {"t": np.array([3.0, 4.0, 5.0])})
    assert places["x"].tolist() == [0, 1] * 3
    assert places["t"].tolist() == [3, 3, 4, 4, 5, 5]


@pytest.mark.parametrize(
    ("text", "times"),
    [("sensors", (0.5, 2.0)), ("0:1:3", (0.0, 0.5, 1.0)), ("0.25,1", (0.25, 1.0))],
)
def test_times_are_understood(text, times):
    assert parse_times(text, {"t": np.array([2.0, 0.5, 2.0])}) == times


@pytest.mark.parametrize("text", ["", "soon", "1:2", "2,1", "0:1:0"])
def test_times_that_are_none_are_refused(text):
    with pytest.raises(ConfigError, match="expected 'sensors', FIRST:LAST:COUNT"):
        parse_times(text, {"t": np.array([1.0])})
    with pytest.raises(ConfigError, match="have no times"):
        parse_times(text, {"x": np.array([1.0])})


@pytest.mark.parametrize(
    ("options", "spec"),
    [
        ({"measure": "normal-derivative", "truncation": {"kind": "dirichlet"}}, "boundary:2"),
        ({"receivers": "integrate"}, "ring:4:0.7"),
    ],
    ids=["normal-derivative", "integrate"],
)
def test_data_of_a_part_of_the_domain_have_images_and_no_field(tmp_path, options, spec):
    problem, _, data = made(tmp_path, "helmholtz", {**WAVES, **options}, spec, grid=(5, 4))
    assert data.field is None
    image = problem.on_grid(problem.prior().unwhiten(data.xi[0]), (5, 4)).ravel()
    np.testing.assert_allclose(data.coefficient[0].ravel(), image, atol=1e-12)
