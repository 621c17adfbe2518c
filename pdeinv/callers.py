"""How an error calls what its caller has set: a flag at the shell, an argument in Python.

The jobs name keys of the run file and, in their remedies, flags. Here both become what the user of
a verb or a function has typed.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pdeinv.errors import ConfigError, PdeinvError

__all__ = ["in_python", "naming_flags"]

_ARGUMENTS = {"budget.seconds": "max_seconds", "budget.n_forward": "max_solves"}
"""Of keys whose arguments have names of their own."""
_TABLES = ("problem", "engine", "surrogate", "executor")
"""What is wrong with one of these as a whole is not wrong with the argument that names it."""


def _argument(key: str, given: Mapping[str, Any]) -> str:
    """The argument that has set a key of the run file; empty where none has."""
    first, *rest = key.split(".")
    if not rest and first in _TABLES:
        return ""
    names = [_ARGUMENTS.get(key, ""), "_".join([first, *rest]), (rest or [first])[-1]]
    names += [first] if rest in (["name"], ["path"]) else []
    return next((name for name in names if given.get(name) is not None), "")


def _rename_key(error: PdeinvError, given: Mapping[str, Any], spelled: str) -> None:
    key = error.key if isinstance(error, ConfigError) else ""
    name = _argument(key, given) if key else ""
    if name and str(error).startswith(key):
        shown = spelled.format(name.replace("_", "-") if spelled.startswith("-") else name)
        error.args = (shown + str(error).removeprefix(key),)


@contextmanager
def naming_flags(given: Mapping[str, Any]) -> Iterator[None]:
    """Errors about a key that a flag of ``given`` has set name the flag."""
    try:
        yield
    except PdeinvError as error:
        _rename_key(error, given, "--{}")
        raise


def in_python[**P, R](function: Callable[P, R]) -> Callable[P, R]:
    """``function`` with errors that name its arguments, not keys or flags."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except PdeinvError as error:
            _rename_key(error, _arguments(signature, args, kwargs), "{}")
            error.args = (_without_flags(str(error), signature.parameters), *error.args[1:])
            raise

    return called


def _arguments(signature: inspect.Signature, args: Any, kwargs: Any) -> dict[str, Any]:
    """The arguments of a call by name, those of ``**options`` among them."""
    bound = signature.bind(*args, **kwargs).arguments
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            bound |= bound.pop(parameter.name, {})
    return bound


def _without_flags(text: str, known: Mapping[str, inspect.Parameter]) -> str:
    def argument(found: re.Match[str]) -> str:
        name = found[1].replace("-", "_")
        if name not in known:
            return found[0]
        return f"{name}=True" if isinstance(known[name].default, bool) else name

    return re.sub(r"--([a-z]+(?:-[a-z]+)*)", argument, text)
