"""How data with a time are compared with predictions, by choice: the table ``[misfit]``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from pdeinv.bayes.causal import Causal
from pdeinv.bayes.correlation import Correlation
from pdeinv.bayes.envelope import Envelope
from pdeinv.bayes.likelihood import Likelihood
from pdeinv.bayes.noise import Noise
from pdeinv.bayes.passband import InBand
from pdeinv.bayes.sobolev import Sobolev
from pdeinv.config import Config, Positive
from pdeinv.errors import ConfigError
from pdeinv.model.traces import Traces, traces_of
from pdeinv.typing import Array

__all__ = ["MISFITS", "MisfitConfig", "judged", "noise_behind"]

MISFITS = ("least-squares", "sobolev", "envelope", "correlation")


class MisfitConfig(Config):
    """The table ``[misfit]``; without a key in it the observation file says it."""

    kind: Literal["least-squares", "sobolev", "envelope", "correlation"] | None = Field(
        None,
        description="of residuals, of residuals in H^s, of envelopes, or of normalised traces (the "
        "last two are scores, for point estimates); unset: as the observation file says, else "
        "least-squares",
    )
    power: float | None = Field(None, lt=0, ge=-10, description="sobolev: s, negative; unset: -1")
    corner: Positive | None = Field(
        None,
        description="sobolev: frequency above which residuals count less; unset: one period in "
        "the whole of the time",
    )
    above: Positive | None = Field(
        None,
        description="data and predictions pass a causal high-pass of this corner, in cycles per "
        "unit of time (Hz for s)",
    )
    below: Positive | None = Field(None, description="the same of a low-pass")
    order: int | None = Field(
        None, ge=1, le=12, description="of the Butterworth filter at each corner; unset: 4"
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.kind != "sobolev" and not (self.power is None and self.corner is None):
            raise ValueError(
                f"power and corner go with kind 'sobolev', got kind '{self.kind or MISFITS[0]}'"
            )
        if self.order is not None and self.above is None and self.below is None:
            raise ValueError("order goes with above or below, and neither is given")
        return self

    def __bool__(self) -> bool:
        return self != MisfitConfig()


def judged(config: MisfitConfig, noise: Noise, coords: Mapping[str, Array]) -> Likelihood:
    """The likelihood of data with that noise.

    Args:
        config: what is asked for.
        noise: of the data.
        coords: where and when they are, one array (n_d,) per coordinate.

    Raises:
        CapabilityError: the data have no time, or not at equal steps.
        ConfigError: a corner that the sampling does not hold, or a full covariance for what needs
            independent data.
    """
    banded = config.above is not None or config.below is not None
    kind = config.kind or MISFITS[0]
    if kind == MISFITS[0] and not banded:
        return noise
    traces = traces_of(coords, f"misfit '{kind}'" + " in a band" * banded)
    passed = _filter(config, traces)
    if kind == MISFITS[0]:
        return Noise.of_traces(InBand(passed, noise))
    if noise.covariance is not None:
        raise ConfigError(
            f"misfit.kind '{kind}' takes data with standard deviations, these have a covariance; "
            "use 'least-squares'"
        )
    match kind:
        case "sobolev":
            flat = Noise.of_traces(_sobolev(config, traces, noise.std))
            return Noise.of_traces(InBand(passed, flat)) if banded else flat
        case "envelope":
            return Envelope(passed, noise.std)
        case _:
            return Correlation(passed, noise.std)


def _filter(config: MisfitConfig, traces: Traces) -> Causal:
    try:
        return Causal(traces, config.below, config.above, config.order or Causal.order)
    except ConfigError as error:
        raise ConfigError(f"misfit.above, misfit.below: {error}") from None


def _sobolev(config: MisfitConfig, traces: Traces, sigma: Array) -> Sobolev:
    corner = config.corner or 1 / (traces.shape[1] * traces.step)
    return Sobolev(traces, sigma, -1.0 if config.power is None else config.power, corner)


def noise_behind(law: Likelihood) -> Noise | None:
    """The noise of data that are compared along their time; None where they have none."""
    match law:
        case Envelope() | Correlation():
            return Noise(law.std)
        case Noise(along=InBand() as band):
            return noise_behind(band.noise)
        case Noise(along=Sobolev() as along):
            return Noise(along.sigma)
        case Noise():
            return law
    return None
