"""Every option of a plug-in that is a whole number, and words that set it on the command line."""

import inspect
import resource
import sys
import time
from dataclasses import dataclass
from typing import get_args, get_origin

from pydantic import BaseModel
from typer.testing import CliRunner

from pdeinv.cli.verbs import app
from pdeinv.plugins.registry import load

ROOM = 1 << 32
"""Bytes that a refusal may take beside the program."""
PATIENCE = 30
"""Seconds of the processor after which a refusal does not come any more."""


@dataclass(frozen=True)
class Option:
    """One of them.

    Attributes:
        path: its keys.
        kinds: the kinds that the tables around it have to be of, by the keys of ``kind``.
        form: how its value is written, with N for the number.
    """

    path: tuple[str, ...]
    kinds: tuple[tuple[tuple[str, ...], str], ...]
    form: str

    @property
    def name(self):
        """Its keys in one word."""
        return ".".join(self.path)

    def words(self, table, value):
        """``--set`` for it and for the kinds around it."""
        pairs = [(path, f"'{kind}'") for path, kind in self.kinds]
        pairs.append((self.path, self.form.replace("N", str(value))))
        return [w for path, v in pairs for w in ("--set", f"{'.'.join((table, *path))}={v}")]


def whole_numbers(kind, name):
    """The options of a registered plug-in; a table that stands in several places counts once."""
    found = {}
    for path, kinds, form in _walk(load(kind, name).Config, (), ()):
        key = path if len(path) < 3 else path[-2:]
        found.setdefault((key, kinds[-1:] and kinds[-1][1], form), Option(path, kinds, form))
    return list(found.values())


def _walk(of, path, kinds):
    if of is int:
        yield path, kinds, "N"
    elif inspect.isclass(of) and issubclass(of, BaseModel):
        fields = of.model_fields
        inner = (*kinds, ((*path, "kind"), fields["kind"].default)) if "kind" in fields else kinds
        for name, field in fields.items():
            yield from _walk(field.annotation, (*path, name), inner)
    elif get_origin(of) is tuple:
        entries = [a for a in get_args(of) if a is not Ellipsis]
        for _, _, form in _walk(entries[0], path, kinds):
            yield path, kinds, f"[{', '.join([form] * max(2, len(entries)))}]"
    else:
        for argument in get_args(of):
            yield from _walk(argument, path, kinds)


def _limited(words):
    """Exit code, last line and peak of a command that may take little memory and time."""
    used = int(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (used + PATIENCE, resource.RLIM_INFINITY))
    ended = CliRunner().invoke(app, words)
    bug = ended.exception is not None and not isinstance(ended.exception, SystemExit)
    said = repr(ended.exception) if bug else (ended.stderr.strip() or "-").splitlines()[-1]
    return (99 if bug else ended.exit_code), said


def _data_bytes():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData"))


def main(kind, name, *before):
    """Try each option with sizes that cannot be meant; a line each: name, code, what it said."""
    for option in whole_numbers(kind, name):
        limit = _data_bytes() + ROOM
        resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))
        for value in (10**9, 10**12):
            table = {"problems": "problem", "engines": "engine", "surrogates": "surrogate"}[kind]
            code, said = _limited([*before, *more(option), *option.words(table, value)])
            kinds = sorted({k for _, k in option.kinds})
            sys.stdout.write(
                "|".join([option.name, *kinds, f"{value:.0e}", str(code), said]) + "\n"
            )
            sys.stdout.flush()


def more(option):
    """What other options have to be, so that this one is used."""
    words = []
    if "uniform" in [kind for _, kind in option.kinds]:
        table = ".".join(("problem", *option.path[:-1]))
        words += ["--set", f"{table}.low=1.0", "--set", f"{table}.high=2.0"]
    if "permittivity" in option.path:
        words += ["--set", "problem.frequency=1000.0"]
    if option.path == ("modes",) and not option.kinds:
        words += ["--set", "problem.model='continuum'"] * ("eit" in sys.argv)
    if option.path == ("ktc_level",):
        words += ["--set", "problem.preset='ktc2023'"]
    return words


if __name__ == "__main__":
    main(*sys.argv[1:])
