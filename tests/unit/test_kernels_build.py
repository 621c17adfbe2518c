"""Compiling the kernels: where they are kept, who may have written them, and doing without."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pdeinv.errors import MissingDependency
from pdeinv.kernels import build, cache

ROOT = Path(__file__).parents[2]
needs_compiler = pytest.mark.skipif(not build.available(), reason="no C compiler")

OF_KINDS = {**build.SIGNATURES, **build.REAL}
NAMES = [*(f"{name}_{kind}" for name in OF_KINDS for kind in build.KINDS), *build.PLAIN]
SHORT = "\n".join(f"long {name}(void) {{ return 8; }}" for name in NAMES).encode()
"""The same functions doing nothing: what is tested here is where they are kept."""

USE = f"""
from pdeinv.kernels import build
build._sources = lambda: {{"kernels.c": {SHORT!r}}}
assert build.library().lanes() == 8
print(build.library()._name)
"""


def used(folder, **environment):
    """A process that loads the kernels, with its caches in a folder."""
    return subprocess.Popen(
        [sys.executable, "-c", USE],
        env={**os.environ, "XDG_CACHE_HOME": str(folder), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process):
    """The library that a process used."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return Path(out.strip())


@pytest.fixture(name="fresh")
def fixture_fresh(monkeypatch, tmp_path):
    """A first use in this process, with caches in an empty folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build, "_sources", lambda: {"kernels.c": SHORT})
    monkeypatch.setattr(build, "library", build.library.__wrapped__)
    monkeypatch.setattr(build, "why_not", build.why_not.__wrapped__)
    return tmp_path / "pdeinv"


@needs_compiler
def test_processes_that_start_together_leave_one_whole_library(tmp_path):
    found = {ended(p) for p in [used(tmp_path) for _ in range(3)]}
    assert found == set((tmp_path / "pdeinv").glob("*.so"))
    assert len(found) == 1


@needs_compiler
def test_whoever_waits_for_the_lock_finds_what_was_made_meanwhile(fresh, monkeypatch):
    place = Path(build.library()._name)
    kept, asked = build._kept, []

    def first_time_none(where):
        asked.append(where)
        return None if len(asked) == 1 else kept(where)

    monkeypatch.setattr(build, "_kept", first_time_none)
    monkeypatch.setattr(build, "_compile", None)
    assert Path(build.library()._name) == place
    assert len(asked) == 2


@needs_compiler
def test_a_lock_that_is_never_released_is_waited_for_in_vain(fresh, monkeypatch):
    monkeypatch.setattr(cache, "_PATIENCE_S", 0.1)
    monkeypatch.setattr(cache, "_locked", lambda _: False)
    assert build.available()


@needs_compiler
def test_a_second_use_compiles_nothing(fresh, monkeypatch):
    build.library()
    monkeypatch.setattr(build, "_compile", None)
    build.library()


@needs_compiler
@pytest.mark.parametrize("size", [0, 4, 5000])
def test_a_library_that_is_not_whole_is_made_anew(tmp_path, size):
    place = ended(used(tmp_path))
    os.truncate(place, size)
    assert ended(used(tmp_path)) == place
    assert cache.whole(place)


@needs_compiler
@pytest.mark.parametrize("mode", [0o777, 0o720])
def test_a_folder_that_others_can_write_to_is_not_used(fresh, mode):
    fresh.mkdir()
    fresh.chmod(mode)
    assert build.available()
    assert not list(fresh.iterdir())


@needs_compiler
def test_a_library_that_others_can_write_to_is_replaced(tmp_path):
    place = ended(used(tmp_path))
    place.write_bytes(b"of someone else")
    place.chmod(0o722)
    assert ended(used(tmp_path)) == place
    assert cache.own(place)


@needs_compiler
def test_a_folder_or_file_of_another_user_is_not_used(fresh, monkeypatch):
    fresh.mkdir()
    monkeypatch.setattr(os, "getuid", lambda: fresh.stat().st_uid + 1)
    assert not cache.own(fresh)
    first, *others = cache.folders()
    assert first != fresh
    assert not others


@needs_compiler
def test_a_home_that_cannot_be_written_to_does_no_harm(fresh):
    fresh.parent.joinpath("pdeinv").write_text("a file where the folder belongs")
    assert build.available()
    private = Path(build.library()._name).parent
    assert private.stat().st_mode & 0o777 == 0o700


@needs_compiler
def test_private_folders_are_removed_at_the_end(tmp_path):
    (tmp_path / "pdeinv").write_text("a file where the folder belongs")
    library = ended(used(tmp_path, TMPDIR=str(tmp_path)))
    assert library.is_relative_to(tmp_path)
    assert not library.parent.exists()


@needs_compiler
def test_a_library_depends_on_source_compiler_flags_and_processor(monkeypatch):
    of = ({"a.c": b"source", "b.c": b""}, ["cc"], b"12.2", ["-O3"])
    keys = {build._key(*of)}
    for k, other in ((1, ["gcc"]), (2, b"13"), (3, ["-O2"])):
        keys.add(build._key(*of[:k], other, *of[k + 1 :]))
    for sources in ({"a.c": b"other", "b.c": b""}, {"a.c": b"source", "b.c": b"more"}):
        keys.add(build._key(sources, *of[1:]))
    monkeypatch.setattr(build, "_cpu", lambda: b"another")
    assert len(keys | {build._key(*of)}) == 7


@needs_compiler
def test_flags_that_the_compiler_refuses_are_left_out(fresh, monkeypatch):
    monkeypatch.setattr(build, "TUNED", (("-march=no-such-processor",), ()))
    assert build.available()


def test_without_a_compiler_the_kernels_say_so(fresh, monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    assert not build.available()
    with pytest.raises(MissingDependency, match="'no-such-compiler' is not found; apt install gcc"):
        build.library()


def test_a_compiler_that_fails_is_told_with_its_first_error(fresh, monkeypatch, tmp_path):
    broken = tmp_path / "broken-cc"
    version = '[ "$1" = --version ] && echo 1.0 && exit'
    broken.write_text(f'#!/bin/sh\n{version}\necho "fatal error: no headers" >&2\nexit 1\n')
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    assert "fatal error: no headers" in (build.why_not() or "")
    broken.write_text("#!/bin/sh\nexit 1\n")
    assert "does not run" in (build.why_not() or "")


def test_the_sources_are_shipped():
    table = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert table["tool"]["setuptools"]["package-data"]["pdeinv.kernels"] == list(build.SOURCES)
    assert {p.name for p in (ROOT / "pdeinv" / "kernels").glob("*.c")} == {*build.SOURCES}
