"""The schema of ``metadata.json``, which a surrogate has to follow before its arrays are read."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pdeinv.config import Count, Finite, Positive
from pdeinv.model.learned import Role

__all__ = ["Metadata"]

Column = Annotated[list[Finite], Field(min_length=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class ObservedPart(_Part):
    """The measured quantity."""

    name: str
    units: str
    long_name: str
    coords: dict[str, str]


class RangePart(_Part):
    """The trained ξ, NaN where a data set did not determine them."""

    low: list[float]
    high: list[float]


class Metadata(_Part):
    """What :meth:`.record.Record.as_json` writes; further entries are left alone."""

    surrogate: str
    # files of earlier versions hold forward models
    role: Annotated[Role, Field(strict=False)] = Role.FORWARD
    problem: str
    problem_config: dict[str, Any]
    prior_dim: Annotated[int, Field(ge=1)]
    prior_probe: Column
    observed: ObservedPart
    sensors: dict[str, list[Finite]]
    range: RangePart
    noise_std: list[Positive]
    config: dict[str, Any]
    seed: Count
    dataset_sha256: str
    level: int
    sizes: dict[str, Any]
    errors: dict[str, Any]
    extra: dict[str, Any]
    versions: dict[str, str]

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if set(self.sensors) != set(self.observed.coords):
            raise ValueError("sensors must have the coordinates of observed.coords")
        if len({len(c) for c in self.sensors.values()}) > 1:
            raise ValueError("coordinates in sensors must have one length")
        if self.role is not Role.DENOISER and not all(self.sensors.values()):
            raise ValueError("sensors: at least one place is needed but for a denoiser")
        if not len(self.range.low) == len(self.range.high) == self.prior_dim:
            raise ValueError("range.low and range.high must have prior_dim numbers")
        return self
