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
    """What data need of one m beside the concentration: thresholds and rates, levels of PET."""
    found = parameters(config, m[:, None])
    values = [*found.thresholds[:, 0], *_rates(config, found), *found.levels[:, 0]]
    return {
        name: xr.Variable((), value, {"units": units, "long_name": text})
        for (name, (units, text)), value in zip(_names(config).items(), values, strict=True)
    }


def _rates(config: TumorConfig, found: Parameters) -> list[float]:
    """D, ρ and the softness, where masks are seen by mm."""
    if not _RATES.keys() & _names(config).keys():
        return []
    return [float(x[0]) for x in (found.diffusivity, found.growth_rate, found.softness)]


_RATES = {
    "seen_diffusivity": ("mm2 d-1", "diffusivity in white matter, which masks are seen by"),
    "seen_growth_rate": ("d-1", "growth rate, which masks are seen by"),
    "seen_softness": ("mm", "softness of contours, which masks are seen by"),
}
"""They are no part of the field: the unknown has its own variables in files."""


def _names(config: TumorConfig) -> dict[str, tuple[str, str]]:
    """What those are called, their units and what they are."""
    regions = REGIONS if config.masks is not None else ()
    by_mm = config.masks is not None and config.masks.softness_mm is not None
    levels = LEVELS if config.pet is not None else {}
    return {
        **{threshold_name(k): ("1", f"threshold of {SEEN[k]}") for k in regions},
        **(_RATES if by_mm else {}),
        **{level_name(k): ("1", text) for k, text in levels.items()},
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
    found = {name: np.array([float(fields[name])]) for name in names}
    thresholds, levels = (
        np.array([value for name, value in found.items() if name in own]).reshape(-1, 1)
        for own in ([threshold_name(k) for k in REGIONS], [level_name(k) for k in LEVELS])
    )
    none = np.zeros(1)
    d, rho, softness = (found.get(name, none) for name in _RATES)
    seed = np.zeros((config.dim, 1))
    return Parameters(d, rho, seed, none, thresholds, levels, softness=softness)
