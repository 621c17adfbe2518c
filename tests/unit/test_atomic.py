"""Outputs are complete or absent, whatever goes wrong on the way."""

import errno
import os
import subprocess
import sys

import pytest
import xarray as xr

from pdeinv.errors import OutputExists, RunFailed, SystemFault
from pdeinv.io import netcdf
from pdeinv.io.atomic import atomic, check_output, remove, together, write_text
from pdeinv.provenance import attributes


def left_over(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_file_appears_when_the_block_ends(tmp_path):
    path = tmp_path / "a.txt"
    with atomic(path) as target:
        target.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert left_over(tmp_path) == ["a.txt"]


def test_a_file_is_replaced_when_the_block_ends(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic(path) as target:
        target.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "model"
    path.mkdir()
    (path / "old").write_text("old")
    with atomic(path) as target:
        target.mkdir()
        (target / "new").write_text("new")
    assert left_over(path) == ["new"]
    assert left_over(tmp_path) == ["model"]


def test_of_two_outputs_none_appears_before_both_are_written(tmp_path):
    one, two = tmp_path / "a.nc", tmp_path / "a.png"
    with together(one, two) as targets:
        for target in targets:
            write_text(target, "x")
            assert not one.exists()
            assert not two.exists()
    assert one.read_text() == two.read_text() == "x"
    one.unlink()

    def half():
        with together(one, two) as targets:
            write_text(targets[0], "y")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]
    assert two.read_text() == "x"


def test_an_error_in_scratch_names_the_output(tmp_path, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    def fill_up():
        with together(tmp_path / "a.nc") as targets:
            monkeypatch.setattr(os, "mkdir", full)
            write_text(targets[0], "x")

    with pytest.raises(SystemFault, match=rf"cannot write {tmp_path}/a\.nc: "):
        fill_up()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failure_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(error), atomic(path) as target:  # noqa: PT012
        target.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert left_over(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("name", ["mkdir", "rmdir"])
def test_a_signal_while_scratch_comes_or_goes_leaves_none(tmp_path, monkeypatch, name):
    """Python raises for a signal between two lines, so right after the system has done it."""
    done = getattr(os, name)

    def disturbed(*args, **kwargs):
        monkeypatch.undo()
        if name == "mkdir":
            done(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, name, disturbed)
    with pytest.raises(KeyboardInterrupt), atomic(tmp_path / "a.txt") as target:
        target.write_text("new")
    assert left_over(tmp_path) == (["a.txt"] if name == "rmdir" else [])


def full_disk(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_disk_full_at_the_rename_leaves_what_was_there(tmp_path, monkeypatch, kind):
    path, replace, calls = tmp_path / "a", os.replace, []
    if kind == "folder":
        path.mkdir()
        (path / "old").write_text("old")
    else:
        path.write_text("old")

    def fail_for_the_new(source, target):
        calls.append(source)
        full_disk() if source.name == "a" and target == path else replace(source, target)

    monkeypatch.setattr(os, "replace", fail_for_the_new)
    with (
        pytest.raises(RunFailed, match=r"^cannot write .*/a: no space left in "),
        atomic(path) as target,
    ):
        target.mkdir() if kind == "folder" else target.write_text("new")
    assert (path / "old" if kind == "folder" else path).read_text() == "old"
    assert left_over(tmp_path) == ["a"]
    assert calls


def test_a_disk_full_at_the_start_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "mkdir", full_disk)
    message = r"^cannot write .*a\.txt: no space left in .* free\); free some there, or choose "
    with pytest.raises(RunFailed, match=message), atomic(tmp_path / "a.txt"):
        pytest.fail("the block must not run")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
def test_netcdf_on_a_disk_that_fills_up_is_one_line_and_leaves_nothing(tmp_path):
    code = (
        "import resource, signal, sys; from pathlib import Path; import numpy as np, xarray as xr\n"
        "from pdeinv.errors import RunFailed; from pdeinv.io import netcdf\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "try: netcdf.write(Path(sys.argv[1]), xr.Dataset({'a': ('x', np.arange(1e5))}))\n"
        "except RunFailed as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.nc")],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.startswith(f"cannot write {tmp_path}/a.nc: ")
    assert "larger than the 20000 bytes that are allowed" in done.stdout
    assert left_over(tmp_path) == []


def test_an_existing_output_is_refused_unless_told_otherwise(tmp_path):
    path = tmp_path / "a.nc"
    check_output(path)
    path.write_text("old")
    with pytest.raises(OutputExists, match=r"a\.nc already exists; add --overwrite, or choose"):
        check_output(path)
    with pytest.raises(OutputExists, match=r"already exists; add --overwrite or --resume, or"):
        check_output(path, resume=False)
    netcdf.write(path, xr.Dataset(attrs=attributes({}, None)))
    with pytest.raises(OutputExists, match="already exists"):
        check_output(path)
    check_output(path, overwrite=True)
    check_output(path, resume=True)


@pytest.mark.parametrize("how", [{"overwrite": True}, {"resume": True}])
@pytest.mark.parametrize("kind", ["file", "folder", "link to nothing"])
def test_what_pdeinv_did_not_write_is_refused_whatever_is_told(kind, how, tmp_path):
    path = tmp_path / "a.nc"
    if kind == "file":
        path.write_text("old")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "none")
    with pytest.raises(OutputExists, match=r"a\.nc carries no mark of pdeinv.*delete it yourself"):
        check_output(path, **how)
    assert left_over(tmp_path) == ["a.nc"]


def test_an_output_in_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(
        OutputExists, match=r"^folder .*/none for output a\.nc does not exist; create"
    ):
        check_output(tmp_path / "none" / "a.nc")


def test_an_output_in_a_read_only_folder_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputExists, match=r"^folder .* is not writable; choose another --out$"):
        check_output(tmp_path / "a.nc")


def test_remove_takes_files_folders_links_and_nothing(tmp_path):
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "file").write_text("a")
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    remove(tmp_path / "link")
    assert (tmp_path / "folder").is_dir()
    for name in ("folder", "file", "none"):
        remove(tmp_path / name)
    assert left_over(tmp_path) == []


def test_nothing_is_written_into_a_folder_that_is_read(tmp_path):
    folder = tmp_path / "surrogate"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    for out in (folder / "r.nc", tmp_path / "link" / "r.nc"):
        check_output(out)
        with pytest.raises(OutputExists, match=r"lies in the folder .* which is read"):
            check_output(out, inputs=[folder])
    check_output(tmp_path / "r.nc", inputs=[folder])


@pytest.mark.parametrize("attribute", ["pdeinv_problem_config", "pdeinv_config"])
def test_what_an_input_needs_is_not_replaced(attribute, tmp_path):
    image, source = tmp_path / "images" / "white.nc", tmp_path / "truth.nc"
    image.parent.mkdir()
    xr.Dataset(attrs={"pdeinv_version": "0"}).to_netcdf(image)
    (image.parent / "pdeinv.json").write_text('{"pdeinv_version": "0"}')
    table = f'[problem.tissue]\nwhite = "{image}"' if attribute == "pdeinv_config" else (
        f'[tissue]\nwhite = "{image}"'
    )  # fmt: skip
    xr.Dataset(attrs={attribute: table}).to_netcdf(source)
    for path, kind in ((image, "file"), (image.parent, "folder")):
        check_output(path, overwrite=True, kind=kind)
        with pytest.raises(OutputExists, match=r"would replace .*white\.nc, which is read"):
            check_output(path, overwrite=True, kind=kind, inputs=[source])
    # what made it is another matter
    xr.Dataset(attrs={"pdeinv_config": f'observations = "{image}"'}).to_netcdf(source)
    check_output(image, overwrite=True, inputs=[source])
