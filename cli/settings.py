"""The run configuration as every verb sees it: flags, then PDEINV_* variables, then the file."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from pdeinv.errors import ConfigError, UnknownPlugin

if TYPE_CHECKING:
    from pathlib import Path

    from pdeinv.io.observations import NoiseSpec
    from pdeinv.plugins.problem import Problem

    from .options import Settings

__all__ = ["build_problem", "load_tables", "noise_spec", "seed_of", "with_flags"]

VARIABLES = tuple(
    f"PDEINV_{name}"
    for name in ("SEED", "WORKERS", "ENGINE", "PROBLEM", "DEVICE", "CONFIG", "DEBUG")
)
"""The variables that stand for a flag."""


def load_tables(settings: Settings, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The tables of ``--config`` with ``PDEINV_TABLE__KEY`` variables and ``--set`` on top.

    Raises:
        ConfigError: the file cannot be read, or a key is unknown or malformed.
    """
    from pdeinv.config import merge, read_toml
    from pdeinv.jobs.invert.request import run_config

    given = read_toml(settings.config) if settings.config else {}
    tables = given
    for over in (*_from_environment(environ), *map(_assignment, settings.assignments or ())):
        tables = merge(tables, over)
    found = run_config(tables).model_dump(exclude_unset=True)
    _check_renamed(given, found)
    return found


def _from_environment(environ: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    for name, text in sorted(environ.items()):
        path = name.removeprefix("PDEINV_").lower().split("__")
        if not name.startswith("PDEINV_") or name in VARIABLES:
            continue
        if len(path) == 1:
            near = get_close_matches(name, VARIABLES, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(VARIABLES)}"
            raise ConfigError(f"unknown environment variable {name}; {hint}")
        yield _nested(path, _value(text))


def _assignment(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    if not (key.strip() and equals):
        raise ConfigError(f"--set {text}: expected KEY=VALUE, for example engine.draws=5000")
    return _nested(key.strip().split("."), _value(value.strip()))


def _nested(path: Sequence[str], value: Any) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    return dict(value)


def _value(text: str) -> Any:
    """``text`` as a TOML value where it is one, else as a string."""
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    except (ValueError, RecursionError):  # too many digits, or too many brackets
        raise ConfigError(f"--set: a value of {len(text)} characters cannot be read") from None


def with_flags(tables: Mapping[str, Any], **flags: Any) -> dict[str, Any]:
    """``tables`` with the flags that were given; ``engine__name`` goes into table ``engine``."""
    from pdeinv.config import merge

    out = dict(tables)
    for name, value in flags.items():
        if value is not None:
            out = merge(out, _nested(name.split("__"), value))
    _check_renamed(tables, out)
    return out


def _check_renamed(given: Mapping[str, Any], tables: Mapping[str, Any]) -> None:
    """Refuse a table that is written for one plug-in and cannot be that of another.

    Args:
        given: what a run file says.
        tables: the same with what was said later, which may name another problem, engine or
            surrogate.

    Raises:
        ConfigError: with the first key or value that the other does not take.
        UnknownPlugin: there is no other of that name.
    """
    from pdeinv.config import named
    from pdeinv.plugins import registry

    for kind in registry.KINDS:
        table = kind[:-1]
        (was, _), (name, keys) = named(given.get(table, {})), named(tables.get(table, {}))
        if was in (None, name) or not isinstance(name, str):
            continue
        try:
            registry.configured(kind, name, keys)
        except UnknownPlugin:
            raise
        except ConfigError as error:
            wrong = str(error).removesuffix("; remove it")
            raise ConfigError(
                f"{wrong}; table [{table}] of the run file is written for '{was}', which '{name}' "
                f"replaces: give one for '{name}', or leave it out",
                unknown=error.unknown,
                key=error.key,
            ) from None


def seed_of(tables: Mapping[str, Any], resumed: Path | None = None) -> int:
    """The root seed: the one given, else that of the resumed run folder, else a fresh one."""
    from pdeinv.io.runs import recalled_seed
    from pdeinv.rng import fresh_seed

    seed = tables.get("seed")
    if seed is None and resumed is not None:
        seed = recalled_seed(resumed)
    return fresh_seed() if seed is None else int(seed)


def noise_spec(tables: Mapping[str, Any]) -> NoiseSpec:
    """The table ``[noise]``."""
    from pdeinv.io.observations import NoiseSpec

    return NoiseSpec(**tables.get("noise", {}))


def build_problem(table: Mapping[str, Any]) -> Problem:
    """The problem that a ``[problem]`` table describes.

    Raises:
        ConfigError: no name, an unknown name, or a key that the problem does not know.
    """
    from pdeinv.config import named
    from pdeinv.plugins.recipe import make_problem

    name, keys = named(table)
    if not isinstance(name, str):
        raise ConfigError("no problem named; give it as PROBLEM or as 'name' in table [problem]")
    return make_problem(name, keys)
