"""One kill: a command is stopped in a phase, goes on, and is compared with the undisturbed one."""

from __future__ import annotations

import random
import shutil
import signal
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from . import left, phases
from .inputs import KEPT, linked
from .verbs import Verb
from .watched import Watched

SIGNALS = ("INT", "TERM", "USR1", "KILL")
TRIES = 4
"""A phase may be over before the signal comes."""


@dataclass
class Trial:
    """What one kill did.

    Attributes:
        code: exit code of what was stopped.
        expected: the right one.
        said: its last line.
        then: how it was continued, `plain`, `--resume`, or `done` where it had all been written.
        wrong_code, lost, different, files, processes, traceback: what was found amiss; lost says
            how the continuation failed.
    """

    code: int | None = None
    expected: int = 0
    said: str = ""
    then: str = ""
    wrong_code: bool = False
    traceback: bool = False
    lost: str = ""
    different: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    processes: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Whether nothing is amiss."""
        amiss = (self.wrong_code, self.traceback, self.lost, self.different, self.files)
        return not any((*amiss, self.processes))

    def as_dict(self) -> dict[str, Any]:
        """For the file."""
        return {k: v for k, v in asdict(self).items() if v not in ("", [], False)}


def reference(verb: Verb, inputs: Path, folder: Path) -> dict[str, Any]:
    """The numbers of the undisturbed command.

    Raises:
        RuntimeError: it fails.
    """
    if not (folder / verb.out).exists():
        shutil.rmtree(folder, ignore_errors=True)
        code, said, _ = _run(verb, linked(inputs, folder))
        if code != 0:
            shutil.rmtree(folder)
            raise RuntimeError(f"{verb.name}: {code}, {said[-500:]}")
    return left.numbers(folder, KEPT)


def _run(verb: Verb, folder: Path, *more: str) -> tuple[int | None, str, list[str]]:
    with Watched(verb.words(*more), folder) as run:
        code = run.ended()
        return code, run.said, run.close()


def stopped(
    verb: Verb, phase: str, name: str, inputs: Path, folder: Path, expected: dict[str, Any],
    seed: str,
) -> Trial | None:  # fmt: skip
    """Stop a verb and let it go on; None where the phase was always over before."""
    chance = random.Random(seed)
    for _ in range(TRIES):
        shutil.rmtree(folder, ignore_errors=True)
        linked(inputs, folder)
        more: tuple[str, ...] = ()
        if phase == "again":
            first = _stop(verb, phase, "TERM", folder, chance, ())
            if first is None or first.code == 0:
                continue
            more = _next(verb, phase, folder, first, chance)
        trial = _stop(verb, phase, name, folder, chance, more)
        if trial is None or (trial.code == 0 and phase != "write"):
            continue
        _go_on(trial, verb, phase, folder, expected, chance)
        return trial
    return None


def _stop(
    verb: Verb, phase: str, name: str, folder: Path, chance: random.Random, more: tuple[str, ...]
) -> Trial | None:
    """A signal in that phase; None where it was over before."""
    signum = signal.Signals[f"SIG{name}"]
    with Watched(verb.words(*more), folder) as run:
        if not phases.reached(run, verb, phase, chance):
            return None
        run.send(signum, verb.whole)
        run.send(signal.SIGCONT, False)
        code = run.ended()
        said, processes = run.said, run.close()
    trial = Trial(code, _code(verb, signum), told(said))
    trial.traceback = "Traceback" in said
    trial.processes = processes
    # what is about to end may as well end; a launcher says in its own way that a rank was killed
    killed = signum == signal.SIGKILL and bool(verb.launch)
    trial.wrong_code = code is None or (code not in (0, trial.expected) and not killed)
    if signum != signal.SIGKILL:
        trial.files = left.files(folder, finished=code == 0)
    return trial


def told(said: str) -> str:
    """The error, else the last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return next((line for line in lines if "error: " in line), lines[-1] if lines else "")[-160:]


def _code(verb: Verb, signum: int) -> int:
    if signum == signal.SIGKILL:
        return -signum
    return 130 if signum == signal.SIGINT else 75 if verb.resumes else 1


def _next(
    verb: Verb, phase: str, folder: Path, trial: Trial, chance: random.Random
) -> tuple[str, ...]:
    """How the user goes on: as the message says; after a kill with or without `--resume`.

    Where hardly anything was begun both have to work.
    """
    if not verb.resumes or verb.name == "solve":
        return ()
    if trial.expected >= 0:
        begun = (folder / f"{verb.out}.run").exists()
        return ("--resume",) if "--resume" in trial.said and begun else ()
    if phase in ("start", "opened"):
        return chance.choice([(), ("--resume",)])
    return ("--resume",)


def _go_on(
    trial: Trial, verb: Verb, phase: str, folder: Path, expected: dict[str, Any],
    chance: random.Random,
) -> None:  # fmt: skip
    if trial.code == 0:
        trial.then = "done"
        trial.different = left.differing(left.numbers(folder, KEPT), expected)
        return
    more = _next(verb, phase, folder, trial, chance)
    trial.then = " ".join(more) or "plain"
    code, said, processes = _run(verb, folder, *more)
    trial.processes += processes
    trial.traceback |= "Traceback" in said
    numbers = left.numbers(folder, KEPT)
    if code == 2 and "already exists" in said and not left.differing(numbers, expected):
        trial.then = "done"  # the signal came after the last rename; scratch waits for the next run
        return
    if code != 0:
        trial.lost = f"{code}: {told(said)}"
    else:
        trial.different = left.differing(numbers, expected)
    trial.files += left.files(folder, finished=True)
