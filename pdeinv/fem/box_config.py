"""What a user may set of a domain that is an interval, a rectangle, a box or a .msh file."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from pydantic import Field, field_validator

from pdeinv.config import Config
from pdeinv.fem.domain import BOX_SIDES, Domain
from pdeinv.fem.space import ElementName

__all__ = ["BoxConfig"]


class BoxConfig(Config):
    """Domain and elements of a problem."""

    mesh: Path | None = Field(
        None, description="Gmsh .msh file of a plane domain; the box below where not given"
    )
    lengths: tuple[float, ...] = Field(
        (1.0, 1.0), min_length=1, max_length=3, description="side lengths along x, y, z"
    )
    cells: int | tuple[int, ...] = Field(
        32, description="cells of the inversion mesh along each side, or along x, y, z"
    )
    element: ElementName = Field("P1", description="P1, P2 on simplices; Q1, Q2 on boxes")

    @field_validator("lengths")
    @classmethod
    def _positive(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not all(np.isfinite(v) and v > 0 for v in value):
            raise ValueError("must be positive and finite")
        return value

    @field_validator("cells")
    @classmethod
    def _enough(cls, value: int | tuple[int, ...]) -> int | tuple[int, ...]:
        if min(np.atleast_1d(value)) < 1:
            raise ValueError("must be at least 1")
        return value

    def check_box(self, sides: Iterable[str]) -> None:
        """Refuse counts of cells, or names of sides, that the box has not.

        Raises:
            ValueError: names the first one.
        """
        if not isinstance(self.cells, int) and len(self.cells) != self.dim:
            raise ValueError(f"cells: expected {self.dim} numbers, as many as lengths")
        known = BOX_SIDES[self.dim]
        wrong = [] if self.mesh else [s for s in sides if s not in known]
        if wrong:
            raise ValueError(
                f"boundary side '{wrong[0]}' does not exist; this domain has {', '.join(known)}"
            )

    @property
    def dim(self) -> int:
        """The dimension of the domain."""
        return 2 if self.mesh else len(self.lengths)

    def domain(self, sides: Iterable[str]) -> Domain:
        """The domain; ``sides`` are the boundary names in use.

        Raises:
            ConfigError: the .msh has no side of such a name.
        """
        counts = (self.cells,) * self.dim if isinstance(self.cells, int) else self.cells
        domain = Domain(self.lengths, counts, self.element, self.mesh, tuple(sides))
        domain.check_sides()
        return domain
