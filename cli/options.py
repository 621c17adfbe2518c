"""Options that several verbs share, grouped in dataclasses that a verb takes as one parameter."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from .terminal import Terminal

__all__ = [
    "RUN",
    "Device",
    "NoiseFlags",
    "Output",
    "Reporting",
    "Reproducible",
    "SensorSpec",
    "Settings",
    "Workers",
    "verb",
]

RUN, REPORT = "Run options", "Reporting"

SensorSpec = Annotated[
    str | None,
    typer.Option("--sensors", metavar="SPEC", help="grid:13x13, all, list:x,y;x,y or a CSV file."),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        "-j",
        envvar="PDEINV_WORKERS",
        min=1,
        help="Processes that share the work.",
        rich_help_panel=RUN,
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        "--device",
        envvar="PDEINV_DEVICE",
        metavar="cpu|cuda[:N]|mps",
        help="Where the network runs; an absent device is an error.",
        rich_help_panel=RUN,
    ),
]


@dataclass(frozen=True)
class Reporting:
    """How a verb talks to its user."""

    json: Annotated[
        bool,
        typer.Option(
            "--json", help="One JSON object on stdout, errors included.", rich_help_panel=REPORT
        ),
    ] = False
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress, no notes.", rich_help_panel=REPORT)
    ] = False
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log details on stderr.", rich_help_panel=REPORT)
    ] = False
    debug: Annotated[
        bool,
        typer.Option(
            "--debug", envvar="PDEINV_DEBUG", help="Traceback on errors.", rich_help_panel=REPORT
        ),
    ] = False


@dataclass(frozen=True)
class Settings:
    """Where settings come from beside the other flags."""

    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            envvar="PDEINV_CONFIG",
            metavar="TOML",
            help="Run configuration; flags and PDEINV_* variables go before it.",
            rich_help_panel=RUN,
        ),
    ] = None
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Set one key of the configuration, e.g. engine.draws=5000; repeatable.",
            rich_help_panel=RUN,
        ),
    ] = None


@dataclass(frozen=True)
class Reproducible:
    """What makes a random run repeatable."""

    seed: Annotated[
        int | None,
        typer.Option(
            "--seed",
            envvar="PDEINV_SEED",
            min=0,
            help="Root seed of all random streams; drawn and reported if absent.",
            rich_help_panel=RUN,
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

    def flags(self) -> dict[str, float | None]:
        """The flags by their keys in the run file."""
        return {"noise__std": self.noise_std, "noise__rel": self.noise_rel}


@dataclass(frozen=True)
class Output:
    """The one file or folder that a verb writes."""

    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write.", rich_help_panel=RUN)]
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Replace an existing output of pdeinv.", rich_help_panel=RUN
        ),
    ] = False
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            "-n",
            help="Check everything, show the plan, write nothing.",
            rich_help_panel=RUN,
        ),
    ] = False


def _leaves(parameter: inspect.Parameter, group: Any) -> Iterator[inspect.Parameter]:
    """The parameter itself, or the fields of the group that it stands for."""
    if group is None:
        yield parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        return
    hints = get_type_hints(group, include_extras=True)
    for name, field in inspect.signature(group).parameters.items():
        yield field.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name])


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
        built = {
            name: group(**{f.name: values.pop(f.name) for f in fields(group)})
            for name, group in groups.items()
        }
        reporting = built.pop("terminal")
        with Terminal(reporting.json, reporting.quiet, reporting.verbose).opened() as terminal:
            return function(**values, **built, terminal=terminal)

    required_first = sorted(flat, key=lambda p: p.default is not p.empty)
    vars(command)["__signature__"] = inspect.Signature(required_first)
    command.__annotations__ = {p.name: p.annotation for p in flat}
    del vars(command)["__wrapped__"]
    return command
