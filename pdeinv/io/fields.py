"""Which problem a dataset of fields belongs to, as every problem's ``solve`` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from pydantic import BaseModel

from pdeinv.config import Config, dump_toml, parse, parse_toml
from pdeinv.errors import DataSchemaError
from pdeinv.typing import Array

__all__ = [
    "CONFIG",
    "INSIDE",
    "LEVEL",
    "PROBLEM",
    "UNKNOWN",
    "Layout",
    "check_one_problem",
    "config_of",
    "described",
    "description",
    "joined",
    "parted",
    "problem_attributes",
    "run_tables_of",
]

UNKNOWN = "pdeinv_unknown"
"""Attribute of a field: the variable of an unknown that it shows, however that is parametrised."""

INSIDE = "_inside"
"""What is appended to the name of a field for its mask: the variable that says which nodes lie in
the body."""

PROBLEM, CONFIG, LEVEL = "pdeinv_problem", "pdeinv_problem_config", "pdeinv_level"
RUN = "pdeinv_config"


@dataclass(frozen=True)
class Layout:
    """The mesh of the nodes of a solution, as UGRID has it in files.

    Attributes:
        points: shape (n, d).
        cells: nodes of each cell, shape (k, corners), counter-clockwise in the plane.
        element: what the nodes are those of.
        length: units of the coordinates.
    """

    points: Array
    cells: NDArray[Any]
    element: str
    length: str

    @property
    def _axes(self) -> str:
        return "xyz"[: self.points.shape[1]]

    def node(
        self, values: Any, units: str, long_name: str, *lead: str, **more: str
    ) -> tuple[tuple[str, ...], Any, dict[str, str]]:
        """A variable on the nodes, with the names of dimensions that lead."""
        place = {"mesh": "mesh", "location": "node", "coordinates": " ".join(self._axes)}
        attrs = {"units": units, "long_name": long_name, **place, **more}
        return (*lead, "node"), values, attrs

    def dataset(
        self,
        variables: Mapping[str, Any],
        coords: Mapping[str, Any],
        about: tuple[str, Config, int],
    ) -> xr.Dataset:
        """The file of a solution: its variables, the mesh, and the problem that it belongs to.

        Args:
            variables: of the problem.
            coords: besides those of the nodes.
            about: name and configuration of the problem, and the level of the mesh.
        """
        cell = {1: "edge", 2: "face", 3: "volume"}[self.points.shape[1]]
        link = f"{cell}_node_connectivity"
        mesh = {
            "cf_role": "mesh_topology",
            "topology_dimension": self.points.shape[1],
            "node_coordinates": " ".join(self._axes),
            link: link,
            "long_name": f"mesh of the nodes of {self.element} elements",
            "units": "1",
        }
        corners = {"cf_role": link, "start_index": 0, "units": "1"}
        turning = ", counter-clockwise" if cell == "face" else ""
        corners["long_name"] = f"nodes of each {cell}{turning}"
        topology = {
            "mesh": ((), np.int32(0), mesh),
            link: ((cell, "corner"), self.cells.astype(np.int32), corners),
        }
        places = {
            axis: ("node", column, {"units": self.length, "long_name": f"{axis} coordinate"})
            for axis, column in zip(self._axes, self.points.T, strict=True)
        }
        attrs = description(*about)
        return xr.Dataset({**variables, **topology}, {**places, **coords}, attrs)


def description(problem: str, config: Config, level: int) -> dict[str, str | int]:
    """The attributes of a dataset of fields on an unstructured mesh."""
    return {
        "Conventions": "CF-1.11 UGRID-1.0",
        **problem_attributes(problem, config),
        LEVEL: level,
    }


def check_one_problem(problems: Mapping[Path, object]) -> None:
    """Refuse files that are not of one problem.

    Args:
        problems: names of their problems; None where a file names none.

    Raises:
        DataSchemaError: the first two that differ.
    """
    known = [(path, name) for path, name in problems.items() if name is not None]
    for path, name in known[1:]:
        if name != known[0][1]:
            raise DataSchemaError(
                f"{known[0][0]} is of problem '{known[0][1]}', {path} of problem '{name}'; give "
                "files of one problem"
            )


def problem_attributes(problem: str, config: BaseModel) -> dict[str, str]:
    """The attributes of any file that belongs to a problem, whose ``UNSAID`` keys they lack."""
    unsaid = set(getattr(config, "UNSAID", ())) - config.model_fields_set
    return {PROBLEM: problem, CONFIG: dump_toml(config.model_dump(mode="json", exclude=unsaid))}


def config_of(attrs: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The problem's configuration that the attributes of a file hold, empty without any.

    Raises:
        ConfigError: it is damaged.
    """
    return parse_toml(str(attrs.get(CONFIG, "")), f"{path}: attribute {CONFIG}")


def run_tables_of(attrs: Mapping[Any, Any], path: Path) -> dict[str, Any]:
    """The tables of the run that made a file, as its attributes hold them, empty without any.

    Raises:
        ConfigError: they are damaged.
    """
    return parse_toml(str(attrs.get(RUN, "")), f"{path}: attribute {RUN}")


def described[C: Config](
    fields: xr.Dataset, problem: str, config_type: type[C], *variables: frozenset[str]
) -> tuple[C, int]:
    """The configuration and mesh level of a dataset with the attributes of :meth:`Layout.dataset`.

    Args:
        fields: what ``solve`` made.
        problem: the registered name that it must have.
        config_type: of that problem.
        variables: alternatives; the dataset must hold all of at least one.

    Raises:
        DataSchemaError: an attribute or a variable is missing, or it is another problem's.
    """
    got = fields.attrs.get(PROBLEM)
    missing = [k for k in (CONFIG, LEVEL) if k not in fields.attrs]
    known = any(names <= set(map(str, fields)) for names in variables)
    if got != problem or missing or not known:
        wanted = " or ".join(", ".join(sorted(names)) for names in variables)
        raise DataSchemaError(
            f"expected the fields of 'pdeinv solve {problem}' (variables {wanted}; attributes "
            f"{CONFIG} and {LEVEL}), got problem {got!r} with variables {list(map(str, fields))}"
        )
    table = parse_toml(str(fields.attrs[CONFIG]), f"attribute {CONFIG}")
    return parse(config_type, table, CONFIG), int(fields.attrs[LEVEL])


def parted(
    name: str, text: str, values: Any, dims: tuple[str, ...], attrs: Mapping[str, str]
) -> dict[str, Any]:
    """One variable, or two of real and imaginary parts."""
    if values.dtype.kind != "c":
        return {name: (dims, values, {**attrs, "long_name": text})}
    return {
        f"{name}_re": (dims, values.real, {**attrs, "long_name": f"real part of {text}"}),
        f"{name}_im": (dims, values.imag, {**attrs, "long_name": f"imaginary part of {text}"}),
    }


def joined(fields: xr.Dataset, name: str) -> Any:
    """The array of a variable that :func:`parted` made, real or complex.

    Raises:
        DataSchemaError: it is missing.
    """
    if name in fields:
        return np.asarray(fields[name], dtype=np.float64)
    if f"{name}_re" in fields and f"{name}_im" in fields:
        return np.asarray(fields[f"{name}_re"]) + 1j * np.asarray(fields[f"{name}_im"])
    raise DataSchemaError(f"variable '{name}' is missing; solve again")
