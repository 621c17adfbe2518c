"""The C compiler: which one, and why it cannot be used, in one line."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterable

__all__ = ["INSTALL", "command", "first_error", "not_found"]

INSTALL = "apt install gcc libc6-dev, or set CC"
"""What to do where there is none."""


def command(default: str = "cc") -> list[str]:
    """The compiler with its first options: ``$CC``, else ``default``."""
    return shlex.split(os.environ.get("CC", "")) or shlex.split(default) or ["cc"]


def not_found(words: list[str]) -> str | None:
    """What is said of a compiler that is not there; None where it is."""
    return f"'{words[0]}' is not found" if shutil.which(words[0]) is None else None


def first_error(lines: Iterable[str]) -> str | None:
    """The first line that tells an error, else the first one, of what a compiler printed."""
    said = [line.strip() for line in lines if line.strip()]
    return next((line for line in said if "error" in line.lower()), said[0] if said else None)
