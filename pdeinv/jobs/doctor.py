"""Is this machine ready? Each piece is probed alone, the risky ones in their own process."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from pdeinv import extras
from pdeinv.errors import UnknownPlugin
from pdeinv.kernels import build
from pdeinv.kernels import cache as store
from pdeinv.kernels import compiler as cc
from pdeinv.launchers import without_rank
from pdeinv.plugins import registry

__all__ = ["Finding", "Status", "examine"]

Status = Literal["ok", "absent", "broken"]
"""``absent``: optional and not installed; ``broken``: there, or needed, and not working."""

CORE = ("numpy", "scipy", "xarray", "netCDF4", "pydantic", "emcee", "arviz", "matplotlib")
PROBE_SECONDS = 120
LOW_DISK_GB = 1.0

DOLFINX = """
from pdeinv.fem.env import fenicsx
f = fenicsx()
import dolfinx, json
from petsc4py import PETSc
print(json.dumps({
    "dolfinx": dolfinx.__version__,
    "petsc": ".".join(map(str, PETSc.Sys.getVersion())) + f", scalar {PETSc.ScalarType.__name__}",
    "mpi": f.MPI.Get_library_version().splitlines()[0].strip(),
    "mpi standard": ".".join(map(str, f.MPI.Get_version())),
}))
"""
TORCH = """
import json, torch
names = [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())]
print(json.dumps({"torch": torch.__version__, "cuda devices": ", ".join(names) or "none"}))
"""
COMPILE = "#include <Python.h>\nint pdeinv_probe(void) { return PY_MAJOR_VERSION; }\n"


@dataclass(frozen=True)
class Finding:
    """One probed piece: what it is, whether it works, and its version or what to do."""

    name: str
    status: Status
    detail: str


def examine() -> list[Finding]:
    """All findings; the machine is fit if none is ``broken``."""
    return [
        _python(),
        *_core(),
        *_probed("dolfinx_solver", "dolfinx", DOLFINX, extras.remedy("dolfinx")),
        _compiler(),
        _kernels(),
        *_probed("torch", None, TORCH, extras.remedy("torch")),
        *_plugins(),
        _threads(),
        *_disk(),
    ]


def _python() -> Finding:
    parts = (platform.python_version(), "on", platform.system(), platform.machine())
    return Finding("python", "ok", " ".join((*parts, *platform.libc_ver())).strip())


def _core() -> Iterator[Finding]:
    for name in CORE:
        try:
            yield Finding(name, "ok", version(name))
        except PackageNotFoundError:
            yield Finding(name, "broken", "not installed; run pip install pdeinv again")


def _probed(module: str, other: str | None, code: str, remedy: str) -> list[Finding]:
    """The findings that ``code`` prints as JSON in a fresh process, if the module is there."""
    if find_spec(module) is None and (other is None or find_spec(other) is None):
        return [Finding(other or module, "absent", remedy)]
    try:
        with without_rank():
            done = subprocess.run(
                [sys.executable, "-c", code],
                capture_output=True, text=True, timeout=PROBE_SECONDS, check=True,
            )  # fmt: skip
        found = json.loads(done.stdout.strip().splitlines()[-1])
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or [f"exit code {error.returncode}"])[-1]
        return [Finding(other or module, "broken", f"import fails: {last}")]
    except (subprocess.TimeoutExpired, ValueError, IndexError) as error:
        return [Finding(other or module, "broken", f"import fails: {type(error).__name__}")]
    return [Finding(name, "ok", str(text)) for name, text in found.items()]


def _compiler() -> Finding:
    """FFCx compiles forms when they are first used, against Python's headers."""
    needed = find_spec("dolfinx_solver") is not None or find_spec("dolfinx") is not None
    bad: Status = "broken" if needed else "absent"
    command = cc.command()
    absent = cc.not_found(command)
    if absent is not None:
        return Finding("C compiler", bad, f"{absent}; {cc.INSTALL}")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text(COMPILE)
        include = f"-I{sysconfig.get_path('include')}"
        line = [*command, "-c", include, str(source), "-o", str(Path(folder, "probe.o"))]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode:
        return Finding(
            "C compiler", bad, "cannot compile against Python.h; install Python's headers"
        )
    return Finding("C compiler", "ok", shutil.which(command[0]) or command[0])


def _kernels() -> Finding:
    """Many solves at once; without them solves are made one by one."""
    why = build.why_not()
    return Finding("compiled kernels", "absent" if why else "ok", why or build.library()._name)


def _plugins() -> Iterator[Finding]:
    kinds: tuple[registry.Kind, ...] = ("problems", "surrogates", "engines")
    for kind in kinds:
        failed = []
        for name in registry.names(kind):
            try:
                registry.load(kind, name)
            except (ImportError, AttributeError, UnknownPlugin) as error:
                failed.append(f"{name} ({error})")
        names = ", ".join(registry.names(kind)) or "none"
        yield Finding(
            kind,
            "broken" if failed else "ok",
            f"cannot load {'; '.join(failed)}" if failed else names,
        )


def _threads() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    omp = os.environ.get("OMP_NUM_THREADS", "unset")
    return Finding("threads", "ok", f"{cores} cores, OMP_NUM_THREADS {omp}")


def _disk() -> Iterator[Finding]:
    yield _space("disk here", Path.cwd())
    why, place = store.trouble(), store.shared()
    if why is None:
        yield _space("disk of compiled code", place)
    else:
        yield Finding(
            "disk of compiled code",
            "broken",
            f"{place}: {why}; each run compiles anew: set XDG_CACHE_HOME to a local folder",
        )


def _space(name: str, folder: Path) -> Finding:
    free, writable = shutil.disk_usage(folder).free / 1e9, os.access(folder, os.W_OK)
    detail = f"{free:.1f} GB free" + ("" if writable else ", not writable")
    return Finding(name, "ok" if writable and free >= LOW_DISK_GB else "broken", detail)
