"""Domains and electrodes by configuration, and where the electrodes lie along the outline."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from pdeinv.config import Config, Few, Finite, Positive
from pdeinv.errors import ConfigError
from pdeinv.fem import outlines
from pdeinv.fem.outlines import Outline
from pdeinv.typing import Array

__all__ = [
    "Disc",
    "DomainConfig",
    "ElectrodesConfig",
    "Ellipse",
    "Layout",
    "MshDomain",
    "Rectangle",
    "Thorax",
    "outline_of",
    "placed",
]


class _Outlined(Config):
    depth: Positive | None = Field(
        None, description="height in m over which the outline is drawn up to a solid, z from 0"
    )

    @property
    def solid(self) -> bool:
        """Whether the domain has three dimensions."""
        return self.depth is not None


class Disc(_Outlined):
    """A disc, or a cylinder tank."""

    kind: Literal["disc"] = "disc"
    radius: Positive = Field(1.0, description="in m")


class Ellipse(_Outlined):
    """x²/a² + y²/b² < 1."""

    kind: Literal["ellipse"] = "ellipse"
    axes: tuple[Positive, Positive] = Field((1.0, 0.7), description="half axes a, b in m")


class Rectangle(_Outlined):
    """|x| < lx/2, |y| < ly/2, or a box."""

    kind: Literal["rectangle"] = "rectangle"
    lengths: tuple[Positive, Positive] = Field((2.0, 2.0), description="sides lx, ly in m")


class Thorax(_Outlined):
    """A chest; the formula is that of :func:`pdeinv.fem.outlines.thorax`."""

    kind: Literal["thorax"] = "thorax"
    radius: Positive = Field(1.0, description="mean radius R in m")


class MshDomain(Config):
    """A Gmsh file; electrodes are its physical curves or surfaces."""

    kind: Literal["msh"] = "msh"
    file: Path = Field(description="the .msh file, straight triangles or tetrahedra, in m")
    volume: bool = Field(False, description="whether it holds tetrahedra")
    electrodes: tuple[str, ...] | None = Field(
        None, description="physical names in electrode order; by default those that begin with "
        "'electrode', by their number"
    )  # fmt: skip

    @property
    def solid(self) -> bool:
        """Whether the domain has three dimensions."""
        return self.volume


DomainConfig = Annotated[
    Disc | Ellipse | Rectangle | Thorax | MshDomain, Field(discriminator="kind")
]


class ElectrodesConfig(Config):
    """Where the electrodes are, how wide and how well they touch."""

    count: Few = Field(16, ge=2, description="electrodes of one ring")
    start: Finite = Field(0.0, description="polar angle in degrees of the centre of electrode 0")
    direction: Literal["counter-clockwise", "clockwise"] = Field(
        "counter-clockwise", description="in which sense their numbers go round"
    )
    spacing: Literal["length", "angle"] = Field(
        "length", description="equal steps along the boundary, or equal polar angles"
    )
    angles: tuple[Finite, ...] | None = Field(
        None, min_length=2, description="polar angles in degrees of the centres, in place of count"
    )
    points: tuple[tuple[Finite, Finite], ...] | None = Field(
        None, min_length=2, description="centres x, y in m on the boundary, in place of count"
    )
    coverage: float = Field(0.5, gt=0, lt=1, description="share of the boundary that they cover")
    width: Positive | tuple[Positive, ...] | None = Field(
        None, description="in m along the boundary, one or one per electrode, in place of coverage"
    )
    rings: tuple[Finite, ...] | None = Field(
        None, min_length=1, description="solids: heights z of the rings in m; the middle by default"
    )
    height: Positive | None = Field(
        None, description="solids: extent along z in m; a fifth of the depth by default"
    )
    impedance: Annotated[float, Field(allow_inf_nan=False)] | tuple[Finite, ...] = Field(
        0.01, description="contact impedance z in ohm m2, one or one per electrode"
    )
    impedance_std: float = Field(
        0.0, ge=0, allow_inf_nan=False,
        description="standard deviation of ln z; above 0, z is unknown with median `impedance`",
    )  # fmt: skip
    cells: Few = Field(4, description="cells of the inversion mesh along an electrode")

    @model_validator(mode="after")
    def _valid(self) -> ElectrodesConfig:
        if self.angles is not None and self.points is not None:
            raise ValueError("give angles or points of the electrodes, not both")
        given = self.impedance if isinstance(self.impedance, tuple) else (self.impedance,)
        bad = [z for z in given if z <= 0]
        if bad:
            raise ValueError(
                f"impedance must be positive, got {bad[0]:g}; a perfect contact is the limit of "
                "small impedances such as 1e-6 ohm m2"
            )
        return self

    def per_electrode(self, name: str, value: Any, n: int) -> Array:
        """One number per electrode, from one or n.

        Raises:
            ConfigError: another number of them.
        """
        found = np.atleast_1d(np.asarray(value, dtype=np.float64))
        if len(found) not in (1, n):
            raise ConfigError(
                f"electrodes.{name}: expected one number or one for each of {n} electrodes, "
                f"got {len(found)}"
            )
        return np.broadcast_to(found, (n,)).copy()


def outline_of(domain: Any) -> Outline:
    """The outline of a domain that is no file."""
    match domain:
        case Disc():
            return outlines.disc(domain.radius)
        case Ellipse():
            return outlines.ellipse(*domain.axes)
        case Rectangle():
            return outlines.RectangleOutline((domain.lengths[0] / 2, domain.lengths[1] / 2))
        case Thorax():
            return outlines.thorax(domain.radius)
    raise ConfigError("a .msh domain has no outline in closed form")


@dataclass(frozen=True)
class Layout:
    """The electrodes of one ring along the outline, and the rings.

    Attributes:
        centres: arc lengths, in electrode order, shape (k,).
        widths: in m, shape (k,).
        bands: (low, high) along z of every ring; empty in the plane.
    """

    centres: Array
    widths: Array
    bands: tuple[tuple[float, float], ...] = ()

    @property
    def count(self) -> int:
        """All electrodes; those of the first ring come first."""
        return len(self.centres) * max(1, len(self.bands))


def placed(config: ElectrodesConfig, domain: Any, outline: Outline) -> Layout:
    """Where the electrodes of a configuration lie.

    Raises:
        ConfigError: they overlap, leave the boundary, or their numbers do not match.
    """
    centres = _centres(config, outline)
    n = len(centres)
    share = config.coverage * outline.length / n
    widths = config.per_electrode("width", share if config.width is None else config.width, n)
    _check_apart(centres, widths, outline.length)
    return Layout(centres, widths, _bands(config, domain))


def _centres(config: ElectrodesConfig, outline: Outline) -> Array:
    turn = 1.0 if config.direction == "counter-clockwise" else -1.0
    if config.points is not None:
        points = np.asarray(config.points)
        away = outlines.distance_along_ray(outline, points)
        slack = 1e-3 * outline.length / (2 * np.pi)
        bad = np.flatnonzero(np.abs(away) > slack)
        if len(bad):
            k = int(bad[0])
            raise ConfigError(
                f"electrode {k} at (x, y) = ({points[k, 0]:g}, {points[k, 1]:g}) is "
                f"{abs(away[k]):.3g} m off the boundary; correct electrodes.points or the domain"
            )
        return outline.arc_length(np.arctan2(points[:, 1], points[:, 0]))
    if config.angles is not None:
        return outline.arc_length(np.deg2rad(config.angles))
    share = np.arange(config.count) / config.count
    start = np.deg2rad(config.start)
    if config.spacing == "angle":
        return outline.arc_length(start + turn * 2 * np.pi * share)
    first = outline.arc_length(np.array([start]))
    return np.asarray(np.mod(first + turn * outline.length * share, outline.length))


def _check_apart(centres: Array, widths: Array, length: float) -> None:
    order = np.argsort(centres)
    ahead = np.roll(order, -1)
    gap = np.mod(centres[ahead] - centres[order], length) - (widths[order] + widths[ahead]) / 2
    if len(order) == 2 and np.ptp(centres) == 0:
        gap = -widths
    bad = np.flatnonzero(gap < 1e-6 * length)
    if len(bad):
        i, j = sorted((int(order[bad[0]]), int(ahead[bad[0]])))
        raise ConfigError(
            f"electrodes {i} and {j} overlap or touch (gap {gap[bad[0]]:.3g} m); move them or make "
            "them narrower"
        )


def _bands(config: ElectrodesConfig, domain: Any) -> tuple[tuple[float, float], ...]:
    if not domain.solid:
        if config.rings is not None or config.height is not None:
            raise ConfigError("electrodes.rings and height need a solid; give domain.depth")
        return ()
    depth = domain.depth
    rings = config.rings or (depth / 2,)
    height = config.height or depth / 5
    bands = tuple((z - height / 2, z + height / 2) for z in rings)
    for k, (low, high) in enumerate(bands):
        if low < -1e-9 * depth or high > depth * (1 + 1e-9):
            raise ConfigError(
                f"electrode ring {k} covers z from {low:g} to {high:g} m, beyond the boundary "
                f"[0, {depth:g}]; move it or lower electrodes.height"
            )
    ordered = sorted(bands)
    if any(b[0] <= a[1] for a, b in pairwise(ordered)):
        raise ConfigError("electrode rings overlap; move them or lower electrodes.height")
    return bands
