"""One figure per file: posterior mean and spread, marginals, sensors, or the fields of a truth."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.io import netcdf
from pdeinv.io.atomic import atomic
from pdeinv.io.fields import UNKNOWN
from pdeinv.io.marks import figure_metadata
from pdeinv.jobs.plot.overlays import Overlay, overlay_of
from pdeinv.jobs.plot.panels import (
    BLUE,
    GREY,
    Panel,
    band_panel,
    colour_scale,
    field_panel,
    histogram,
    line_panel,
    panel,
    places_panel,
    sensor_panel,
    series_panel,
    title_of,
    units_of,
    with_units,
)
from pdeinv.jobs.plot.slices import (
    first_experiment,
    is_line,
    is_map,
    masked,
    part_of,
    series,
    slices,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["check_suffix", "draw", "plot"]

FORMATS = (".png", ".pdf", ".svg")
MAX_COLUMNS = 4
PADDING: Any = {"w_pad": 0.12, "h_pad": 0.08}
MAX_MARGINALS = 16
MAX_RECORDS = 6
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.limits": (-3, 4),
    "axes.formatter.use_mathtext": True,
}


def plot(path: Path, out: Path, *, truth: Path | None = None, dpi: int = 150) -> None:
    """Draw the figure of a result, observation or truth file.

    Args:
        path: what to draw.
        out: .png, .pdf or .svg.
        truth: a truth file to show beside a result.
        dpi: resolution of a .png.

    Raises:
        ConfigError: an unknown suffix.
        DataSchemaError: a file that cannot be read or drawn.
    """
    check_suffix(out)
    tree = netcdf.read_tree(path)
    found = netcdf.kind_of(tree)
    reference = None if truth is None else netcdf.read_tree(truth)
    if reference is not None and truth is not None:
        _unknown(reference, truth)
    if found == "result":
        panels = _result_panels(tree, reference)
    elif found == "observations":
        panels = _observation_panels(tree.to_dataset())
    elif found == "truth":
        panels = _truth_panels(tree, path)
    else:
        raise DataSchemaError(f"{path}: nothing to draw in a file of kind '{found}'")
    draw(panels, out, dpi)


def check_suffix(out: Path, flag: str = "--out") -> None:
    """Refuse a name that does not tell the format.

    Raises:
        ConfigError: an unknown suffix.
    """
    if out.suffix not in FORMATS:
        raise ConfigError(f"{flag} {out}: expected a name that ends in {', '.join(FORMATS)}")


def draw(panels: list[Panel], out: Path, dpi: int) -> None:
    """Arrange the panels on a grid and write the file in one step."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    columns = min(MAX_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    with mpl.rc_context(STYLE):
        figure = Figure(
            figsize=(3.6 * columns, 3.1 * rows), layout=ConstrainedLayoutEngine(**PADDING)
        )
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel, ax in zip(panels, axes, strict=False):
            panel(ax)
        for ax in axes[len(panels) :]:
            ax.set_visible(False)
        with atomic(out) as target:
            figure.savefig(target, dpi=dpi, metadata=figure_metadata(out.suffix))


def _unknown(tree: xr.DataTree, path: Path) -> xr.Dataset:
    if "unknown" not in tree.children:
        raise DataSchemaError(f"{path}: expected the output of 'pdeinv solve' (no group 'unknown')")
    return tree.children["unknown"].to_dataset(inherit=False)


def _result_panels(tree: xr.DataTree, truth: xr.DataTree | None) -> list[Panel]:
    estimates = tree["estimates"].to_dataset()
    posterior = tree["posterior"].to_dataset()
    point = tree.attrs.get("pdeinv_produces") == "point"
    overlay = overlay_of(tree["constant_data"].to_dataset())
    panels: list[Panel] = []
    for name in map(str, posterior.data_vars):
        mean, sd = (masked(estimates[f"{name}_{what}"], estimates) for what in ("mean", "sd"))
        true = _true(name, truth, estimates)
        if is_map(mean):
            panels += _map_panels(mean, None if point else sd, true, overlay)
        elif is_line(mean) and mean.ndim == 1:
            panels.append(band_panel(mean, sd, true.values))
        else:
            panels += _marginal_panels(posterior[name], true.values)
    return [*panels, _fit_panel(tree)]


@dataclass(frozen=True)
class _True:
    """The true values of an unknown, if they are known, and the mesh that they are on, if any."""

    values: xr.DataArray | None = None
    mesh: xr.Dataset | None = None


def _true(name: str, truth: xr.DataTree | None, estimates: xr.Dataset) -> _True:
    """The variable of a truth's unknown, else the field on its mesh that shows the same."""
    if truth is None:
        return _True()
    unknown = truth.children["unknown"].to_dataset(inherit=False)
    if name in unknown:
        return _True(masked(masked(unknown[name], unknown), estimates))
    root = truth.to_dataset()
    for array in (a for a in root.data_vars.values() if "node" in a.dims):
        if array.attrs.get(UNKNOWN, array.name) == name:
            return _True(array, root)
    return _True()


def _map_panels(
    mean: xr.DataArray, sd: xr.DataArray | None, truth: _True, overlay: Overlay
) -> list[Panel]:
    true = None if truth.values is None or not is_map(truth.values) else truth.values
    scale, name = colour_scale(*([mean] if true is None else [true, mean])), title_of(mean)
    panels: list[Panel] = []
    if true is not None:
        panels += _cuts(true, f"truth: {name}", scale, overlay=overlay, mesh=truth.mesh)
    title = f"{'estimate' if sd is None else 'posterior mean'}: {name}"
    panels += _cuts(mean, title, scale, overlay=overlay)
    if sd is not None:
        title = "posterior standard deviation"
        panels += _cuts(sd, title, colour_scale(sd), overlay=overlay, cmap="magma")
    return panels


def _cuts(array: xr.DataArray, title: str, scale: Any, **looks: Any) -> list[Panel]:
    """One panel for each part of the field that is a plain map."""
    return [
        field_panel(part, ", ".join(t for t in (title, text) if t), scale, **looks)
        for part, text in slices(array)
    ]


def _marginal_panels(draws: xr.DataArray, truth: xr.DataArray | None) -> list[Panel]:
    """A histogram per component, at most :data:`MAX_MARGINALS` of them."""
    flat = draws.values.reshape(draws.sizes["chain"] * draws.sizes["draw"], -1)
    true = None if truth is None else np.ravel(truth.values)
    numbered = flat.shape[1] > 1
    return [
        histogram(
            flat[:, k],
            f"{draws.name}[{k}]" if numbered else title_of(draws),
            units_of(draws),
            None if true is None else float(true[k]),
        )
        for k in range(min(flat.shape[1], MAX_MARGINALS))
    ]


@panel
def _fit_panel(ax: Axes, tree: xr.DataTree) -> None:
    """Data against the posterior predictive: points on the line fit, bars are ± 2 sd with noise."""
    observed = tree["observed_data"].to_dataset()
    name = next(iter(observed.data_vars))
    y = observed[name]
    draws = tree["posterior_predictive"].to_dataset()[name]
    mean, sd = draws.mean(("chain", "draw")), draws.std(("chain", "draw"))
    ends = [float(min(y.min(), mean.min())), float(max(y.max(), mean.max()))]
    ax.plot(ends, ends, color=GREY, lw=0.8)
    ax.errorbar(y, mean, 2 * sd, fmt=".", ms=3, color=BLUE, elinewidth=0.6, alpha=0.8)
    bars = " ± 2 sd" if float(sd.max()) > 0 else ""
    labels = [with_units(t, y) for t in (f"observed {name}", f"predicted {name}{bars}")]
    ax.set(title="data fit", xlabel=labels[0], ylabel=labels[1], box_aspect=1)


def _observation_panels(dataset: xr.Dataset) -> list[Panel]:
    name = next((str(v) for v in dataset.data_vars if f"{v}_sigma" in dataset), None)
    if name is None:
        name = str(next(iter(dataset.data_vars)))
    dim = str(dataset[name].dims[0])
    if dataset[name].ndim == 1 and not {"x", "y"} <= set(dataset.variables):
        return [_series_panel(dataset, name)]
    shown, experiment = (dataset, "") if dataset[name].ndim > 1 else first_experiment(dataset, dim)
    value, sigma = shown[name], shown.get(f"{name}_sigma")
    title = ", ".join(t for t in (title_of(value), experiment) if t)
    if value.ndim > 2:
        last = str(value.dims[-1])
        parts = [value.isel({last: k}).drop_vars(last) for k in range(value.sizes[last])]
        names = [part_of(last, k) for k in range(len(parts))]
        tables = zip(parts, names, strict=True)
        return [*(p for v, n in tables for p in _station_panels(shown, v, n)), *_places(shown)]
    if value.ndim > 1:
        return [*_station_panels(shown, value), *_places(shown)]
    if sigma is None:
        return [sensor_panel(shown, value, title)]
    if float(sigma.min()) == float(sigma.max()):
        noise = f"noise sd {float(sigma[0]):.3g} {units_of(sigma)}".strip()
        return [sensor_panel(shown, value, f"{title}, {noise}")]
    panels = [sensor_panel(shown, value, title)]
    return [*panels, sensor_panel(shown, sigma, "noise standard deviation", "magma")]


def _series_panel(dataset: xr.Dataset, name: str) -> Panel:
    """Data of an interval, or of no place: all of one run, or a few of many runs."""
    value = dataset[name]
    along, parts = series(dataset, str(value.dims[0]))
    few = np.unique(
        np.linspace(0, len(parts) - 1, min(MAX_RECORDS, len(parts))).round().astype(int)
    )
    title = title_of(value)
    title = title if len(few) == len(parts) else f"{title}, {len(few)} of {len(parts)} series"
    return series_panel([parts[k] for k in few], name, along, title)


def _station_panels(dataset: xr.Dataset, value: xr.DataArray, part: str = "") -> list[Panel]:
    """Records of a few stations (or injections) over time, and the last values on a map."""
    station = str(value.dims[0])
    n = value.sizes[station]
    few = np.unique(np.linspace(0, n - 1, min(MAX_RECORDS, n)).round().astype(int))
    records = value.drop_vars(["x", "y", "z"], errors="ignore")
    lines = [(records.isel({station: k}), f"{station} {k}") for k in few]
    title = ", ".join(t for t in (title_of(value), part) if t)
    title = title if len(few) == n else f"{title}, {len(few)} of {n} {station}s"
    panels = [line_panel(lines, title)]
    if {"x", "y"} <= set(dataset.variables):
        panels.append(sensor_panel(dataset, value[:, -1], f"{title_of(value)}, last time"))
    return panels


def _places(dataset: xr.Dataset) -> list[Panel]:
    """Where the electrodes are, if the file says so."""
    overlay = overlay_of(dataset)
    if overlay.electrodes is None:
        return []
    return [places_panel(dataset, replace(overlay, sensors=None), "electrodes")]


def _truth_panels(tree: xr.DataTree, path: Path) -> list[Panel]:
    """The unknown, then every field of the solution that can be drawn."""
    root = tree.to_dataset()
    unknown = _unknown(tree, path)
    arrays = [*(masked(a, unknown) for a in unknown.data_vars.values()), *root.data_vars.values()]
    panels: list[Panel] = []
    for array in (a for a in arrays if a.dtype.kind == "f"):
        if is_map(array):
            mesh = root if "node" in array.dims else None
            panels += _cuts(array, title_of(array), colour_scale(array), mesh=mesh)
        elif is_line(array):
            panels.append(line_panel(slices(array), title_of(array)))
    if not panels:
        raise DataSchemaError(f"{path}: no field over x, or over x and y, to draw")
    return panels
