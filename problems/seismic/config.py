"""What a user may set of the seismic problem. Lengths in m, times in s, velocities in m s-1."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from pdeinv.config import Config, Few, Finite, Positive
from pdeinv.errors import ConfigError
from pdeinv.fem.levels import HIGHEST, counts_of

from .band import check_wavelet
from .clock import Clock
from .differences_config import DifferencesConfig
from .presets import filled
from .resolution import check_resolution
from .source_config import SourceConfig
from .unknown_config import VelocityConfig, VelocityFieldConfig, velocities

__all__ = ["BoundaryConfig", "SeismicConfig", "SourceConfig", "SurveyConfig", "TimeConfig"]

Place = tuple[Finite, Finite]
Places = Few | Annotated[tuple[Place, ...], Field(min_length=1, max_length=100_000)]
SLOWEST, FASTEST = 100.0, 20_000.0
"""Velocities beyond these are in other units."""
FAR = 5.0
"""Sizes of the rectangle; places further off are likely in other units."""


class SurveyConfig(Config):
    """The table ``[problem.survey]``: where sources and receivers are."""

    sources: Places = Field(
        2, description="places x, y, one per shot; or how many, equally far apart along x"
    )
    source_depth: float = Field(
        48.0, ge=0, allow_inf_nan=False, description="y of sources that are given by their number"
    )
    receivers: Places = Field(
        8, description="places x, y that record every shot; or how many, equally far apart along x"
    )
    receiver_depth: float = Field(
        16.0, ge=0, allow_inf_nan=False, description="y of receivers that are given by their number"
    )


class BoundaryConfig(Config):
    """The table ``[problem.boundary]``: how waves leave."""

    top: Literal["absorbing", "free"] = Field(
        "absorbing", description="free: u = 0 at y = 0, a free surface; absorbing: as elsewhere"
    )
    width: float = Field(
        320.0, ge=0, allow_inf_nan=False, description="of the absorbing layer around, m; 0: none"
    )
    reflection: float = Field(
        0.8,
        gt=0,
        lt=1,
        description="what is left of a wave of middle velocity, straight through the layer and "
        "back; small parts make the layer itself reflect, and its outer side absorbs as well",
    )


class TimeConfig(Config):
    """The table ``[problem.time]``."""

    final: Positive = Field(0.5, description="end of the run, s")
    record: Positive = Field(0.005, description="time between two samples of a trace, s")
    step: Positive | None = Field(
        None,
        description="time step of level 0, a whole part of record; where not given the longest one "
        "that is stable; halved per level",
    )
    fastest: Positive | None = Field(
        None,
        description="velocity up to which the time step has to be stable, m s-1; that of the "
        "prior where not given (four standard deviations where it has no end)",
    )
    memory_mb: float = Field(
        512.0, gt=0, description="bound on stored states; less means recomputation in the adjoint"
    )
    snapshots: int = Field(
        6, ge=1, le=10_000, description="times of which 'solve' writes the whole wave"
    )


class UnitsConfig(Config):
    """The table ``[problem.units]``."""

    u: str = Field("Pa", description="UDUNITS text of u")


class SeismicConfig(Config):
    """Acoustic waves from shots: m ∂²u/∂t² − ∇²u = s, m = 1/v²."""

    preset: Literal["openfwi", "transmission", "marmousi-like"] | None = Field(
        None,
        description="a known survey: its domain, survey, source, boundary, times and prior become "
        "the defaults",
    )
    model: Literal["spectral-elements", "deepwave"] = Field(
        "spectral-elements",
        description="what solves: spectral elements, the reference; or finite differences by the "
        "package deepwave, the fast model",
    )
    lengths: tuple[Positive, Positive] = Field(
        (640.0, 640.0), description="width (x) and depth (y, downwards) of the rectangle, m"
    )
    cells: (
        Annotated[int, Field(ge=1)]
        | tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]
    ) = Field(10, description="cells of the inversion mesh along each side, or along x and y")
    degree: int = Field(4, ge=2, le=8, description="polynomial degree of the elements")
    deepwave: DifferencesConfig = Field(
        DifferencesConfig(), description='of the fast model, model = "deepwave"'
    )
    survey: SurveyConfig = Field(SurveyConfig(), description="sources and receivers")
    source: SourceConfig = Field(SourceConfig(), description="the wavelet")
    boundary: BoundaryConfig = Field(BoundaryConfig(), description="how waves leave")
    time: TimeConfig = Field(TimeConfig(), description="the run and its samples")
    unknown: VelocityConfig = Field(VelocityFieldConfig(), description="the prior of the velocity")
    units: UnitsConfig = Field(UnitsConfig(), description="UDUNITS text")

    @model_validator(mode="before")
    @classmethod
    def _filled(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        given = filled(str(data.get("preset")), data)
        unknown = given.get("unknown")
        if isinstance(unknown, dict) and "kind" not in unknown:
            given = {**given, "unknown": {"kind": "log-gaussian", **unknown}}
        return given

    @model_validator(mode="after")
    def _survey_inside(self) -> SeismicConfig:
        for what, places in (("source", self.sources), ("receiver", self.receivers)):
            low = 1e-9 * self.lengths[1] if self.boundary.top == "free" else 0.0
            bad = ~((places >= [0.0, low]) & (places <= self.lengths)).all(axis=1)
            if bad.any():
                k = int(np.flatnonzero(bad)[0])
                x, y = places[k]
                box = f"[0, {self.lengths[0]:g}] x [0, {self.lengths[1]:g}]"
                if y == 0 and low > 0:
                    box += ", below the free surface y = 0 where u = 0"
                elif (reach := np.abs(places).max()) > FAR * max(self.lengths):
                    box += (
                        f", a {what} at {reach / max(self.lengths):.0f} times its size. Is it in "
                    )
                    box += "other units, or counted from elsewhere (feet, scaled, projected)?"
                raise ValueError(
                    f"survey: {what} {k} at (x, y) = ({x:g}, {y:g}) m is outside {box}; correct "
                    "its coordinates (y is the depth, downwards)"
                )
        return self

    @model_validator(mode="after")
    def _of_meters(self) -> SeismicConfig:
        slow, _, fast = velocities(self.unknown)
        if not SLOWEST <= slow <= fast <= FASTEST:
            raise ValueError(
                f"unknown: the prior's velocities go from {slow:.4g} to {fast:.4g}; expected "
                f"between {SLOWEST:g} and {FASTEST:g} m s-1. Are they in km/s, or is a mean of "
                "ln v meant?"
            )
        return self

    @model_validator(mode="after")
    def _sampled(self) -> SeismicConfig:
        most = 1 / (5 * self.source.frequency)
        if self.time.record > most:
            raise ValueError(
                f"time.record: {self.time.record:g} s between samples miss the frequencies up to "
                f"2.5 x {self.source.frequency:g} Hz of the wavelet; give at most {most:.3g} s"
            )
        if self.time.record > self.time.final:
            raise ValueError("time.record: expected at most time.final")
        try:
            check_resolution(self, 0)
            check_wavelet(self)
            Clock.of(self, 0)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def sources(self) -> Any:
        """Where shots are, shape (shots, 2)."""
        return self._places(self.survey.sources, self.survey.source_depth)

    @property
    def receivers(self) -> Any:
        """Where receivers are, shape (receivers, 2)."""
        return self._places(self.survey.receivers, self.survey.receiver_depth)

    def _places(self, given: Any, depth: float) -> Any:
        if not isinstance(given, int):
            return np.array(given, dtype=np.float64)
        x = self.lengths[0] * (np.arange(given) + 0.5) / given
        return np.stack([x, np.full(given, depth)], axis=1)

    @property
    def extent(self) -> tuple[tuple[float, float], ...]:
        """The ends of the rectangle along x and y."""
        return tuple((0.0, length) for length in self.lengths)

    def counts(self, level: int) -> tuple[int, int]:
        """Cells along x and y of the rectangle on a level.

        Raises:
            ConfigError: no mesh of that level.
        """
        cells = (self.cells, self.cells) if isinstance(self.cells, int) else self.cells
        nx, ny = counts_of(cells, level)
        return nx, ny

    def spacing(self, level: int) -> tuple[float, float]:
        """Sides of the cells of the rectangle on a level."""
        nx, ny = self.counts(level)
        return self.lengths[0] / nx, self.lengths[1] / ny

    def between_nodes(self, level: int) -> float:
        """The distance between neighbouring nodes, of spectral elements the mean one."""
        if self.model == "deepwave" and self.deepwave.spacing is not None:
            return float(np.ldexp(self.deepwave.spacing, -min(level, HIGHEST)))
        return max(self.spacing(level)) / self.degree

    def frame(self, level: int) -> tuple[float, int]:
        """Width of the absorbing layer and cells across it, about as large as those inside."""
        width = self.boundary.width
        if width == 0:
            return 0.0, 0
        return width, max(1, round(width / min(self.spacing(level))))
