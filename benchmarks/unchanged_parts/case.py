"""A case: commands that run one after another in a folder of their own."""

from __future__ import annotations

import re
from dataclasses import dataclass

OTHER = re.compile(r"\.\./([\w-]+)/")
"""A file of another case, which has to run before."""


@dataclass(frozen=True)
class Case:
    """Some lines of the command line, and what run.toml in their folder holds.

    A line is what follows `pdeinv`. Words before it: `stops:` says that exit code 75 (saved, to be
    resumed) is as good as 0; `csv:` is no command but writes the voltages of an observation file
    as the table of an instrument.
    """

    name: str
    toml: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """All of it."""
        return "\n".join((*self.lines, self.toml))

    @property
    def after(self) -> tuple[str, ...]:
        """Cases whose files this one reads."""
        return tuple(sorted(set(OTHER.findall("\n".join(self.lines)))))


def case(name: str, *lines: str, toml: str = "") -> Case:
    return Case(name, toml.strip() + "\n" if toml else "", lines)
