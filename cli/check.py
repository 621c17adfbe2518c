"""``pdeinv check``: are the derivatives right, and do the data make sense?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdeinv.errors import ConfigError

from .options import Reproducible, SensorSpec, Settings, verb
from .settings import build_problem, load_tables, seed_of, with_flags
from .terminal import Terminal

if TYPE_CHECKING:
    from pdeinv.bayes.posterior import WhitenedModel
    from pdeinv.io.observations import Observations

__all__ = ["check"]

MAX_DOT_PRODUCT_ERROR = 1e-10
MIN_TAYLOR_SLOPE = 1.9


@dataclass(frozen=True)
class Verdict:
    """One line of the report; ``ok`` is None for a figure that is neither good nor bad."""

    test: str
    value: float | int | str
    limit: str
    ok: bool | None


@verb
def check(
    terminal: Terminal,
    settings: Settings,
    random: Reproducible,
    subject: Annotated[
        str | None, typer.Argument(metavar="[OBSERVATIONS|PROBLEM]", help="What to check.")
    ] = None,
    plugin: Annotated[
        str | None,
        typer.Option(
            "--plugin",
            metavar="NAME",
            help="Try every clause of the protocol on a problem, engine or surrogate instead.",
        ),
    ] = None,
    sensors: SensorSpec = None,
    level: Annotated[int, typer.Option("--level", help="Mesh level of the checked model.")] = 0,
) -> None:
    """Test the adjoint (dot product) and gradient (Taylor) of a problem, and audit observations.

    With --plugin, test whether a plug-in keeps its protocol. Exit 1 if a test fails.
    """
    tables = with_flags(load_tables(settings), seed=random.seed)
    if (plugin is None) == (subject is None):
        raise ConfigError("give one of OBSERVATIONS, PROBLEM and --plugin NAME")
    if plugin is not None:
        _conformance(terminal, plugin, tables, sensors)
    elif subject is not None:
        _numbers(terminal, subject, tables, sensors, level)


def _conformance(
    terminal: Terminal, name: str, tables: dict[str, Any], sensors: str | None
) -> None:
    """Every clause of the protocol of a plug-in, one line each."""
    from pdeinv.plugins.conformance import check_plugin

    report = check_plugin(name, tables, sensors=sensors)
    words = {True: "passed", False: "FAILED", None: "skipped"}
    terminal.result(
        {"ok": report.ok, "subject": report.subject, "clauses": [vars(f) for f in report.findings]},
        terminal.table(
            f"check {report.subject}",
            ("clause", "verdict", "sentence"),
            [(f.clause, words[f.ok], f.sentence) for f in report.findings],
        ),
    )
    _end(terminal, [f.clause for f in report.failures])


def _numbers(
    terminal: Terminal, subject: str, tables: dict[str, Any], sensors: str | None, level: int
) -> None:
    """Derivatives of a model, and figures of data."""
    seed = seed_of(tables)
    if Path(subject).suffix or Path(subject).exists():
        model, audit = _of_observations(Path(subject), tables, level)
    else:
        tables = with_flags(tables, problem__name=subject)
        model, audit = _of_problem(tables, sensors, level), []
    verdicts = [*audit, *_derivatives(model, seed)]
    failed = [v.test for v in verdicts if v.ok is False]
    words = {True: "ok", False: "FAILED", None: ""}
    rows = [(v.test, v.value, v.limit, words[v.ok]) for v in verdicts]
    terminal.result(
        {"ok": not failed, "seed": seed, "tests": [vars(v) for v in verdicts]},
        terminal.table(f"check {subject}", ("test", "value", "limit", "verdict"), rows),
    )
    _end(terminal, failed)


def _end(terminal: Terminal, failed: list[str]) -> None:
    """Exit 1 where something failed."""
    if failed:
        terminal.note(f"failed: {', '.join(failed)}")
        raise typer.Exit(1)


def _of_problem(tables: dict[str, Any], sensors: str | None, level: int) -> WhitenedModel:
    from pdeinv.bayes.posterior import WhitenedModel
    from pdeinv.plugins import registry

    problem = build_problem(tables["problem"])
    registry.require("problems", problem.name)
    places = problem.sensors(problem.default_sensors if sensors is None else sensors)
    return WhitenedModel(problem.prior(), problem.forward_model(places, level))


def _of_observations(
    path: Path, tables: dict[str, Any], level: int
) -> tuple[WhitenedModel, list[Verdict]]:
    from pdeinv.bayes.posterior import WhitenedModel
    from pdeinv.jobs.invert.run import Inversion
    from pdeinv.plugins import registry

    inversion = Inversion.resolve(tables, path)
    problem, data = inversion.problem, inversion.observations
    registry.require("problems", problem.name)
    model = WhitenedModel(problem.prior(), problem.forward_model(data.coords, level))
    return model, [*_audit(data), *(Verdict("note", note, "", None) for note in inversion.notes)]


def _audit(data: Observations) -> list[Verdict]:
    """Figures of data that were read without error: units, signs and places are right by then."""
    import numpy as np

    peak = float(np.max(np.abs(data.values)))
    units = data.observed.units
    return [
        Verdict("data", data.size, "", None),
        Verdict("dropped data", data.n_dropped, "", None),
        Verdict(f"largest |{data.observed.name}| ({units})", peak, "", None),
        Verdict(f"median noise std ({units})", float(np.median(data.noise.std)), "", None),
        Verdict("median noise / largest value", float(np.median(data.noise.std)) / peak, "", None),
    ]


def _derivatives(model: WhitenedModel, seed: int) -> list[Verdict]:
    from pdeinv.bayes.check import dot_product_test, taylor_test
    from pdeinv.model.forward import Capability
    from pdeinv.rng import stream

    if not {Capability.JVP, Capability.VJP} <= model.capabilities:
        return [Verdict("derivatives", "none declared", "", None)]
    rng = stream(seed, "check")
    xi = 0.5 * rng.standard_normal(model.m_space.size)
    error = dot_product_test(model, xi, rng)
    slope = float(taylor_test(model, xi, rng).slope)
    return [
        Verdict(
            "dot product", error, f"<= {MAX_DOT_PRODUCT_ERROR:g}", error <= MAX_DOT_PRODUCT_ERROR
        ),
        Verdict("Taylor slope", slope, f">= {MIN_TAYLOR_SLOPE:g}", slope >= MIN_TAYLOR_SLOPE),
    ]
