"""Import the model that a user typed: ``module:factory`` or ``path/to/file.py:factory``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from pdeinv.errors import ConfigError, PdeinvError, reason
from pdeinv.plugins.own_model import Origin, OwnModel
from pdeinv.provenance import sha256

__all__ = ["load_reference"]

FILE = ".py"

_imported: dict[str, str] = {}
"""Hash of the source by module, as it was when it was imported here."""


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
    loaded, digest = _module(module, where, text)
    made = _made(loaded, factory, text)
    # a file is known by its name, so that its path need not be typed in the same way again
    name = f"{Path(module).name if module.endswith(FILE) else module}:{factory}"
    return replace(made, origin=Origin(name, digest, module, str(where)))


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
    """The module and the hash of its source."""
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
    _imported[name] = sha256(Path(source))
    return module, _imported[name]


def _forget_stale(name: str, folder: Path) -> None:
    """Forget a module whose source has changed, or that came from another folder."""
    old = sys.modules.get(name)
    if old is None or name not in _imported:
        return
    source = Path(getattr(old, "__file__", None) or "")
    spec = PathFinder.find_spec(name.partition(".")[0], [str(folder)])
    moved = spec is not None and "." not in name and spec.origin != str(source)
    if moved or not source.is_file() or sha256(source) != _imported[name]:
        del sys.modules[name]


def _from_file(file: Path, text: str) -> tuple[ModuleType, str]:
    """The module of a file by its path, under a name that hides no other module."""
    digest = sha256(file)
    name = f"_own_{file.stem}_{digest[:16]}"
    if name in sys.modules:
        return sys.modules[name], digest
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
    return module, digest


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
