"""Words that a restructuring renamed: which spelling an executable knows, and one name for arrays.

Cases are written as the newest version spells them. An entry of `RENAMED` says how an older one
did; which of the two holds is asked of the executable, never read off a version number.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Renamed:
    """A word (or several) of the command line or of run.toml.

    Attributes:
        new, old: the two spellings.
        ask: words whose answer on stdout tells: the old spelling holds where only that stands in
            it. As in `("list", "--json")`, `("config", "schema", "engines/pcn")`,
            `("invert", "--help")`.
        tells: what to look for in the answer, new and old, where that is not the spellings.
        context: regular expression that a line must match besides, where the word is common.
    """

    new: str
    old: str
    ask: tuple[str, ...]
    tells: tuple[str, str] | None = None
    context: str = ""

    def is_old(self, answer: str) -> bool:
        new, old = self.tells or (self.new, self.old)
        return bool(word(old).search(answer)) and not word(new).search(answer)


def word(text: str) -> re.Pattern[str]:
    """The text where it is no part of a longer word."""
    return re.compile(rf"(?<![\w-]){re.escape(text)}(?![\w-])")


RENAMED: tuple[Renamed, ...] = ()
"""Of commands and run.toml. None so far."""

RENAMED_ARRAYS: dict[str, str] = {}
"""Of the arrays in outputs: regular expression of the old name to the new one. None so far."""


class Spelling:
    """What one executable calls things."""

    def __init__(self, answer: Callable[[tuple[str, ...]], str]):
        """Ask by `answer`, which runs the words and returns what they print."""
        answers = {words: answer(words) for words in {entry.ask for entry in RENAMED}}
        self.older = [entry for entry in RENAMED if entry.is_old(answers[entry.ask])]

    def __call__(self, text: str) -> str:
        """The lines of a text as the executable spells them."""
        for entry in self.older:
            text = "\n".join(self._line(entry, line) for line in text.split("\n"))
        return text

    @staticmethod
    def _line(entry: Renamed, line: str) -> str:
        if not re.search(entry.context, line):
            return line
        return word(entry.new).sub(entry.old, line)


def newest(name: str) -> str:
    """The name of an array as the newest version has it."""
    for old, new in RENAMED_ARRAYS.items():
        name = re.sub(old, new, name)
    return name
