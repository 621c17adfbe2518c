"""Every output carries a mark by which it is known again, and nothing else does."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from pdeinv.errors import OutputExists, RunFailed
from pdeinv.io import netcdf
from pdeinv.io.checkpoints import write_metadata
from pdeinv.io.marks import noted, written_by_pdeinv
from pdeinv.io.runs import discard, drop_unless_resumable, make_run_folder, remember
from pdeinv.io.streaming import write_stream
from pdeinv.io.vtkhdf import write_fields
from pdeinv.jobs.plot.figure import draw
from pdeinv.provenance import attributes

MESH = xr.Dataset(
    {
        "u": ("node", np.arange(3.0)),
        "face_node_connectivity": (("face", "corner"), np.array([[0, 1, 2]])),
    },
    {"x": ("node", [0.0, 1.0, 0.0]), "y": ("node", [0.0, 0.0, 1.0])},
)
OWN = attributes({}, None)


def picture(path):
    draw([lambda ax: ax.set_title("pressure")], path, 40)


def tree(path):
    netcdf.write(path, xr.DataTree.from_dict({"/": xr.Dataset(attrs=OWN), "/a": MESH}))


def surrogate(path):
    path.mkdir()
    write_metadata(path, {"format": 1, "surrogate": "latent"})


WRITTEN = {
    "a.nc": lambda path: netcdf.write(path, MESH.assign_attrs(OWN)),
    "tree.nc": tree,
    "stream.nc": lambda path: write_stream(
        path, iter([xr.Dataset({"a": ("sample", np.zeros(3))}, attrs=OWN)]), 3, {}, {}
    ),
    "a.vtkhdf": lambda path: write_fields(path, MESH),
    "a.png": picture,
    "a.pdf": picture,
    "a.svg": picture,
    "a.toml": lambda path: path.write_text(noted("a = 1\n")),
    "surrogate": surrogate,
    "a.run": make_run_folder,
}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_pdeinv_writes_is_known_again(name, tmp_path):
    WRITTEN[name](tmp_path / name)
    assert written_by_pdeinv(tmp_path / name)
    (tmp_path / "link").symlink_to(tmp_path / name)
    assert written_by_pdeinv(tmp_path / "link")


def other_picture(path):
    figure = Figure()
    figure.subplots().set_title("pdeinv")
    figure.savefig(path)


def other_hdf5(path):
    with h5py.File(path, "w") as file:
        file["pdeinv_version"] = [1.0]


def other_folder(path):
    path.mkdir()
    (path / "metadata.json").write_text('{"title": "pdeinv"}')
    (path / "pdeinv.json").write_text("[1]")
    (path / "config.toml").write_text("seed = 1\n")


FOREIGN = {
    "a.nc": lambda path: MESH.to_netcdf(path, engine="netcdf4"),
    "classic.nc": lambda path: MESH.to_netcdf(path, engine="scipy"),
    "a.vtkhdf": other_hdf5,
    "a.png": other_picture,
    "a.pdf": other_picture,
    "a.svg": other_picture,
    "a.toml": lambda path: path.write_text("# my notes\na = 1\n"),
    "thesis.txt": lambda path: path.write_text("precious"),
    "empty.nc": lambda path: path.touch(),
    "cut.nc": lambda path: path.write_bytes(b"\x89HDF\r\n\x1a\nand no more"),
    "cut.png": lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n\0\0"),
    "folder": other_folder,
    "empty": lambda path: path.mkdir(),
    "damaged": lambda path: (path.mkdir(), (path / "pdeinv.json").write_text("{")),
    "none": lambda _: None,
    "dangling": lambda path: path.symlink_to(path.with_name("nothing")),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_it_did_not_write_is_not(name, tmp_path):
    FOREIGN[name](tmp_path / name)
    assert not written_by_pdeinv(tmp_path / name)


def test_a_device_is_no_output_of_ours():
    assert not written_by_pdeinv(Path("/dev/null"))


def test_a_run_folder_is_made_once_and_with_its_mark(tmp_path):
    folder = tmp_path / "deep" / "a.run"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(make_run_folder, [folder] * 32))
    assert [p.name for p in folder.iterdir()] == ["pdeinv.json"]
    assert [p.name for p in folder.parent.iterdir()] == ["a.run"]
    assert json.loads((folder / "pdeinv.json").read_text())["kind"] == "run"
    remember(folder, {"seed": 3})
    assert (folder / "config.toml").read_text() == "seed = 3\n"
    discard(folder)
    assert not folder.exists()
    discard(folder)


def test_a_folder_of_somebody_else_is_neither_used_nor_removed(tmp_path):
    folder = tmp_path / "a.run"
    folder.mkdir()
    (folder / "thesis.txt").write_text("precious")
    for use in (make_run_folder, discard, lambda f: remember(f, {"seed": 1})):
        with pytest.raises(OutputExists, match="carries no mark of pdeinv"):
            use(folder)
    drop_unless_resumable(folder)
    assert [p.name for p in folder.iterdir()] == ["thesis.txt"]
    assert [p.name for p in tmp_path.iterdir()] == ["a.run"]


def test_a_run_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("a")
    with pytest.raises(RunFailed, match=r"^cannot make .*/file/a\.run: "):
        make_run_folder(tmp_path / "file" / "a.run")
