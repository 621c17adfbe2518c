"""Fields of results and truths as tables of text, for spreadsheets and other programs.

A row is a place, a column a quantity with its units behind its name: ``x [m],T [K],u [m s-1]``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.io import netcdf
from pdeinv.io.atomic import write_text
from pdeinv.io.fields import INSIDE
from pdeinv.io.marks import noted
from pdeinv.io.schema import fitting
from pdeinv.jobs.export import (
    LISTED,
    QUANTILES,
    places_of,
    profiles_in,
    statistics_of,
    verdict_line,
    warn_unconverged,
)
from pdeinv.model.sensors import AXES
from pdeinv.typing import Array

__all__ = ["check_csv_name", "export_csv"]

DRAWS = ("chain", "draw")


def check_csv_name(out: Path) -> None:
    """Refuse a name that no spreadsheet knows.

    Raises:
        ConfigError: it does not end in .csv.
    """
    if out.suffix.lower() != ".csv":
        raise ConfigError(f"--csv {out}: expected a name that ends in .csv")


def export_csv(path: Path, out: Path) -> None:
    """Write the fields of a result or truth as a table.

    A truth gives its fields at the nodes, those over time with a column for each time. A result
    gives, of every profile that follows from the unknown (its group ``derived``), else of the
    unknown, ``NAME_mean``, ``NAME_sd`` and the quantiles of its draws; ``NAME`` where the engine
    gives a point. Its verdict is a line of comment, ``# not converged: ...``, before the columns.

    Args:
        path: of ``invert`` or ``solve``.
        out: the .csv file.

    Raises:
        ConfigError: another suffix.
        DataSchemaError: a file of another kind, without fields, or with fields on several grids.
    """
    check_csv_name(out)
    tree = netcdf.read_tree(path)
    kind = netcdf.kind_of(tree)
    with fitting(path, "exported"):
        if kind == "truth":
            columns = _columns(tree.to_dataset())
        elif kind == "result":
            columns = _of_result(tree)
        else:
            raise DataSchemaError(
                f"{path}: expected a result or a truth, got a file of kind '{kind}'"
            )
        if not columns:
            raise DataSchemaError(f"{path} has no fields over space on one grid{_instead(tree)}")
        verdict = verdict_line(tree)
        write_text(out, noted(f"# {verdict}\n" * bool(verdict) + _text(columns)))
        warn_unconverged(tree, path)


def _instead(tree: xr.DataTree) -> str:
    """Why a file has nothing for a table, and where to turn with it."""
    if netcdf.kind_of(tree) != "truth" and not _fields_in(tree):
        return f": its unknown is a list of numbers, from which no profile follows; {LISTED}"
    return ", which --csv writes; take --vtk, with --variable for one of several unknowns"


def _columns(dataset: xr.Dataset) -> dict[str, Array]:
    """The places and what lies there, by name and units."""
    places = [dataset[axis] for axis in AXES if axis in dataset.coords]
    heads = [_headed(str(place.name), place) for place in places]
    if len(places) > 1 and all(place.dims == (place.name,) for place in places):
        dataset = dataset.stack(place=[str(place.name) for place in reversed(places)])
        places = [dataset[place.name] for place in places]
    if not places or any(place.ndim != 1 or place.dims != places[0].dims for place in places):
        return {}
    found = {
        head: column
        for name, values in dataset.data_vars.items()
        if values.dtype.kind == "f"
        for head, column in _along(str(name), values, places[0]).items()
    }
    where = {head: np.asarray(place) for head, place in zip(heads, places, strict=True)}
    return {**where, **found} if found else {}


def _along(name: str, values: xr.DataArray, places: xr.DataArray) -> dict[str, Array]:
    """A field over x; one over a coordinate such as time beside it is a column for each value."""
    head = _headed(name, values)
    if values.dims == places.dims:
        return {head: np.asarray(values)}
    beside = [str(d) for d in values.dims if d not in places.dims]
    if len(beside) != 1 or values.ndim != 2 or beside[0] not in values.coords:
        return {}
    over = values[beside[0]]
    units = over.attrs.get("units", "1").removeprefix("1")
    return {
        f"{head} at {beside[0]} = {float(at):g} {units}".rstrip(): np.asarray(
            values.isel({beside[0]: k})
        )
        for k, at in enumerate(over)
    }


def _headed(name: str, values: xr.DataArray) -> str:
    return f"{name} [{values.attrs.get('units', '1')}]"


def _of_result(tree: xr.DataTree) -> dict[str, Array]:
    """Statistics of the derived profiles, or of the unknown where there are none."""
    return _of_derived(tree) or _of_unknown(tree)


def _of_derived(tree: xr.DataTree) -> dict[str, Array]:
    if "derived" not in tree.children:
        return {}
    derived = tree["derived"].to_dataset()
    single = all(derived.sizes.get(name, 1) == 1 for name in DRAWS)
    parts = xr.Dataset(coords=derived.drop_vars(DRAWS, errors="ignore").coords)
    for name in profiles_in(tree):
        values = derived[name]
        for label, one in _statistics(values, single).items():
            parts[f"{name}{label}"] = one.assign_attrs(values.attrs)
    return _columns(parts)


def _of_unknown(tree: xr.DataTree) -> dict[str, Array]:
    """Inside of its body; nothing where it is no field, or several on different grids."""
    draws, estimates = (tree[group].to_dataset() for group in ("posterior", "estimates"))
    names = _fields_in(tree)
    if not names or any(places_of(draws[n]) != places_of(draws[names[0]]) for n in names):
        return {}
    fields = {
        label: one.drop_vars("quantile", errors="ignore").assign_attrs(draws[n].attrs)
        for n in names
        for label, one in statistics_of(tree, n).items()
    }
    inside = estimates.get(f"{names[0]}{INSIDE}")
    if inside is None:
        return _columns(xr.Dataset(fields))
    columns = _columns(xr.Dataset({**fields, INSIDE: inside.astype(np.float64)}))
    (mask,) = (head for head in columns if head.startswith(INSIDE))
    kept = columns.pop(mask) == 1
    return {head: column[kept] for head, column in columns.items()}


def _fields_in(tree: xr.DataTree) -> list[str]:
    """The unknowns of a result that are fields over space."""
    draws = tree["posterior"].to_dataset()
    return [str(n) for n, v in draws.data_vars.items() if set(AXES) & set(v.coords)]


def _statistics(values: xr.DataArray, single: bool) -> dict[str, xr.DataArray]:
    if single:
        return {"": values.mean(DRAWS)}
    quantiles = {
        f"_{name}": values.quantile(level, DRAWS).drop_vars("quantile")
        for name, level in QUANTILES.items()
    }
    return {"_mean": values.mean(DRAWS), "_sd": values.std(DRAWS), **quantiles}


def _text(columns: dict[str, Array]) -> str:
    rows = np.column_stack(list(columns.values()))
    lines = [",".join(repr(float(v)) if np.isfinite(v) else "" for v in row) for row in rows]
    return "\n".join([",".join(columns), *lines]) + "\n"
