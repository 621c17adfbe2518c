"""What is drawn over a map: sensors, electrodes with their numbers, sources, the outline."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pdeinv.jobs.plot.volumes import Cut
from pdeinv.typing import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Overlay", "overlay_of"]

INK, RED = "#222222", "#c0392b"
MAX_NUMBERED = 32
OFFSET = 1.11
"""How far from the middle the number of an electrode stands, in units of its own distance."""


@dataclass(frozen=True)
class Overlay:
    """Places in the plane, each shape (n, 2), or None.

    Attributes:
        sensors: where data were read; shape (n, 3) in space, of which only cuts show some.
        electrodes: centres.
        widths: of the electrodes, shape (n,).
        sources: of waves.
        receivers: of those.
        outline: closed curves around the body, a row of NaN between two of them; maps end there.
    """

    sensors: Array | None = None
    electrodes: Array | None = None
    widths: Array | None = None
    sources: Array | None = None
    receivers: Array | None = None
    outline: Array | None = None

    def on(self, cut: Cut) -> Overlay:
        """What lies on a plane through a solid: outline and electrodes are seen along z only."""
        k = "xyz".index(cut.axis)
        sensors = self.sensors
        if sensors is not None and sensors.shape[1] == 3:
            near = np.abs(sensors[:, k] - cut.at) <= cut.near
            sensors = np.delete(sensors[near], k, axis=1) if near.any() else None
        return replace(self, sensors=sensors) if cut.axis == "z" else Overlay(sensors)

    def draw(self, ax: Axes, image: Any = None) -> None:
        """Draw over the image of a map, which the outline cuts."""
        if self.outline is not None:
            _cut(ax, self.outline, image)
        if self.electrodes is not None:
            _electrodes(ax, self.electrodes, self.widths)
        if self.receivers is not None:
            _marks(ax, self.receivers, "v", "white")
        if self.sources is not None:
            _marks(ax, self.sources, "*", RED)
        if self.sensors is not None:
            size = float(np.clip(30 / math.sqrt(len(self.sensors)), 1.2, 4.0))
            ax.plot(*self.sensors[:, :2].T, "o", ms=size, mfc="white", mec="black", mew=0.4, ls="")


def _marks(ax: Axes, places: Array, sign: str, colour: str) -> None:
    """Places as signs, smaller where there are many, whole also at the edge of the map."""
    size = float(np.clip(40 / math.sqrt(len(places)), 3.0, 9.0))
    style: Any = {"ms": size, "mfc": colour, "mec": "black", "mew": 0.4, "clip_on": False}
    ax.plot(*places.T, sign, ls="", zorder=3, **style)


def _cut(ax: Axes, outline: Array, image: Any) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    gaps = np.flatnonzero(np.isnan(outline[:, 0]))
    curves = [c[~np.isnan(c[:, 0])] for c in np.split(outline, gaps)]
    path = Path.make_compound_path(*(Path(c) for c in curves))
    edge = PathPatch(path, fill=False, ec=INK, lw=0.8)
    ax.add_patch(edge)
    if image is not None:
        image.set_clip_path(edge)


def overlay_of(dataset: xr.Dataset) -> Overlay:
    """The overlay of a dataset with pairs x and y, ``electrode_x`` and ``_y``, ``outline_x``..."""
    sensors = _places(dataset, "", "xyz" if "z" in dataset.variables else "xy")
    return Overlay(
        None if sensors is None else np.unique(sensors, axis=0),
        _places(dataset, "electrode_"),
        np.asarray(dataset["electrode_width"]) if "electrode_width" in dataset else None,
        _places(dataset, "source_"),
        _places(dataset, "receiver_"),
        _places(dataset, "outline_"),
    )


def _places(dataset: xr.Dataset, prefix: str, axes: str = "xy") -> Array | None:
    names = [f"{prefix}{axis}" for axis in axes]
    if not set(names) <= set(dataset.variables):
        return None
    return np.stack([np.asarray(dataset[n], dtype=np.float64) for n in names], axis=1)


def _electrodes(ax: Axes, places: Array, widths: Array | None) -> None:
    """Bars along the boundary, across the direction from the middle; numbers outside of them."""
    from matplotlib.collections import LineCollection

    middle = places.mean(axis=0)
    out = places - middle
    reach = np.linalg.norm(out, axis=1, keepdims=True)
    if not (reach > 0).all():
        return
    along = out[:, ::-1] * [-1.0, 1.0] / reach
    half = 0.5 * (0.1 * reach if widths is None else widths[:, None])
    bars = np.stack([places - half * along, places + half * along], axis=1)
    ax.add_collection(LineCollection(list(bars), colors=INK, linewidths=2.5), autolim=True)
    labels = middle + OFFSET * out
    # electrodes of further rings stand above those of the first
    first = np.sort(np.unique(np.round(places / reach.max(), 6), axis=0, return_index=True)[1])
    for k in first[:: math.ceil(len(first) / MAX_NUMBERED)]:
        x, y = labels[k]
        ax.text(x, y, str(k), ha="center", va="center", fontsize=6, color=INK)
    ax.update_datalim(middle + OFFSET**1.5 * out)
    ax.autoscale_view()
