"""Compile ``kernels.c`` and ``analysis.c`` at first use, keep them, and load them.

The compiler is the one that FFCx needs as well: ``$CC``, else ``cc``. A library is kept under the
hash of all that it depends on, so that machines of several kinds can share a home. It is written
beside its place and renamed: processes that start together each find none or a whole one. Where
locks work, one of them compiles for all.
"""

from __future__ import annotations

import ctypes
import hashlib
import platform
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pdeinv.errors import MissingDependency, SystemFault, reason
from pdeinv.kernels import cache as store
from pdeinv.kernels import compiler as cc
from pdeinv.system_errors import of_machine

__all__ = ["available", "kernel", "library", "why_not"]

ALWAYS = (
    *("-O3", "-fPIC", "-shared", "-std=gnu17"),
    *("-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"),
)
"""No ``-ffast-math``: it would reorder sums and lose what is not finite."""

TUNED = (("-march=native", "--param=avoid-fma-max-bits=0"), ("-march=native",), ())
"""Flags for the machine, tried in turn. The second one is GCC's: without it, products and sums are
fused in long vectors only on some processors."""

KINDS = ("real_1", "real_n", "complex_1", "complex_n")
"""Real and complex numbers, one row and a tile of them."""

_P, _N = ctypes.c_void_p, ctypes.c_int64
SIGNATURES = {
    "factor": (*(_P,) * 6, _N, _P),
    "solve": (*(_P,) * 4, _N, _P),
    "symmetric_pairs": (_N, *(_P,) * 5, _N),
    "symmetric_times": (_N, *(_P,) * 5, _N),
    "lane_products": (_N, _N, _N, _P, _N, _N, _P, _P),
}
"""Functions that exist for each kind."""

REAL = {
    "largest": (_N, _P, _P),
    "line_factor": (_N, *(_P,) * 4),
    "line_solve": (_N, *(_P,) * 4),
    "line_times": (_N, *(_P,) * 4),
}
"""Functions of real numbers alone."""

PLAIN: Mapping[str, tuple[Any, ...]] = {
    "lanes": (),
    "tile_rows": (_P, _N, _N, _P),
    "untile_rows": (_P, _N, _N, _P),
    "csr_times": (_N, *(_P,) * 5, _N),
    "solve_shared": (*(_P,) * 5,),
    "wave_march": (_P, _N, _P, _N, _N, _P, _P),
    "wave_back": (_P, _N, _P, _N, *(_P,) * 5),
    "wave_change": (_P, _N, *(_P,) * 8),
    "dense_times": (_N, _N, *(_P,) * 3, _N),
    "dissection": (_N, _N, *(_P,) * 3, _N, *(_P,) * 4),
    "supernodes": (_N, *(_P,) * 6, _N, ctypes.c_double, _P),
    "group_rows": (_N, *(_P,) * 7),
}

SOURCES = ("kernels.c", "analysis.c")

_TOO_LONG_S = 300.0


def kernel(name: str, *, complex: bool, width: int) -> Any:
    """The function of that name for a number type and a width, 1 or that of a tile."""
    kind = f"{'complex' if complex else 'real'}_{'1' if width == 1 else 'n'}"
    return getattr(library(), f"{name}_{kind}")


def available() -> bool:
    """Whether the kernels can be used here; compiles them at the first call."""
    return why_not() is None


@cache
def why_not() -> str | None:
    """Why the kernels cannot be used here, in one line; None where they can."""
    try:
        library()
    except (MissingDependency, SystemFault) as error:
        return str(error)
    return None


@cache
def library() -> ctypes.CDLL:
    """The compiled kernels.

    Raises:
        MissingDependency: there is no C compiler, or it fails.
        SystemFault: there is no folder to keep them in.
    """
    compiler = _compiler()
    sources, version = _sources(), _version(compiler)
    last: Exception | None = None
    for folder in store.folders():
        for tuned in TUNED:
            flags = (*ALWAYS, *tuned)
            place = folder / f"kernels-{_key(sources, compiler, version, flags)}.so"
            try:
                return _declared(_loaded(place, [*compiler, *flags], sources))
            except (OSError, subprocess.SubprocessError) as error:
                last = error
        if not _of_folder(last):
            break
    raise _missing(f"'{shlex.join(compiler)}' cannot compile them ({_first_line(last)})")


def _sources() -> dict[str, bytes]:
    folder = files("pdeinv.kernels")
    return {name: folder.joinpath(name).read_bytes() for name in SOURCES}


def _declared(kernels: ctypes.CDLL) -> ctypes.CDLL:
    """The library with the types of its functions."""
    for kind in KINDS:
        known = SIGNATURES if kind.startswith("complex") else SIGNATURES | REAL
        for name, kinds in known.items():
            getattr(kernels, f"{name}_{kind}").argtypes = kinds
    for name, kinds in PLAIN.items():
        getattr(kernels, name).argtypes = kinds
    kernels.lanes.restype = kernels.supernodes.restype = _N
    return kernels


def _missing(why: str) -> MissingDependency:
    return MissingDependency(f"the compiled kernels need a C compiler: {why}; {cc.INSTALL}")


def _compiler() -> list[str]:
    command = cc.command()
    absent = cc.not_found(command)
    if absent is not None:
        raise _missing(absent)
    return command


def _version(compiler: Sequence[str]) -> bytes:
    try:
        return subprocess.run(
            [*compiler, "--version"], capture_output=True, check=True, timeout=_TOO_LONG_S
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise _missing(f"'{shlex.join(compiler)}' does not run ({reason(error)})") from None


def _key(
    sources: Mapping[str, bytes], compiler: Sequence[str], version: bytes, flags: Sequence[str]
) -> str:
    parts = (
        *sources.values(),
        shlex.join(compiler).encode(),
        version,
        shlex.join(flags).encode(),
        _cpu(),
    )
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:32]


@cache
def _cpu() -> bytes:
    """What ``-march=native`` looks at: model and features of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}".encode()
    wanted = ("vendor_id", "cpu family", "model", "flags", "Features", "CPU part", "cache size")
    return "\n".join(line for line in lines if line.startswith(wanted)).encode()


def _loaded(place: Path, command: Sequence[str], sources: Mapping[str, bytes]) -> ctypes.CDLL:
    """The library at its place, compiled where it is not there or cannot be loaded."""
    found = _kept(place)
    if found is not None:
        return found
    with store.turn(place.parent):
        # whoever had the turn before may have made it
        found = _kept(place)
        if found is not None:
            return found
        _compile(place, command, sources)
    return ctypes.CDLL(str(place))


def _kept(place: Path) -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL(str(place)) if store.own(place) and store.whole(place) else None
    except OSError:
        return None


def _compile(place: Path, command: Sequence[str], sources: Mapping[str, bytes]) -> None:
    with tempfile.TemporaryDirectory(dir=place.parent, prefix="compile-") as scratch:
        made = Path(scratch) / "kernels.so"
        texts = [Path(scratch) / name for name in sources]
        for text, source in zip(texts, sources.values(), strict=True):
            text.write_bytes(source)
        subprocess.run(
            [*command, *map(str, texts), "-o", str(made), "-lm"],
            capture_output=True,
            check=True,
            timeout=_TOO_LONG_S,
        )
        made.chmod(0o700)
        made.replace(place)


def _of_folder(error: Exception | None) -> bool:
    """Whether another folder may help: the disk or the loader refused, and not the compiler."""
    if isinstance(error, subprocess.CalledProcessError):
        return of_machine(RuntimeError(error.stderr.decode(errors="replace")))
    return isinstance(error, OSError)


def _first_line(error: Exception | None) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return cc.first_error(error.stderr.decode(errors="replace").splitlines()) or str(error)
    return "no folder" if error is None else reason(error)
