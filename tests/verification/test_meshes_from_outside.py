"""Meshes as people bring them: each is solved to the known solution, or refused with the place.

The table of docs/meshes.md has a row for every mesh here.
"""

from functools import partial
from pathlib import Path

import numpy as np
import outside_meshes as made
import pytest
from outside_meshes import EAST, LINES, SQUARE, TRIANGLES, WALLS, WEST

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.fem.plane_msh import read_msh
from pdeinv.model.sensors import columns
from pdeinv.problems.darcy import Darcy, DarcyConfig
from pdeinv.problems.eit import Eit, EitConfig
from pdeinv.problems.heat import Heat, HeatConfig

PAGE = Path(__file__).parents[2] / "docs" / "meshes.md"


def head(value):
    return {"kind": "dirichlet", "value": value}


WALL = {"kind": "flux", "value": 0.0}
ACROSS = {WEST: head(1.0), EAST: head(0.0), WALLS: WALL}
TILTED = "1 + x - 2*y"


def across(x, y, width=1.0, x0=0.0):
    return 1 - (x - x0) / width


def tilted(x, y):
    return 1 + x - 2 * y


def everywhere(*sides):
    """The tilted head on all sides."""
    return {side: head(TILTED) for side in (WEST, EAST, WALLS, *sides)}


def layered(x, _y):
    """κ = 1 on the left and 3 on the right."""
    return np.where(x < 0.5, 1 - 1.5 * x, (1 - x) / 2)


def radial(x, y):
    return np.log(np.hypot(x, y) / 2) / np.log(0.5)


SHIFT = (500_000.0, 4_500_000.0)
METRES = {"width": 1000.0, "height": 1000.0, "origin": SHIFT}
TWO = {"unknown": {"kind": "piecewise", "cells": (2, 1)}}
COARSE = [(0, 0), (1, 0), (1, 1), (0, 1), (0.5, 0.5)]

SOLVED = {
    "plain": (made.rectangle, ACROSS, across, {}),
    "msh 2.2": (partial(made.rectangle, version=2.2), ACROSS, across, {}),
    "binary 4.1": (partial(made.rectangle, binary=True), ACROSS, across, {}),
    "binary 2.2": (partial(made.rectangle, version=2.2, binary=True), ACROSS, across, {}),
    "quadrilaterals": (partial(made.rectangle, quads=True), ACROSS, across, {"element": "Q1"}),
    "second-order elements": (made.rectangle, ACROSS, across, {"element": "P2"}),
    "millimetres": (
        partial(made.rectangle, width=250.0, height=100.0),
        ACROSS,
        partial(across, width=250.0),
        {},
    ),
    "micrometres in metres": (
        partial(made.square, points=[(1e-6 * x, 1e-6 * y) for x, y in SQUARE]),
        ACROSS,
        partial(across, width=1e-6),
        {},
    ),
    "map coordinates": (
        partial(made.rectangle, **METRES),
        ACROSS,
        partial(across, width=1000.0, x0=SHIFT[0]),
        {},
    ),
    "two materials": (made.halves, ACROSS, layered, TWO),
    "cells in two groups, 4.1": (partial(made.halves, zone=True), ACROSS, layered, TWO),
    "cells in two groups, 2.2": (
        partial(made.halves, zone=True, version=2.2), ACROSS, layered, TWO,
    ),
    "inner curve without condition": (partial(made.halves, river=[0.5]), ACROSS, across, {}),
    "side in two groups, one used": (partial(made.halves, river=[0.0]), ACROSS, across, {}),
    "round hole": (made.with_hole, everywhere("well"), tilted, {}),
    "ring": (made.ring, {"inner": head(1.0), "outer": head(0.0)}, radial, {}),
    "slit of some width": (made.slit, everywhere("gap"), tilted, {}),
    "two islands": (made.islands, everywhere("banks"), tilted, {}),
    "clockwise cells": (
        partial(made.square, cells=[c[::-1] for c in TRIANGLES]), ACROSS, across, {},
    ),
    "cell listed twice": (
        partial(made.square, cells=[*TRIANGLES, TRIANGLES[0]]), ACROSS, across, {},
    ),
    "nodes without cells": (
        partial(made.square, points=[*SQUARE, (7, 7)], numbers=[3, 30, 31, 200, 9, 1, 77]),
        ACROSS,
        across,
        {},
    ),
}  # fmt: skip

JOIN = r"parts of the mesh touch at \(.*\) without sharing nodes"
ONE_NAME = [(4 if k == 5 else g, a, b) for k, (g, a, b) in enumerate(LINES)]
FLAT = [*SQUARE, (0.25, 0.0)]

REFUSED = {
    "condition on an inner curve": (
        partial(made.halves, river=[0.5]),
        r"physical curve 'river' runs inside the domain at \(0\.5, 0\.\d+\); a condition there",
    ),
    "condition on a curve partly inside": (
        partial(made.halves, river=[0.0, 0.5]),
        r"physical curve 'river' runs inside the domain at \(0\.5, 0\.\d+\)",
    ),
    "condition on a curve off the mesh": (
        partial(made.square, points=[*SQUARE, (3, 0), (3, 1)], names=(WEST, EAST, WALLS, "river"),
                lines=[*LINES, (4, 6, 7)]),
        r"physical curve 'river' has no facet on a cell of the mesh",
    ),
    "edge in two sides with conditions": (
        partial(made.square, names=(WEST, EAST, WALLS, "river"), lines=[*LINES, (4, 0, 3)]),
        r"boundary at \(0, 0\.5\) belongs to the sides '(west|river)' and '(west|river)'",
    ),
    "parts that are not joined": (partial(made.halves, joined=False), JOIN),
    "crack without width": (made.crack, JOIN),
    "hanging node": (
        partial(made.square, points=[*SQUARE, (0.5, 0.5), (0.0, 2.0)],
                cells=[*TRIANGLES[:2], (1, 2, 6), (2, 5, 6), (6, 5, 4)]),
        r"parts of the mesh touch at \(0\.5, 0\.5\)",
    ),
    "overlapping cells": (
        partial(made.square, points=[*SQUARE, (0.4, 0.6)], cells=[*TRIANGLES, (1, 4, 6)]),
        r"cells of the mesh overlap at \(0\.5, 0\.5\)",
    ),
    "overlapping parts": (
        partial(made.square, points=[*SQUARE, (0.8, 0.4), (2, 0.2), (2, 0.6)],
                cells=[*TRIANGLES, (6, 7, 8)]),
        r"parts of the mesh touch at \(0\.8, 0\.4\)",
    ),
    "flat cell": (
        partial(made.square, points=FLAT, cells=[*TRIANGLES, (0, 6, 1)]),
        r"cell at \(0\.25, 0\) is flat \(1 such cells\)",
    ),
    "crossed quadrilateral": (
        partial(made.square, cells=[(0, 1, 3, 4), (1, 2, 5, 4)]),
        r"cell at \(0\.25, 0\.5\) is flat or not convex",
    ),
    "cells of two kinds": (
        partial(made.square, cells=[(0, 1, 4, 3), *TRIANGLES[2:]]), "straight triangles only or",
    ),
    "curved cells": (partial(made.rectangle, order=2), "straight triangles only or"),
    "solid cells": (made.box, "holds solid cells; expected a plane mesh"),
    "a surface in space": (partial(made.box, dim=2), "(not plane|no triangles)"),
    "node that is no number": (
        partial(made.square, points=[(0, 0), (0.5, "nan"), *SQUARE[2:]]),
        "(not finite|as a Gmsh mesh)",
    ),
    "two groups of one name": (
        partial(made.square, names=(WEST, EAST, WALLS, WALLS), lines=ONE_NAME),
        "two physical groups are named 'walls'",
    ),
    "island without a head": (
        made.islands, r"part of the mesh at \(0\.6, 0\) is joined to no other and no side of it",
    ),
    "no head at all": (made.rectangle, "no boundary side holds a Dirichlet condition"),
}  # fmt: skip

CONDITIONS = {
    "island without a head": {EAST: WALL, WEST: head(1.0), WALLS: WALL, "banks": WALL},
    "no head at all": {EAST: WALL, WEST: WALL, WALLS: WALL},
}


def darcy(path, boundary, **more):
    config = {"unknown": {"kind": "piecewise", "cells": (1, 1)}, "source": 0.0, **more}
    return Darcy(DarcyConfig.model_validate({**config, "mesh": path, "boundary": boundary}))


@pytest.mark.parametrize("name", SOLVED)
def test_a_sound_mesh_gives_the_solution_that_is_known(name, tmp_path):
    make, boundary, exact, more = SOLVED[name]
    make(tmp_path / "mesh.msh")
    problem = darcy(tmp_path / "mesh.msh", boundary, **more)
    m = np.array([1.0, 3.0])[: problem.prior().space.size]
    fields = problem.solve(m, level=0)
    x, y = fields["x"].values, fields["y"].values
    tolerance = 0.01 if name == "ring" else 1e-9
    np.testing.assert_allclose(fields["u"].values, exact(x, y), atol=tolerance)
    mesh = problem.mesh()
    places = mesh.points[mesh.cells].mean(axis=1)
    seen = problem.forward_model(columns(places), 0)(m)
    np.testing.assert_allclose(seen, exact(*places.T), atol=tolerance)


@pytest.mark.parametrize("name", REFUSED)
def test_an_unsound_mesh_is_one_line_that_names_it_and_the_place(name, tmp_path):
    make, message = REFUSED[name]
    make(tmp_path / "mesh.msh")
    river = {"river": head(5.0)} if "river" in message else {}
    boundary = CONDITIONS.get(name, {WEST: head(1.0), EAST: head(0.0), WALLS: WALL, **river})
    with pytest.raises((DataSchemaError, ConfigError), match=message) as caught:
        darcy(tmp_path / "mesh.msh", boundary).solve(np.ones(1), level=0)
    assert "\n" not in str(caught.value)
    assert "conductivity" not in str(caught.value)
    assert "mesh.msh" in str(caught.value) or "part" in message or "Dirichlet" in message


def test_heat_refuses_what_darcy_refuses(tmp_path):
    made.halves(tmp_path / "mesh.msh", river=[0.5])
    boundary = {"river": head(5.0)}
    with pytest.raises(DataSchemaError, match="'river' runs inside the domain"):
        Heat(
            HeatConfig.model_validate({"mesh": tmp_path / "mesh.msh", "boundary": boundary})
        ).prior()


ENDS = {"kind": "matrix", "matrix": [[1.0, -1.0]]}
"""Current from the first electrode to the second, and the voltage between them."""
Z = 0.05


def body(path, **more):
    """An impedance problem between two electrodes."""
    config = {
        "domain": {"kind": "msh", "file": str(path), **more},
        "electrodes": {"impedance": Z},
        "drive": {"pattern": ENDS},
        "measure": {"pattern": ENDS, "include_driven": True},
        "unknown": {"kind": "uniform", "low": 0.1, "high": 9.0, "cells": [1] * (3 if more else 2)},
    }
    return Eit(EitConfig.model_validate(config))


def bar(path):
    """A plane body with electrodes on its whole ends."""
    with made.model(path) as occ:
        occ.addRectangle(0, 0, 0, 1, 1)
        occ.synchronize()
        made.group(2, [1], "body")
        made.group(1, made.curves(0, 0.0), "electrode1")
        made.group(1, made.curves(0, 1.0), "electrode2")
        made.size(0.3)


def two_bars(path):
    """Two bodies apart, with an electrode each."""
    with made.model(path) as occ:
        occ.addRectangle(0, 0, 0, 0.4, 1)
        occ.addRectangle(0.6, 0, 0, 0.4, 1)
        occ.synchronize()
        made.group(2, [1, 2], "body")
        made.group(1, made.curves(0, 0.0), "electrode1")
        made.group(1, made.curves(0, 1.0), "electrode2")


BODIES = {
    "plane body": (bar, {}),
    "solid body of two halves": (made.box, {"volume": True}),
    "solid body, msh 2.2": (partial(made.box, version=2.2), {"volume": True}),
    "solid body, binary": (partial(made.box, binary=True), {"volume": True}),
}

NO_BODIES = {
    "two bodies": (two_bars, {}, "has parts that no cells join"),
    "solid halves that are not joined": (
        partial(made.box, joined=False), {"volume": True},
        r"parts of the mesh touch at \(0\.5, .*\) without sharing nodes",
    ),
    "electrode inside a solid": (
        partial(made.box, river=True), {"volume": True},
        r"physical surface 'electrode2' runs inside the domain at \(0\.5, ",
    ),
    "curved solid cells": (
        partial(made.box, order=2), {"volume": True}, "expected straight tetrahedra only",
    ),
    "plane mesh for a solid": (bar, {"volume": True}, "expected straight tetrahedra only"),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_the_resistance_of_a_body_between_its_ends_is_known(name, tmp_path):
    make, more = BODIES[name]
    make(tmp_path / "body.msh")
    problem, sigma = body(tmp_path / "body.msh", **more), 2.5
    m = np.full(problem.prior().space.size, sigma)
    ampere = problem.config.drive.current
    seen = problem.forward_model(problem.sensors("all"), 0)(m)
    np.testing.assert_allclose(np.abs(seen), ampere * (1 / sigma + 2 * Z), rtol=1e-10)


@pytest.mark.parametrize("name", NO_BODIES)
def test_what_is_no_body_is_refused_in_one_line(name, tmp_path):
    make, more, message = NO_BODIES[name]
    make(tmp_path / "body.msh")
    with pytest.raises((DataSchemaError, ConfigError), match=message) as caught:
        body(tmp_path / "body.msh", **more).domain.mesh()
    assert "body.msh" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", [(70.71, 70.71), (71.0, 71.0), (120.0, 0.0), (100.0, 0.01)])
def test_a_sensor_beyond_the_chords_of_a_round_boundary_is_outside(place, tmp_path):
    with made.model(tmp_path / "disc.msh") as occ:
        occ.addDisk(0, 0, 0, 100, 100)
        occ.synchronize()
        made.group(2, [1], "tank")
        made.group(1, [1], "rim")
        made.size(15)
    problem = darcy(tmp_path / "disc.msh", {"rim": head(0.0)})
    with pytest.raises((DataSchemaError, ConfigError), match=r"sensor 1 at .* lies outside"):
        problem.forward_model({"x": np.array([0.0, place[0]]), "y": np.array([0.0, place[1]])}, 0)
    rim = read_msh(tmp_path / "disc.msh")
    on = rim.points[rim.edges].mean(axis=1)
    assert np.abs(problem.forward_model(columns(on), 0)(np.ones(1))).max() < 1e-9


def test_every_mesh_has_its_row_in_the_table_of_the_page():
    rows = {line.split("|")[1].strip() for line in PAGE.read_text().splitlines() if line[:1] == "|"}
    assert {*SOLVED, *REFUSED, *BODIES, *NO_BODIES} <= rows
