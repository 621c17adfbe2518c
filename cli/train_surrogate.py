"""``pdeinv train-surrogate``: fit a learned model to a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pdeinv.errors import ConfigError

from .options import Device, Output, Reproducible, Settings, verb
from .progress import step_progress
from .settings import load_tables, seed_of, with_flags
from .stop import stoppable
from .terminal import Terminal

if TYPE_CHECKING:
    from pdeinv.io.datasets import TrainingSet

__all__ = ["train_surrogate"]


@verb
def train_surrogate(
    terminal: Terminal,
    output: Output,
    settings: Settings,
    random: Reproducible,
    data: Annotated[Path, typer.Option("--data", help="Data set that 'pdeinv generate' wrote.")],
    name: Annotated[
        str | None, typer.Argument(help="See 'pdeinv list'; else 'name' in table [surrogate].")
    ] = None,
    noise_std: Annotated[
        float | None, typer.Option("--noise-std", min=0, help="Noise that errors are weighed by.")
    ] = None,
    device: Device = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue from the checkpoint in OUT.run.")
    ] = False,
) -> None:
    """Train a surrogate and write it as a folder of weights and metadata.

    Part of the data is held out; the reported errors are measured there.
    """
    from pdeinv.config import parse
    from pdeinv.io import datasets
    from pdeinv.io.atomic import check_output
    from pdeinv.io.runs import run_folder
    from pdeinv.surrogates.training import find_device

    tables = with_flags(load_tables(settings), seed=random.seed, surrogate__name=name)
    cls, options = _surrogate(tables)
    config = parse(cls.Config, options, "surrogate")
    folder = run_folder(output.out)
    for path in (output.out, folder):
        check_output(path, overwrite=output.overwrite, resume=resume)
    if device not in (None, "cpu"):
        find_device(str(device))
    training = datasets.read(data)
    seed = seed_of(tables, folder if resume else None)
    plan = {"surrogate": cls.name, "out": str(output.out), "samples": training.size, "seed": seed}
    if output.dry_run:
        terminal.result({"dry_run": True, **plan}, *(f"{k}: {v}" for k, v in plan.items()))
        return
    if output.overwrite:
        _forget(folder)
    how = {"resume": resume, "device": device or "cpu", "noise_std": noise_std}
    metadata = _fit(terminal, cls, config, training, plan, how, output.out)
    errors = metadata.get("errors", {})
    rows = [*plan.items(), *errors.items()]
    shown = terminal.table(f"{cls.name}: held-out errors", ("figure", "value"), rows)
    terminal.result({**plan, "errors": errors}, shown, str(output.out))


def _surrogate(tables: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The surrogate's class and its own options."""
    from pdeinv import registry

    options = dict(tables.get("surrogate", {}))
    name = options.pop("name", None)
    if not isinstance(name, str):
        raise ConfigError("no surrogate named; give it as NAME or as 'name' in table [surrogate]")
    return registry.load("surrogates", name), options


def _forget(folder: Path) -> None:
    from pdeinv.io.atomic import remove

    remove(folder)


def _fit(
    terminal: Terminal,
    cls: Any,
    config: Any,
    training: TrainingSet,
    plan: dict[str, Any],
    how: dict[str, Any],
    out: Path,
) -> dict[str, Any]:
    """Train, save and return the surrogate's metadata."""
    from pdeinv.building import make_problem
    from pdeinv.io.atomic import atomic
    from pdeinv.io.runs import remember, run_folder
    from pdeinv.surrogates.fitting import FitRun

    folder = run_folder(out)
    problem = make_problem(training.problem, training.problem_config)
    terminal.note(f"{training.size} samples, {training.n_failed} failed ones left out")
    message = f"stopped; the training so far is saved in {folder}; continue with --resume"
    with stoppable(None, message) as stop, step_progress(terminal, "train") as step:

        def progress(epoch: int, epochs: int, train_loss: float, valid_loss: float) -> None:
            step(epoch, epochs, f"loss {train_loss:.3g}, validation {valid_loss:.3g}")

        run = FitRun(folder, progress=progress, should_stop=stop.requested, **how)
        remember(
            folder, {"seed": plan["seed"], "surrogate": {"name": cls.name, **config.model_dump()}}
        )
        surrogate = cls.fit(training, problem, config, plan["seed"], run)
    with atomic(out) as target:
        surrogate.save(target)
    return dict(surrogate.metadata)
