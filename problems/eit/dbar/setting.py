"""What the D-bar method needs of a posterior, and the refusal of everything else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pdeinv.bayes.posterior import Posterior, WhitenedModel
from pdeinv.errors import CapabilityError
from pdeinv.model.spaces import Space
from pdeinv.typing import Array

from ..setup.geometry import Disc
from .scattering import BoundaryMap, full_matrix

__all__ = ["Setting"]


@dataclass(frozen=True)
class Setting:
    """A boundary map of the disc and the places where the conductivity is wanted.

    Attributes:
        boundary: what was measured.
        rows, columns: of each datum in the map's matrix.
        places: of the unknown's entries as complex numbers, scaled to the unit disc.
        inside: which of them lie in the disc.
    """

    boundary: BoundaryMap
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    places: NDArray[np.complex128]
    inside: NDArray[np.int64]

    @classmethod
    def of(cls, posterior: Posterior) -> Self:
        """The setting of a posterior.

        Raises:
            CapabilityError: it is not the real continuum model of a plane disc, or its unknown is
                not a conductivity with places.
        """
        model = posterior.model
        inner = model.model if isinstance(model, WhitenedModel) else None
        config: Any = getattr(inner, "config", None)
        _check(config)
        places = _places(posterior.prior.space) / config.domain.radius
        coords = posterior.model.d_space.variables[0].coords
        rows, columns = (coords[n][1].astype(np.int64) for n in ("injection", "measurement"))
        subtracted = config.reference if config.difference else None
        return cls(
            BoundaryMap(config.map, config.domain.radius, subtracted),
            rows,
            columns,
            places,
            np.flatnonzero(np.abs(places) <= 1.0),
        )

    @property
    def size(self) -> int:
        """Of the map's matrix: even, for cosines and sines."""
        top = int(max(self.rows.max(), self.columns.max())) + 1
        return top + top % 2

    def matrix(self, data: Array) -> Array:
        """The measured map, symmetric.

        Raises:
            DataSchemaError: part of it is missing.
        """
        return full_matrix(data, self.rows, self.columns, self.size)


def _check(config: Any) -> None:
    """Refuse what the method does not cover."""
    if getattr(config, "model", None) != "continuum":
        got = "another model" if config is None else f"model '{getattr(config, 'model', None)}'"
    elif not isinstance(config.domain, Disc) or config.domain.solid:
        got = f"domain {config.domain.kind}{' with depth' if config.domain.solid else ''}"
    elif config.complex:
        got = f"data at {config.frequency:g} Hz"
    else:
        return
    raise CapabilityError(
        f"engine 'd-bar' needs problem eit with model 'continuum', a plane disc and frequency 0; "
        f"got {got}; use gauss-newton"
    )


def _places(space: Space) -> NDArray[np.complex128]:
    """Where each entry of m is, as x + iy.

    Raises:
        CapabilityError: m is not one conductivity field.
    """
    variable = space.variables[0]
    if len(space.variables) > 1 or not {"x", "y"} <= set(variable.coords):
        raise CapabilityError(
            f"engine 'd-bar' gives a conductivity field; the unknown here is "
            f"{'+'.join(space.names)} without places; use a field, cells or elements"
        )
    x, y = variable.places[:, :2].T
    return np.asarray(x + 1j * y)
