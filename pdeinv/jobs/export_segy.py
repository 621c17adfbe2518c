"""Shot gathers of truths and observation files as SEG-Y, which programs of the field open.

Places are in centimetres: sources below the surface by their depth, receivers at minus their depth.
Traces that were not measured are zero and marked as dead; times after the last measured sample are
left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.io import netcdf
from pdeinv.io.schema import fitting
from pdeinv.io.segy import Traces, check_segy_name, write_segy
from pdeinv.jobs.observe import read_truth
from pdeinv.plugins import hooks
from pdeinv.typing import Array

__all__ = ["export_segy"]

DIMS = ("shot", "receiver", "time")
_CM = -100
"""The scalar of coordinates in centimetres."""
_LARGEST = 2**31 - 1


def export_segy(path: Path, out: Path) -> dict[str, int]:
    """Write the gathers of a file.

    Args:
        path: a truth, or observations over shot, receiver and time.
        out: the .segy or .sgy file.

    Returns:
        How many traces were written, and how many of them are dead.

    Raises:
        ConfigError: a truth of another problem.
        DataSchemaError: a file without gathers, or whose numbers do not fit into headers.
        MissingDependency: segyio is not installed.
    """
    check_segy_name(out)
    tree = netcdf.read_tree(path)
    with fitting(path, "exported"):
        dataset = _of_truth(path) if netcdf.kind_of(tree) == "truth" else tree.to_dataset()
        found = _traces(dataset, path)
    write_segy(out, found, (f"from {path.name}", "x in cm, y downwards", "times since the wavelet"))
    return {"traces": len(found.values), "dead": int((found.headers["kind"] == 2).sum())}


def _of_truth(path: Path) -> xr.Dataset:
    problem, fields = read_truth(path)
    if not set(DIMS) <= set(map(str, fields.dims)):
        raise ConfigError(f"--segy: problem {problem.name} has no shot gathers; take --vtk")
    return hooks.annotated(problem, fields)


def _traces(dataset: xr.Dataset, path: Path) -> Traces:
    """The traces of a dataset, shot after shot."""
    names = [str(n) for n, v in dataset.data_vars.items() if set(v.dims) == set(DIMS)]
    names = [n for n in names if not n.endswith("_sigma")]
    places = [f"{of}_{axis}" for of in ("source", "receiver") for axis in "xy"]
    if len(names) != 1 or not {*places, "time"} <= {*map(str, dataset.variables)}:
        raise DataSchemaError(
            f"{path}: expected one variable over shot, receiver and time and the variables "
            f"{', '.join(places)}; export the file of 'observe --sensors all' or of 'solve'"
        )
    table = np.asarray(dataset[names[0]].transpose(*DIMS), dtype=np.float64)
    measured = ~np.isnan(table)
    last = int(np.flatnonzero(measured.any(axis=(0, 1)))[-1]) + 1 if measured.any() else 0
    table, measured = table[:, :, :last], measured[:, :, :last]
    partly = measured.any(axis=2) & ~measured.all(axis=2)
    if last == 0 or partly.any():
        raise DataSchemaError(
            f"{path}: {int(partly.sum())} traces are measured in part, {int(measured.sum())} "
            "values in all; SEG-Y holds whole traces: export another file"
        )
    dead = ~measured.any(axis=2)
    rows = np.where(np.isnan(table), 0.0, table).reshape(-1, last)
    times = np.asarray(dataset["time"], dtype=np.float64)[:last]
    values = {name: np.asarray(dataset[name], dtype=np.float64) for name in places}
    headers = {**_numbers(values, dead), **_clock(times, path)}
    return Traces({k: np.broadcast_to(v, len(rows)) for k, v in headers.items()}, rows,
                  int(np.ravel(headers["interval"])[0]), "m")  # fmt: skip


def _numbers(places: dict[str, Array], dead: NDArray[np.bool_]) -> dict[str, Any]:
    """Numbers and places of the traces."""
    shots, receivers = (k.ravel() for k in np.indices(dead.shape))
    return {
        "record": shots + 1,
        "trace": receivers + 1,
        "kind": np.where(dead.ravel(), 2, 1),
        "source_x": _cm(places["source_x"])[shots],
        "source_depth": _cm(places["source_y"])[shots],
        "receiver_x": _cm(places["receiver_x"])[receivers],
        "receiver_elevation": -_cm(places["receiver_y"])[receivers],
        "coordinate_scalar": _CM,
        "elevation_scalar": _CM,
        "coordinate_units": 1,
    }


def _cm(metres: Array) -> NDArray[np.int64]:
    found = np.rint(100 * metres)
    if not (np.abs(found) <= _LARGEST).all():
        raise DataSchemaError("places are beyond 21 000 km, which centimetres of SEG-Y cannot say")
    return found.astype(np.int64)


def _clock(times: Array, path: Path) -> dict[str, Any]:
    """Interval and begin of the samples, in the units of the headers."""
    record = float(np.diff(times).mean()) if len(times) > 1 else 0.0
    interval = round(1e6 * record)
    even = np.allclose(np.diff(times), record, rtol=1e-6, atol=0)
    if not 0 < interval <= 65535 or not even or abs(1e6 * record - interval) > 1e-3 * interval:
        raise DataSchemaError(
            f"{path}: expected samples a whole number of microseconds apart, at most 65 535, got "
            f"{1e6 * record:.6g}"
        )
    for digits in (0, 1, 2, 3):
        delay = 1e3 * times[0] * 10**digits
        if abs(delay - round(delay)) < 1e-6 * max(1.0, abs(delay)):
            break
    if not (abs(delay - round(delay)) < 1e-3 and abs(delay) < 32768):
        raise DataSchemaError(f"{path}: the first sample at {times[0]:g} s does not fit a header")
    scalar = -(10**digits) if digits else 1
    return {"interval": interval, "delay": round(delay), "time_scalar": scalar,
            "samples": len(times)}  # fmt: skip
