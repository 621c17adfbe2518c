"""Compiled forms are whole or absent, whatever is left in the cache, and whoever compiles."""

import errno
import logging
import os
import shutil
from pathlib import Path

import pytest

from pdeinv.errors import ConfigError, SystemFault
from pdeinv.fem import env, forms
from pdeinv.jobs import doctor
from pdeinv.kernels import build
from pdeinv.kernels import cache as store

pytestmark = pytest.mark.skipif(not build.available(), reason="no C compiler")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Where forms are kept, in an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("_PDEINV_COMPILED", raising=False)
    monkeypatch.setattr(store, "_private", store._private.__wrapped__)
    return tmp_path / "cache" / "pdeinv" / "forms"


def area(points=4):
    """The area of the unit square by a form, which is compiled where it is not kept."""
    fx = env.fenicsx()
    mesh = fx.mesh.create_unit_square(fx.MPI.COMM_SELF, 2, 2)
    dx = fx.ufl.Measure("dx", domain=mesh, metadata={"quadrature_degree": points})
    one = fx.fem.Constant(mesh, 1.0)
    return fx.fem.assemble_scalar(forms.compiled_form(one * dx))


def kept(cache):
    (place,) = (p for p in cache.iterdir() if p.is_dir())
    return place


def cut(place, size):
    for library in place.glob("*.so"):
        os.truncate(library, size)


def other_machine(place):
    for library in place.glob("*.so"):
        text = bytearray(library.read_bytes())
        text[18:20] = b"\xf3\x00" if text[18:20] != b"\xf3\x00" else b"\x3e\x00"
        library.write_bytes(text)


DAMAGE = {
    "compiled half, as FFCx leaves it": lambda place: [
        p.unlink() for p in (*place.glob("*.so"), *place.glob("*.cached"))
    ],
    "no mark that it is done": lambda place: [p.unlink() for p in place.glob("*.cached")],
    "no library": lambda place: [p.unlink() for p in place.glob("*.so")],
    "an empty library": lambda place: cut(place, 0),
    "a library that is cut off": lambda place: cut(place, 6000),
    "a library of another machine": other_machine,
    "a folder that others can write to": lambda place: place.chmod(0o777),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_not_whole_is_compiled_again(cache, damage, monkeypatch):
    assert area() == pytest.approx(1)
    place = kept(cache)
    DAMAGE[damage](place)
    assert area() == pytest.approx(1)
    assert kept(cache) == place
    assert place.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(forms, "_made", None)
    assert area() == pytest.approx(1)
    assert not [p for p in cache.iterdir() if p.name.startswith(".")]


def test_what_is_kept_is_used_where_nothing_can_be_written(cache, monkeypatch, caplog):
    area()
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(forms, "_made", None)
    assert area() == pytest.approx(1)
    assert not caplog.records


def test_whoever_waits_for_its_turn_finds_what_was_made_meanwhile(cache, monkeypatch):
    area()
    found, asked = forms._kept, []

    def first_time_none(*what):
        asked.append(what)
        return None if len(asked) == 1 else found(*what)

    monkeypatch.setattr(forms, "_kept", first_time_none)
    monkeypatch.setattr(forms, "_made", None)
    assert area() == pytest.approx(1)
    assert len(asked) == 2


@pytest.mark.parametrize("kind", ["a file", "no folder above", "others"])
def test_a_cache_that_cannot_be_used_is_done_without_and_named(
    cache, kind, tmp_path, monkeypatch, caplog
):
    if kind == "a file":
        (tmp_path / "cache").write_text("")
    elif kind == "no folder above":
        monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    else:
        cache.parent.mkdir(parents=True, mode=0o777)
        cache.parent.chmod(0o777)
    with caplog.at_level(logging.WARNING):
        assert area() == pytest.approx(1)
    (record,) = caplog.records
    assert "compiled code cannot be kept in" in record.getMessage()
    assert "set XDG_CACHE_HOME to a folder on a local disk" in record.getMessage()
    assert not cache.exists()


def test_a_disk_that_fills_up_while_compiling_sends_it_elsewhere(cache, monkeypatch, caplog):
    load = forms._load

    def full(place, *what):
        if place.is_relative_to(cache):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return load(place, *what)

    monkeypatch.setattr(forms, "_load", full)
    assert area() == pytest.approx(1)
    assert [p.name for p in cache.iterdir()] == ["lock"]
    monkeypatch.setattr(store, "_private", lambda: cache.parent)
    with pytest.raises(SystemFault, match=r"cannot be compiled; .* no space left .*XDG_CACHE_HOME"):
        area()


def test_without_any_folder_the_line_names_both(cache, monkeypatch):
    def none(**_):
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    monkeypatch.setattr(store.tempfile, "mkdtemp", none)
    with pytest.raises(SystemFault, match=r"neither in /proc/none/pdeinv .* nor in a temporary fo"):
        area()


def test_without_a_compiler_the_line_says_what_to_install(cache, monkeypatch):
    monkeypatch.setenv("CC", "/nonexistent/cc")
    with pytest.raises(SystemFault, match="'/nonexistent/cc' is not found; apt install gcc"):
        area()
    assert [p.name for p in cache.iterdir()] == ["lock"]


def test_a_compiler_that_fails_is_told_with_its_first_error_alone(cache, monkeypatch, capfd):
    broken = cache.parents[2] / "broken-cc"
    broken.write_text('#!/bin/sh\necho "one.c:1: fatal error: no headers" >&2\nexit 1\n')
    broken.chmod(0o755)
    monkeypatch.setenv("CC", str(broken))
    with pytest.raises(SystemFault, match=r"broken-cc' fails .*fatal error: no headers"):
        area()
    assert capfd.readouterr() == ("", "")


def test_options_of_the_user_are_part_of_the_name_and_have_to_be_json(cache, tmp_path, monkeypatch):
    from dolfinx import jit

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jit, "_load_options", jit._load_options.__wrapped__)
    area()
    options = Path("dolfinx_jit_options.json")
    options.write_text('{"cffi_extra_compile_args": ["-O0"], "cache_dir": "elsewhere"}')
    area()
    assert len([p for p in cache.iterdir() if p.is_dir()]) == 2
    options.write_text("{")
    with pytest.raises(ConfigError, match=r"dolfinx_jit_options.json .* is no JSON"):
        area()


@pytest.mark.parametrize("home", [None, "/proc/none", "/dev/null"])
def test_who_has_no_home_has_no_options_there(home, monkeypatch):
    def none():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setenv("XDG_CONFIG_HOME", "unset")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", home or "unset")
    if home is None:
        monkeypatch.setattr(Path, "home", none)
    env._with_a_home()
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path(os.environ["HOME"], ".config"))
    assert not (base / "dolfinx" / "dolfinx_jit_options.json").exists()


def test_doctor_says_that_nothing_can_be_kept(cache, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")
    (found,) = (f for f in doctor._disk() if f.name == "disk of compiled code")
    assert found.status == "broken"
    assert "/proc/none/pdeinv: no such file or directory; " in found.detail
    assert "set XDG_CACHE_HOME" in found.detail
    shutil.rmtree(cache.parents[1], ignore_errors=True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache.parents[1]))
    (found,) = (f for f in doctor._disk() if f.name == "disk of compiled code")
    assert "GB free" in found.detail
