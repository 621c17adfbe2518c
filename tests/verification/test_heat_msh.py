"""Heat on a Gmsh mesh is heat on the rectangle that it meshes."""

import numpy as np
import pytest

from pdeinv.errors import ConfigError
from pdeinv.problems.heat import Heat, HeatConfig

gmsh = pytest.importorskip("gmsh")


@pytest.fixture(scope="module", name="msh")
def _msh(tmp_path_factory):
    path = tmp_path_factory.mktemp("msh") / "plate.msh"
    gmsh.initialize(interruptible=False)
    gmsh.option.setNumber("General.Terminal", 0)
    gmsh.model.occ.addRectangle(0, 0, 0, 2, 1)
    gmsh.model.occ.synchronize()
    for tag, name in ((1, "cold"), (2, "wall"), (3, "hot"), (4, "air")):
        gmsh.model.addPhysicalGroup(1, [tag], tag, name)
    gmsh.model.addPhysicalGroup(2, [1], 1)
    gmsh.option.setNumber("Mesh.MeshSizeMax", 0.15)
    gmsh.model.mesh.generate(2)
    gmsh.write(str(path))
    gmsh.finalize()
    return path


CONDITIONS = {
    "cold": {"kind": "dirichlet", "value": 0.0},
    "wall": {"kind": "flux", "value": "-y*t"},
    "hot": {"kind": "dirichlet", "value": "sin(t)"},
    "air": {"kind": "robin", "coefficient": 0.3, "ambient": "t"},
}
SAME = {"bottom": "cold", "right": "wall", "top": "hot", "left": "air"}


def prediction(level=0, **settings):
    prior = {"kind": "log-gaussian", "grid": (9, 9), "modes": 4, "mean": -2.0, "std": 0.5}
    unknown = {"kind": "conductivity", "prior": prior}
    table = {"unknown": unknown, "element": "P2", "initial": "y", **settings}
    problem = Heat(HeatConfig.model_validate(table))
    sensors = {a: np.array(v) for a, v in SENSORS.items()}
    return problem.forward_model(sensors, level)(
        problem.prior().unwhiten(np.array([0.5, -1, 0, 1]))
    )


SENSORS = {"x": [0.3, 1.2, 1.9, 1.0], "y": [0.4, 0.6, 0.2, 0.5], "t": [0.4, 0.8, 1.0, 0.55]}


def test_the_mesh_does_not_matter(msh):
    box = {name: CONDITIONS[same] for name, same in SAME.items()}
    for level, bound in ((0, 1e-3), (1, 2e-4)):
        expected = prediction(level, lengths=(2.0, 1.0), cells=(48, 24), boundary=box)
        found = prediction(level, mesh=msh, boundary=CONDITIONS)
        assert np.abs(found - expected).max() < bound


def test_sides_that_the_mesh_has_not_are_named(msh):
    with pytest.raises(ConfigError, match=r"'north' is no physical curve of .*; it has"):
        prediction(mesh=msh, boundary={"north": {"kind": "flux"}})
