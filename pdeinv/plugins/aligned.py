"""Data and unknowns that are carried between two bodies of the same kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pdeinv.bayes.likelihood import Likelihood
from pdeinv.model.observed import Sensors
from pdeinv.typing import Array

__all__ = ["Aligned", "Measured"]


@dataclass(frozen=True)
class Measured:
    """What was measured, good data only.

    Attributes:
        sensors: where, one array (n_d,) per coordinate.
        values: shape (n_d,).
        likelihood: of the values.
    """

    sensors: Sensors
    values: Array
    likelihood: Likelihood


@dataclass(frozen=True)
class Aligned:
    """Data as they would be in another body, and the way back of unknowns.

    Attributes:
        columns: which of the predictions in the other body can be compared, by their numbers,
            shape (k,).
        values: the data there, shape (k,).
        likelihood: of these.
        back: the whitened unknown of the other problem to that of this one, (n, dim there) to
            (n, dim).
    """

    columns: NDArray[np.intp]
    values: Array
    likelihood: Likelihood
    back: Callable[[Array], Array]
