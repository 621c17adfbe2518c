"""Forms, compiled at first use: each is kept in a folder of its own, which is whole or absent.

FFCx marks what it compiles by files that the next process waits for. Left behind by a kill or a
full disk, they would end every later run. So a form is compiled in a scratch folder that is renamed
when all is there, and what is not whole, or of another machine, is compiled again. Where locks
work, one process compiles for all.
"""

from __future__ import annotations

import hashlib
import io
import os
import platform
import shlex
import shutil
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from pdeinv.errors import ConfigError, PdeinvError, SystemFault, reason
from pdeinv.fem.env import fenicsx
from pdeinv.kernels import cache as store
from pdeinv.kernels import compiler as cc
from pdeinv.system_errors import explained, of_machine

__all__ = ["compiled_form"]

_SECONDS = 1
"""How long FFCx waits for files that another process would have to finish; there is none."""


def compiled_form(form: Any, dtype: Any = np.float64) -> Any:
    """A form of UFL as one of dolfinx; all ranks of its mesh have to call this.

    Args:
        form: of UFL.
        dtype: of its numbers.

    Raises:
        SystemFault: there is no compiler, it fails, or there is no folder to compile in.
    """
    comm = form.ufl_domain().ufl_cargo().comm
    made, failed = None, None
    try:
        made = _found(form, dtype)
    except PdeinvError as error:
        failed = error
    if comm.size > 1:  # a rank that leaves alone would be waited for
        failed = next((error for error in comm.allgather(failed) if error is not None), None)
    if failed is not None:
        raise failed
    return made


def _found(form: Any, dtype: Any) -> Any:
    """The form from the first folder that has it, or where it can be compiled."""
    name = _key(form, dtype)
    for folder in store.folders():
        try:
            return _in(folder / "forms" / name, form, dtype)
        except (OSError, ImportError) as error:  # the disk refuses, or libraries may not be loaded
            last = error
    raise SystemFault(
        f"the equation cannot be compiled; {explained(last) or reason(last)}; set XDG_CACHE_HOME "
        "to a folder on a local disk"
    ) from last


def _key(form: Any, dtype: Any) -> str:
    """The name of all that the machine code of a form depends on."""
    import ffcx

    parts = (
        form.signature(),
        np.dtype(dtype).name,
        str(_options(dtype)),
        str(ffcx.__version__),
        *(str(sysconfig.get_config_var(name)) for name in ("SOABI", "CFLAGS")),
        platform.machine(),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def _options(dtype: Any) -> list[Any]:
    """What users set of FFCx and its compiler in files of their own.

    Raises:
        ConfigError: such a file is no JSON.
    """
    from dolfinx import jit
    from ffcx.options import get_options

    try:
        of_compiler = jit.get_options()
        of_forms = get_options({"scalar_type": np.dtype(dtype).name})
    except ValueError as error:
        raise ConfigError(
            "dolfinx_jit_options.json or ffcx_options.json, here or in ~/.config, is no JSON "
            f"({reason(error)}); mend or remove it"
        ) from None
    told = {k: v for k, v in of_compiler.items() if k not in ("cache_dir", "timeout")}
    return sorted({**told, **of_forms}.items())


def _in(place: Path, form: Any, dtype: Any) -> Any:
    """The form of a place; compiled there where it is not there, or not usable."""
    found = _kept(place, form, dtype)
    if found is not None:
        return found
    place.parent.mkdir(mode=0o700, exist_ok=True)
    with store.turn(place.parent):
        # whoever had the turn before may have made it
        found = _kept(place, form, dtype)
        return _made(place, form, dtype) if found is None else found


def _kept(place: Path, form: Any, dtype: Any) -> Any:
    """What is kept; None where that is nothing, half of it, or of another machine."""
    if not store.own(place) or not _is_whole(place):
        return None
    try:
        return _load(place, form, dtype)
    except (OSError, ImportError, AttributeError):
        return None


def _is_whole(place: Path) -> bool:
    libraries = list(place.glob("*.so"))
    sources = {path.name for path in place.glob("*.c")}
    done = {path.name.removesuffix(".cached") for path in place.glob("*.c.cached")}
    return len(libraries) == 1 and sources == done and all(map(store.whole, libraries))


def _load(place: Path, form: Any, dtype: Any) -> Any:
    fx = fenicsx()
    return fx.fem.form(
        form,
        dtype=dtype,
        jit_options={"cache_dir": str(place), "timeout": _SECONDS},
        jit_comm=fx.MPI.COMM_SELF,
    )


def _made(place: Path, form: Any, dtype: Any) -> Any:
    """Compile, and put it into its place."""
    scratch = Path(tempfile.mkdtemp(prefix=f".{place.name}.", dir=place.parent))
    try:
        with _silent() as printed:
            try:
                found = _load(scratch, form, dtype)
            except Exception as error:
                other = _failed(error, printed())
                if other is None:
                    raise
                raise other from error
        shutil.rmtree(place, ignore_errors=True)
        with suppress(OSError):  # another process without locks was faster, or cannot be replaced
            os.rename(scratch, place)
        return found
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _failed(error: Exception, printed: str) -> Exception | None:
    """What the end of a compiler means where it is not what Python says; None where it is."""
    if not _of_compiler(error):
        return None
    if of_machine(RuntimeError(printed)):
        return OSError(printed)  # of the disk: another one may do
    words = cc.command(str(sysconfig.get_config_var("CC") or "cc"))
    why = cc.not_found(words) or (
        f"'{shlex.join(words)}' fails ({cc.first_error(printed.splitlines()) or 'without a word'})"
    )
    return SystemFault(f"finite elements need a C compiler: {why}; {cc.INSTALL}")


def _of_compiler(error: Exception) -> bool:
    return type(error).__module__.split(".")[0] in ("cffi", "distutils", "setuptools")


@contextmanager
def _silent() -> Iterator[Any]:
    """Keep what compilers print from the terminal; gives how to read it."""
    with tempfile.TemporaryFile() as file, _redirected(file, 1), _redirected(file, 2):

        def printed() -> str:
            file.seek(0)
            return io.TextIOWrapper(io.BytesIO(file.read()), errors="replace").read()

        yield printed


@contextmanager
def _redirected(file: Any, descriptor: int) -> Iterator[None]:
    try:
        before = os.dup(descriptor)
    except OSError:  # a stream that is closed
        yield
        return
    os.dup2(file.fileno(), descriptor)
    try:
        yield
    finally:
        os.dup2(before, descriptor)
        os.close(before)
