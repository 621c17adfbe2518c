"""``pdeinv invert``: from an observation file to a posterior."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdeinv.errors import ConfigError

from .options import NoiseFlags, Output, Own, Reproducible, Settings, Workers, verb
from .predict_gbm import predict
from .progress import chain_progress
from .settings import load_tables, seed_of, with_flags
from .stop import stoppable
from .terminal import Terminal

if TYPE_CHECKING:
    from pdeinv.jobs.invert.run import Inversion

__all__ = ["invert"]

NOT_CONVERGED = 3


@dataclass(frozen=True)
class Method:
    """What to invert with; each flag stands for a key of the run file."""

    engine: Annotated[
        str | None,
        typer.Option("--engine", "-e", envvar="PDEINV_ENGINE", help="See 'pdeinv list'."),
    ] = None
    draws: Annotated[
        int | None,
        typer.Option("--draws", min=1, help="Draws of a chain in all, resumed or not."),
    ] = None
    chains: Annotated[int | None, typer.Option("--chains", min=1, help="Independent chains.")] = (
        None
    )
    surrogate: Annotated[
        Path | None, typer.Option("--surrogate", help="Folder that 'train-surrogate' wrote.")
    ] = None
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="reference|surrogate", help="What to invert with."),
    ] = None
    misfit: Annotated[
        str | None,
        typer.Option("--misfit", help="Of traces: least-squares, sobolev, envelope, correlation."),
    ] = None
    max_solves: Annotated[
        int | None, typer.Option("--max-solves", min=1, help="Stop a chain after so many solves.")
    ] = None
    max_seconds: Annotated[
        float | None, typer.Option("--max-seconds", help="Stop a chain after so much time.")
    ] = None

    def flags(self) -> dict[str, Any]:
        """The flags by their keys."""
        return {
            "engine__name": self.engine,
            "engine__draws": self.draws,
            "engine__chains": self.chains,
            "surrogate__path": None if self.surrogate is None else str(self.surrogate),
            "model": self.model,
            "misfit__kind": self.misfit,
            "budget__n_forward": self.max_solves,
            "budget__seconds": self.max_seconds,
        }


@verb
def invert(
    terminal: Terminal,
    output: Output,
    settings: Settings,
    random: Reproducible,
    noise: NoiseFlags,
    method: Method,
    own: Own,
    observations: Annotated[
        Path | None, typer.Argument(help="Observation file; else 'observations' of the run file.")
    ] = None,
    workers: Workers = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the checkpoints in OUT.run.")
    ] = False,
    problem: Annotated[
        str | None,
        typer.Option("--problem", envvar="PDEINV_PROBLEM", help="If the file names none."),
    ] = None,
    predict_gbm: Annotated[
        Path | None,
        typer.Option(
            "--predict-gbm",
            metavar="IN",
            help="Invert the images in IN/Patient-00000 and so on; OUT becomes a folder of "
            "densities.",
        ),
    ] = None,
    fail_unconverged: Annotated[
        bool, typer.Option("--fail-unconverged", help="Exit 3 if the engine did not converge.")
    ] = False,
) -> None:
    """Invert an observation file: draw from the posterior of the unknown, or find its peak.

    Stopped by a signal, the run saves and exits with 75 (130 after Ctrl-C); --resume continues it
    to the same result as an uninterrupted run.
    """
    from pdeinv.jobs.invert.plan import plan as plan_of
    from pdeinv.jobs.invert.run import check_outputs
    from pdeinv.jobs.invert.run import invert as run_inversion

    flags = {"seed": random.seed, "workers": workers, "problem__name": problem}
    tables = with_flags(load_tables(settings), **flags, **noise.flags(), **method.flags())
    if predict_gbm is not None:
        if observations is not None or resume:
            raise ConfigError("--predict-gbm reads its own data; leave out the file and --resume")
        done = predict(terminal, predict_gbm, output, {**tables, "seed": seed_of(tables)})
        if fail_unconverged and not done:
            raise typer.Exit(NOT_CONVERGED)
        return
    tables = own.into(tables, problem)
    inversion = _resolved(tables, observations, output, resume)
    check_outputs(
        inversion, output.out, config=settings.config, overwrite=output.overwrite, resume=resume
    )
    for remark in inversion.notes:
        terminal.note(f"note: {remark}")
    if output.dry_run:
        plan = plan_of(inversion)
        shown = terminal.table("plan", ("what", "value"), list(plan.items()))
        terminal.result({"dry_run": True, **plan}, shown)
        return
    message = f"stopped; what was done is saved in {output.folder}; continue with --resume"
    with stoppable(output.folder, message) as stop, chain_progress(terminal, "invert") as report:
        tree = run_inversion(
            inversion,
            output.out,
            overwrite=output.overwrite,
            resume=resume,
            progress=stop.watching(report),
        )
    attrs = {str(k): v for k, v in tree.attrs.items()}
    terminal.result(*_outcome(terminal, output.out, attrs))
    if fail_unconverged and not attrs["pdeinv_converged"]:
        terminal.note(f"not converged: {attrs['pdeinv_message']}")
        raise typer.Exit(NOT_CONVERGED)


def _resolved(
    tables: dict[str, Any], observations: Path | None, output: Output, resume: bool
) -> Inversion:
    """The checked inversion, with the seed of the run that it resumes."""
    from pdeinv.jobs.invert.run import Inversion

    seed = seed_of(tables, output.folder if resume else None)
    source = observations or tables.get("observations")
    if source is None:
        raise ConfigError(
            "no observation file; give it as argument or as 'observations' in the run file"
        )
    return Inversion.resolve({**tables, "seed": seed}, Path(source))


COUNTS = ("n_forward", "n_forward_training", "n_adjoint", "n_surrogate", "n_failed")


def _outcome(terminal: Terminal, out: Path, attrs: Mapping[str, Any]) -> Iterator[Any]:
    """The JSON object of a finished run, then what people see."""
    figures = {
        "engine": attrs["pdeinv_engine"],
        "produces": attrs["pdeinv_produces"],
        "converged": bool(attrs["pdeinv_converged"]),
        "message": attrs["pdeinv_message"],
        "seconds": float(attrs["pdeinv_seconds"]),
        "cpu_seconds": float(attrs["pdeinv_cpu_seconds"]),
        "seed": int(attrs["pdeinv_seed"]),
        **{name: int(attrs[f"pdeinv_{name}"]) for name in COUNTS},
    }
    summary = json.loads(attrs["pdeinv_summary"])
    yield {"out": str(out), **figures, "summary": summary}
    rows = [*figures.items(), *summary.items()]
    yield terminal.table(
        f"{attrs['pdeinv_problem']} by {attrs['pdeinv_engine']}", ("figure", "value"), rows
    )
    yield str(out)
