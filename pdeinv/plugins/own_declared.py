"""The own models that the user of this process has named: no file can add one.

A file only says which model it belongs to, by name and hash. Whoever reads it looks here, and finds
nothing unless the user gave the model in Python or by ``--own-model``. A table of such a model that
is sent to another process, by the user's own process, names it there as well.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from pdeinv.errors import ConfigError, PdeinvError, reason
from pdeinv.plugins.own_model import Origin, OwnModel
from pdeinv.plugins.own_sources import digest, sources
from pdeinv.provenance import sha256

__all__ = [
    "OWN",
    "OwnTable",
    "brought",
    "check_travels",
    "declare",
    "declared",
    "find",
    "load_reference",
    "stays",
]

OWN = "own"
"""The name of the problem that an own model is."""

FILE = ".py"

_imported: dict[str, tuple[list[Path], str]] = {}
"""Source files and their hash by module, as they were when it was imported here."""

_declared: dict[tuple[str, str], OwnModel] = {}
"""By name and hash."""


class OwnTable(dict[str, Any]):
    """The configuration of an own model; pickled, it brings the model along."""

    def __reduce__(self) -> tuple[Any, ...]:
        """The model by its reference where it has one, else itself."""
        model = _declared[self["model"], self["sha256"]]
        return _arrived, (dict(self), model.origin if model.origin.module else model)


def _arrived(table: dict[str, Any], sent: Any) -> OwnTable:
    """Name a model in the process that it was sent to.

    Raises:
        ConfigError: its source has changed in the meantime.
    """
    if isinstance(sent, OwnModel):
        declare(sent)
    elif _found(table) is None:
        declare(load_reference(f"{sent.module}:{sent.name.rpartition(':')[2]}", sent.folder))
    find(table["model"], table["sha256"])
    return OwnTable(table)


def declare(model: OwnModel) -> OwnTable:
    """Name a model, which takes the place of one with the same name and source."""
    origin = model.origin
    _declared[origin.name, origin.sha256] = model
    return OwnTable(model=origin.name, sha256=origin.sha256)


def declared(text: str) -> OwnTable:
    """Import and name the model that a user typed as ``module:factory`` or ``file.py:factory``.

    Raises:
        ConfigError: it cannot be found or made.
    """
    return declare(load_reference(text))


def _found(table: Mapping[str, Any]) -> OwnModel | None:
    """The model of a table, if it was named."""
    return _declared.get((str(table.get("model")), str(table.get("sha256"))))


def find(name: str, expected: str) -> OwnModel:
    """The model of that name and source.

    Raises:
        ConfigError: nobody named it, or its source was another one.
    """
    if (name, expected) in _declared:
        return _declared[name, expected]
    other = next((sha for known, sha in _declared if known == name), None)
    if other is not None:
        raise ConfigError(
            f"own model '{name}' is not the one that this was made with: its source has sha256 "
            f"{other[:12]}, expected {expected[:12]}; restore the source, or make the file again"
        )
    known = ", ".join(f"'{known}'" for known, _ in _declared)
    raise ConfigError(
        f"this needs the own model '{name}', and no file may import code; if you trust it, "
        f"pass --own-model {name} (in Python: model=)" + (f"; given was {known}" if known else "")
    )


def brought(problem: str, table: Mapping[str, Any]) -> OwnTable | None:
    """What another process has to be sent before it can build the problem; None if nothing."""
    return OwnTable(table) if problem == OWN else None


def stays(problem: str, table: Mapping[str, Any]) -> bool:
    """Whether a problem is a model that was made in this process, which then solves best itself."""
    return problem == OWN and not find(table["model"], table["sha256"]).origin.module


def check_travels(problem: str, table: Mapping[str, Any], workers: int) -> None:
    """Refuse several processes for a model that cannot be sent to them.

    Raises:
        ConfigError: it is made of a lambda, a nested function or one typed at a prompt.
    """
    if workers == 1 or not stays(problem, table):
        return
    from multiprocessing.reduction import ForkingPickler

    try:
        ForkingPickler.dumps(OwnTable(table))
    except Exception as error:
        raise ConfigError(
            f"workers = {workers}: the own model '{table['model']}' cannot be sent to other "
            f"processes ({type(error).__name__}); give it as 'module:factory', or use workers = 1"
        ) from None


# --- importing -----------------------------------------------------------------------------


def load_reference(text: str, folder: str = "") -> OwnModel:
    """The model that the factory of a module makes, with its origin.

    Args:
        text: ``module:factory`` or ``path/to/file.py:factory``.
        folder: where modules and paths are looked for first; the working directory where empty.

    Raises:
        ConfigError: no such module or factory, it fails, or it makes something else.
    """
    where = Path(folder) if folder else Path.cwd()
    module, _, factory = text.rpartition(":")
    plain = module.removesuffix(FILE) if module.endswith(FILE) else module
    if not (plain and factory.isidentifier()):
        raise ConfigError(
            f"own model '{text}': expected MODULE:FACTORY or path/to/file.py:FACTORY, such as "
            "flow:build"
        )
    loaded, hashed = _module(module, where, text)
    made = _made(loaded, factory, text)
    # a file is known by its name, so that its path need not be typed in the same way again
    name = f"{Path(module).name if module.endswith(FILE) else module}:{factory}"
    return replace(made, origin=Origin(name, hashed, module, str(where)))


def _made(module: ModuleType, factory: str, text: str) -> OwnModel:
    """What the factory makes."""
    found: Any = getattr(module, factory, None)
    if isinstance(found, OwnModel):
        return found
    if not callable(found):
        known = [
            k for k, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__
        ]
        raise ConfigError(
            f"own model '{text}': the module has no function '{factory}'; it has "
            f"{', '.join(known) or 'none'}"
        )
    model = _guarded(found, f"own model '{text}': {factory}() failed")
    if not isinstance(model, OwnModel):
        raise ConfigError(
            f"own model '{text}': {factory}() must return what pdeinv.own_model makes, got "
            f"{type(model).__name__}"
        )
    return model


def _guarded(run: Callable[[], Any], what: str) -> Any:
    """``run()``; whatever it raises becomes one line."""
    try:
        return run()
    except PdeinvError as error:
        raise ConfigError(f"{what}: {reason(error)}") from error
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{what}: {type(error).__name__}: {reason(error)}") from error


def _module(name: str, folder: Path, text: str) -> tuple[ModuleType, str]:
    """The module and the hash of its sources."""
    if name.endswith(FILE):
        file = folder / name
        if not file.is_file():
            raise ConfigError(f"own model '{text}': no file {name} in {folder}")
        return _from_file(file.resolve(), text)
    if not all(part.isidentifier() for part in name.split(".")):
        raise ConfigError(
            f"own model '{text}': '{name}' is no module name; expected MODULE:FACTORY or "
            "path/to/file.py:FACTORY"
        )
    _forget_stale(name, folder)
    with _importing(folder):
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise ConfigError(f"own model '{text}': {reason(error)}") from error
            raise ConfigError(
                f"own model '{text}': no module '{error.name}' in {folder} or installed; "
                "start in its folder, or give path/to/file.py:FACTORY"
            ) from None
        except (Exception, SystemExit) as error:
            raise _import_failed(text, error) from error
    source = getattr(module, "__file__", None)
    if source is None or not source.endswith(FILE):
        raise ConfigError(f"own model '{text}': module '{name}' has no source file to record")
    return module, _recorded(module)


def _recorded(module: ModuleType) -> str:
    """The hash of the sources of a module that has just been imported."""
    files = sources(module)
    _imported[module.__name__] = files, digest(files)
    return _imported[module.__name__][1]


def _forget_stale(name: str, folder: Path | None = None) -> None:
    """Forget a module with a source that has changed, or that came from another folder."""
    if name not in sys.modules or name not in _imported:
        return
    files, before = _imported[name]
    spec = None if folder is None else PathFinder.find_spec(name.partition(".")[0], [str(folder)])
    moved = spec is not None and "." not in name and spec.origin != str(files[0])
    if moved or not all(file.is_file() for file in files) or digest(files) != before:
        for known, module in list(sys.modules.items()):
            if Path(getattr(module, "__file__", None) or "") in files:
                del sys.modules[known]


def _from_file(file: Path, text: str) -> tuple[ModuleType, str]:
    """The module of a file by its path, under a name that hides no other module."""
    name = f"_own_{file.stem}_{sha256(file)[:16]}"
    _forget_stale(name)
    if name in sys.modules:
        return sys.modules[name], _imported[name][1]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickles look a class's module up there
    with _importing(file.parent):
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            del sys.modules[name]
            raise _import_failed(text, error) from error
    return module, _recorded(module)


def _import_failed(text: str, error: BaseException) -> ConfigError:
    return ConfigError(
        f"own model '{text}': importing it failed: {type(error).__name__}: {reason(error)}"
    )


@contextmanager
def _importing(folder: Path) -> Iterator[None]:
    """The folder on the path of imports, and no compiled files left there, while the block runs."""
    before = sys.dont_write_bytecode
    sys.path.insert(0, str(folder))
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
