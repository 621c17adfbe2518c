"""Panels of a field over space: one map, several of them, or three cuts through a solid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import xarray as xr

from pdeinv.jobs.plot.overlays import Overlay
from pdeinv.jobs.plot.panels import CutPanel, Panel, field_panel, joined
from pdeinv.jobs.plot.slices import is_map, last, slices
from pdeinv.jobs.plot.volumes import cuts, is_flat, is_volume
from pdeinv.model.simplices import Simplices

__all__ = ["Field", "Scene", "field_panels"]


@dataclass(frozen=True)
class Scene:
    """What a field lives on and what is drawn over it.

    Attributes:
        overlay: sensors, electrodes and outline.
        mesh: of fields that are on no grid.
        at: where cuts through a solid cross the axes; its middle where None.
    """

    overlay: Overlay = field(default_factory=Overlay)
    mesh: Simplices | None = None
    at: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Field:
    """An array and the scene that it belongs to."""

    array: xr.DataArray
    scene: Scene

    @property
    def drawable(self) -> bool:
        """Whether it is a field over x and y, or one over x, y and z that can be cut."""
        return is_map(self.array) or self.solid

    @property
    def solid(self) -> bool:
        """Whether it is drawn as three cuts."""
        return is_volume(self.array, self.scene.mesh)


def field_panels(
    shown: Field, title: str, scale: Mapping[str, Any], cmap: str = "viridis"
) -> list[Panel]:
    """One panel for each flat part of the field."""
    scene = shown.scene
    if shown.solid:
        array, when = last(shown.array)
        draw = partial(field_panel, scale=scale, cmap=cmap)
        flat = is_flat(array)
        return [
            CutPanel(
                draw(part, f"{joined(title, when)}\n{cut}", overlay=scene.overlay.on(cut)), flat
            )
            for part, cut in cuts(array, scene.mesh, scene.at)
        ]
    return [
        field_panel(part, joined(title, text), scale, scene.overlay, cmap=cmap, mesh=scene.mesh)
        for part, text in slices(shown.array)
    ]
