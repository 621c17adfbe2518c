"""What decides the numbers of a run: kept with its checkpoints, compared when it goes on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.foreign import read_json

__all__ = ["check_same", "decided_before", "plain"]

SHOWN, WIDTH = 3, 40
"""Most differences that are told, and characters of a value."""

_HASH = re.compile(r"[0-9a-f]{64}")


def plain(facts: Mapping[str, Any]) -> dict[str, Any]:
    """``facts`` as JSON holds them."""
    found: dict[str, Any] = json.loads(json.dumps(facts, sort_keys=True, default=str))
    return found


def decided_before(file: Path, entry: str = "") -> dict[str, Any]:
    """What decided the numbers of the run that a file of its folder belongs to.

    Args:
        file: JSON.
        entry: which of its entries says so; the whole of it where not given.

    Raises:
        DataSchemaError: it is damaged.
    """
    try:
        found = read_json(file)
        return dict(found[entry] if entry else found)
    except (OSError, ValueError, KeyError, TypeError):
        raise DataSchemaError(f"{file} is damaged; start again with --overwrite") from None


def check_same(
    before: Mapping[str, Any], now: Mapping[str, Any], what: str, hint: str = ""
) -> None:
    """Refuse to go on with what other facts have decided.

    Args:
        before: what is kept, as :func:`plain` gives it.
        now: what is asked for.
        what: the beginning of the message.
        hint: follows the differences.

    Raises:
        ConfigError: something differs; it is named with both values.
    """
    told = _differences(before, plain(now))
    if told:
        more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
        raise ConfigError(
            f"{what}: {', '.join(told[:SHOWN])}{more}{hint}; repeat the first command with "
            "--resume, or start again with --overwrite"
        )


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    old, new = dict(_leaves(before)), dict(_leaves(now))
    keys = [k for k in {**old, **new} if old.get(k) != new.get(k)]
    return [f"{k} was {_shown(old, k)}, is {_shown(new, k)}" for k in keys]


def _leaves(facts: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in facts.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _shown(values: Mapping[str, Any], key: str) -> str:
    value = values.get(key)
    if value is None:
        return "not set"
    text = json.dumps(value, ensure_ascii=False)
    text = text[1:13] if _HASH.fullmatch(text[1:-1]) else text
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."
