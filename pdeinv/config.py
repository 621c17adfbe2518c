"""Configuration: frozen pydantic models, TOML in and out, one-line errors that name the key."""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import tomli_w
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from pdeinv.errors import ConfigError, reason
from pdeinv.foreign import Unreadable, check_depth, read_text

__all__ = [
    "Config",
    "Count",
    "Few",
    "Finite",
    "Many",
    "Positive",
    "PositiveRange",
    "Range",
    "Steps",
    "Width",
    "differing",
    "dump_toml",
    "fingerprint",
    "legible",
    "merge",
    "named",
    "parse",
    "parse_toml",
    "read_toml",
    "restored",
]


def _increasing(value: tuple[float, float]) -> tuple[float, float]:
    if not value[0] < value[1]:
        raise ValueError("expected two increasing numbers")
    return value


Count = Annotated[int, Field(ge=0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""Numbers of a configuration, finite and, the second, above zero."""

Few = Annotated[int, Field(ge=1, le=1000)]
"""Counts of things each of which costs arrays or solves of its own: electrodes, waves, shapes."""

Many = Annotated[int, Field(ge=1, le=10_000)]
"""Counts of chains and searches, each of which keeps a state and a file of its own."""

Width = Annotated[int, Field(ge=1, le=1_000_000)]
"""Units of a layer; the memory of all layers together is looked at apart."""

Steps = Annotated[int, Field(ge=1, le=10_000_000)]
"""Counts of steps in time, whose times alone are arrays."""

Range = Annotated[tuple[Finite, Finite], AfterValidator(_increasing)]
PositiveRange = Annotated[tuple[Positive, Positive], AfterValidator(_increasing)]
"""The low and the high end of a range of such numbers."""


MOST_TOML = 1 << 22
"""Characters of TOML; it is read at about a million a second."""


PLUGINS = ("problem", "engine", "surrogate", "solver")
"""The tables of a run file whose ``name`` says what they are of."""

NO_TABLE = ("dict_type", "model_type", "model_attributes_type")
"""What pydantic calls a value that is no table where one is expected."""

MOST_BITS = 1023
"""Of a whole number that is a float as well."""


class Config(BaseModel):
    """Base of all configurations: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    UNSAID: ClassVar[frozenset[str]] = frozenset()
    """Keys that files of a problem leave out where nobody set them: what a run file says of them
    later replaces their default, and is not merged with it."""


def parse[C: BaseModel](cls: type[C], data: Mapping[str, Any], where: str) -> C:
    """``data`` as an instance of ``cls``; ``where`` names the table in error messages.

    Raises:
        ConfigError: the first problem found, with its key, what was expected and what was got.
    """
    if not isinstance(data, Mapping):
        raise ConfigError(f"{where}: expected a table, got {_short(data)}")
    large = _too_large(data)
    if large:
        key = ".".join([where, *large] if where else large)
        raise ConfigError(f"{key}: expected a number below 1e308, got a larger one", key=key)
    try:
        return cls.model_validate(dict(data))
    except ValidationError as error:
        # a misspelt key is told before the one that is missing for it
        found = error.errors(include_url=False)
        first = min(found, key=lambda one: one["type"] != "extra_forbidden")
        path = _written(first["loc"], data, missing=first["type"] == "missing")
        alone = len(path) == 1 and first["type"] == "extra_forbidden"
        key = ".".join([where, *path] if where else path)
        message = _explain(cls, first, key)
        raise ConfigError(message, unknown=path[0] if alone else "", key=key, of=cls) from None


def _too_large(data: Any) -> list[str]:
    """Where a whole number stands that no float holds, which arithmetic fails on; empty if none."""
    if isinstance(data, int):
        return [""] if data.bit_length() > MOST_BITS else []
    inner = data.items() if isinstance(data, Mapping) else enumerate(data if _is_list(data) else ())
    for key, value in inner:
        found = _too_large(value)
        if found:
            return [str(key), *(name for name in found if name)]
    return []


def _is_list(data: Any) -> bool:
    return isinstance(data, list | tuple)


def restored[T](kind: type[T], data: Any, where: str) -> T:
    """A dataclass out of what its ``asdict`` left in a file, checked by the types of its fields.

    Raises:
        Unreadable: the first entry that is missing or of another type.
    """
    try:
        return TypeAdapter(kind).validate_python(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, (where, *first["loc"])))
        raise Unreadable(f"holds a wrong entry {key}: {first['msg'].lower()}") from None


def _explain(cls: type[BaseModel], error: Any, key: str) -> str:
    if error["type"] == "extra_forbidden":
        table, _, last = key.rpartition(".")
        others = _others_with(cls, error["loc"])
        if others:
            does = f"{others[0]} does" if len(others) == 1 else f"{', '.join(others)} do"
            return (
                f"unknown key '{key}': kind '{error['loc'][-2]}' does not have it, {does}; set "
                f"{table}.kind, or remove it"
            )
        near = difflib.get_close_matches(last, [k for k in _known_keys(cls) if k != last], n=1)
        return f"unknown key '{key}'" + (f"; did you mean '{near[0]}'?" if near else "; remove it")
    if error["type"] == "union_tag_not_found":
        return f"{key}: the key {error['ctx']['discriminator']}, which says what it is, is missing"
    if error["type"] in NO_TABLE:
        return f"{key}: expected a table, got {_short(error['input'])}{_chooser(cls, error, key)}"
    message = error["msg"].removeprefix("Value error, ")
    # of a whole table the message says what matters
    silent = error["type"] == "missing" or isinstance(error.get("input"), dict)
    got = "" if silent else f" (got {_short(error.get('input'))})"
    return f"{key}: " * bool(key) + f"{message[0].lower()}{message[1:]}{got}"


def _chooser(cls: type[BaseModel], error: Any, key: str) -> str:
    """What to write where the value says which plug-in, or kind, a table is to be of."""
    entry = cls.model_json_schema().get("properties", {}).get(error["loc"][0], {})
    if not isinstance(error["input"], str) or len(error["loc"]) > 1:
        return ""
    if key in PLUGINS:
        return f"; write {key}.name = '{error['input']}'"
    kinds = next((u for u in _unions(entry) if error["input"] in u), None)
    return f"; write {key}.kind = '{error['input']}'" if kinds else ""


def _others_with(cls: type[BaseModel], loc: tuple[str | int, ...]) -> list[str]:
    """Of tables whose ``kind`` says what they are, the other kinds that have the last key."""
    if len(loc) < 2:
        return []
    schema, (tag, key) = cls.model_json_schema(), loc[-2:]
    own = [dict(kinds) for kinds in _unions(schema) if tag in kinds]
    tables = {f"#/$defs/{name}": table for name, table in schema.get("$defs", {}).items()}
    return sorted(
        {f"'{kind}'" for kinds in own for kind, table in kinds.items()
         if key in tables[table].get("properties", {})}
    )  # fmt: skip


def _unions(schema: Any) -> Iterator[Mapping[str, str]]:
    """The kinds of each union in a JSON schema, with where their tables are described."""
    if isinstance(schema, Mapping):
        if "mapping" in schema.get("discriminator", ()):
            yield schema["discriminator"]["mapping"]
        for inner in schema.values():
            yield from _unions(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from _unions(inner)


def _written(loc: tuple[str | int, ...], data: Any, *, missing: bool) -> list[str]:
    """The keys as the user wrote them, without the tags that pydantic adds for unions."""
    path = []
    for i, part in enumerate(loc):
        if isinstance(data, Mapping):
            present = part in data
        else:
            present = isinstance(data, list | tuple) and isinstance(part, int)
        if present or (missing and i == len(loc) - 1):
            path.append(str(part))
            data = data[part] if present else None
    return path


def _known_keys(cls: type[BaseModel]) -> list[str]:
    """The keys of a model and of the models nested in it, for spelling hints."""
    keys = list(cls.model_fields)
    definitions = cls.model_json_schema().get("$defs", {})
    return keys + [k for d in definitions.values() for k in d.get("properties", {})]


def _short(value: Any, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def parse_toml(text: str, name: str) -> dict[str, Any]:
    """TOML text as nested dicts; ``name`` is the file shown in errors.

    Raises:
        ConfigError: too long, not TOML, or nested too deep.
    """
    if len(text) > MOST_TOML:
        raise ConfigError(
            f"{name} has {len(text)} characters; at most {MOST_TOML} are read as TOML"
        )
    try:
        found = tomllib.loads(text)
        check_depth(found)
    except RecursionError:
        raise ConfigError(f"{name} is nested too deep for TOML of a run") from None
    except Unreadable as error:
        raise ConfigError(f"{name} {error}") from None
    except ValueError as error:  # of tomllib, or of a number with too many digits
        raise ConfigError(f"{name} is not valid TOML: {reason(error)}") from None
    return found


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as nested dicts.

    Raises:
        ConfigError: missing, unreadable or not TOML.
    """
    try:
        return parse_toml(read_text(path), str(path))
    except OSError as error:
        raise ConfigError(f"cannot read configuration {path}: {error.strerror}") from None
    except Unreadable as error:
        raise ConfigError(f"configuration {path} {error}; expected TOML") from None


def dump_toml(data: Mapping[str, Any]) -> str:
    """Nested dicts as TOML text; entries that are None are left out (TOML has no null)."""
    return legible(tomli_w.dumps(_without_none(json.loads(json.dumps(data, default=str)))))


def legible(text: str) -> str:
    r"""``text`` fit for a file: bytes of file names that are no text become ``\xNN``."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    return [_without_none(v) for v in value] if isinstance(value, list) else value


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the entries of ``over`` on top, table by table.

    A table whose ``kind`` changes is replaced: the keys of one kind mean nothing to another.
    """
    if base.get("kind", over.get("kind")) != over.get("kind", base.get("kind")):
        return dict(over)
    out = dict(base)
    for key, value in over.items():
        nested = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = merge(out[key], value) if nested else value
    return out


def differing(one: Mapping[str, Any], other: Mapping[str, Any], within: str = "") -> list[str]:
    """The keys, with dots after tables, whose values differ or that only one of two has."""
    found = []
    for key in sorted({*one, *other}):
        a, b = one.get(key), other.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += differing(a, b, f"{within}{key}.")
        elif a != b:
            found.append(f"{within}{key}")
    return found


def named(table: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The key ``name`` of a table, None where it is missing, and the other keys."""
    keys = dict(table)
    return keys.pop("name", None), keys


def fingerprint(data: Mapping[str, Any]) -> str:
    """A short hash of a configuration, to tell whether a checkpoint belongs to it."""
    text = json.dumps(data, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
