"""Two runs on one output, begun some moments apart: one owns it, the other is refused."""

from __future__ import annotations

import random
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import left
from .inputs import KEPT, linked
from .trial import told
from .verbs import Verb, changed
from .watched import Watched

SECONDS = 8.0
"""Most between the two."""
REFUSED = ("another run is writing", "already exists")


@dataclass
class Pair:
    """What became of two runs.

    Attributes:
        codes: of the first and the second.
        said: what each that was refused said.
        amiss: what should not have happened.
    """

    codes: tuple[int | None, ...]
    said: list[str] = field(default_factory=list)
    amiss: list[str] = field(default_factory=list)


def flags(verb: Verb) -> tuple[str, ...]:
    """What the second run is given."""
    return ("", "--overwrite", "--resume") if verb.resumes else ("", "--overwrite")


def together(
    verb: Verb, more: str, inputs: Path, folder: Path, expected: dict[str, Any], seed: str
) -> Pair:
    """Start the verb twice; whoever ends well has to leave what one run alone leaves."""
    shutil.rmtree(folder, ignore_errors=True)
    linked(inputs, folder)
    codes, said = _both([verb.words(), verb.words(*more.split())], folder, seed)
    pair = Pair(codes)
    for code, text in zip(codes, said, strict=True):
        _judge(pair, code, text)
    if 0 not in codes:
        pair.amiss.append("none finished")
    pair.amiss += left.differing(left.numbers(folder, KEPT), expected)
    pair.amiss += left.files(folder, finished=True)
    return pair


def _judge(pair: Pair, code: int | None, text: str) -> None:
    if code == 0:
        return
    pair.said.append(told(text))
    if code != 2 or not any(why in text for why in REFUSED) or text.count("error: ") != 1:
        pair.amiss.append(f"{code}: {told(text)}")


def shared(verb: Verb, inputs: Path, folder: Path, expected: dict[str, Any], seed: str) -> Pair:
    """Two parts of one data set at the same time, then joined."""
    shutil.rmtree(folder, ignore_errors=True)
    linked(inputs, folder)
    parts = [changed(verb, verb.name, f"--shard {k}/2").words() for k in (1, 2)]
    codes, said = _both(parts, folder, seed)
    joined, text = _both([verb.words("--assemble")], folder, seed)
    pair = Pair((*codes, *joined))
    pair.amiss = [told(t) for c, t in zip(pair.codes, said + text, strict=True) if c != 0]
    pair.amiss += left.differing(left.numbers(folder, KEPT), expected)
    pair.amiss += left.files(folder, finished=True)
    return pair


def _both(
    lines: list[list[str]], folder: Path, seed: str
) -> tuple[tuple[int | None, ...], list[str]]:
    """Start commands some moments apart; their codes, and what they said."""
    chance, runs = random.Random(seed), list[Watched]()
    for words in lines:
        if runs:
            end = time.monotonic() + chance.choice([0.0, 1.0]) * chance.uniform(0.0, SECONDS)
            runs[0].wait_for(lambda end=end: time.monotonic() >= end)  # type: ignore[misc]
        runs.append(Watched(words, folder))
    codes = tuple(run.ended() for run in runs)
    said = [run.said for run in runs]
    for run in runs:
        run.close()
    return codes, said
