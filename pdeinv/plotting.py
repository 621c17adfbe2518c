"""One figure per file: posterior mean and spread, marginals, sensors, or the fields of a truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.inspection import kind_of
from pdeinv.io import netcdf
from pdeinv.io.atomic import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot"]

Panel = Callable[["Axes"], None]
"""Draws one panel into its axes."""

FORMATS = (".png", ".pdf", ".svg")
MAX_COLUMNS = 4
MAX_MARGINALS = 16
LOG_RANGE = 30.0
"""A positive field that spans more than this factor is shown on a logarithmic scale."""
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
BLUE, GREY, RED = "#1f5a99", "#555555", "#c0392b"


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
    if out.suffix not in FORMATS:
        raise ConfigError(f"--out {out}: expected a name that ends in {', '.join(FORMATS)}")
    tree = netcdf.read_tree(path)
    found = kind_of(tree.to_dataset(), list(tree.children))
    reference = None if truth is None else _unknown(netcdf.read_tree(truth), truth)
    if found == "result":
        panels = _result_panels(tree, reference)
    elif found == "observations":
        panels = _observation_panels(tree.to_dataset())
    elif found == "truth":
        panels = _truth_panels(tree, path)
    else:
        raise DataSchemaError(f"{path}: nothing to draw in a file of kind '{found}'")
    _draw(panels, out, dpi)


def _draw(panels: list[Panel], out: Path, dpi: int) -> None:
    """Arrange the panels on a grid and write the file in one step."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    columns = min(MAX_COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.6 * columns, 3.1 * rows), layout="constrained")
        figure.get_layout_engine().set(w_pad=0.12, h_pad=0.08)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for panel, ax in zip(panels, axes, strict=False):
            panel(ax)
        for ax in axes[len(panels) :]:
            ax.set_visible(False)
        with atomic(out) as target:
            figure.savefig(target, dpi=dpi)


def _unknown(tree: xr.DataTree, path: Path) -> xr.Dataset:
    if "unknown" not in tree.children:
        raise DataSchemaError(f"{path}: expected the output of 'pdeinv solve' (no group 'unknown')")
    return tree["unknown"].to_dataset()


def _result_panels(tree: xr.DataTree, truth: xr.Dataset | None) -> list[Panel]:
    estimates = tree["estimates"].to_dataset()
    posterior = tree["posterior"].to_dataset()
    point = tree.attrs.get("pdeinv_produces") == "point"
    sensors = tree["constant_data"].to_dataset()
    panels: list[Panel] = []
    for name in posterior.data_vars:
        mean, sd = estimates[f"{name}_mean"], estimates[f"{name}_sd"]
        true = None if truth is None or name not in truth else truth[name]
        if _is_map(mean):
            panels += _map_panels(mean, None if point else sd, true, sensors)
        elif mean.ndim == 1 and mean.dims[0] in mean.coords:
            panels.append(_band_panel(mean, sd, true))
        else:
            panels += _marginal_panels(posterior[name], true)
    return [*panels, _fit_panel(tree)]


def _is_map(array: xr.DataArray) -> bool:
    """A field over x and y: on a grid (y, x), or on scattered points that carry both."""
    return {"x", "y"} <= set(array.coords) and (array.ndim in (1, 2))


def _map_panels(
    mean: xr.DataArray, sd: xr.DataArray | None, truth: xr.DataArray | None, sensors: xr.Dataset
) -> list[Panel]:
    shown = [mean] if truth is None else [truth, mean]
    scale = _scale(*shown)
    label = _label(mean)
    panels = [] if truth is None else [_field_panel(truth, f"truth: {label}", scale)]
    title = f"{'estimate' if sd is None else 'posterior mean'}: {label}"
    panels.append(_field_panel(mean, title, scale, sensors))
    if sd is not None:
        panels.append(_field_panel(sd, "posterior standard deviation", _scale(sd), cmap="magma"))
    return panels


def _scale(*arrays: xr.DataArray) -> dict[str, Any]:
    """One colour scale for all arrays: logarithmic where they are positive over a wide range."""
    from matplotlib.colors import LogNorm, Normalize

    low = min(float(a.min()) for a in arrays)
    high = max(float(a.max()) for a in arrays)
    wide = low > 0 and high / low > LOG_RANGE
    return {"norm": LogNorm(low, high) if wide else Normalize(low, high)}


def _label(array: xr.DataArray) -> str:
    return str(array.attrs.get("long_name") or array.name)


def _units(array: xr.DataArray) -> str:
    units = str(array.attrs.get("units", "1"))
    return "" if units == "1" else units


def _axis_label(array: xr.DataArray) -> str:
    units = _units(array)
    return f"{array.name} ({units})" if units else str(array.name)


def _colour_bar(ax: Axes, image: Any, array: xr.DataArray) -> None:
    bar = ax.figure.colorbar(image, ax=ax, label=_units(array), fraction=0.046, pad=0.03)
    if hasattr(bar.formatter, "set_powerlimits"):
        bar.formatter.set_powerlimits((-2, 4))


def _triangles(array: xr.DataArray, mesh: xr.Dataset | None) -> Any:
    """The triangulation of scattered nodes: the file's own, else that of Delaunay."""
    from matplotlib.tri import Triangulation

    if mesh is None or "face_node_connectivity" not in mesh:
        return Triangulation(array["x"], array["y"])
    faces = np.asarray(mesh["face_node_connectivity"])
    halves = [faces[:, :3]] if faces.shape[1] == 3 else [faces[:, [0, 1, 2]], faces[:, [0, 2, 3]]]
    return Triangulation(array["x"], array["y"], np.concatenate(halves))


def _field_panel(
    array: xr.DataArray,
    title: str,
    scale: Mapping[str, Any],
    sensors: xr.Dataset | None = None,
    *,
    cmap: str = "viridis",
    mesh: xr.Dataset | None = None,
) -> Panel:
    def draw(ax: Axes) -> None:
        x, y = array["x"], array["y"]
        image: Any
        if array.ndim == 2:
            values = array.transpose(*y.dims, *x.dims)
            image = ax.pcolormesh(
                x, y, values, shading="nearest", cmap=cmap, rasterized=True, **scale
            )
        else:
            shown = _triangles(array, mesh)
            image = ax.tripcolor(
                shown, array, shading="gouraud", cmap=cmap, rasterized=True, **scale
            )
        if sensors is not None and {"x", "y"} <= set(sensors.variables):
            ax.plot(sensors["x"], sensors["y"], ".", ms=2.5, mfc="white", mec="black", mew=0.3)
        _colour_bar(ax, image, array)
        ax.set(title=title, xlabel=_axis_label(x), ylabel=_axis_label(y), aspect="equal")

    return draw


def _band_panel(mean: xr.DataArray, sd: xr.DataArray, truth: xr.DataArray | None) -> Panel:
    def draw(ax: Axes) -> None:
        x = mean[mean.dims[0]]
        ax.fill_between(
            x, mean - 2 * sd, mean + 2 * sd, color=BLUE, alpha=0.2, lw=0, label="± 2 sd"
        )
        ax.plot(x, mean, color=BLUE, label="posterior mean")
        if truth is not None:
            ax.plot(x, truth, color=RED, ls="--", label="truth")
        ax.set(title=_label(mean), xlabel=_axis_label(x), ylabel=_units(mean))
        ax.legend(frameon=False)

    return draw


def _marginal_panels(draws: xr.DataArray, truth: xr.DataArray | None) -> list[Panel]:
    """A histogram per component, at most :data:`MAX_MARGINALS` of them."""
    flat = draws.values.reshape(draws.sizes["chain"] * draws.sizes["draw"], -1)
    true = None if truth is None else np.ravel(truth.values)
    numbered = flat.shape[1] > 1
    return [
        _histogram(
            flat[:, k],
            f"{draws.name}[{k}]" if numbered else _label(draws),
            _units(draws),
            None if true is None else float(true[k]),
        )
        for k in range(min(flat.shape[1], MAX_MARGINALS))
    ]


def _histogram(values: np.ndarray[Any, Any], title: str, units: str, truth: float | None) -> Panel:
    def draw(ax: Axes) -> None:
        ax.hist(values, bins=min(40, max(1, len(values) // 10)), color=BLUE, alpha=0.7)
        ax.axvline(float(values.mean()), color=BLUE, label="mean")
        if truth is not None:
            ax.axvline(truth, color=RED, ls="--", label="truth")
        ax.set(title=title, xlabel=units, yticks=[])
        ax.legend(frameon=False)

    return draw


def _fit_panel(tree: xr.DataTree) -> Panel:
    """Data against the posterior predictive: points on the line fit, bars are ± 2 sd with noise."""
    observed = tree["observed_data"].to_dataset()
    name = next(iter(observed.data_vars))
    y = observed[name]
    draws = tree["posterior_predictive"].to_dataset()[name]
    mean, sd = draws.mean(("chain", "draw")), draws.std(("chain", "draw"))

    def draw(ax: Axes) -> None:
        ends = [float(min(y.min(), mean.min())), float(max(y.max(), mean.max()))]
        ax.plot(ends, ends, color=GREY, lw=0.8)
        ax.errorbar(y, mean, 2 * sd, fmt=".", ms=3, color=BLUE, elinewidth=0.6, alpha=0.8)
        units = f" ({_units(y)})" if _units(y) else ""
        ax.set(
            title="data fit", xlabel=f"observed {name}{units}", ylabel=f"predicted {name}{units}"
        )

    return draw


def _observation_panels(dataset: xr.Dataset) -> list[Panel]:
    name = next((str(v) for v in dataset.data_vars if f"{v}_sigma" in dataset), None)
    if name is None:
        name = str(next(iter(dataset.data_vars)))
    value, sigma = dataset[name], dataset.get(f"{name}_sigma")
    if not {"x", "y"} <= set(dataset.variables):
        return [_series_panel(value, sigma)]
    panels = [_sensor_panel(dataset, value, _label(value), "viridis")]
    if sigma is not None:
        panels.append(_sensor_panel(dataset, sigma, "noise standard deviation", "magma"))
    return panels


def _sensor_panel(dataset: xr.Dataset, values: xr.DataArray, title: str, cmap: str) -> Panel:
    def draw(ax: Axes) -> None:
        size = max(6.0, min(60.0, 6000.0 / max(1, values.size)))
        dots = ax.scatter(dataset["x"], dataset["y"], c=values, s=size, cmap=cmap, lw=0)
        _colour_bar(ax, dots, values)
        x, y = _axis_label(dataset["x"]), _axis_label(dataset["y"])
        ax.set(title=title, xlabel=x, ylabel=y, aspect="equal")

    return draw


def _series_panel(value: xr.DataArray, sigma: xr.DataArray | None) -> Panel:
    def draw(ax: Axes) -> None:
        along = next((value[c] for c in ("x", "t", "time") if c in value.coords), None)
        x = np.arange(value.size) if along is None else along
        bars = None if sigma is None else 2 * sigma
        ax.errorbar(x, value, bars, fmt=".", ms=4, color=BLUE, elinewidth=0.7)
        label = "datum" if along is None else _axis_label(along)
        ax.set(title=_label(value), xlabel=label, ylabel=_units(value))

    return draw


def _truth_panels(tree: xr.DataTree, path: Path) -> list[Panel]:
    """The unknown, then every field of the solution that can be drawn."""
    root = tree.to_dataset()
    arrays = [*_unknown(tree, path).data_vars.values(), *root.data_vars.values()]
    maps = [a for a in arrays if a.dtype.kind == "f" and _is_map(a)]
    if not maps:
        raise DataSchemaError(f"{path}: no field over x and y to draw")
    return [
        _field_panel(a, _label(a), _scale(a), mesh=root if "node" in a.dims else None) for a in maps
    ]
