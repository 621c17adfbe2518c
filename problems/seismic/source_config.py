"""What a user may set of the source of waves."""

from __future__ import annotations

from pydantic import Field, model_validator

from pdeinv.config import Config, Positive

__all__ = ["SourceConfig"]


class SourceConfig(Config):
    """The table ``[problem.source]``: a Ricker wavelet at a point."""

    frequency: Positive = Field(8.0, description="peak of the spectrum of the Ricker wavelet, Hz")
    amplitude: Positive = Field(
        1.0, description="peak of the wavelet A w(t) of s = A w(t) δ(x − x_s), in units of u"
    )
    delay: Positive | None = Field(
        None, description="time of the peak of the wavelet, s; 1.1/frequency where not given"
    )
    amplitude_std: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="standard deviation of ln A, an unknown then; 0: A is known",
    )
    shift_std: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="standard deviation of a shift of the wavelet in s, an unknown then; 0: none",
    )

    wavelet_std: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="standard deviation of A w(t) at each time, as a share of A; above 0 the "
        "whole wavelet is unknown, a Gaussian process about the Ricker wavelet",
    )
    wavelet_length: Positive | None = Field(
        None, description="its correlation length, s; 0.2/frequency where not given"
    )
    wavelet_duration: Positive | None = Field(
        None, description="how long it may depart from the Ricker wavelet, s; twice the delay"
    )

    @model_validator(mode="after")
    def _one_way(self) -> SourceConfig:
        numbers = self.amplitude_std > 0 or self.shift_std > 0
        if self.wavelet_std > 0 and numbers:
            raise ValueError(
                "source: with wavelet_std the whole wavelet is unknown, strength and shift with "
                "it; leave out amplitude_std and shift_std"
            )
        return self

    @property
    def free(self) -> bool:
        """Whether the whole wavelet is unknown."""
        return self.wavelet_std > 0

    @property
    def unknown(self) -> bool:
        """Whether anything of the wavelet is."""
        return self.free or self.amplitude_std > 0 or self.shift_std > 0

    @property
    def correlation(self) -> float:
        """The correlation length of a free wavelet, s."""
        return self.wavelet_length or 0.2 / self.frequency

    @property
    def duration(self) -> float:
        """For how long a free wavelet departs, s."""
        return self.wavelet_duration or 2 * self.peak

    @property
    def peak(self) -> float:
        """The time of the wavelet's peak."""
        return 1.1 / self.frequency if self.delay is None else self.delay
