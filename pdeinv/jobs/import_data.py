"""Measurements in the formats of instruments and other programs, as observation files.

A problem lists the formats that it reads (:class:`pdeinv.plugins.hooks.HasImporters`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xarray as xr

from pdeinv.config import parse
from pdeinv.errors import ConfigError, DataSchemaError, UnknownPlugin, hint
from pdeinv.foreign import Unreadable, check_regular
from pdeinv.plugins import hooks, registry
from pdeinv.plugins.problem import Importer
from pdeinv.provenance import attributes, named_apart

__all__ = ["import_file", "importers", "problems"]


def problems() -> list[str]:
    """The registered problems that read foreign formats."""
    return [name for name in registry.names("problems") if importers(name)]


def importers(problem: str) -> Mapping[str, Importer]:
    """The formats that a problem reads.

    Raises:
        UnknownPlugin: no such problem.
    """
    return hooks.importers(registry.load("problems", problem))


def _importer(problem: str, name: str) -> Importer:
    found = importers(problem)
    if name in found:
        return found[name]
    raise UnknownPlugin(f"problem {problem} has no importer '{name}'; {hint(name, found)}")


def import_file(problem: str, name: str, source: Path, options: Mapping[str, Any]) -> xr.Dataset:
    """The observation file that a foreign file makes, with its provenance.

    Args:
        problem: registered name.
        name: the format.
        source: the file to read.
        options: the importer's options; further files among them are hashed as well.

    Raises:
        UnknownPlugin: no such problem or format.
        ConfigError: an option is unknown, missing or out of range.
        DataSchemaError: the file is missing or not of the format.
    """
    importer = _importer(problem, name)
    checked = _checked(importer, options)
    files = [source, *_paths(checked)]
    for file in files:
        try:
            check_regular(file)
        except FileNotFoundError:
            raise DataSchemaError(f"no such file: {file}") from None
        except OSError as error:
            raise DataSchemaError(f"cannot read {file}: {error.strerror}") from None
        except Unreadable as error:
            raise DataSchemaError(f"{file} {error}") from None
    dataset = importer.read(source, checked)
    table = {"format": name, "source": str(source), **checked.model_dump(mode="json")}
    attrs = {
        **attributes({"import": table}, None, named_apart(files)),
        "pdeinv_kind": "observations",
        "pdeinv_problem": problem,
    }
    return dataset.assign_attrs({**attrs, **dataset.attrs})


def _paths(options: Any) -> list[Path]:
    """The files among the options, also where one takes several."""
    values = [v for _, option in options
              for v in (option if isinstance(option, tuple) else (option,))]  # fmt: skip
    return [v for v in values if isinstance(v, Path)]


def _checked(importer: Importer, options: Mapping[str, Any]) -> Any:
    """The options, with errors that name the flag."""
    try:
        return parse(importer.Options, options, "")
    except ConfigError as error:
        key, colon, rest = str(error).partition(":")
        flag = key.partition(".")[0]  # of one that is repeatable without its place
        named = bool(colon) and flag in importer.Options.model_fields
        text = f"--{flag.replace('_', '-')}:{rest}" if named else str(error)
        raise ConfigError(text) from None
