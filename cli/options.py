"""Options that several verbs share, grouped in dataclasses that a verb takes as one parameter."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import typer

from pdeinv.callers import naming_flags
from pdeinv.errors import ConfigError
from pdeinv.seeds import LARGEST_SEED

from .terminal import Terminal

__all__ = [
    "Device",
    "NoiseFlags",
    "Output",
    "Own",
    "Reporting",
    "Reproducible",
    "SensorSpec",
    "Settings",
    "Workers",
    "run_option",
    "verb",
]

run_option = functools.partial(typer.Option, rich_help_panel="Run options")
report_option = functools.partial(typer.Option, rich_help_panel="Reporting")

SensorSpec = Annotated[
    str | None,
    typer.Option("--sensors", metavar="SPEC", help="grid:13x13, all, list:x,y;x,y or a CSV file."),
]
Workers = Annotated[
    int | None,
    run_option(
        "--workers", "-j", envvar="PDEINV_WORKERS", min=1, help="Processes that share the work."
    ),
]
Device = Annotated[
    str | None,
    run_option(
        "--device",
        envvar="PDEINV_DEVICE",
        metavar="cpu|cuda[:N]|mps",
        help="Where the network runs; an absent device is an error.",
    ),
]


@dataclass(frozen=True)
class Reporting:
    """How a verb talks to its user."""

    json: Annotated[
        bool,
        report_option("--json", help="One JSON object on stdout, errors included."),
    ] = False
    quiet: Annotated[bool, report_option("--quiet", "-q", help="No progress, no notes.")] = False
    verbose: Annotated[bool, report_option("--verbose", "-v", help="Log details on stderr.")] = (
        False
    )
    debug: Annotated[
        bool,
        report_option("--debug", envvar="PDEINV_DEBUG", help="Traceback on errors."),
    ] = False


@dataclass(frozen=True)
class Settings:
    """Where settings come from beside the other flags."""

    config: Annotated[
        Path | None,
        run_option(
            "--config",
            "-c",
            envvar="PDEINV_CONFIG",
            metavar="TOML",
            help="Run configuration; flags and PDEINV_* variables go before it.",
        ),
    ] = None
    assignments: Annotated[
        list[str] | None,
        run_option(
            "--set",
            metavar="KEY=VALUE",
            help="Set one key of the configuration, e.g. engine.draws=5000; repeatable.",
        ),
    ] = None


@dataclass(frozen=True)
class Reproducible:
    """What makes a random run repeatable."""

    seed: Annotated[
        int | None,
        run_option(
            "--seed",
            envvar="PDEINV_SEED",
            min=0,
            max=LARGEST_SEED,
            help="Root seed of all random streams; drawn and reported if absent.",
        ),
    ] = None


@dataclass(frozen=True)
class NoiseFlags:
    """The noise of measurements, absolute or relative."""

    noise_std: Annotated[
        float | None,
        typer.Option("--noise-std", help="Noise standard deviation, in the data's units."),
    ] = None
    noise_rel: Annotated[
        float | None, typer.Option("--noise-rel", help="The same relative to the largest value.")
    ] = None
    noise_rms: Annotated[
        float | None,
        typer.Option("--noise-rms", help="The same relative to the root mean square of the data."),
    ] = None

    def flags(self) -> dict[str, float | None]:
        """The flags by their keys in the run file."""
        return {
            "noise__std": self.noise_std,
            "noise__rel": self.noise_rel,
            "noise__rms": self.noise_rms,
        }


@dataclass(frozen=True)
class Output:
    """The one file or folder that a verb writes."""

    out: Annotated[Path, run_option("--out", "-o", help="Where to write.")]
    overwrite: Annotated[
        bool, run_option("--overwrite", help="Replace an existing output of pdeinv.")
    ] = False
    dry_run: Annotated[
        bool,
        run_option("--dry-run", "-n", help="Check everything, show the plan, write nothing."),
    ] = False

    @property
    def folder(self) -> Path:
        """The run folder beside the output."""
        from pdeinv.io.runs import run_folder

        return run_folder(self.out)

    def check(
        self,
        *inputs: Path | None,
        resume: bool | None = None,
        folder: bool = False,
        kind: Literal["file", "folder"] = "file",
    ) -> None:
        """Refuse an output that exists or cannot be written, before any work.

        Args:
            *inputs: what the verb reads.
            resume: whether it goes on; None where the verb has no such option.
            folder: whether there is a run folder beside it.
            kind: of the output.
        """
        from pdeinv.io.atomic import check_output
        from pdeinv.io.runs import check_run_outputs

        read = [path for path in inputs if path is not None]
        check = check_run_outputs if folder else check_output
        check(self.out, overwrite=self.overwrite, resume=resume, inputs=read, kind=kind)


@dataclass(frozen=True)
class Own:
    """A model of the user's own: the only way in which the command imports code by name."""

    own_model: Annotated[
        str | None,
        run_option(
            "--own-model",
            metavar="MODULE:FACTORY",
            help="Your own function as the problem: its module (or file.py) and what makes it.",
        ),
    ] = None

    def into(self, tables: dict[str, Any], problem: str | None = None) -> dict[str, Any]:
        """``tables`` with the model as the problem; it is imported and may be used from now on.

        Raises:
            ConfigError: it cannot be imported, or another problem was named.
        """
        if self.own_model is None:
            return tables
        from pdeinv.errors import ConfigError
        from pdeinv.plugins.own_declared import OWN, OwnTable, declared

        named = problem or tables.get("problem", {}).get("name")
        if named not in (None, OWN):
            raise ConfigError(f"give the problem once: '{named}' or --own-model, not both")
        return {**tables, "problem": OwnTable({"name": OWN, **declared(self.own_model)})}


def _leaves(parameter: inspect.Parameter, group: Any) -> Iterator[inspect.Parameter]:
    """The parameter itself, or the fields of the group that it stands for."""
    if group is None:
        yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        return
    hints = get_type_hints(group, include_extras=True)
    for name, field in inspect.signature(group).parameters.items():
        yield field.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name])


@contextmanager
def _naming_tables() -> Iterator[None]:
    """The tables are not looked through before there is an unknown key."""
    try:
        yield
    except ConfigError as error:
        if not error.key:
            raise
        from pdeinv.jobs.invert.misplaced import naming_tables

        with naming_tables():
            raise


def verb(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make ``function`` a command whose groups are flat options.

    A parameter annotated with a dataclass of this module receives an instance filled from the
    command line; ``terminal`` receives a :class:`Terminal` that is open while the body runs.
    """
    own = inspect.signature(function, eval_str=True).parameters
    groups: dict[str, Any] = {
        p.name: p.annotation for p in own.values() if is_dataclass(p.annotation)
    }
    groups["terminal"] = Reporting
    flat = [leaf for p in own.values() for leaf in _leaves(p, groups.get(p.name))]

    @functools.wraps(function)
    def command(**values: Any) -> Any:
        given = dict(values)
        built = {
            name: group(**{f.name: values.pop(f.name) for f in fields(group)})
            for name, group in groups.items()
        }
        reporting = built.pop("terminal")
        shell = Terminal(reporting.json, reporting.quiet, reporting.verbose)
        with naming_flags(given), shell.opened() as terminal, _naming_tables():
            return function(**values, **built, terminal=terminal)

    required_first = sorted(flat, key=lambda p: p.default is not p.empty)
    vars(command)["__signature__"] = inspect.Signature(required_first)
    command.__annotations__ = {p.name: p.annotation for p in flat}
    del vars(command)["__wrapped__"]
    return command
