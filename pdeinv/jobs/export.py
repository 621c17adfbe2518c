"""Results and truths as VTKHDF, which ParaView and PyVista open.

A field keeps the cells that it is defined on: multilinear between the nodes of a grid, constant
over the cells of a grid or a mesh, linear between the nodes of a mesh. What lies outside the body
is left out.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from pdeinv.errors import ConfigError, DataSchemaError
from pdeinv.io import netcdf
from pdeinv.io.body import CELL, mesh_of
from pdeinv.io.fields import INSIDE
from pdeinv.io.schema import fitting
from pdeinv.io.vtkhdf import MeshFields, check_vtkhdf_name, write_fields, write_mesh
from pdeinv.model.sensors import AXES
from pdeinv.model.simplices import Simplices
from pdeinv.typing import Array

__all__ = [
    "LISTED",
    "QUANTILES",
    "Unconverged",
    "export_vtk",
    "places_of",
    "profiles_in",
    "statistics_of",
    "verdict_line",
    "warn_unconverged",
]

LISTED = "'pdeinv info' lists its numbers, and xarray reads their draws"
"""Where to turn with an unknown that is no field."""

QUANTILES = {"q025": 0.025, "q500": 0.5, "q975": 0.975}
"""Quantiles of the draws that are written beside mean and sd, by what is added to the name."""

Ints = NDArray[np.int64]

_CORNERS = (
    ((0,), (1,)),
    ((0, 0), (1, 0), (1, 1), (0, 1)),
    ((0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 1, 1)),
)
"""Steps along x, y, z to the corners of a line, quadrilateral and hexahedron in VTK's order."""


class Unconverged(UserWarning):
    """What is written comes from a run that is not converged."""


def warn_unconverged(tree: xr.DataTree, path: Path) -> None:
    """Tell of a result that is not converged: most formats have no place to say so."""
    if int(tree.attrs.get("pdeinv_converged", 1)):
        return
    warnings.warn(f"{path} is {_in_words(tree)}", Unconverged, stacklevel=2)


def verdict_line(tree: xr.DataTree) -> str:
    """The verdict of a result with its message, for a comment in a table; nothing of a truth."""
    return "" if "pdeinv_converged" not in tree.attrs else _in_words(tree)


def _in_words(tree: xr.DataTree) -> str:
    """Verdict and message on one line, neither said twice."""
    word = "converged" if int(tree.attrs.get("pdeinv_converged", 1)) else "not converged"
    message = " ".join(str(tree.attrs.get("pdeinv_message", "")).split())
    message = message.removeprefix(f"{word}: ")
    return f"{word}: {message}" if message else word


def profiles_in(tree: xr.DataTree) -> list[str]:
    """The fields over space that follow from the unknown of a result."""
    derived = tree["derived"].to_dataset() if "derived" in tree.children else xr.Dataset()
    over = ("chain", "draw")
    return [str(n) for n, v in derived.items() if set(AXES) & set(v.coords) and v.dims[:2] == over]


def export_vtk(path: Path, out: Path, variable: str | None = None) -> None:
    """Write the fields of a result or truth as VTKHDF.

    A truth gives the fields of its mesh. Of every unknown that is a field over space a result gives
    ``NAME_mean``, ``NAME_sd`` and the :data:`QUANTILES` of its draws, or ``NAME_estimate`` of a
    point, and its verdict as field data.

    Args:
        path: of ``invert`` or ``solve``.
        out: the .vtkhdf file.
        variable: the only unknown to write.

    Raises:
        ConfigError: another suffix, no such unknown, or several on other meshes and none chosen.
        DataSchemaError: a file of another kind, or without a field over space.
        MissingDependency: h5py is not installed.
    """
    check_vtkhdf_name(out)
    tree = netcdf.read_tree(path)
    kind = netcdf.kind_of(tree)
    with fitting(path, "exported"):
        if kind == "truth" and variable is None:
            write_fields(out, tree.to_dataset())
        elif kind == "truth":
            raise ConfigError("--variable chooses among the unknowns of a result; leave it out")
        elif kind == "result":
            write_mesh(out, _of_result(tree, path, variable))
            warn_unconverged(tree, path)
        else:
            raise DataSchemaError(
                f"{path}: expected a result or a truth, got a file of kind '{kind}'"
            )


def _of_result(tree: xr.DataTree, path: Path, variable: str | None) -> MeshFields:
    draws = tree["posterior"].to_dataset()
    names = [str(n) for n in draws.data_vars if set(AXES) & set(draws[n].coords)]
    if variable is not None and variable not in draws:
        known = ", ".join(map(str, draws.data_vars))
        raise ConfigError(f"--variable {variable}: {path} has no such unknown, only {known}")
    chosen = [n for n in names if variable in (None, n)]
    if not chosen:
        profiles = ", ".join(profiles_in(tree))
        instead = f"--csv writes {profiles}, which follow from it" if profiles else LISTED
        raise DataSchemaError(
            f"{path}: the unknown is a list of numbers, no field over space; {instead}"
        )
    places = [places_of(draws[n]) for n in chosen]
    if any(p != places[0] for p in places):
        raise ConfigError(
            f"{path}: {', '.join(chosen)} live on different meshes; choose one with --variable"
        )
    fields = {k: v for n in chosen for k, v in statistics_of(tree, n).items()}
    inside = tree["estimates"].to_dataset().get(f"{chosen[0]}{INSIDE}")
    mesh = mesh_of(tree["constant_data"].to_dataset())
    return replace(_on(draws[chosen[0]], fields, inside, mesh), about=_verdict(tree))


def places_of(draws: xr.DataArray) -> tuple[object, ...]:
    """What two variables of one mesh have in common."""
    axes = [a for a in AXES if a in draws.coords]
    return (
        draws.dims[2:],
        *(tuple(draws[a].values.tolist()) for a in axes),
        *(draws[a].attrs.get("location") for a in axes),
    )


def statistics_of(tree: xr.DataTree, name: str) -> dict[str, xr.DataArray]:
    """The fields of one unknown, by their names in the file."""
    mean, sd = (tree["estimates"].to_dataset()[f"{name}_{k}"] for k in ("mean", "sd"))
    if tree.attrs.get("pdeinv_produces") == "point":
        return {f"{name}_estimate": mean}
    draws, over = tree["posterior"].to_dataset()[name], ("chain", "draw")
    levels = {f"{name}_{k}": draws.quantile(q, over) for k, q in QUANTILES.items()}
    return {f"{name}_mean": mean, f"{name}_sd": sd, **levels}


def _verdict(tree: xr.DataTree) -> dict[str, str | float]:
    attrs = tree.attrs
    texts = ("pdeinv_produces", "pdeinv_message", "pdeinv_problem", "pdeinv_engine")
    said: dict[str, str | float] = {k: str(attrs[k]) for k in texts if k in attrs}
    return {**said, "pdeinv_converged": float(attrs.get("pdeinv_converged", 1))}


def _on(
    draws: xr.DataArray,
    fields: Mapping[str, xr.DataArray],
    inside: xr.DataArray | None,
    mesh: Simplices | None,
) -> MeshFields:
    """The fields on the grid or mesh of an unknown.

    Raises:
        DataSchemaError: the file does not hold the mesh of an unknown that lives on one.
    """
    axes = [a for a in AXES if a in draws.coords]
    if all(draws[a].dims == (a,) for a in axes):
        order = axes[::-1]
        flat = {k: v.transpose(*order).values.ravel() for k, v in fields.items()}
        keep = None if inside is None else inside.transpose(*order).values.ravel() == 1
        return _on_grid([draws[a] for a in axes], flat, keep)
    if mesh is None:
        raise DataSchemaError("the file does not hold the mesh of its unknown; invert again")
    flat = {k: v.values for k, v in fields.items()}
    if draws.dims[2:] == ("element",):
        return MeshFields(mesh.points, mesh.cells, of_cells=flat)
    return MeshFields(mesh.points, mesh.cells, of_points=flat)


def _on_grid(
    axes: list[xr.DataArray], flat: Mapping[str, Array], keep: NDArray[np.bool_] | None
) -> MeshFields:
    """Between the nodes of a grid, or on its cells, x fastest; without what is outside."""
    of_cells = axes[0].attrs.get("location") == CELL
    lines = [_edges(a) if of_cells else np.asarray(a, dtype=np.float64) for a in axes]
    points = np.stack([c.ravel() for c in np.meshgrid(*lines[::-1], indexing="ij")[::-1]], axis=1)
    cells = _boxes([len(line) for line in lines])
    if keep is None:
        keep = np.ones(len(next(iter(flat.values()))), dtype=bool)
    chosen = keep if of_cells else keep[cells].all(axis=1)
    used, cells = np.unique(cells[chosen], return_inverse=True)
    corners = 2 ** len(axes)
    found = MeshFields(points[used], cells.reshape(-1, corners))
    if of_cells:
        return replace(found, of_cells={k: v[chosen] for k, v in flat.items()})
    return replace(found, of_points={k: v[used] for k, v in flat.items()})


def _edges(axis: xr.DataArray) -> Array:
    """The ends of equal cells around their centres.

    Raises:
        DataSchemaError: there is one cell, whose width the file does not tell.
    """
    centres = np.asarray(axis, dtype=np.float64)
    if len(centres) < 2:
        raise DataSchemaError(
            f"the unknown has one cell along {axis.name}, whose width the file does not tell; give "
            "it two or more"
        )
    half = 0.5 * (centres[1] - centres[0])
    return np.append(centres - half, centres[-1] + half)


def _boxes(counts: list[int]) -> Ints:
    """The cells between the nodes of a grid with ``counts`` along x, y, z, x fastest."""
    strides = np.concatenate([[1], np.cumprod(counts)])[: len(counts)]
    low = np.meshgrid(*(np.arange(n - 1) for n in counts[::-1]), indexing="ij")[::-1]
    base = sum(s * n.ravel() for s, n in zip(strides, low, strict=True))
    steps = np.array(_CORNERS[len(counts) - 1]) @ strides
    return np.asarray(np.asarray(base)[:, None] + steps, dtype=np.int64)
