"""``pdeinv observe``: what sensors would measure of a truth, with noise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from .options import Output, Reproducible, Settings, verb
from .settings import load_tables, noise_spec, seed_of, with_flags
from .terminal import Terminal

__all__ = ["NoiseRel", "NoiseStd", "SensorSpec", "observe"]

NoiseStd = Annotated[
    float | None, typer.Option("--noise-std", help="Noise standard deviation, in the data's units.")
]
NoiseRel = Annotated[
    float | None, typer.Option("--noise-rel", help="The same relative to the largest value.")
]
SensorSpec = Annotated[
    str | None,
    typer.Option("--sensors", metavar="SPEC", help="grid:13x13, all, list:x,y;x,y or a CSV file."),
]


@verb
def observe(
    terminal: Terminal,
    output: Output,
    settings: Settings,
    random: Reproducible,
    truth: Annotated[Path, typer.Argument(help="File that 'pdeinv solve' wrote.")],
    sensors: SensorSpec = None,
    noise_std: NoiseStd = None,
    noise_rel: NoiseRel = None,
) -> None:
    """Observe a truth at sensors, with Gaussian noise, as a CF observation file."""
    from pdeinv.errors import ConfigError
    from pdeinv.io.atomic import check_output
    from pdeinv.io.netcdf import write
    from pdeinv.synthetic import make_observations

    tables = with_flags(
        load_tables(settings), seed=random.seed, noise__std=noise_std, noise__rel=noise_rel
    )
    if sensors is None:
        raise ConfigError("no sensors given; pass --sensors, for example --sensors grid:13x13")
    check_output(output.out, overwrite=output.overwrite)
    seed = seed_of(tables)
    dataset = make_observations(truth, sensors, noise_spec(tables), seed=seed)
    data = {
        "command": "observe",
        "out": str(output.out),
        "seed": seed,
        "n_data": _count(dataset.sizes),
    }
    if output.dry_run:
        terminal.result({"dry_run": True, **data}, *(f"{k}: {v}" for k, v in data.items()))
        return
    write(output.out, dataset)
    terminal.note(f"{data['n_data']} data, seed {seed}")
    terminal.result(data, str(output.out))


def _count(sizes: Mapping[Any, int]) -> int:
    """The number of data, in points or in time series."""
    return sizes["obs"] if "obs" in sizes else sizes["station"] * sizes["time"]
