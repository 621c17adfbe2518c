"""Files from elsewhere, before anything is made of them: what they are, how large, how deep.

Text, JSON and TOML are read through here. What other libraries read is at least a regular file, so
that nothing waits for the other end of a pipe, and asks for no more memory than there is.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pdeinv.errors import reason
from pdeinv.memory import address_space, capacity, size_of

__all__ = [
    "DEEPEST",
    "INFLATION",
    "Unreadable",
    "check_depth",
    "check_regular",
    "memory",
    "parse_json",
    "read_bytes",
    "read_json",
    "read_text",
    "visible",
]

LARGEST = 1 << 28
"""Bytes of a file that is read as a whole: text, JSON, TOML."""
DEEPEST = 100
"""Tables or lists within one another."""
INFLATION = 1032
"""What zlib makes of one byte at most; a file cannot hold more than this times its size."""


class Unreadable(ValueError):
    """Why a file or text is not read; completes the sentence that begins with its name."""


def check_regular(path: Path) -> None:
    """Refuse folders, pipes, devices and names that no file can have.

    Raises:
        Unreadable: with what it is.
        OSError: it is missing or may not be looked at.
    """
    if "\0" in str(path):
        raise Unreadable("has a name with a null character, which no file can have")
    _check_mode(path.stat().st_mode)


def _check_mode(mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    if stat.S_ISDIR(mode):
        raise Unreadable("is a folder, expected a file")
    kinds = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    found = kinds.get(stat.S_IFMT(mode), "a device")
    raise Unreadable(f"is {found}, expected a file; save what comes out of it as a file")


def read_bytes(path: Path, most: int = LARGEST) -> bytes:
    """What a regular file holds.

    Raises:
        Unreadable: no regular file, or longer than ``most`` bytes.
        OSError: missing, or may not be read.
    """
    check_regular(path)
    # not blocking: what it is may have changed since it was looked at
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        _check_mode(os.fstat(file.fileno()).st_mode)
        data = file.read(most + 1)
    if len(data) > most:
        raise Unreadable(f"is larger than {size_of(most)}, the most that is read as text")
    return data


def read_text(path: Path, most: int = LARGEST) -> str:
    """UTF-8 text, without the mark of byte order that spreadsheets put in front.

    Raises:
        Unreadable: no regular file, too long, or other bytes than UTF-8.
        OSError: missing, or may not be read.
    """
    try:
        return read_bytes(path, most).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("is not UTF-8 text") from None


def parse_json(text: str) -> Any:
    """JSON of bounded depth.

    Raises:
        Unreadable: no JSON, or nested deeper than ``DEEPEST``.
    """
    try:
        found = json.loads(text)
    except RecursionError:
        raise Unreadable(f"is nested deeper than {DEEPEST}") from None
    except ValueError as error:
        raise Unreadable(f"is not JSON ({reason(error)})") from None
    check_depth(found)
    return found


def read_json(path: Path) -> Any:
    """The JSON in a file.

    Raises:
        Unreadable: no regular file, no JSON, or nested too deep.
        OSError: missing, or may not be read.
    """
    return parse_json(read_text(path))


def check_depth(value: Any, most: int = DEEPEST) -> None:
    """Refuse tables and lists that are nested deeper than ``most``.

    Raises:
        Unreadable: they are.
    """
    level = [value]
    for _ in range(most + 1):
        level = [inner for held in level for inner in _inside(held)]
        if not level:
            return
    raise Unreadable(f"is nested deeper than {most}")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, list) else []


_HIDDEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Characters that steer a terminal or turn the order of text, and halves of pairs."""


_NO_CONTROL = re.compile("[\udca0-\udcff]")
"""Bytes of file names that are no text, without those that steer an 8-bit terminal."""


def visible(text: str, *, line: bool = True, names: bool = False) -> str:
    """Text of a file as people may see it: what steers a terminal is written out.

    Args:
        text: whatever a file says.
        line: whether it has to stay on one line; else line breaks and tabs are left.
        names: whether bytes of file names stay as they are, for whoever reads the name.
    """
    if line:
        text = text.replace("\n", "\\n").replace("\t", "\\t")

    def shown(found: re.Match[str]) -> str:
        return found[0] if names and _NO_CONTROL.match(found[0]) else ascii(found[0])[1:-1]

    return _HIDDEN.sub(shown, text)


def memory() -> int:
    """Bytes that one file may take: half of what this process may still have."""
    limit = address_space()
    left = capacity() if limit is None else limit - _taken()
    return max(0, min(capacity(), left)) // 2


def _taken() -> int:
    """Bytes of address space that are in use."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # another system than Linux
        return 0
