"""``pdeinv observe``: what sensors would measure of a truth, with noise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import NoiseFlags, Output, Own, Reproducible, SensorSpec, Settings, verb
from .settings import load_tables, noise_spec, seed_of, with_flags
from .terminal import Terminal

__all__ = ["observe"]


@verb
def observe(
    terminal: Terminal,
    output: Output,
    settings: Settings,
    random: Reproducible,
    noise: NoiseFlags,
    own: Own,
    truth: Annotated[Path, typer.Argument(help="File that 'pdeinv solve' wrote.")],
    sensors: SensorSpec = None,
) -> None:
    """Observe a truth at sensors, with noise, as a CF observation file."""
    from pdeinv.io.lock import owned
    from pdeinv.io.netcdf import write
    from pdeinv.jobs.observe import make_observations, not_of_truth, read_truth

    tables = own.into(with_flags(load_tables(settings), seed=random.seed, **noise.flags()))
    if sensors is None and own.own_model is not None:
        sensors = "all"
    output.check(truth, settings.config)
    seed = seed_of(tables)
    read = read_truth(truth)
    told = not_of_truth(truth, read[0], tables.get("problem", {}))
    if told is not None:
        terminal.note(told)
    dataset = make_observations(truth, sensors, noise_spec(tables), seed=seed, read=read)
    # points, time series, an array with gaps, or several quantities; each has its noise beside it
    measured = [v for k, v in dataset.data_vars.items() if f"{k}_sigma" in dataset]
    measured = measured or [next(iter(dataset.data_vars.values()))]
    n_data = sum(int(v.notnull().sum()) for v in measured)
    data = {"command": "observe", "out": str(output.out), "seed": seed, "n_data": n_data}
    terminal.plan(data, output.dry_run)
    with owned(output.out):
        write(output.out, dataset)
    terminal.note(f"{data['n_data']} data, seed {seed}")
    terminal.result(data, str(output.out))
