"""The verbs of the command: one per module, one place where errors become exit codes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pdeinv.errors import PdeinvError, reason
from pdeinv.foreign import visible
from pdeinv.system_errors import explained

from . import (
    check,
    config,
    doctor,
    evaluate,
    export,
    generate,
    importing,
    info,
    invert,
    listing,
    observe,
    plot,
    score,
    signals,
    solve,
    train_surrogate,
)
from .terminal import SCHEMA, emit

__all__ = ["app"]


LONGEST = 2000
"""Characters of an error that are shown."""


class Verbs(TyperGroup):
    """The group of all verbs; it turns errors into one line and an exit code; bugs stay loud."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the verb that ``args`` names and exit with its code."""
        words = list(sys.argv[1:] if args is None else args) or ["--help"]
        try:
            code = super().main(words, prog_name or "pdeinv", complete_var, False, **extra)
        except PdeinvError as error:
            if signals.asked() or _debugged(words):
                raise
            code = _report(str(error), type(error).__name__, error.exit_code, words)
        except typer.TyperException as error:
            text = " ".join(error.format_message().split()).rstrip(".")
            hint = f"; '{_path_of(error)} --help' shows what is possible"
            code = _report(text + hint, "UsageError", error.exit_code, words)
        except Exception as error:
            fault = explained(error)
            if fault is None or signals.asked() or _debugged(words):
                raise
            code = _report(reason(fault), type(fault).__name__, fault.exit_code, words)
        if not standalone_mode:
            return code
        sys.exit(code if isinstance(code, int) else 0)


def _debugged(words: Sequence[str]) -> bool:
    """Whether tracebacks are wanted."""
    return "--debug" in words or bool(os.environ.get("PDEINV_DEBUG"))


def _path_of(error: typer.TyperException) -> str:
    """The command whose arguments were wrong, as typed."""
    context = getattr(error, "ctx", None)
    return "pdeinv" if context is None else str(context.command_path)


def _report(message: str, kind: str, code: int, words: Sequence[str]) -> int:
    """One line on stderr and, where asked for, the same as JSON on stdout."""
    if len(message) > LONGEST:  # it quotes a file at length
        message = f"{message[: LONGEST // 2]} ... {message[-LONGEST // 2 :]}"
    if "--json" in words:
        error = {"type": kind, "message": message, "exit_code": code}
        emit(sys.stdout, json.dumps({"schema": SCHEMA, "error": error}))
    emit(sys.stderr, f"error: {visible(message)}")
    return code


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"pdeinv {version('pdeinv')}")
        raise typer.Exit


app = typer.Typer(
    cls=Verbs,
    help="From measurements of a physical field to its cause, with an honest uncertainty.",
    epilog="Result on stdout, the rest on stderr. Exit codes: 0 done, 1 run failed, 2 bad input, "
    "3 not converged, 75 stopped and resumable, 130 interrupted.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options of the command itself."""


VERBS: dict[str, Any] = {
    "list": listing.list_plugins,
    "solve": solve.solve,
    "observe": observe.observe,
    "generate": generate.generate,
    "train-surrogate": train_surrogate.train_surrogate,
    "evaluate": evaluate.evaluate,
    "invert": invert.invert,
    "check": check.check,
    "score": score.score,
    "plot": plot.plot,
    "export": export.export,
    "import": importing.app,
    "info": info.info,
    "doctor": doctor.doctor,
    "config": config.app,
}
"""In the order that ``--help`` shows."""

for _name, _verb in VERBS.items():
    if isinstance(_verb, typer.Typer):
        app.add_typer(_verb, name=_name)
    else:
        app.command(_name)(_verb)
