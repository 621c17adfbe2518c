"""Tumor fields as labelled datasets."""

from __future__ import annotations

import numpy as np
import xarray as xr

from pdeinv.errors import DataSchemaError
from pdeinv.io.fields import Layout
from pdeinv.model.observed import Observed
from pdeinv.typing import Array

from .config import TumorConfig
from .elements import ElementDiffusion
from .masks import REGIONS
from .model import Discretisation
from .pet import LEVELS
from .tissue import Tissue
from .unknown import SEEN, Parameters, level_name, parameters, threshold_name

__all__ = ["CONCENTRATION", "scan_variables", "scanned", "to_dataset"]

CONCENTRATION = "tumor cell concentration"

_TURNING = {1: [0, 1], 2: [0, 1, 3, 2], 3: [0, 1, 3, 2, 4, 5, 7, 6]}
"""Corners of a cube from x fastest to the order of UGRID."""


def to_dataset(
    observed: Observed, tissue: Tissue, on: Discretisation, times: Array, c: Array
) -> xr.Dataset:
    """The states c (time, node) and the tissue, with the mesh of the nodes in the UGRID layout.

    Nodes are the corners of the elements; of finite differences the middles of the voxels.
    """
    lattice = on.lattice
    simplices = isinstance(on.diffusion, ElementDiffusion)
    cells = on.diffusion.cells if isinstance(on.diffusion, ElementDiffusion) else lattice.blocks
    cells = cells if simplices else cells[:, _TURNING[lattice.dim]]
    layout = Layout(lattice.points, cells, "P1" if simplices else "Q1", "mm")
    inside = lattice.active.ravel()
    white, grey = (np.round(part[inside], 6) for part in tissue.over(lattice.axes))
    variables = {
        observed.name: layout.node(c, observed.units, observed.long_name, "time"),
        "white_matter": layout.node(white, "1", "part of white matter"),
        "grey_matter": layout.node(grey, "1", "part of grey matter"),
    }
    when = {"units": "d", "long_name": "time", "axis": "T"}
    coords = {"time": ("time", times, when)}
    return layout.dataset(variables, coords, ("tumor", on.config, on.level))


def scan_variables(config: TumorConfig, m: Array) -> dict[str, xr.Variable]:
    """What data need of one m beside the concentration: thresholds of masks, levels of PET."""
    found = parameters(config, m[:, None])
    values = [*found.thresholds[:, 0], *found.levels[:, 0]]
    return {
        name: xr.Variable((), value, {"units": "1", "long_name": text})
        for (name, text), value in zip(_names(config).items(), values, strict=True)
    }


def _names(config: TumorConfig) -> dict[str, str]:
    """What those are called, and are."""
    regions = REGIONS if config.masks is not None else ()
    levels = LEVELS if config.pet is not None else {}
    return {
        **{threshold_name(k): f"threshold of {SEEN[k]}" for k in regions},
        **{level_name(k): text for k, text in levels.items()},
    }


def scanned(fields: xr.Dataset, config: TumorConfig) -> Parameters:
    """Those of a dataset, among parameters that data of a known concentration do not need.

    Raises:
        DataSchemaError: one is missing.
    """
    names = list(_names(config))
    lost = [name for name in names if name not in fields]
    if lost:
        raise DataSchemaError(f"'{lost[0]}' is missing; solve again")
    values = np.array([float(fields[name]) for name in names]).reshape(-1, 1)
    thresholds = len(REGIONS) if config.masks is not None else 0
    none = np.zeros(1)
    return Parameters(
        none, none, np.zeros((config.dim, 1)), none, values[:thresholds], values[thresholds:]
    )
