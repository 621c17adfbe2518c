"""The tables of a run file, as ``invert`` reads them."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pdeinv.config import Config
from pdeinv.executors.config import ExecutorConfig
from pdeinv.jobs.common.recipe import ModelChoice

__all__ = ["BudgetConfig", "NoiseConfig", "RunConfig"]


class NoiseConfig(Config):
    """The table ``[noise]``; it replaces the noise of the observation file."""

    std: float | None = Field(None, gt=0, description="absolute standard deviation")
    rel: float | None = Field(None, gt=0, description="relative to the largest absolute value")


class BudgetConfig(Config):
    """The table ``[budget]``: limits of one chain."""

    n_forward: int | None = Field(None, ge=1, description="reference solves")
    seconds: float | None = Field(None, gt=0, description="wall time")


class RunConfig(Config):
    """The tables of a run file; those with a ``name`` are checked by what they name."""

    seed: int | None = Field(None, ge=0, description="root seed; drawn and stored when absent")
    workers: int = Field(1, ge=1, description="processes")
    observations: str | None = Field(None, description="observation file")
    model: ModelChoice = Field("reference", description="which model to invert with")
    level: int = Field(0, description="mesh level of the reference model")
    problem: dict[str, Any] = Field(default_factory=dict)
    noise: NoiseConfig = NoiseConfig()
    engine: dict[str, Any] = Field(default_factory=dict)
    surrogate: dict[str, Any] = Field(default_factory=dict)
    solver: dict[str, Any] = Field(default_factory=dict)
    budget: BudgetConfig = BudgetConfig()
    executor: ExecutorConfig = ExecutorConfig()
