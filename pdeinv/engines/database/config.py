"""Options of the engine that searches among simulations."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from pdeinv.config import Config
from pdeinv.engines.cma import CmaConfig
from pdeinv.engines.gaussian.map import MapConfig

__all__ = ["DatabaseConfig"]


class DatabaseConfig(Config):
    """Options of ``database``."""

    simulations: Path | None = Field(
        None, description="data set of 'pdeinv generate'; unset: n prior draws are solved for"
    )
    n: int = Field(
        1024, ge=1, le=10_000_000, description="simulations to make where there is no data set"
    )
    keep: int = Field(8, ge=1, le=1000, description="how many of the best are kept")
    refine: Literal["local", "cma", "none"] | None = Field(
        None,
        description="how the best are refined: as engine map, as engine cma, or not; unset: local "
        "where there are derivatives, else cma",
    )
    method: Literal["newton-cg", "lbfgs"] | None = Field(
        None, description="of refine 'local', as of engine map, which chooses where unset"
    )
    starts: int = Field(
        3, ge=1, description="how many of those kept are refined, by refine 'local'"
    )
    max_iterations: int = Field(
        500, ge=1, description="largest number of iterations, or generations, of the refinement"
    )

    def of_map(self, hits: int) -> MapConfig:
        """The options of the refinement by slopes from so many hits."""
        starts, most = min(self.starts, hits), self.max_iterations
        return MapConfig(method=self.method, max_iterations=most, starts=starts)

    def of_cma(self) -> CmaConfig:
        """The options of the refinement without."""
        return CmaConfig(max_iterations=self.max_iterations, searches=1)
