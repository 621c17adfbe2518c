"""Streams that are closed, full, without a reader, or without letters: the work is kept."""

import os
import subprocess
import sys

import pytest

from pdeinv.cli import outlets
from pdeinv.io.netcdf import read_dataset

PDEINV = f"{sys.executable} -m pdeinv"
ODD = os.fsdecode(b"t\xe5.nc")
"""A file name that is no UTF-8."""


def shell(line, **environ):
    return subprocess.run(
        ["bash", "-c", line],
        check=False,
        capture_output=True,
        timeout=120,
        env={**os.environ, **environ},
    )


def test_no_file_of_a_run_gets_the_number_of_a_closed_stream(work):
    # a library that prints there would spoil it
    done = shell(f"{PDEINV} solve --config small.toml --seed 1 --out new.nc >&- 2>&-")
    assert done.returncode == 0
    assert "pdeinv_seed" in read_dataset(work / "new.nc").attrs


@pytest.mark.parametrize(
    ("where", "code", "says"),
    [
        (">&-", 0, b""),
        ("2>/dev/full", 0, b""),
        (">/dev/full", 1, b"error: all is done, but stdout could not be written"),
    ],
)
def test_a_stream_that_cannot_be_written_is_told_when_the_work_is_done(where, code, says):
    done = shell(f"{PDEINV} list {where}")
    assert done.returncode == code
    assert done.stderr.startswith(says)
    assert done.stderr.count(b"\n") == bool(says)


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_terminal_that_lacks_letters_gets_replacements(encoding):
    done = shell(f"{PDEINV} list", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"?" in done.stdout
    done.stdout.decode(encoding)


def test_file_names_that_are_no_text_are_read_written_printed_and_recorded(work, call):
    line = f"{PDEINV} solve --config small.toml --seed 1 --out $'t\\xe5.nc'"
    done = shell(line, LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert (done.returncode, done.stdout) == (0, b"t\xe5.nc\n"), done.stderr
    words = ("--sensors", "grid:3x3", "--noise-std", 0.1, "--seed", 1, "--out", "o.nc")
    observed = call("observe", ODD, *words)
    assert observed.exit_code == 0, observed.stderr
    assert r"t\xe5.nc" in read_dataset(work / ODD).attrs["pdeinv_command"]
    assert r"t\xe5.nc" in read_dataset(work / "o.nc").attrs["pdeinv_inputs"]


def test_an_outlet_takes_everything_after_its_first_error():
    reads, writes = os.pipe()
    outlet = outlets.Outlet(writes)
    assert outlet.write(b"before") == 6
    os.close(reads)
    assert [outlet.write(b"after"), outlet.write(b"later")] == [5, 5]
    assert isinstance(outlet.failure, BrokenPipeError)
    os.close(writes)


def test_an_outlet_waits_for_a_slow_reader_in_non_blocking_mode():
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    with subprocess.Popen(
        [sys.executable, "-c", "import sys, time; time.sleep(0.3); print(len(sys.stdin.read()))"],
        stdin=reads, stdout=subprocess.PIPE,
    ) as reader:  # fmt: skip
        os.close(reads)
        stream = outlets._text(outlets.Outlet(writes), None, lines=False)
        stream.write("x" * 300_000)
        stream.flush()
        os.close(writes)
        assert int(reader.stdout.read()) == 300_000
