"""A bit that flips in a file is one line that names the file, not another answer."""

import netCDF4
import numpy as np
import pytest
import xarray as xr

from pdeinv.errors import DataSchemaError
from pdeinv.io import datasets, netcdf
from pdeinv.io.checksums import checksum, with_checksums
from pdeinv.io.seal import LENGTH, fits_seal, has_seal

pytestmark = pytest.mark.usefixtures("solves_here")

READ = {
    "truth.nc": ("observe", "truth.nc", "--sensors", "grid:3x3", "--noise-rel", 0.02, "--out", "n"),
    "obs.nc": ("invert", "obs.nc", "--engine", "map", "--out", "n"),
    "result.nc": ("export", "result.nc", "--vtk", "n.vtkhdf"),
    "data.nc": ("train-surrogate", "gp", "--data", "data.nc", "--out", "n"),
}
USED = {"truth.nc": "u", "obs.nc": "u", "result.nc": "xi", "data.nc": "u"}


@pytest.fixture(scope="module")
def files(small, call, tmp_path_factory):
    """One file of each kind."""
    folder = tmp_path_factory.mktemp("files")
    for file in small.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in (
            ("invert", "obs.nc", "--engine", "map", "--seed", 1, "--out", "result.nc"),
            ("generate", "--config", "small.toml", "--sensors", "grid:3x3", "--n", 12, "--grid",
             "9x9", "--seed", 1, "--out", "data.nc"),
        ):  # fmt: skip
            ended = call(*words)
            assert ended.exit_code == 0, ended.stderr
    return folder


def arrays(path):
    """The numbers of all variables, as stored, by group and name."""
    found = {}

    def walk(group):
        for name, v in group.variables.items():
            if v.dtype is not str and v.dtype.kind in "iuf" and v.size and v.ndim:
                v.set_auto_maskandscale(False)
                found[f"{group.path}/{name}"] = np.asarray(v[:])
        for inner in group.groups.values():
            walk(inner)

    with netCDF4.Dataset(path) as root:
        walk(root)
    return found


def flipped(path, values, to):
    """A copy of a file with one bit flipped in four of the values, wherever it holds them.

    False where no four of them tell the values from others.
    """
    flat, data = values.ravel(), bytearray(path.read_bytes())
    starts = [k for k in range(len(flat) - 3) if len({*flat[k : k + 4], 0.0}) == 5]
    if not starts:
        return False
    sought = flat[starts[0] : starts[0] + 4].tobytes()
    place = data.find(sought)
    assert place >= 0
    while place >= 0:
        data[place + len(sought) // 2] ^= 1
        place = data.find(sought)
    to.write_bytes(data)
    return True


@pytest.mark.parametrize("name", READ)
def test_no_bit_flips_unseen(name, files, tmp_path):
    whole, changed = (files / name).read_bytes(), tmp_path / name
    for place in range(0, len(whole) - LENGTH, len(whole) // 200):
        data = bytearray(whole)
        data[place] ^= 1 << place % 8
        changed.write_bytes(data)
        with pytest.raises(DataSchemaError, match=f"cannot read .*{name}"):
            netcdf.read_tree(changed)


@pytest.mark.parametrize("name", READ)
def test_a_file_that_was_changed_or_whose_seal_is_damaged_has_none(name, files, tmp_path):
    whole, changed = (files / name).read_bytes(), tmp_path / name
    assert fits_seal(files / name)
    changed.write_bytes(whole[:-2] + b"!\n")
    assert fits_seal(changed) is None
    changed.write_bytes(whole)
    with netCDF4.Dataset(changed, "a") as file:
        file.setncattr("title", "changed by another program")
    assert not has_seal(changed)
    assert netcdf.read_tree(changed).attrs["title"]


def without_seal(path, to):
    """A copy as another program would have written it."""
    to.write_bytes(path.read_bytes()[:-LENGTH])
    return to


def test_a_file_that_ends_the_library_is_one_line(files, work, call):
    data = bytearray(without_seal(files / "data.nc", work / "data.nc").read_bytes())
    tree = data.find(b"TREE\1\0")  # that of an array's chunks, whose size goes to nothing
    data[tree + 24 : tree + 28] = bytes(4)
    (work / "data.nc").write_bytes(data)
    ended = call("info", "data.nc")
    assert ended.exit_code == 2
    assert "the HDF5 library does not survive it, SIGSEGV" in ended.stderr
    ended = call(*READ["data.nc"], "--seed", 1)
    assert ended.exit_code == 2
    assert "cannot read data.nc" in ended.stderr


@pytest.mark.parametrize("name", READ)
def test_every_array_is_protected_by_itself(name, files, tmp_path, monkeypatch):
    monkeypatch.setattr(netcdf, "check_sound", lambda _: None)
    bare, tried = without_seal(files / name, tmp_path / f"bare-{name}"), 0
    for variable, values in arrays(files / name).items():
        if flipped(bare, values, tmp_path / name):
            tried += 1
            with pytest.raises(DataSchemaError) as error:
                pytest.fail(f"{variable}: {netcdf.read_tree(tmp_path / name)}")
            assert f"{name} as NetCDF-4; it is truncated or damaged" in str(error.value)
    assert tried >= (1 if name == "obs.nc" else 3)


@pytest.mark.parametrize("name", READ)
def test_a_verb_says_so_in_one_line(name, files, work, call):
    for file in files.glob("*.nc"):
        (work / file.name).write_bytes(file.read_bytes())
    values = next(v for k, v in arrays(work / name).items() if k.endswith(f"/{USED[name]}"))
    assert flipped(files / name, values, work / name)
    said = call(*READ[name], "--seed", 1) if name != "result.nc" else call(*READ[name])
    assert said.exit_code == 2
    (line,) = [line for line in said.stderr.splitlines() if line.startswith("error")]
    assert f"cannot read {name}" in line
    assert not list(work.glob("n*"))


def test_rows_that_stay_in_the_file_are_protected(files, tmp_path):
    values = arrays(files / "data.nc")["//coefficient"]
    bare = without_seal(files / "data.nc", tmp_path / "bare.nc")
    assert flipped(bare, values, tmp_path / "data.nc")
    with pytest.raises(DataSchemaError, match="'coefficient' cannot be read"):
        np.asarray(datasets.read(tmp_path / "data.nc", eager_bytes=0).coefficient)


def test_without_checksums_nothing_is_noticed(tmp_path):  # negative control
    values = np.random.default_rng(0).standard_normal(50)
    xr.Dataset({"v": ("x", values)}).to_netcdf(tmp_path / "a.nc")
    assert flipped(tmp_path / "a.nc", values, tmp_path / "b.nc")
    assert (netcdf.read_dataset(tmp_path / "b.nc")["v"].values != values).sum() == 1


@pytest.mark.parametrize(
    ("shape", "chunks"),
    [((5,), (5,)), ((3, 4), (3, 4)), ((1000, 1000), (131, 1000)), ((9, 400, 1000), (1, 131, 1000))],
)
def test_chunks_hold_whole_rows(shape, chunks):
    found = checksum(xr.Variable(tuple("abc"[: len(shape)]), np.zeros(shape)))
    assert found == {"fletcher32": True, "chunksizes": chunks}


def test_what_was_read_is_written_again(tmp_path):
    first = xr.Dataset({"v": ("x", np.arange(9.0)), "s": ((), 2.0), "t": ("x", ["a"] * 9),
                        "none": ("y", np.zeros(0))})  # fmt: skip
    for k in range(2):
        netcdf.write(tmp_path / f"{k}.nc", first)
        first = netcdf.read_dataset(tmp_path / f"{k}.nc").isel(x=slice(0, 9 - k))
    with netCDF4.Dataset(tmp_path / "1.nc") as file:
        assert file["v"].filters()["fletcher32"]
        assert not file["s"].filters()["fletcher32"]
    assert "fletcher32" not in first["s"].encoding or not first["s"].encoding["fletcher32"]
    assert with_checksums(first).identical(first)
