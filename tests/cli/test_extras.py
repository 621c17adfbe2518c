"""Every verb that needs an extra says so in one line before it computes anything."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from ours import ours

from pdeinv.errors import MissingDependency
from pdeinv.extras import EXTRAS, require
from pdeinv.plugins import registry

pytestmark = pytest.mark.usefixtures("solves_here")

WORK = """
import json, sys

class Blocked:
    names = set(sys.argv[1].split(","))

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())
from pathlib import Path
from typer.testing import CliRunner
from pdeinv.cli.verbs import app

found = []
for words in json.loads(sys.argv[2]):
    before = set(Path().rglob("*"))
    done = CliRunner().invoke(app, words)
    found.append([done.exit_code, done.stderr, sorted(map(str, set(Path().rglob("*")) - before))])
print(json.dumps(found))
"""

FEM = (
    ("solve", "-c", "small.toml", "--out", "x.nc"),
    ("solve", "-c", "small.toml", "--dry-run", "--out", "x.nc"),
    ("check", "obs.nc"),
    ("check", "darcy"),
    ("generate", "--obs", "obs.nc", "--n", "4", "--out", "x.nc"),
    ("generate", "--obs", "obs.nc", "--n", "4", "--dry-run", "--out", "x.nc"),
    ("invert", "obs.nc", "--engine", "map", "--out", "x.nc"),
    ("invert", "obs.nc", "--engine", "map", "--dry-run", "--out", "x.nc"),
    ("invert", "obs.nc", "--out", "x.nc"),
    ("evaluate", "flat", "--obs", "obs.nc"),
)
SURROGATE = (
    ("train-surrogate", "latent", "--data", "data.nc", "--out", "x"),
    ("train-surrogate", "fno", "--data", "data.nc", "--dry-run", "--out", "x"),
    ("train-surrogate", "ensemble", "--data", "data.nc", "--out", "x"),
    ("invert", "obs.nc", "--surrogate", "folder", "--set", "model=surrogate", "--out", "x.nc"),
    ("invert", "obs.nc", "--surrogate", "folder", "--out", "x.nc"),
    ("invert", "obs.nc", "--engine", "pinn", "--out", "x.nc"),
    ("invert", "obs.nc", "--engine", "pinn", "--dry-run", "--out", "x.nc"),
    ("evaluate", "folder", "--obs", "obs.nc"),
    ("solve", "-c", "small.toml", "--solver", "pinn", "--out", "x.nc"),
)
SAMPLED = ("generate", "--obs", "obs.nc", "--n", "4", "--out", "x.nc", "--executor")
ONE_PACKAGE = {
    "h5py": ("solve", "-c", "small.toml", "--vtk", "x.vtkhdf", "--out", "x.nc"),
    "submitit": (*SAMPLED, "slurm"),
    "distributed": (*SAMPLED, "dask"),
    "mpi4py": (*SAMPLED, "mpi"),
    "tensorboard": ("train-surrogate", "multifidelity", "--data", "data.nc", "--tensorboard",
                    "events", "--out", "x"),
    "segyio": ("export", "truth.nc", "--segy", "x.segy"),
    "nibabel": ("export", "truth.nc", "--nifti", "x.nii.gz"),
    "gmsh": ("solve", "darcy", "--set", "problem.mesh=x.msh", "--out", "x.nc"),
}  # fmt: skip


def said(blocked, commands):
    """Exit code, stderr and new files of each command where packages do not exist."""
    done = subprocess.run(
        [sys.executable, "-c", WORK, ",".join(blocked), json.dumps(commands)],
        capture_output=True, text=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def trained(small, call, tmp_path_factory):
    """A surrogate without a network."""
    folder = tmp_path_factory.mktemp("trained")
    data, out = folder / "data.nc", folder / "flat"
    sampled = ("generate", "--obs", small / "obs.nc", "--n", 30, "--seed", 1, "--out", data)
    for words in (
        (*sampled, "-c", small / "small.toml"),
        ("train-surrogate", "multifidelity", "--data", data, "--seed", 1, "--out", out),
    ):
        done = call(*words)
        assert done.exit_code == 0, done.stderr
    return out


@pytest.fixture
def place(work, trained):
    """The small case with a folder that says it is a network, and a mesh that nobody reads."""
    (work / "folder").mkdir()
    (work / "folder" / "metadata.json").write_text(json.dumps({"surrogate": "fno"}))
    shutil.copytree(trained, work / "flat")
    (work / "x.msh").write_text("$MeshFormat\n4.1 0 8\n$EndMeshFormat\n")
    return work


def check_refusal(words, found, extra):
    code, stderr, files = found
    assert code == 2, (words, stderr)
    assert stderr.count("\n") == 1, (words, stderr)
    assert f"pip install -e '.[{extra}]'" in stderr, (words, stderr)
    assert files == [], words


def check_refusals(extra, commands):
    for words, found in zip(commands, said(EXTRAS[extra], commands), strict=True):
        check_refusal(words, found, extra)


@pytest.mark.usefixtures("place")
def test_verbs_without_the_solver():
    check_refusals("fem", FEM)


@pytest.mark.usefixtures("place")
def test_verbs_without_torch():
    check_refusals("surrogate", SURROGATE)


@pytest.mark.usefixtures("place")
def test_flags_without_their_package():
    found = said(ONE_PACKAGE, list(ONE_PACKAGE.values()))
    for (package, words), one in zip(ONE_PACKAGE.items(), found, strict=True):
        extra = next(name for name, packages in EXTRAS.items() if package in packages)
        check_refusal(words, one, extra)
        assert package in one[1]


IMAGES = 'problem.tissue={kind="nifti",white="w.nii",grey="g.nii"}'


@pytest.mark.usefixtures("place")
def test_tumors_need_nibabel_for_images_alone():
    small = ("--set", "problem.cells=12", "--set", "problem.time.steps=2", "--level", "0")
    commands = [("solve", "tumor", *small, "--seed", "1", "--out", "t.nc"),
                ("solve", "tumor", "--set", IMAGES, "--out", "x.nc"),
                ("invert", "--predict-gbm", "folder", "--out", "x")]  # fmt: skip
    phantom, *refused = said(EXTRAS["tumor"], commands)
    assert phantom[0] == 0, phantom[1]
    for words, found in zip(commands[1:], refused, strict=True):
        check_refusal(words, found, "tumor")


FLAME = (
    ("solve", "flame-species", "--seed", "1", "--out", "x.nc"),
    ("check", "flame-species"),
    ("import", "flame-species", "csv", "speeds.csv", "--rel", "0.02", "--out", "flame.nc"),
)


@pytest.mark.usefixtures("place")
def test_flames_of_five_species_need_cantera_to_be_solved_for():
    Path("speeds.csv").write_text("phi,p [atm],T_in [K],s_L [cm/s]\n0.8,1,300,28\n")
    *refused, imported = said(EXTRAS["flame"], FLAME)
    for words, found in zip(FLAME, refused, strict=False):
        check_refusal(words, found, "flame")
    assert imported[0] == 0, imported[1]


@pytest.mark.usefixtures("place")
def test_seismic_waves_need_deepwave_for_the_fast_model_alone():
    keys = ("cells=6", "time.final=0.4", "source.frequency=4", "boundary.width=0")
    small = ("--level", "0", *(word for k in keys for word in ("--set", f"problem.{k}")))
    fast = ("--set", "problem.model=deepwave")
    commands = [("solve", "seismic", *small, "--seed", "1", "--out", "s.nc"),
                ("solve", "seismic", *small, *fast, "--out", "x.nc"),
                ("solve", "seismic", *small, *fast, "--dry-run", "--out", "x.nc")]  # fmt: skip
    elements, *refused = said(EXTRAS["seismic"], commands)
    assert elements[0] == 0, elements[1]
    for words, found in zip(commands[1:], refused, strict=True):
        check_refusal(words, found, "seismic")


@pytest.mark.usefixtures("place")
def test_what_needs_no_extra_works_without_any():
    commands = [("list",), ("info", "obs.nc"), ("plot", "obs.nc", "--out", "obs.png")]
    found = said([p for packages in EXTRAS.values() for p in packages], commands)
    assert [code for code, *_ in found] == [0, 0, 0], found


def test_every_extra_of_a_plugin_is_known_and_installed_here():
    for kind in ("problems", "surrogates", "engines"):
        for name in ours(kind):
            registry.require(kind, name)


def test_the_table_names_the_extras_of_the_project():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert set(EXTRAS) <= set(project["optional-dependencies"])


def test_a_package_that_is_there_is_no_error(monkeypatch):
    require("numpy", "a test needs")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingDependency, match="a test needs the package torch"):
        require("torch", "a test needs")
