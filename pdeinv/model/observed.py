"""What is measured, where, and which entries of a prediction the data are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pdeinv.model.spaces import Space, Variable
from pdeinv.typing import Array

__all__ = ["Kind", "Observed", "Picked", "Sensors"]

Sensors = Mapping[str, Array]
"""Where the data are: one array (n_d,) per coordinate, for example ``{"x": ..., "y": ...}``."""


@dataclass(frozen=True)
class Kind:
    """One of several quantities that the data of a problem may be.

    Attributes:
        name: in files.
        units: UDUNITS text.
        long_name: in words.
        scale: what values are divided by, so that all kinds are of one size; a power of two, which
            changes no digit.
        coords: the coordinates that it has; the others are zero in its data.
    """

    name: str
    units: str
    long_name: str
    scale: float
    coords: tuple[str, ...]


@dataclass(frozen=True)
class Observed:
    """The measured quantity: its name and units, and the units of each coordinate.

    Where data are of several kinds, the quantity is their number over their scale, and files hold
    each kind by its own name and units (:mod:`pdeinv.io.kinds`).

    Attributes:
        name: in files.
        units: UDUNITS text.
        long_name: in words.
        coords: units by coordinate.
        dims: coordinates that number the data along axes of their own; files hold one array over
            all of them, in this order, instead of a list of data.
        latent: whether it may be the z of a likelihood of zeros and ones
            (:mod:`pdeinv.bayes.links`), data then being these and not the quantity itself.
        meanings: by coordinate that tells kinds of data apart, what each of its numbers means, a
            word each; data of two kinds are drawn apart.
        kinds: what data may be, where there are several quantities.
        kind: the coordinate that numbers them, in the order of ``kinds`` from zero.
        everywhere: whether it is there at every place of the domain, so that it can be asked for
            on a grid; a normal derivative is there on the boundary alone.
    """

    name: str
    units: str
    long_name: str
    coords: Mapping[str, str] = field(default_factory=dict)
    dims: tuple[str, ...] = ()
    latent: bool = False
    meanings: Mapping[str, Mapping[float, str]] = field(default_factory=dict)
    kinds: tuple[Kind, ...] = ()
    kind: str = ""
    everywhere: bool = True

    def attrs_of(self, coord: str) -> dict[str, Any]:
        """Units of a coordinate, and what its numbers mean (CF section 3.5), as attributes."""
        found: dict[str, Any] = {"units": self.coords[coord]}
        meanings = self.meanings.get(coord, {})
        if meanings:
            found["flag_values"] = np.array(list(meanings), dtype=np.float64)
            found["flag_meanings"] = " ".join(meanings.values())
        return found

    def numbers(self, sensors: Sensors) -> NDArray[np.int64] | None:
        """The kind of each datum; None where there is one quantity."""
        return np.asarray(sensors[self.kind]).astype(np.int64) if self.kinds else None

    def space(self, sensors: Sensors) -> Space:
        """The space of the data at sensors: one variable over ``obs`` with their coordinates."""
        coords = {name: (("obs",), np.asarray(sensors[name])) for name in self.coords}
        n = len(next(iter(coords.values()))[1])
        attrs = {name: {"units": units} for name, units in self.coords.items()}
        labels = (self.units, self.long_name)
        return Space((Variable(self.name, ("obs",), (n,), *labels, coords, attrs),))


@dataclass(frozen=True)
class Picked:
    """Which entries of a table of predictions are data; the table may be complex.

    Attributes:
        row: of each datum.
        column: of each datum.
        imaginary: whether it is the imaginary part.
    """

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    imaginary: NDArray[np.bool_]

    def take(self, table: Any) -> Array:
        """The data out of a table."""
        chosen = table[self.row, self.column]
        return np.asarray(np.where(self.imaginary, chosen.imag, chosen.real))

    def put(self, w: Array, shape: tuple[int, int]) -> Any:
        """C with w·take(D) = Re Σ C D for every table D of that shape."""
        mixed = bool(self.imaginary.any())
        out = np.zeros(shape, dtype=np.complex128 if mixed else np.float64)
        np.add.at(
            out, (self.row, self.column), np.where(self.imaginary, -1j * w, w) if mixed else w
        )
        return out
