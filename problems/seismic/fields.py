"""Waves, velocity and traces of one unknown as a labelled dataset, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from pdeinv.errors import DataSchemaError
from pdeinv.io.fields import UNKNOWN, Layout
from pdeinv.model.reference import check_finite
from pdeinv.typing import Array

from .differences_model import DifferencesModel
from .model import SeismicModel
from .survey import COORDS
from .unknown import DEPTH

if TYPE_CHECKING:
    from .problem import Seismic

__all__ = ["table_of", "to_dataset"]


def to_dataset(
    problem: Seismic, model: SeismicModel | DifferencesModel, m: Array, level: int
) -> xr.Dataset:
    """Velocity and snapshots on the nodes in the UGRID layout, and every trace."""
    config, on = problem.config, model.on
    nodes, clock, observed = on.nodes, on.clock, problem.observed
    run = model.state(m)
    with np.errstate(all="ignore"):
        wanted = snapshots(clock.steps, config.time.snapshots)
        wave = run.states(wanted)
    check_finite(wave.ravel(), "the pressure", "")
    shape = (len(config.sources), len(config.receivers), clock.samples)
    layout = Layout(nodes.points, nodes.faces, on.element, "m")
    v = problem.unknown.at(problem.unknown.inside(nodes.points), m)
    words = f"{observed.long_name} at the nodes"
    variables: dict[str, Any] = {
        "velocity": layout.node(v, "m s-1", "velocity of sound", **{UNKNOWN: "velocity"}),
        "wave": layout.node(wave.transpose(2, 0, 1), observed.units, words, "shot", "snapshot"),
        observed.name: (
            COORDS,
            model(m).reshape(shape),
            {"units": observed.units, "long_name": observed.long_name},
        ),
    }
    coords = {
        name: (name, np.arange(float(n)), {"units": "1", "long_name": f"number of the {name}"})
        for name, n in zip(COORDS[:2], shape[:2], strict=True)
    }
    coords["time"] = ("time", clock.times, {"units": "s", "long_name": "time", "axis": "T"})
    when = wanted * clock.dt
    coords["snapshot"] = ("snapshot", when, {"units": "s", "long_name": "time of the wave"})
    found = layout.dataset(variables, coords, ("seismic", config, level))
    found["y"].attrs.update(DEPTH)
    return found


def snapshots(steps: int, count: int) -> Any:
    """The levels of so many snapshots, the last one at the end."""
    return np.unique(np.rint(np.linspace(0, steps, count + 1)[1:]).astype(np.int64))


def table_of(fields: xr.Dataset, shape: tuple[int, int, int]) -> Array:
    """The traces of a dataset.

    Raises:
        DataSchemaError: of another shape.
    """
    found = np.asarray(fields["u"], dtype=np.float64)
    if found.shape != shape:
        raise DataSchemaError(f"'u' has shape {found.shape}, the survey has {shape}; solve again")
    return found
