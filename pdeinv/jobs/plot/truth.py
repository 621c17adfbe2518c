"""Panels of a truth: the unknown, every field of the solution, and numbers that have names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import xarray as xr

from pdeinv.errors import DataSchemaError
from pdeinv.io.body import cut_mesh_of, mesh_of
from pdeinv.jobs.plot.bars import bar_panels
from pdeinv.jobs.plot.fields import Field, Scene, field_panels
from pdeinv.jobs.plot.gathers import gather_panels, is_gather
from pdeinv.jobs.plot.lines import line_panel
from pdeinv.jobs.plot.overlays import overlay_of
from pdeinv.jobs.plot.panels import Panel, colour_scale, joined, title_of
from pdeinv.jobs.plot.slices import is_line, masked, slices

__all__ = ["truth_panels", "unknown_of"]

PLACES = {
    "node": "at the nodes of the solver",
    "vertex": "at the nodes of its mesh",
    "element": "in the cells of its mesh",
}
"""Where values are, by the dim that they run over."""


def unknown_of(tree: xr.DataTree, path: Path) -> xr.Dataset:
    """The group that holds the unknown.

    Raises:
        DataSchemaError: there is none.
    """
    if "unknown" not in tree.children:
        raise DataSchemaError(f"{path}: expected the output of 'pdeinv solve' (no group 'unknown')")
    return tree.children["unknown"].to_dataset(inherit=False)


def truth_panels(tree: xr.DataTree, path: Path) -> list[Panel]:
    """All panels of a truth.

    Raises:
        DataSchemaError: no group ``unknown``, or nothing that can be drawn.
    """
    root, unknown = tree.to_dataset(), unknown_of(tree, path)
    fixed = tree.children.get("constant_data")
    constants = xr.Dataset() if fixed is None else fixed.to_dataset(inherit=False)
    scene = Scene(overlay_of(constants), mesh_of(constants))
    solved = replace(scene, mesh=cut_mesh_of(root))
    fields = [
        *(Field(masked(a, unknown), scene) for a in unknown.data_vars.values()),
        *(Field(a, solved) for a in root.data_vars.values()),
    ]
    fields = [f for f in fields if f.array.dtype.kind == "f" and (f.drawable or is_line(f.array))]
    panels: list[Panel] = []
    for shown, title in zip(fields, _told_apart(fields), strict=True):
        if shown.drawable:
            panels += field_panels(shown, title, colour_scale(*_alike(shown, fields)))
        elif is_gather(shown.array):
            panels += gather_panels(shown.array, title)
        else:
            panels.append(line_panel(slices(shown.array), title))
    panels += bar_panels(root)
    if not panels:
        raise DataSchemaError(f"{path}: no field over x, or over x and y, to draw")
    return panels


def _alike(shown: Field, fields: list[Field]) -> list[xr.DataArray]:
    """All maps of the same quantity, which have one scale of colours."""
    title, units = title_of(shown.array), shown.array.attrs.get("units")
    maps = [f.array for f in fields if f.drawable]
    return [a for a in maps if title_of(a) == title and a.attrs.get("units") == units]


def _told_apart(fields: list[Field]) -> list[str]:
    """A title of each field: what it is, then where its values are if several are the same."""
    titles = [title_of(f.array) for f in fields]
    for more in (_place, lambda array: str(array.name)):
        titles = [
            joined(title, more(f.array)) if titles.count(title) > 1 else title
            for title, f in zip(titles, fields, strict=True)
        ]
    return titles


def _place(array: xr.DataArray) -> str:
    """Where the values are: an unknown may be on a grid, its field of the solver on a mesh."""
    return next((PLACES[d] for d in map(str, array.dims) if d in PLACES), "on its grid")
