"""What a user may set of the Helmholtz problem."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pdeinv.bayes.prior_config import FieldKinds, GaussianConfig
from pdeinv.config import Config, Few, Finite, Positive, PositiveRange, Range

__all__ = [
    "Bumps",
    "ElementName",
    "HelmholtzConfig",
    "Impedance",
    "Inclusions",
    "PlaneWaves",
    "Pml",
    "PointSources",
    "Units",
    "Walls",
]

ElementName = Literal["P1", "P2", "P3", "P4", "Q1", "Q2", "Q3", "Q4"]
Box = tuple[Finite, Finite, Finite, Finite]


class PlaneWaves(Config):
    """u_inc = exp(ik (x cos φ + y sin φ)); φ is where the wave goes."""

    kind: Literal["plane"] = "plane"
    count: Few = Field(4, description="directions, equally spaced from 0°")
    angles: tuple[Finite, ...] | None = Field(
        None, min_length=1, description="directions in degrees, in place of count"
    )

    @property
    def directions(self) -> tuple[float, ...]:
        """The angles in degrees."""
        return self.angles or tuple(360.0 * i / self.count for i in range(self.count))


class PointSources(Config):
    """u_inc = (i/4) H₀⁽¹⁾(k |x − x_s|), the field of a unit line source."""

    kind: Literal["point"] = "point"
    count: Few = Field(4, description="sources, equally spaced on a circle")
    radius: Positive | None = Field(
        None, description="of the circle around the centre; 0.48 of the shorter side by default"
    )
    places: tuple[tuple[Finite, Finite], ...] | None = Field(
        None, min_length=1, description="places, in place of count and radius"
    )


class Pml(Config):
    """Waves leave through a perfectly matched layer around the rectangle."""

    kind: Literal["pml"] = "pml"
    width: Positive = Field(0.25, description="of the layer, in coordinate units")
    reflection: float = Field(
        1e-6, gt=0, lt=1, description="amplitude that returns at normal incidence, if exact"
    )


class Impedance(Config):
    """Waves leave through ∂u/∂n = iku on the sides, exact at normal incidence only."""

    kind: Literal["impedance"] = "impedance"


class Walls(Config):
    """The incident wave is prescribed on the sides: u = u_inc, so that none leaves."""

    kind: Literal["dirichlet"] = "dirichlet"


class _Shapes(Config):
    count: Few = Field(2, description="how many")
    amplitude: Range = Field((0.1, 1.0), description="range of the contrast")


class Bumps(_Shapes):
    """q = Σ a exp(−|x − c|²/(2 s²)); a, c and s uniform, c over the region."""

    kind: Literal["bumps"] = "bumps"
    width: PositiveRange = Field((0.05, 0.15), description="range of s")


class Inclusions(_Shapes):
    """q = Σ a ½(1 − tanh((|x − c| − r)/edge)): discs; a, c and r uniform, c over the region."""

    kind: Literal["inclusions"] = "inclusions"
    radius: PositiveRange = Field((0.05, 0.15), description="range of r")
    edge: Positive = Field(0.01, description="half width over which the contrast falls")


class Units(Config):
    """UDUNITS text of each quantity; numbers are never converted."""

    u: str = Field("1", description="of u")
    coordinate: str = Field("m", description="of places")
    frequency: str = Field("s-1", description="of frequencies")
    source: str = Field("m-2", description="of the source")


Unknown = Annotated[FieldKinds | Bumps | Inclusions, Field(discriminator="kind")]


class HelmholtzConfig(Config):
    """Time-harmonic waves: ∇²u + k²n u = f, n = 1 + q."""

    lengths: tuple[Positive, Positive] = Field((1.0, 1.0), description="sides of the rectangle")
    cells: (
        Annotated[int, Field(ge=1)]
        | tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
    ) = Field(12, description="cells of the inversion mesh along each side, or along x and y")
    element: ElementName = Field("P3", description="P1 to P4 (triangles), Q1 to Q4 (squares)")
    frequencies: tuple[Positive, ...] | None = Field(
        None, min_length=1, description="f, with k = 2πf/speed; 2 where nothing is given"
    )
    speed: Positive = Field(1.0, description="of waves where n = 1")
    wavenumbers: tuple[Annotated[float, Field(ge=0, allow_inf_nan=False)], ...] | None = Field(
        None, min_length=1, description="k, in place of frequencies"
    )
    truncation: Annotated[Pml | Impedance | Walls, Field(discriminator="kind")] = Field(
        Pml(), description="how waves leave the rectangle, or that none does"
    )
    incident: Annotated[PlaneWaves | PointSources, Field(discriminator="kind")] = Field(
        PlaneWaves(), description="the waves that are sent in, one after another"
    )
    measure: Literal["field", "normal-derivative", "far-field"] = Field(
        "field", description="what sensors give: u, ∂u/∂n on the sides, or the far-field pattern"
    )
    receivers: Literal["interpolate", "integrate"] = Field(
        "interpolate",
        description="the wave at a receiver: by the element that holds it, or by its integral over "
        "the region, for receivers anywhere outside it",
    )
    total: bool = Field(False, description="measure u_inc + u_s; else the scattered wave u_s")
    quantity: Literal["contrast", "index", "source"] = Field(
        "contrast", description="what the unknown is: q = n − 1, n, or f where n = 1"
    )
    region: Box | None = Field(
        None, description="x0, x1, y0, y1 of the unknown; the whole rectangle between walls, "
        "else its inner 60 %"
    )  # fmt: skip
    taper: float | None = Field(
        None, ge=0, le=0.5, description="share of the region's sides over which the unknown falls "
        "to zero; 0 between walls, else 0.1"
    )  # fmt: skip
    unknown: Unknown = Field(
        GaussianConfig(length=0.2, std=0.3), description="the prior of the unknown"
    )
    units: Units = Field(Units(), description="UDUNITS text of each quantity")

    @model_validator(mode="after")
    def _one_law(self) -> HelmholtzConfig:
        if self.frequencies is not None and self.wavenumbers is not None:
            raise ValueError("give frequencies or wavenumbers, not both")
        if not self.static and min(self.ks) == 0:
            raise ValueError("wavenumbers: k = 0 has no waves; it needs quantity 'source' in walls")
        if len(set(self.ks)) < len(self.ks):
            raise ValueError("frequencies: each may appear once")
        if self.static and len(self.ks) > 1:
            raise ValueError("a source between walls has real data of one wave number; give one")
        return self

    @model_validator(mode="after")
    def _one_measurement(self) -> HelmholtzConfig:
        walls = isinstance(self.truncation, Walls)
        if self.measure == "far-field" and (walls or self.total or self.quantity == "source"):
            raise ValueError("measure 'far-field' needs scattered waves that leave the domain")
        free = not walls and self.measure == "field" and self.quantity != "source"
        if self.receivers == "integrate" and not free:
            raise ValueError("receivers 'integrate' needs measure 'field' of waves that leave")
        if self.quantity == "source" and (self.total or self.measure != "field"):
            raise ValueError("quantity 'source' has no incident wave: it needs measure 'field'")
        if self.quantity != "contrast" and isinstance(self.unknown, Bumps | Inclusions):
            raise ValueError(f"unknown '{self.unknown.kind}' is a contrast; set quantity to that")
        return self

    @model_validator(mode="after")
    def _inside(self) -> HelmholtzConfig:
        x0, x1, y0, y1 = self.box
        lx, ly = self.lengths
        if not (0 <= x0 < x1 <= lx and 0 <= y0 < y1 <= ly):
            raise ValueError(
                f"region: expected x0 < x1 and y0 < y1 inside [0, {lx:g}] x [0, {ly:g}], "
                f"got {self.region}"
            )
        return self

    @property
    def static(self) -> bool:
        """Whether it is the real problem ∇²u + k²u = f with u = 0 on all sides."""
        return self.quantity == "source" and isinstance(self.truncation, Walls)

    @property
    def ks(self) -> tuple[float, ...]:
        """The wave numbers k."""
        if self.wavenumbers is not None:
            return self.wavenumbers
        return tuple(2 * math.pi * f / self.speed for f in self.frequencies or (2.0,))

    @property
    def fs(self) -> tuple[float, ...]:
        """The frequencies f."""
        if self.wavenumbers is not None:
            return tuple(k * self.speed / (2 * math.pi) for k in self.wavenumbers)
        return self.frequencies or (2.0,)

    @property
    def degree(self) -> int:
        """The polynomial degree."""
        return int(self.element[1])

    @property
    def counts(self) -> tuple[int, int]:
        """Cells along x and y of the rectangle."""
        return (self.cells, self.cells) if isinstance(self.cells, int) else self.cells

    @property
    def box(self) -> Box:
        """Where the unknown lives."""
        if self.region is not None:
            return self.region
        lx, ly = self.lengths
        part = 0.0 if isinstance(self.truncation, Walls) else 0.2
        return part * lx, (1 - part) * lx, part * ly, (1 - part) * ly

    @property
    def extent(self) -> tuple[tuple[float, float], ...]:
        """The ends of the rectangle along x and y."""
        return tuple((0.0, length) for length in self.lengths)

    @property
    def margin(self) -> float:
        """The share of the region's sides over which the unknown falls to zero."""
        if self.taper is not None:
            return self.taper
        return 0.0 if isinstance(self.truncation, Walls) else 0.1
