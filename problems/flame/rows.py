"""A table of measurements in SI units, and what its rows must hold; errors name the line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pdeinv.errors import DataSchemaError
from pdeinv.model.observed import Kind
from pdeinv.typing import Array

__all__ = ["SIGMA", "Table"]

SIGMA = "_sigma"
"""What follows the name of a quantity in that of its noise."""
ABOVE = ("T", "s_L")
"""Quantities that are above zero."""
VANISHING = ("X", "Y", "V")
"""What quantities are called, up to an underscore, that are zero somewhere in a flame."""
NOISY = 5.0
"""Standard deviations by which the noise may carry a mass fraction beyond 0 and 1."""


@dataclass(frozen=True)
class Table:
    """Columns of equal length.

    Attributes:
        source: the file.
        lines: the number of the line of each row there.
        columns: SI values by name, NaN where nothing was measured; noise as ``NAME_sigma``.
    """

    source: Path
    lines: NDArray[np.int64]
    columns: Mapping[str, Array]

    def measured(self, kinds: Sequence[Kind]) -> Table:
        """The rows in which anything was measured.

        Raises:
            DataSchemaError: there is none.
        """
        kept = np.any([np.isfinite(self.columns[kind.name]) for kind in kinds], axis=0)
        if not kept.any():
            names = ", ".join(kind.name for kind in kinds)
            raise DataSchemaError(f"{self.source}: no row has a value of {names}")
        columns = {name: values[kept] for name, values in self.columns.items()}
        return Table(self.source, self.lines[kept], columns)

    def filled(self, given: Mapping[str, float | None]) -> Table:
        """With a column for each number that is given."""
        more = {k: np.full(len(self.lines), v) for k, v in given.items() if v is not None}
        return replace(self, columns={**self.columns, **more})

    def check_inlet(self, ends: Mapping[str, tuple[float, float, str]]) -> None:
        """Refuse states of the inlet beyond their ends, or that are missing.

        Raises:
            DataSchemaError: names the first one.
        """
        for short, (low, high, words) in ends.items():
            values = self.columns[short]
            self._refuse(~((values >= low) & (values <= high)), short, f"must be {words}")

    def check_places(self, kinds: Sequence[Kind], slack: float = 0.0) -> None:
        """Refuse profiles without a place, and places more than ``slack`` (m) before the inlet.

        Raises:
            DataSchemaError: names the first one.
        """
        for kind in kinds:
            if "x" in kind.coords:
                there = np.isfinite(self.columns[kind.name])
                x = self.columns["x"]
                first = "the inlet at 0" if slack == 0 else f"{-slack:g} (by --offset)"
                text = f"of {kind.name} must be a place in m, from {first} on"
                self._refuse(there & ~(x >= -slack), "x", text)

    def noise(self, name: str, rel: float | None) -> Array:
        """The standard deviation of a quantity: that of the file, else ``rel`` of something.

        That is each value; of fractions and V, which vanish somewhere, the largest one: a part of a
        mass fraction of 1e-20 is no noise that anybody measured.

        Raises:
            DataSchemaError: there is none for a value, or it is not positive.
        """
        values, label = self.columns[name], name + SIGMA
        own = self.columns.get(label, np.full_like(values, np.nan))
        if rel is None and label not in self.columns:
            raise DataSchemaError(
                f"{self.source}: no noise given for {name}; add a column {label}, or give --rel, "
                "the standard deviation as a part of each value"
            )
        there = np.isfinite(values)
        if rel is None:
            self._refuse(there & ~(own > 0), label, "must be positive; fill it, or give --rel", own)
            return own
        self._refuse(there & ~np.isnan(own) & ~(own > 0), label, "must be positive", own)
        sizes = np.abs(values)
        if name.partition("_")[0] in VANISHING:
            sizes = np.where(there, np.max(sizes, initial=0.0, where=there), np.nan)
        text = f"has no noise by --rel where it is 0; fill a column {label} there"
        if name not in ABOVE:  # which are refused for what they are
            self._refuse(there & np.isnan(own) & (sizes == 0), name, text)
        return np.where(np.isnan(own), rel * sizes, own)

    def check_values(self, name: str, sigma: Array) -> None:
        """Refuse values that cannot be, for ``sigma`` as well.

        Raises:
            DataSchemaError: names the first one.
        """
        values, noise = self.columns[name], NOISY * np.nan_to_num(sigma)
        if name in ABOVE:
            text = "must be above 0 K" if name == "T" else "must be positive, in m/s"
            self._refuse(values <= 0, name, text)
        if name.partition("_")[0] in ("X", "Y"):
            text = f"must be from 0 to 1, but for {NOISY:g} standard deviations"
            self._refuse((values < -noise) | (values > 1 + noise), name, text)

    def _refuse(
        self, bad: NDArray[np.bool_], name: str, text: str, values: Array | None = None
    ) -> None:
        if bad.any():
            k = int(np.argmax(bad))
            got = (self.columns[name] if values is None else values)[k]
            shown = "nothing" if np.isnan(got) else f"{got:g}"
            raise DataSchemaError(
                f"{self.source}, line {self.lines[k]}: {name} {text}; got {shown}"
            )
