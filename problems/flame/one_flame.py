"""What strong forms of flames share: parameters at points, and data of the one that they are of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pdeinv.errors import DataSchemaError
from pdeinv.model.coefficient import Affine
from pdeinv.model.observed import Kind, Sensors
from pdeinv.model.strong_form import Derivatives
from pdeinv.typing import Array

from .inlet_sensors import INLET, KIND, conditions

__all__ = ["parameter_at", "sensing"]


def parameter_at(n: int, name: str, sought: Sequence[str], at: Any) -> Any:
    """A parameter at ``n`` points: that of ``at``, or an entry of m where it is sought."""
    if name not in sought:
        return np.full(n, getattr(at, name))
    return Affine.entry(list(sought).index(name), len(sought), n)


def sensing(
    sensors: Sensors, kinds: Sequence[Kind], at: Any, readings: Callable[[Derivatives], Any]
) -> tuple[Array, Callable[[Derivatives], Any]]:
    """Places of data, and the quantity of each over its scale.

    Args:
        sensors: of the data.
        kinds: what data may be, in the order of their numbers.
        at: the parameters of the flame.
        readings: every one of them at every place, (n, quantities).

    Raises:
        DataSchemaError: there are data of other flames: the network is one.
    """
    own = tuple(getattr(at, name) for name in INLET.values())
    for found in conditions(sensors):
        if not np.allclose(found, own, rtol=1e-9, atol=0.0):
            raise DataSchemaError(
                f"the strong form is of one flame, that with {', '.join(INLET)} = {own}, and "
                f"data are of {found}; use an engine on finite elements, such as map"
            )
    numbers = np.asarray(sensors[KIND]).astype(np.int64)
    scale, row = np.array([kind.scale for kind in kinds])[numbers], np.arange(len(numbers))

    def observe(u: Derivatives) -> Any:
        table = readings(u)
        return table[row, numbers] / table.new_tensor(scale)

    return np.asarray(sensors["x"], dtype=np.float64)[:, None], observe
