"""A mesh that comes from elsewhere brings numbers, and never a command that is run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pdeinv.errors import DataSchemaError
from pdeinv.fem.gmsh import session
from pdeinv.fem.plane_msh import read_msh
from pdeinv.fem.solids import read_solid
from pdeinv.io.observations import NoiseSpec
from pdeinv.jobs.invert.plan import plan
from pdeinv.jobs.invert.run import Inversion
from pdeinv.jobs.observe import make_observations, make_truth
from pdeinv.problems.darcy import Darcy

ROOT = Path(__file__).parents[2]
UNKNOWN = {"kind": "piecewise", "cells": [2, 2]}


def write_mesh(path, solid=False):
    with session() as gmsh:
        occ, dim = gmsh.model.occ, 3 if solid else 2
        shape = occ.addBox(0, 0, 0, 1, 1, 1) if solid else occ.addRectangle(0, 0, 0, 1, 1)
        occ.synchronize()
        gmsh.model.addPhysicalGroup(dim, [shape], 1, name="body")
        gmsh.option.setNumber("Mesh.MeshSizeMax", 0.5)
        gmsh.model.mesh.generate(dim)
        gmsh.write(str(path))
    return path


def lay(options, mark):
    """A file of Gmsh options that runs a command when it is read."""
    options.write_text(f'SystemCall "touch {mark}";\n')


@pytest.fixture
def trapped(tmp_path):
    """Makes a mesh with options beside it, and says where they would leave their mark."""

    def make(solid=False):
        path = write_mesh(tmp_path / "mesh.msh", solid)
        lay(tmp_path / "mesh.msh.opt", tmp_path / "mark")
        return path, tmp_path / "mark"

    return make


def test_gmsh_itself_runs_what_lies_beside_a_mesh(trapped):
    """Negative control: the trap works."""
    path, mark = trapped()
    with session() as gmsh:
        gmsh.merge(str(path))
    assert mark.exists()


@pytest.mark.parametrize("solid", [False, True])
def test_options_beside_a_mesh_are_not_read(solid, trapped):
    path, mark = trapped(solid)
    found = (read_solid if solid else read_msh)(path)
    assert len(found.cells) > 4
    assert not mark.exists()


def test_a_mesh_behind_a_link_is_read_and_nothing_beside_either(trapped, tmp_path):
    path, mark = trapped()
    (tmp_path / "other").mkdir()
    link = tmp_path / "other" / "link.msh"
    link.symlink_to(path)
    lay(link.with_name("link.msh.opt"), mark)
    assert len(read_msh(link).cells) > 4
    assert not mark.exists()


def test_the_mesh_that_an_observation_file_names_runs_nothing_either(trapped, tmp_path):
    path, mark = trapped()
    problem = Darcy(Darcy.Config(mesh=path, unknown=UNKNOWN))
    unknown = problem.prior().unwhiten([0.1, 0.2, 0.3, 0.4])
    make_truth(problem, unknown, seed=1, level=0).to_netcdf(tmp_path / "truth.nc")
    places, noise = "list:0.5,0.5;0.2,0.7", NoiseSpec(0.1)
    observed = make_observations(tmp_path / "truth.nc", places, noise, seed=1)
    observed.to_netcdf(tmp_path / "obs.nc")
    tables = {"seed": 1, "engine": {"name": "map"}}
    assert plan(Inversion.resolve(tables, tmp_path / "obs.nc"))["data"] == 2
    assert not mark.exists()


def test_an_error_names_the_file_of_the_user(tmp_path):
    path = tmp_path / "cut.msh"
    path.write_text("$MeshFormat\n4.1 0 8\n$EndMeshFormat\n$Nodes\n1 1\n")
    with pytest.raises(DataSchemaError) as caught:
        read_msh(path)
    assert str(path) in str(caught.value)
    assert "pdeinv-" not in str(caught.value)


def test_a_script_with_the_name_of_a_mesh_is_refused_unread(tmp_path):
    lay(tmp_path / "script.msh", tmp_path / "mark")
    with pytest.raises(DataSchemaError, match="does not begin as a Gmsh mesh"):
        read_msh(tmp_path / "script.msh")
    with pytest.raises(DataSchemaError, match=r"is not a \.msh file"):
        read_msh((tmp_path / "script.msh").rename(tmp_path / "script.geo"))
    assert not (tmp_path / "mark").exists()


CODE = """
import sys
from pathlib import Path
import gmsh
from pdeinv.fem.plane_msh import read_msh
if len(sys.argv) > 2:
    gmsh.initialize()
read_msh(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("careless", [False, True])
def test_options_of_the_user_and_of_the_working_folder_are_not_read(careless, tmp_path):
    """But Gmsh would read them if it were not told to leave them."""
    path = write_mesh(tmp_path / "mesh.msh")
    for name in (".gmshrc", ".gmsh-options"):
        lay(tmp_path / name, tmp_path / "mark")
    words = [sys.executable, "-c", CODE, str(path), *(["careless"] if careless else [])]
    environ = {**os.environ, "HOME": str(tmp_path), "GMSH_HOME": str(tmp_path)}
    environ["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    subprocess.run(words, check=True, cwd=tmp_path, env=environ, capture_output=True)
    assert (tmp_path / "mark").exists() == careless


def test_gmsh_opens_files_in_one_place_only():
    pattern = re.compile(r"\bgmsh\.(merge|open|parser|initialize)\b|gmsh_?io|read_from_msh")
    places = {
        str(file.relative_to(ROOT)): sorted({m.group(0) for m in pattern.finditer(text)})
        for folder in ("pdeinv", "problems", "surrogates", "cli")
        for file in sorted((ROOT / folder).rglob("*.py"))
        if pattern.search(text := file.read_text())
    }
    assert places == {
        "pdeinv/fem/gmsh.py": ["gmsh.initialize"],
        "pdeinv/fem/msh_child.py": ["gmsh.merge"],
    }


CRASHES = """$MeshFormat
2.2 0 8
$EndMeshFormat
$Nodes
3
1 0 0 0
2 1 0 0
3 0 1 0
$EndNodes
$Elements
2
3 12 2 2 2 3
4 1 2 2 2 3 4
$EndElements
"""
"""A quadrilateral of which there are three numbers: Gmsh reads on beyond its memory."""


def test_a_mesh_on_which_gmsh_ends_its_process_is_one_line(tmp_path, monkeypatch):
    """Whether it crashes hangs on the memory of the moment; what a crash does to us does not."""
    path = write_mesh(tmp_path / "mesh.msh")
    words = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"]
    run = subprocess.run
    monkeypatch.setattr(subprocess, "run", lambda _, **more: run(words, **more))
    with pytest.raises(DataSchemaError, match=r"mesh\.msh as a Gmsh mesh .Gmsh crashed on it, SIG"):
        read_msh(path)


def test_a_damaged_cell_is_refused(tmp_path):
    (tmp_path / "mesh.msh").write_text(CRASHES)
    with pytest.raises(DataSchemaError, match=r"mesh\.msh") as caught:
        read_msh(tmp_path / "mesh.msh")
    assert "\n" not in str(caught.value)


def test_nothing_in_the_working_folder_is_imported(tmp_path, monkeypatch):
    path = write_mesh(tmp_path / "mesh.msh")
    for name in ("numpy.py", "gmsh.py", "json.py"):
        (tmp_path / name).write_text("raise SystemExit('imported')\n")
    monkeypatch.chdir(tmp_path)
    assert len(read_msh(path).cells) > 4


def test_numbers_of_nodes_may_leave_gaps(tmp_path):
    path = tmp_path / "mesh.msh"
    text = CRASHES.replace("\n3 0 1 0", "\n2000000000 0 1 0")
    head, _, _ = text.partition("$Elements")
    path.write_text(head + "$Elements\n1\n1 2 2 0 1 1 2 2000000000\n$EndElements\n")
    assert len(read_msh(path).points) == 3


PIPE = """
import os
from pdeinv.fem.gmsh import session
with session():
    pass
reads, writes = os.pipe()
os.close(reads)
try:
    os.write(writes, b"a line of progress")
except BrokenPipeError:
    print("an error")
"""


def test_a_broken_pipe_after_a_mesh_is_an_error_and_not_the_end():
    done = subprocess.run([sys.executable, "-c", PIPE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "an error\n"), done.stderr
