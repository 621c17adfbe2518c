"""Every reader of files from elsewhere: valid examples, how to spoil them, and what reads them.

A reader is called as the verbs call it and has to take its file or refuse it with one line.
"""

import gzip
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import mutations as spoil
import numpy as np
import xarray as xr
from eit_frames import dipoles, voltages
from segy_files import line, segy

import pdeinv
from pdeinv.errors import PdeinvError
from pdeinv.io.seal import LENGTH, fits_seal
from pdeinv.system_errors import explained

__all__ = ["READERS", "Reader", "attempt", "make_examples", "spoiled_copy"]

DARCY = {"cells": 8, "unknown": {"kind": "log-gaussian", "modes": 4, "grid": [9, 9]}}

MSH = """$MeshFormat
2.2 0 8
$EndMeshFormat
$PhysicalNames
3
1 1 "west"
1 2 "walls"
2 3 "rock"
$EndPhysicalNames
$Nodes
5
1 0 0 0
2 1 0 0
3 1 1 0
4 0 1 0
5 0.5 0.5 0
$EndNodes
$Elements
8
1 1 2 1 1 4 1
2 1 2 2 2 1 2
3 1 2 2 2 2 3
4 1 2 2 2 3 4
5 2 2 3 1 1 2 5
6 2 2 3 1 2 3 5
7 2 2 3 1 3 4 5
8 2 2 3 1 4 1 5
$EndElements
"""

TOML = """
seed = 1
level = 0
[problem]
name = "darcy"
cells = 8
source = "1 + x*y"
[problem.unknown]
kind = "log-gaussian"
length = 0.4
std = 1.0
modes = 4
grid = [9, 9]
[problem.boundary.left]
kind = "dirichlet"
value = 1.0
[engine]
name = "pcn"
draws = 100
beta = 0.2
[noise]
rel = 0.02
[budget]
seconds = 10.0
[executor]
"""


# --- examples ----------------------------------------------------------------------------------


def make_examples(folder: Path, *, solved: bool = True) -> None:
    """Valid files of every kind in ``folder``, made by the product where it writes them.

    Args:
        folder: is made.
        solved: whether those that take a solve or a training are made too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _texts(folder)
    _meshes(folder)
    _instruments(folder)
    _images(folder)
    _gathers(folder)
    axis = np.linspace(0, 1, 5)
    field = xr.Dataset({"q": (("y", "x"), np.ones((5, 5)))}, {"x": axis, "y": axis})
    field.to_netcdf(folder / "source.nc")
    if solved:
        _solved(folder)
        _flames(folder)
        _learned(folder)
    for file in folder.glob("*.nc"):
        _cut_seal(file)


def _cut_seal(file):
    """As after another program has changed it: else the seal alone would tell of every change."""
    if fits_seal(file):
        os.truncate(file, file.stat().st_size - LENGTH)


def _solved(folder):
    seeded = {"noise_rel": 0.02, "seed": 1}
    truth, obs = folder / "darcy.truth.nc", folder / "darcy.obs.nc"
    pdeinv.solve(pdeinv.problem("darcy", **DARCY), seed=1, out=truth)
    pdeinv.observe(truth, sensors="grid:3x3", out=obs, **seeded)
    chains = {"draws": 40, "warmup": 10, "thin": 1, "chains": 2}
    pdeinv.invert(obs, engine="pcn", out=folder / "darcy.result.nc", seed=1, **chains)
    truth, obs = folder / "heat.truth.nc", folder / "heat.obs.nc"
    pdeinv.solve(pdeinv.problem("heat", cells=8), seed=1, level=0, out=truth)
    pdeinv.observe(truth, sensors="grid:2x2", out=obs, **seeded)


def _learned(folder):
    darcy, data = pdeinv.problem("darcy", **DARCY), folder / "data.nc"
    pdeinv.generate(darcy, n=24, sensors="grid:3x3", grid=(5, 5), seed=1, out=data)
    for name, options in (("gp", {"iterations": 2}), ("latent", {"epochs": 2, "widths": (8,)})):
        pdeinv.train_surrogate(name, data, seed=1, out=folder / f"{name}.surrogate", **options)


def _gathers(folder):
    wave = np.sin(np.arange(5 * 80 * 70.0)).reshape(5, 80, 70)
    np.save(folder / "gathers.npy", wave.astype(np.float32))
    for code, name in ((1, "ibm"), (5, "ieee")):
        (folder / f"{name}.segy").write_bytes(segy(line(), code=code))


def _flames(folder):
    from cantera_flames import saved_burner

    saved_burner(folder, ratio=5, slope=0.3, curve=0.5)


FLAME = {"configuration": "burner", "quantities": "T,X_OH", "every": 5, "group": "burner",
         "length": 0.02, "rel": 0.02}  # fmt: skip


def _flame(path):
    from pdeinv.jobs.import_data import import_file

    phi = {"phi": 0.8} if path.suffix == ".csv" else {}
    import_file("flame-cantera", "cantera", path, {**FLAME, **phi})


def _gather(path):
    from pdeinv.jobs.import_data import import_file

    name = "npy" if path.suffix == ".npy" else "segy"
    found = import_file("seismic", name, path, {"noise_rms": 0.1})
    assert np.isfinite(found["u"].values).any()


def _texts(folder):
    (folder / "run.toml").write_text(TOML)
    (folder / "sensors.csv").write_text("x,y\n0.2,0.3\n0.5,0.5\n0.7,0.1\n")
    pairs = [(k, (k + 1) % 8) for k in range(8)]
    rows = [
        f"{a + 1},{b + 1},{m + 1},{n + 1},{0.1 + 0.01 * (a + m)}"
        for a, b in pairs
        for m, n in pairs
        if len({a, b, m, n}) == 4
    ]
    head = "drive_plus,drive_minus,meas_plus,meas_minus,value"
    (folder / "frame.csv").write_text("\n".join([head, *rows, ""]))


def _meshes(folder):
    (folder / "two.msh").write_text(MSH)
    for dim, name in ((2, "plane"), (3, "solid")):
        for binary in (0, 1):
            _meshed(folder / f"{name}.{('ascii', 'binary')[binary]}.msh", dim, binary)


def _meshed(path, dim, binary):
    from pdeinv.fem.gmsh import session

    with session() as gmsh:
        shape, number = gmsh.model.occ, gmsh.option.setNumber
        shape.addRectangle(0, 0, 0, 1, 1) if dim == 2 else shape.addBox(0, 0, 0, 1, 1, 1)
        shape.synchronize()
        number("Mesh.MeshSizeMin", 0.5)
        number("Mesh.MeshSizeMax", 0.5)
        gmsh.model.addPhysicalGroup(dim, [1], 7, "body")
        gmsh.model.addPhysicalGroup(dim - 1, [1], 8, "side")
        gmsh.model.mesh.generate(dim)
        number("Mesh.Binary", binary)
        gmsh.write(str(path))
        number("Mesh.Binary", 0)


def _instruments(folder):
    from scipy.io import savemat

    pairs = [(k, (k + 1) % 16) for k in range(16)]
    drives, pattern = dipoles(pairs, 16, 2.0), dipoles(pairs, 16)
    uel = voltages(drives, pattern).T
    fields = {"CurrentPattern": drives.T, "MeasPattern": pattern.T, "Uel": uel}
    savemat(folder / "kit4.mat", fields)
    pairs = [(k, (k + 1) % 32) for k in range(31)]
    drives, pattern = dipoles(pairs, 32), dipoles(pairs, 32)
    fields = {"Inj": drives.T, "Mpat": pattern.T, "Uel": voltages(drives, pattern).reshape(-1, 1)}
    savemat(folder / "ktc.mat", fields, do_compression=True)
    vector = 0.1 + np.arange(208.0)
    np.save(folder / "pyeit.npy", vector)
    np.savetxt(folder / "pyeit.txt", vector[None])
    _import("kit4", folder / "kit4.mat").to_netcdf(folder / "eit.obs.nc")


CIRCLE = {"radius": 1.0, "first_angle": 0.0, "direction": "ccw"}
OPTIONS: dict[str, dict[str, Any]] = {
    "csv": {"electrodes": 8, "first_number": 1, "amplitude": 1.0, "electrode_width": 0.2, **CIRCLE},
    "pyeit": CIRCLE,
}


def _import(name: str, path: Path) -> Any:
    from pdeinv.jobs.import_data import import_file

    return import_file("eit", name, path, {"noise_rel": 0.01, **OPTIONS.get(name, {})})


# --- what reads them ---------------------------------------------------------------------------


def _observations(path):
    from pdeinv.io.observations import NoiseSpec
    from pdeinv.plugins import hooks
    from pdeinv.plugins.case import read_case

    case = read_case(path, {}, NoiseSpec())
    hooks.remarks(case.problem, case.observations)
    assert np.isfinite(case.observations.values).all()


def _truth(path):
    from pdeinv.io.observations import NoiseSpec
    from pdeinv.jobs.observe import make_observations

    make_observations(path, "grid:2x2", NoiseSpec(rel=0.01), seed=1)


_PRIORS: dict[str, Any] = {}


def _darcy():
    if "darcy" not in _PRIORS:
        problem = pdeinv.problem("darcy", **DARCY)
        _PRIORS["darcy"] = problem, problem.prior()
    return _PRIORS["darcy"]


def _unknown(path):
    from pdeinv.jobs.observe import choose_unknown

    assert np.isfinite(choose_unknown(_darcy()[1], str(path), 1)).all()


def _info(path):
    from pdeinv.jobs.info import describe

    json.dumps(describe(path), default=str)


def _result(path):
    from pdeinv.io import netcdf
    from pdeinv.io.draws import whitened_draws

    _info(path)
    assert np.isfinite(whitened_draws(netcdf.read_tree(path), path, _darcy()[1])).all()


def _dataset(path):
    from pdeinv.jobs.training_set import open_training_set

    found = open_training_set(path, {})
    np.asarray(found.coefficient)


def _source(path):
    problem = pdeinv.problem("darcy", **DARCY, source={"file": str(path), "variable": "q"})
    from pdeinv.problems.darcy.config import FieldFile, Units
    from pdeinv.problems.darcy.fields import field_function

    assert problem is not None
    field_function(FieldFile(file=path, variable="q"), Units())(np.array([0.5]), np.array([0.5]))


def _images(folder):
    from heads import head

    head(folder, sides=(8.0, 8.0, 8.0))
    for suffix in (".nii.gz", ".nii"):
        whole = folder / "white.nii.gz"
        data = gzip.decompress(whole.read_bytes()) if suffix == ".nii" else whole.read_bytes()
        (folder / f"image{suffix}").write_bytes(data)


def _image(path):
    tissue = {"kind": "nifti", "white": str(path), "grey": str(path)}
    problem = pdeinv.problem("tumor", tissue=tissue, solver="finite-differences")
    problem.prepare(0)
    assert np.isfinite(problem.tissue.white).all()


def _surrogate(path):
    from pdeinv.plugins.recipe import bound_forward, load_surrogate

    problem, prior = _darcy()
    surrogate = load_surrogate(path, "invert")
    sensors = problem.sensors("grid:3x3")
    found = bound_forward(surrogate, problem, prior, sensors)(np.zeros(prior.dim))
    assert found.shape == (9,)
    assert np.isfinite(found).all()
    _info(path)


def _run_file(path):
    from pdeinv.config import named, read_toml
    from pdeinv.jobs.invert.request import run_config
    from pdeinv.plugins import registry

    run = run_config(read_toml(path))
    for kind, table in (("problems", run.problem), ("engines", run.engine)):
        name, keys = named(table)
        registry.build(kind, str(name), keys)


def _run_folder(path):
    from pdeinv.engines.run.checkpoint import ChainStore
    from pdeinv.engines.run.folder import _read_mark

    _info(path)
    if path.name == CHAINS:
        _read_mark(path / "run.json")
        ChainStore(path, 0).records(1)


def _mesh(path):
    from pdeinv.fem.plane_msh import read_msh

    mesh = read_msh(path)
    assert np.isfinite(mesh.points).all()


def _solid(path):
    from pdeinv.fem.solids import read_solid

    assert np.isfinite(read_solid(path).points).all()


def _sensors(path):
    _darcy()[0].sensors(str(path))


def _formula(path):
    from pdeinv.fem.expressions import Expression

    made = Expression(path.read_bytes().decode("utf-8", errors="replace"))
    made(np.linspace(0, 1, 100), np.linspace(0, 1, 100))


def _figure(path):
    from pdeinv.jobs.plot.figure import plot

    plot(path, path.with_suffix(".png"), dpi=20)


# --- the table ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reader:
    """A reader, valid files, and how to make an invalid one of a copy of one.

    Attributes:
        examples: names of files or folders in the folder of examples.
        spoiled: changes the copy in place.
        read: what is to accept or refuse it.
    """

    examples: tuple[str, ...]
    spoiled: Callable[[Any, Path], None]
    read: Callable[[Path], object]


def _by(edit):
    """A change of bytes as a change of a file."""

    def spoiled(r, path):
        path.write_bytes(edit(r, path.read_bytes()))

    return spoiled


_FILES = {
    ".json": spoil.edited_json,
    ".npz": spoil.edited_npz,
    ".safetensors": spoil.edited_safetensors,
    ".toml": spoil.edited_toml,
    ".jsonl": spoil.edited_lines,
}


def _member(r, folder):
    """One of the files of a folder is changed."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    file = r.choice(files)
    if r.randrange(20) == 0:
        file.unlink()
        if r.randrange(2):
            spoil.hostile_place(r, file)
        return
    edit = _FILES.get(file.suffix, spoil.edited_bytes)
    data = file.read_bytes()
    file.write_bytes(edit(r, data) if data else b"x")


def _formulas(r, path):
    path.write_text(spoil.formula(r), encoding="utf-8", errors="replace")


def _vector(r, path):
    """A change of a vector of voltages, as an array or as text."""
    edit = spoil.edited_bytes if path.suffix == ".npy" else spoil.edited_lines
    path.write_bytes(edit(r, path.read_bytes()))


def _segy(r, path):
    path.write_bytes(spoil.edited_segy(r, path.read_bytes(), 6, 320))


def _saved_flame(r, path):
    """A change of text by lines, of HDF5 by bytes."""
    edit = spoil.edited_bytes if path.suffix == ".h5" else spoil.edited_lines
    path.write_bytes(edit(r, path.read_bytes()))


MESHES = ("two.msh", "plane.ascii.msh", "plane.binary.msh")
OBSERVED = ("darcy.obs.nc", "heat.obs.nc", "eit.obs.nc")
TRUTHS = ("darcy.truth.nc", "heat.truth.nc")
DRAWN = (*OBSERVED, "darcy.result.nc", "darcy.truth.nc")

CHAINS = "darcy.result.nc.run"
"""The run folder that holds chains; the other holds batches."""

READERS = {
    "observation file": Reader(OBSERVED, spoil.edited_netcdf, _observations),
    "truth": Reader(TRUTHS, spoil.edited_netcdf, _truth),
    "unknown": Reader(("darcy.truth.nc", "darcy.result.nc"), spoil.edited_netcdf, _unknown),
    "result": Reader(("darcy.result.nc",), spoil.edited_netcdf, _result),
    "data set": Reader(("data.nc",), spoil.edited_netcdf, _dataset),
    "source file": Reader(("source.nc",), spoil.edited_netcdf, _source),
    "surrogate folder": Reader(("gp.surrogate", "latent.surrogate"), _member, _surrogate),
    "run folder": Reader((CHAINS, "data.nc.run"), _member, _run_folder),
    "run file (TOML)": Reader(("run.toml",), _by(spoil.edited_toml), _run_file),
    "sensor table (CSV)": Reader(("sensors.csv",), _by(spoil.edited_lines), _sensors),
    "EIT frame (CSV)": Reader(("frame.csv",), _by(spoil.edited_lines), partial(_import, "csv")),
    "EIT vector (pyEIT)": Reader(("pyeit.npy", "pyeit.txt"), _vector, partial(_import, "pyeit")),
    "EIT MATLAB (KIT4)": Reader(("kit4.mat",), _by(spoil.edited_matlab), partial(_import, "kit4")),
    "EIT MATLAB (KTC)": Reader(("ktc.mat",), _by(spoil.edited_matlab), partial(_import, "ktc2023")),
    "image (NIfTI)": Reader(("image.nii", "image.nii.gz"), _by(spoil.edited_nifti), _image),
    "seismic array (npy)": Reader(("gathers.npy",), _by(spoil.edited_npy), _gather),
    "seismic SEG-Y": Reader(("ibm.segy", "ieee.segy"), _segy, _gather),
    "flame (Cantera)": Reader(("flame.csv", "flame.yaml", "flame.h5"), _saved_flame, _flame),
    "formula": Reader(("run.toml",), _formulas, _formula),
    "mesh, plane (MSH)": Reader(MESHES, _by(spoil.edited_lines), _mesh),
    "mesh, solid (MSH)": Reader(
        ("solid.ascii.msh", "solid.binary.msh"), _by(spoil.edited_lines), _solid
    ),
    "figure": Reader(DRAWN, spoil.edited_netcdf, _figure),
}


def spoiled_copy(r, reader: Reader, examples: Path, folder: Path) -> Path:
    """A copy of one of the examples of a reader in ``folder``, made wrong."""
    source = examples / r.choice(reader.examples)
    target = folder / source.name
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
    if not source.is_dir() and reader.read is not _formula and r.randrange(200) == 0:
        target.unlink()
        spoil.hostile_place(r, target)
        return target
    reader.spoiled(r, target)
    return target


def attempt(reader: Reader, path: Path) -> str:
    """``accepted`` or ``refused``; any other end, and a refusal of several lines, is raised."""
    try:
        reader.read(path)
    except PdeinvError as error:
        if not str(error):
            raise AssertionError(f"{type(error).__name__} says nothing") from error
        return "refused"
    except Exception as error:
        if explained(error) is None:
            raise
        return "refused"
    return "accepted"
