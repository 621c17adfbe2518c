"""``pdeinv import``: files of instruments and other programs as observation files.

The formats and their flags come from the problems; they are looked up when the verb is used.
"""

from __future__ import annotations

import types
from dataclasses import field, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer
from rich.markup import escape
from typer.core import TyperGroup

from .options import Output, verb
from .terminal import Terminal

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from pdeinv.plugins.problem import Importer

__all__ = ["app"]


class _Problems(TyperGroup):
    """The problems that read foreign formats, each a group of its formats."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Their names."""
        from pdeinv.jobs.import_data import problems

        return problems()

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The formats of one problem.

        Raises:
            UnknownPlugin: no such problem.
        """
        from pdeinv.jobs.import_data import importers

        return typer.main.get_group(_formats(cmd_name, importers(cmd_name)))


app = typer.Typer(
    cls=_Problems, help="Turn a file of an instrument or another program into an observation file."
)


@app.callback(no_args_is_help=True)
def _root() -> None:
    """Turn a file of an instrument or another program into an observation file."""


def _formats(problem: str, found: Any) -> typer.Typer:
    about = f"Formats that problem {problem} reads." if found else f"{problem} reads no other file."
    group = typer.Typer(name=problem, help=about, no_args_is_help=True)
    group.callback()(lambda: None)
    for name, importer in found.items():
        group.command(name, help=escape(importer.summary))(_command(problem, name, importer))
    return group


def _command(problem: str, name: str, importer: Importer) -> Any:
    """The command of one format; the fields of the importer's options are its flags."""
    flags: Any = make_dataclass(
        "Flags",
        [
            (key, _flag(key, info), field(default=None))
            for key, info in importer.Options.model_fields.items()
        ],
        frozen=True,
    )

    def run(terminal: Terminal, output: Output, given: Any, source: Path) -> None:
        from pdeinv.io.lock import owned
        from pdeinv.io.netcdf import write
        from pdeinv.jobs.import_data import import_file
        from pdeinv.provenance import files_of

        options = {k: v for k, v in vars(given).items() if v is not None}
        output.check(source, *files_of(options))
        with terminal.notes_if_done():
            dataset = import_file(problem, name, source, options)
        sizes = {str(k): int(n) for k, n in dataset.sizes.items()}
        plan = {"out": str(output.out), "problem": problem, "format": name, **sizes}
        terminal.plan(plan, output.dry_run)
        with owned(output.out):
            write(output.out, dataset)
        terminal.note(f"{source}: " + ", ".join(f"{k} {n}" for k, n in sizes.items()))
        terminal.result({"command": "import", **plan}, str(output.out))

    run.__annotations__ |= {
        "terminal": Terminal,
        "output": Output,
        "given": flags,
        "source": Annotated[Path, typer.Argument(help="The file to read.")],
    }
    return verb(run)


def _flag(key: str, info: FieldInfo) -> Any:
    """The option of one field; whether it is required and in range is for the importer to say."""
    kind, shown = _plain(info.annotation), info.get_default(call_default_factory=True)
    notes = {
        True: " (required)",
        False: "" if shown in (None, ()) else f" (default {_text(shown)})",
    }
    about = info.description or ""
    help_text = f"{about[:1].upper()}{about[1:]}{notes[info.is_required()]}"
    name = f"--{key.replace('_', '-')}"
    if kind is bool:
        name = f"{name}/--no-{key.replace('_', '-')}"
    return Annotated[kind | None, typer.Option(name, help=escape(help_text), show_default=False)]


def _text(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _plain(annotation: Any) -> Any:
    """What typer makes an option of: one type without None, a list for a tuple."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (types.UnionType, Annotated) or str(origin) == "typing.Union":
        return _plain(next(a for a in args if a is not type(None)))
    if origin is tuple:
        inner = _plain(args[0])
        return list[str] if get_origin(inner) is Literal else list[inner]  # type: ignore[valid-type]
    if origin is Literal and not all(isinstance(a, str) for a in args):
        return type(args[0])
    return annotation
