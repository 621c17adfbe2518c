"""Priors of unknowns that are numbers, as a user sets them: independent, each by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, model_validator

from pdeinv.bayes.named_priors import lognormal, normal, product, uniform
from pdeinv.bayes.prior import FieldPrior, Prior
from pdeinv.config import Config, Positive

__all__ = [
    "KnownConfig",
    "LogNormalConfig",
    "NormalConfig",
    "NumberConfig",
    "SoughtConfig",
    "UniformConfig",
    "centre_of",
    "in_middle",
    "prior_of_numbers",
    "sought_of",
    "spread_of",
]


class LogNormalConfig(Config):
    """A positive number whose logarithm is normal."""

    kind: Literal["log-normal"] = "log-normal"
    median: Positive = Field(description="its median")
    std: Positive = Field(description="standard deviation of its logarithm")


class NormalConfig(Config):
    """A normal number."""

    kind: Literal["normal"] = "normal"
    mean: Positive = Field(description="its mean")
    std: Positive = Field(description="its standard deviation")


class UniformConfig(Config):
    """A number that is uniform between two others."""

    kind: Literal["uniform"] = "uniform"
    low: Positive = Field(description="the least value")
    high: Positive = Field(description="the largest value")

    @model_validator(mode="after")
    def _ordered(self) -> UniformConfig:
        if not self.low < self.high:
            raise ValueError(f"low must be less than high, got {self.low:g} and {self.high:g}")
        return self


class KnownConfig(Config):
    """No prior: the parameter has its configured value, whatever prior a file gave it before."""

    kind: Literal["known"] = "known"


NumberConfig = Annotated[
    LogNormalConfig | NormalConfig | UniformConfig | KnownConfig, Field(discriminator="kind")
]

SoughtConfig = LogNormalConfig | NormalConfig | UniformConfig
"""The priors of what is sought."""


def centre_of(prior: LogNormalConfig | NormalConfig | UniformConfig) -> float:
    """The median of a prior."""
    if isinstance(prior, LogNormalConfig):
        return prior.median
    return (
        prior.mean if isinstance(prior, NormalConfig) else float(np.mean([prior.low, prior.high]))
    )


def in_middle(
    config: Config, names: Sequence[str], sought: Mapping[str, SoughtConfig]
) -> dict[str, float]:
    """Values of a configuration by name, those that are sought in the middle of their priors."""
    return {n: centre_of(sought[n]) if n in sought else getattr(config, n) for n in names}


def spread_of(prior: SoughtConfig) -> tuple[float, float]:
    """Two numbers between which nearly all of a prior lies: two standard deviations each way."""
    if isinstance(prior, LogNormalConfig):
        return prior.median * float(np.exp(-2 * prior.std)), prior.median * float(
            np.exp(2 * prior.std)
        )
    if isinstance(prior, NormalConfig):
        return prior.mean - 2 * prior.std, prior.mean + 2 * prior.std
    return prior.low, prior.high


def sought_of(table: Config, names: tuple[str, ...]) -> dict[str, SoughtConfig]:
    """The priors of a table of :data:`NumberConfig` by name, in the order of ``names``."""
    found = {name: getattr(table, name) for name in names}
    return {n: p for n, p in found.items() if not isinstance(p, KnownConfig | None)}


def prior_of_numbers(
    sought: Mapping[str, SoughtConfig], labels: Mapping[str, tuple[str, str]]
) -> Prior:
    """Independent numbers, with units and words by name."""
    return product(*(_number(name, prior, labels[name]) for name, prior in sought.items()))


def _number(name: str, prior: SoughtConfig, labels: tuple[str, str]) -> FieldPrior:
    units, words = labels
    if isinstance(prior, LogNormalConfig):
        return lognormal(name, median=prior.median, std=prior.std, units=units, long_name=words)
    if isinstance(prior, NormalConfig):
        return normal(name, mean=prior.mean, std=prior.std, units=units, long_name=words)
    return uniform(name, low=prior.low, high=prior.high, units=units, long_name=words)
