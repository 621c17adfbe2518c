"""Panels of a truth: the unknown, then every field of the solution that can be drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import xarray as xr

from pdeinv.errors import DataSchemaError
from pdeinv.io.body import cut_mesh_of, mesh_of
from pdeinv.jobs.plot.fields import Field, Scene, field_panels
from pdeinv.jobs.plot.lines import line_panel
from pdeinv.jobs.plot.overlays import overlay_of
from pdeinv.jobs.plot.panels import Panel, colour_scale, title_of
from pdeinv.jobs.plot.slices import is_line, masked, slices

__all__ = ["truth_panels", "unknown_of"]


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
    panels: list[Panel] = []
    for shown in (f for f in fields if f.array.dtype.kind == "f"):
        title = title_of(shown.array)
        if shown.drawable:
            panels += field_panels(shown, title, colour_scale(shown.array))
        elif is_line(shown.array):
            panels.append(line_panel(slices(shown.array), title))
    if not panels:
        raise DataSchemaError(f"{path}: no field over x, or over x and y, to draw")
    return panels
