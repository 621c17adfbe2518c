"""The table of an unknown that is drawn from a family of sections."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pdeinv.config import Config, Positive

__all__ = ["FamilyConfig"]

Nodes = Annotated[int, Field(ge=2, le=10_000)]


class FamilyConfig(Config):
    """A section of one of OpenFWI's families, by laws of our own; only styles have a derivative."""

    kind: Literal["family"] = "family"
    family: Literal[
        "flatvel-a",
        "flatvel-b",
        "curvevel-a",
        "curvevel-b",
        "flatfault-a",
        "flatfault-b",
        "curvefault-a",
        "curvefault-b",
        "style-a",
        "style-b",
        "marmousi-like",
    ] = Field(
        "curvevel-a",
        description="flat, curved or faulted layers, a smooth field, or a faulted basin",
    )
    low: Positive = Field(1500.0, description="lowest velocity, m s-1")
    high: Positive = Field(4500.0, description="highest velocity, m s-1")
    grid: tuple[Nodes, Nodes] = Field(
        (70, 70), description="nodes along x and y, boundary included; linear between them"
    )

    @model_validator(mode="after")
    def _ordered(self) -> FamilyConfig:
        if not self.low < self.high:
            raise ValueError(
                f"low must be less than high, got low {self.low:g}, high {self.high:g}"
            )
        return self
