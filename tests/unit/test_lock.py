"""One run owns an output; what a process that is gone has left stands in nobody's way."""

import errno
import fcntl
import json
import multiprocessing
import os
import socket
import subprocess
import sys

import pytest

from pdeinv.errors import OutputBusy
from pdeinv.io import lock
from pdeinv.io.lock import owned

NO_LOCKS = OSError(errno.ENOLCK, "No locks available")


@pytest.fixture(params=["flock", "no locks"])
def out(request, tmp_path, monkeypatch):
    """An output, on file systems of both kinds."""
    if request.param == "no locks":

        def refuse(*_):
            raise NO_LOCKS

        monkeypatch.setattr(fcntl, "flock", refuse)
    return tmp_path / "a.nc"


def test_a_second_run_is_refused_and_leaves_nothing(out):
    with owned(out):
        there = sorted(p.name for p in out.parent.iterdir())
        for shared in (False, True):
            with (
                pytest.raises(OutputBusy, match=r"another run is writing .*a\.nc; wait for it, or"),
                owned(out, shared=shared),
            ):
                raise AssertionError("unreachable")
        assert sorted(p.name for p in out.parent.iterdir()) == there
    assert not list(out.parent.iterdir())
    with owned(out):
        pass


def test_parts_share_an_output_and_the_last_one_clears_up(tmp_path):
    out = tmp_path / "a.nc"
    with owned(out, shared=True):
        with owned(out, shared=True):
            pass
        with pytest.raises(OutputBusy), owned(out):
            raise AssertionError("unreachable")
    assert not list(tmp_path.iterdir())


def test_an_error_lets_go(out):
    with pytest.raises(KeyError), owned(out):
        raise KeyError
    assert not list(out.parent.iterdir())


def test_scratch_that_nobody_took_over_goes_with_the_lock(tmp_path):
    for name in ("a.nc", "b.nc"):
        with pytest.raises(KeyboardInterrupt), owned(tmp_path / name):  # noqa: PT012
            (tmp_path / ".a.nc.0123abcd").mkdir(exist_ok=True)
            raise KeyboardInterrupt
    # not that of other outputs
    assert [p.name for p in tmp_path.iterdir()] == [".a.nc.0123abcd"]


def test_a_killed_run_holds_nothing(tmp_path):
    code = (
        "import sys, os; from pathlib import Path; from pdeinv.io.lock import owned\n"
        "with owned(Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.nc")], check=False)
    assert done.returncode == -9
    with owned(tmp_path / "a.nc"):
        pass
    assert not list(tmp_path.iterdir())


def owner(path, **changes):
    pid = os.getpid()
    told = {"host": socket.gethostname(), "pid": pid, "start": lock._start(pid), **changes}
    path.with_name(f".{path.name}.owner").write_text(json.dumps(told))


def test_without_locks_the_file_of_a_process_that_is_gone_is_taken_over(tmp_path, monkeypatch):
    def refuse(*_):
        raise NO_LOCKS

    monkeypatch.setattr(fcntl, "flock", refuse)
    out, gone = tmp_path / "a.nc", multiprocessing.Process()
    gone.start()
    gone.join()
    for changes in ({"pid": gone.pid}, {"start": 1}):
        owner(out, **changes)
        with owned(out):
            pass
    for changes in ({}, {"host": "elsewhere", "pid": gone.pid}):
        owner(out, **changes)
        with pytest.raises(OutputBusy), owned(out):
            raise AssertionError("unreachable")
