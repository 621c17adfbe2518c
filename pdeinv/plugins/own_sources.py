"""The source files of a module of the user's own: its file, and those beside it that it imports."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from pdeinv.provenance import sha256

__all__ = ["digest", "sources"]

INSTALLED = ("site-packages", "dist-packages")


def sources(module: ModuleType) -> list[Path]:
    """The file of a module, then those of modules that it has imported from its own folder.

    The folder is that of the file, or of the package. What is installed has a version instead, and
    imports inside functions are not seen.
    """
    own = Path(module.__file__ or "")
    top = sys.modules.get(module.__name__.partition(".")[0], module)
    root = Path(top.__file__ or own).parent
    beside = root.name not in INSTALLED  # else each file there is a package of its own
    found = _reached(module, root) if beside else {}
    return [own, *sorted(set(found.values()) - {own})]


def _reached(module: ModuleType, root: Path) -> dict[str, Path]:
    """Modules below ``root`` that ``module`` has imported, by name, and those that they have."""
    found, waiting = dict[str, Path](), [module]
    while waiting:
        for other in _mentioned(waiting.pop()):
            file = _file_below(other, root)
            if file is not None and other.__name__ not in found:
                found[other.__name__] = file
                waiting.append(other)
    return found


def _mentioned(module: ModuleType) -> Iterator[ModuleType]:
    """The modules among its global names, and those that the others come from."""
    for value in list(vars(module).values()):
        name = value.__name__ if isinstance(value, ModuleType) else _home(value)
        found = sys.modules.get(name)
        if found is not None:
            yield found


def _home(value: Any) -> str:
    name = getattr(value, "__module__", None)
    return name if isinstance(name, str) else ""


def _file_below(module: ModuleType, root: Path) -> Path | None:
    file = Path(getattr(module, "__file__", None) or "")
    if file.suffix != ".py" or root not in file.parents or module.__name__.startswith("pdeinv."):
        return None
    return None if set(INSTALLED) & set(file.relative_to(root).parts) else file


def digest(files: Sequence[Path]) -> str:
    """The hash of some source files; of a single one that of its contents."""
    if len(files) == 1:
        return sha256(files[0])
    names = "".join(f"{file.name}:{sha256(file)};" for file in files)
    return hashlib.sha256(names.encode()).hexdigest()
