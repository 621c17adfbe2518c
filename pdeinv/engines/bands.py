"""Searches through bands of frequencies: each begins where that of the band below has ended.

Low frequencies see long waves of the unknown, and a start that is off by more than half a period of
a high frequency may still lie within half a period of a low one (Bunks et al. 1995). The filters
are causal, so that they commute with the equation: filtering data and prediction is filtering the
source. The last stage, that of the likelihood itself, alone makes the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import xarray as xr
from pydantic import Field, model_validator

from pdeinv.bayes.causal import UNIT, Causal
from pdeinv.bayes.filtered import filter_of, in_band
from pdeinv.bayes.likelihood import DataMisfit
from pdeinv.bayes.posterior import Posterior
from pdeinv.config import Config, Positive
from pdeinv.errors import ConfigError
from pdeinv.typing import Array

__all__ = ["BandsConfig", "Stages", "stage_of"]


class BandsConfig(Config):
    """Options of the engines that may search through bands."""

    bands: tuple[Positive, ...] = Field(
        (),
        max_length=20,
        description="upper corners of the bands through which the search goes, low first, in "
        "cycles per unit of time (Hz for s), before it goes on with all frequencies",
    )
    band_iterations: int | tuple[int, ...] = Field(
        20, description="most iterations in a band, or one number for each"
    )
    band_order: int = Field(4, ge=1, le=12, description="of the causal Butterworth low-pass")

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if any(a >= b for a, b in zip(self.bands, self.bands[1:], strict=False)):
            raise ValueError(f"bands: expected rising frequencies, got {list(self.bands)}")
        given = self.band_iterations
        if isinstance(given, tuple) and len(given) != len(self.bands):
            raise ValueError(
                f"band_iterations: expected {len(self.bands)} numbers, one for each band, got "
                f"{len(given)}"
            )
        if min((*self.iterations, 1 if isinstance(given, tuple) else given)) < 1:
            raise ValueError("band_iterations: expected at least 1 in each band")
        return self

    @property
    def iterations(self) -> tuple[int, ...]:
        """The most in each band."""
        given = self.band_iterations
        return given if isinstance(given, tuple) else (given,) * len(self.bands)


def stage_of(posterior: Posterior, config: BandsConfig, k: int) -> DataMisfit | None:
    """What Φ is in band number ``k``; None behind the last, that of the likelihood.

    Raises:
        CapabilityError: the data have no time, or not at equal steps.
        ConfigError: a corner that their sampling does not hold, or that the misfit's own filter
            leaves nothing below or nothing above of.
    """
    if k >= len(config.bands):
        return None
    own = filter_of(posterior.likelihood)
    for corner in config.bands:
        _within(corner, own)
    try:
        filter = Causal(posterior.traces, config.bands[k], order=config.band_order)
    except ConfigError as error:
        raise ConfigError(f"engine.bands: {error}") from None
    return in_band(posterior.likelihood, filter)


def _within(corner: float, own: Causal | None) -> None:
    """Refuses a band that holds nothing of the misfit's own, or all of it."""
    if own is not None and own.above is not None and corner <= own.above:
        raise ConfigError(
            f"engine.bands: expected frequencies above misfit.above = {own.above:g} {UNIT}, below "
            f"which nothing passes, got {corner:g}; leave that band out"
        )
    if own is not None and own.below is not None and corner >= own.below:
        raise ConfigError(
            f"engine.bands: expected frequencies below misfit.below = {own.below:g} {UNIT}, which "
            f"the last stage has, got {corner:g}; leave that band out"
        )


@dataclass(frozen=True)
class Stages:
    """How far a search has come through its bands.

    Attributes:
        band: that it is in, counted from 0; as many as there are behind the last.
        corners: of the bands, shape (n,).
        misfit: Φ of each band at its start and its end, shape (n, 2), NaN before these.
        iterations: made in each, shape (n,).
    """

    band: int
    corners: Array
    misfit: Array
    iterations: Array

    @classmethod
    def before(cls, config: BandsConfig) -> Stages:
        """The first of them."""
        return cls.of(config.bands)

    @classmethod
    def none(cls) -> Stages:
        """Of a search without bands."""
        return cls.of(())

    @classmethod
    def of(cls, corners: Sequence[float]) -> Stages:
        """The first of bands below these frequencies."""
        n = len(corners)
        return cls(0, np.array(corners, dtype=np.float64), np.full((n, 2), np.nan), np.zeros(n))

    @property
    def over(self) -> bool:
        """Whether all bands are behind."""
        return self.band >= len(self.corners)

    @property
    def text(self) -> str:
        """Where the search is, for the line of progress."""
        return "" if self.over else f"band below {self.corners[self.band]:g}"

    def at(self, misfit: float, n: int) -> Stages:
        """After ``n`` iterations in the band."""
        found, made = self.misfit.copy(), self.iterations.copy()
        found[self.band, 0 if n == 0 else 1] = misfit
        made[self.band] = n
        if n == 0:
            found[self.band, 1] = misfit
        return replace(self, misfit=found, iterations=made)

    def next(self) -> Stages:
        """In the band above."""
        return replace(self, band=self.band + 1)

    def told(self) -> str:
        """One clause for the message; empty without bands."""
        if not len(self.corners):
            return ""
        reached = min(self.band + 1, len(self.corners))
        names = ", ".join(f"{c:g}" for c in self.corners[:reached])
        return f", {'after' if self.over else 'in'} bands below {names}"

    def groups(self) -> dict[str, xr.Dataset]:
        """Misfit by band, as a group of the result; none without bands."""
        if not len(self.corners):
            return {}
        note = {"long_name": "upper corner of the band, cycles per unit of time"}
        return {
            "bands": xr.Dataset(
                {
                    "misfit_start": ("band", self.misfit[:, 0]),
                    "misfit_end": ("band", self.misfit[:, 1]),
                    "iterations": ("band", self.iterations),
                },
                {"band": ("band", self.corners, note)},
            )
        }
