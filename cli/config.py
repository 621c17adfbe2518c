"""``pdeinv config``: the run configuration, resolved or described."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from pdeinv.errors import ConfigError
from pdeinv.plugins.registry import Kind

from .options import Settings, verb
from .settings import build_problem, load_tables, with_flags
from .terminal import Terminal

__all__ = ["app"]

app = typer.Typer(help="Show a run configuration or the keys that it may have.")


@app.command("show")
@verb
def show(
    terminal: Terminal,
    settings: Settings,
    observations: Annotated[
        Path | None, typer.Argument(help="Observation file, which may carry the problem.")
    ] = None,
) -> None:
    """Resolve a configuration with all defaults, as TOML that gives the same run again."""
    from pdeinv.config import dump_toml

    tables = load_tables(settings)
    resolved = _resolved(tables, observations)
    terminal.result({"config": resolved}, dump_toml(resolved).rstrip())


def _resolved(tables: dict[str, Any], observations: Path | None) -> dict[str, Any]:
    from pdeinv.jobs.invert.run import Inversion

    source = observations or tables.get("observations")
    if source is not None:
        return Inversion.resolve(tables, Path(source)).resolved()
    problem = build_problem(tables.get("problem", {}))
    return with_flags(
        tables, problem={"name": problem.name, **problem.config.model_dump(mode="json")}
    )


@app.command("schema")
@verb
def schema(
    terminal: Terminal,
    what: Annotated[
        str,
        typer.Argument(help="run, solvers/pinn, problems/NAME, engines/NAME or surrogates/NAME."),
    ] = "run",
) -> None:
    """Show the keys of the run file, or of one problem, engine or surrogate, as JSON schema."""
    found = _config_class(what).model_json_schema()
    terminal.result({"json_schema": found}, json.dumps(found, indent=2))


def _config_class(what: str) -> Any:
    from pdeinv.plugins import registry

    if what == "run":
        from pdeinv.jobs.invert.request import RunConfig

        return RunConfig
    if what == "solvers/pinn":
        from pdeinv.surrogates.pinn.config import PinnConfig

        return PinnConfig
    kind, _, name = what.partition("/")
    if kind not in ("problems", "surrogates", "engines") or not name:
        raise ConfigError(f"unknown schema '{what}'; expected run or, for example, engines/pcn")
    return registry.load(cast("Kind", kind), name).Config
