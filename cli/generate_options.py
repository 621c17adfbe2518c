"""The options of ``pdeinv generate``: at which unknowns, what is stored, in which parts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdeinv.errors import ConfigError

if TYPE_CHECKING:
    from pdeinv.jobs.generate.plan import Around
    from pdeinv.model.observed import Sensors
    from pdeinv.plugins.problem import Problem

__all__ = ["Design", "Parts", "Stored"]

SAMPLING = ("prior", "lhs", "sobol")
design_option = partial(typer.Option, rich_help_panel="Design")
stored_option = partial(typer.Option, rich_help_panel="What is stored")
parts_option = partial(typer.Option, rich_help_panel="Where and in which parts")


@dataclass(frozen=True)
class Design:
    """At which unknowns to solve."""

    sampling: Annotated[
        str,
        design_option(
            "--design",
            metavar="prior|lhs|sobol",
            help="Independent draws, a Latin hypercube of --n samples, or a Sobol sequence.",
        ),
    ] = "prior"
    around: Annotated[
        Path | None,
        design_option("--around", help="Draw around this result, not from the prior."),
    ] = None
    inflation: Annotated[
        float,
        design_option("--inflation", help="Factor on the result's standard deviations."),
    ] = 1.5

    def fields(self, problem: Problem) -> dict[str, Any]:
        """The plan's fields for this problem.

        Raises:
            ConfigError: no such design.
        """
        from pdeinv.jobs.generate.plan import Around

        if self.sampling not in SAMPLING:
            raise ConfigError(f"--design {self.sampling}: expected {', '.join(SAMPLING)}")
        fitted: Around | None = None
        if self.around is not None:
            fitted = Around.from_result(self.around, problem.prior(), self.inflation)
        return {"sampling": self.sampling, "design": fitted}


@dataclass(frozen=True)
class Stored:
    """What to keep of each solve beside the data."""

    grid: Annotated[
        str | None,
        stored_option("--grid", metavar="ROWSxCOLS", help="Also store fields on a grid."),
    ] = None
    times: Annotated[
        str | None,
        stored_option(
            "--times",
            metavar="SPEC",
            help="Times of gridded fields: sensors, FIRST:LAST:COUNT or t,t; else the last.",
        ),
    ] = None
    jacobian: Annotated[
        int,
        stored_option(
            "--jacobian",
            metavar="K",
            min=0,
            help="Also store the derivative in K random directions of xi; all of it from K = dim.",
        ),
    ] = 0
    prior_only: Annotated[
        bool,
        stored_option("--prior-only", help="Draw unknowns and solve for none: for learned priors."),
    ] = False
    level: Annotated[int, stored_option("--level", help="Mesh level of the solves.")] = 0

    def fields(self, places: Sensors) -> dict[str, Any]:
        """The plan's fields.

        Raises:
            ConfigError: a text is not understood.
        """
        from pdeinv.jobs.generate.grid import parse_times

        if self.prior_only and (self.jacobian or self.times is not None):
            raise ConfigError("--prior-only solves for nothing; leave out --jacobian and --times")
        if self.prior_only and self.level:
            raise ConfigError("--prior-only solves on no mesh; leave out --level")
        if self.times is not None and self.grid is None:
            raise ConfigError("--times says when gridded fields are stored; add --grid ROWSxCOLS")
        times = () if self.times is None else parse_times(self.times, places)
        grid = _shape(self.grid)
        return {"grid": grid, "times": times, "jacobian": self.jacobian, "level": self.level}


@dataclass(frozen=True)
class Parts:
    """Where the solves run, and which of them."""

    executor: Annotated[
        str | None,
        parts_option(
            "--executor",
            metavar="process|mpi|slurm|dask",
            help="Where to solve; options in table \\[executor].",
        ),
    ] = None
    shard: Annotated[
        str | None,
        parts_option(
            "--shard",
            metavar="I/N",
            help="Solve the I-th of N parts into OUT.run and write no output.",
        ),
    ] = None
    assemble: Annotated[
        bool,
        parts_option("--assemble", help="Solve nothing; write the output from the parts."),
    ] = False
    resume: Annotated[
        bool,
        parts_option("--resume", help="Keep the batches in OUT.run; --n may have grown."),
    ] = False

    @property
    def joins(self) -> bool:
        """Whether batches that are there are kept."""
        return self.resume or self.assemble or self.shard is not None

    def part(self) -> tuple[int, int] | None:
        """Which part of how many.

        Raises:
            ConfigError: not I/N with 1 ≤ I ≤ N, or together with --assemble.
        """
        if self.shard is None:
            return None
        first, _, last = self.shard.partition("/")
        if not (first.isdigit() and last.isdigit() and 1 <= int(first) <= int(last)):
            raise ConfigError(f"--shard {self.shard}: expected I/N from 1/N to N/N, such as 3/8")
        if self.assemble:
            raise ConfigError("--shard solves a part and --assemble joins parts; give one of them")
        return int(first), int(last)


def _shape(text: str | None) -> tuple[int, ...] | None:
    if text is None:
        return None
    try:
        shape = tuple(int(part) for part in text.lower().split("x"))
    except ValueError:
        shape = ()
    if not shape or min(shape) < 2:
        raise ConfigError(f"--grid {text}: expected ROWSxCOLS with at least 2 each, such as 33x33")
    return shape
