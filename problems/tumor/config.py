"""What a user may set of the tumor problem. Lengths are in mm, times in days."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, ValidationError, field_validator, model_validator

from pdeinv.config import Config, Positive, PositiveRange, Steps

from .factors import FactorConfig
from .image_box import with_box
from .pet import PetConfig
from .tensor_config import TensorConfig

__all__ = [
    "HomogeneousConfig",
    "LogNormalConfig",
    "MasksConfig",
    "NiftiConfig",
    "PhantomConfig",
    "SeedConfig",
    "SolverName",
    "TimeConfig",
    "TumorConfig",
    "UnknownConfig",
    "ends",
]

SolverName = Literal["finite-elements", "finite-differences"]
Place = tuple[Annotated[float, Field(allow_inf_nan=False)], ...]
Part = Annotated[float, Field(gt=0, lt=1)]
Threshold = Part | PositiveRange


class PhantomConfig(Config):
    """An analytic brain in the middle of the box; in the plane its cut at half height."""

    kind: Literal["phantom"] = "phantom"
    semi_axes: tuple[Positive, Positive, Positive] = Field(
        (82.0, 66.0, 60.0), description="half lengths of the brain along x, y, z, in mm"
    )
    ribbon: Positive = Field(9.0, description="depth of the grey matter, in mm")
    folds: float = Field(
        2.5, ge=0, allow_inf_nan=False, description="amplitude of its inner folds, in mm"
    )
    ventricles: Positive = Field(1.0, description="size of the ventricles, 1 as usual")
    patient: int | None = Field(
        None,
        ge=0,
        description="number of a made-up patient, whose shape varies about the above; none if "
        "not given",
    )
    law: Literal["ellipsoid", "egg"] = Field(
        "ellipsoid",
        description="how shapes of made-up patients vary: about an ellipsoid, or an egg with other "
        "folds and wider ventricles",
    )


class HomogeneousConfig(Config):
    """White matter fills the box."""

    kind: Literal["homogeneous"] = "homogeneous"


class NiftiConfig(Config):
    """Maps of tissue on the voxels of one image, which fill the box."""

    kind: Literal["nifti"] = "nifti"
    white: Path = Field(description="map of white matter, .nii or .nii.gz")
    grey: Path = Field(description="map of grey matter, on the same voxels")
    csf: Path | None = Field(
        None, description="map of CSF; where all add up to more than the whole they are scaled down"
    )
    scale: Literal[1, 100, 255] | None = Field(
        None, description="what the maps are parts of; told by their largest value if not given"
    )


TissueConfig = Annotated[
    PhantomConfig | HomogeneousConfig | NiftiConfig, Field(discriminator="kind")
]


class TimeConfig(Config):
    """The table ``[problem.time]``."""

    final: Positive = Field(
        100.0, description="time of the last scan, in days; of growth since the seed where known"
    )
    steps: Steps = Field(100, description="time steps of level 0; doubled per level")
    window: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="days before the last scan that hold all scans; only where the duration of "
        "growth is unknown",
    )
    stored: int = Field(1, ge=1, description="solve writes every so many time levels, and the last")
    memory_mb: Positive = Field(
        512.0, description="bound on stored states; less means recomputation in the adjoint"
    )


class SeedConfig(Config):
    """The first cells: a Gaussian bump of known width, averaged over voxels."""

    peak: float = Field(0.5, gt=0, le=1, description="concentration in the middle of the bump")
    width: Positive = Field(4.0, description="its standard deviation, in mm")


class LogNormalConfig(Config):
    """One positive number whose logarithm is normal."""

    median: Positive = Field(description="its median")
    std: Positive = Field(description="standard deviation of its logarithm")


class MasksConfig(Config):
    """The table ``[problem.masks]``: data are regions that were seen or not, no concentrations.

    A region is where c is above a threshold, seen in each voxel with
    P(seen) = ½ + ½ sign(z) (1 − e^(−z²)), z = (c − threshold) / softness, or with ``softness_mm``
    z = 2 √(D/ρ) (ℓ(c) − ℓ(threshold)) / softness_mm, ℓ(c) = ln c/(1 − c).
    """

    whole: Threshold = Field(
        (0.05, 0.5),
        description="threshold of the whole tumor, region 1: a number where it is known, or the "
        "least and the largest it can be, uniform between them",
    )
    core: Threshold = Field((0.5, 0.85), description="threshold of the core, region 2, likewise")
    softness: float = Field(
        0.05,
        gt=0,
        le=1,
        description="how far c is off a threshold that is seen surely; at most 1, as c is",
    )
    softness_mm: Positive | LogNormalConfig | None = Field(
        None,
        description="how far a place is off a contour that is seen surely, mm, instead of "
        "softness: a number where it is known, median and std of one that is unknown, or none",
    )
    share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="effective share of independent voxels: neighbours in a mask repeat each other",
    )
    score: Literal["bernoulli", "dice"] = Field(
        "bernoulli",
        description="bernoulli: the likelihood above; dice: the soft Dice score of each region and "
        "time, for point estimates",
    )

    @field_validator("whole", "core", mode="wrap")
    @classmethod
    def _threshold(cls, value: Any, handler: Callable[[Any], Any]) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise ValueError("expected a number between 0 and 1, or two increasing ones") from None

    @model_validator(mode="after")
    def _ordered(self) -> MasksConfig:
        (_, whole), (core, most) = ends(self.whole), ends(self.core)
        if not most < 1:
            raise ValueError(f"the threshold of the core must be below 1, got {most:g}")
        if whole > core:
            raise ValueError(
                f"the threshold of the whole tumor, up to {whole:g}, must not be above that of the "
                f"core, from {core:g} on"
            )
        return self

    @field_validator("softness_mm", mode="wrap")
    @classmethod
    def _in_mm(cls, value: Any, handler: Callable[[Any], Any]) -> Any:
        try:
            return handler(None if value == "none" else value)
        except ValidationError:
            raise ValueError(
                "expected a number above 0, a table with median and std, or none"
            ) from None

    @model_validator(mode="after")
    def _one_softness(self) -> MasksConfig:
        # results say the softness that counts where nothing is said
        usual = type(self).model_fields["softness"].default
        if self.softness_mm is not None and self.softness != usual:
            raise ValueError(
                f"softness = {self.softness:g} and {self.softened} exclude each other; leave one "
                f"out, or where the file says it set softness to {usual:g}, or softness_mm to none"
            )
        return self

    @property
    def softened(self) -> str:
        """What is said of the softness, in words."""
        mm = self.softness_mm
        if mm is None:
            return f"softness = {self.softness:g}"
        if isinstance(mm, LogNormalConfig):
            return f"softness_mm = {{ median = {mm.median:g}, std = {mm.std:g} }}"
        return f"softness_mm = {mm:g}"

    @property
    def thresholds(self) -> dict[str, float | tuple[float, float]]:
        """By region, in the order of their numbers, which begin with 1."""
        return {"whole": self.whole, "core": self.core}


def ends(threshold: float | tuple[float, float]) -> tuple[float, float]:
    """The least and the largest that a threshold can be."""
    return threshold if isinstance(threshold, tuple) else (threshold, threshold)


class UnknownConfig(Config):
    """What is sought: D in white matter, ρ, where the seed was, and since when it grows."""

    diffusivity: LogNormalConfig = Field(
        LogNormalConfig(median=0.5, std=0.7), description="prior of D in white matter, mm2 d-1"
    )
    growth_rate: LogNormalConfig = Field(
        LogNormalConfig(median=0.06, std=0.5), description="prior of ρ, d-1"
    )
    low: Place | None = Field(
        None, description="least place of the seed along x, y, z, mm; a quarter of the box if not "
        "given",
    )  # fmt: skip
    high: Place | None = Field(
        None, description="largest place of the seed; three quarters of the box if not given"
    )
    diffusivity_factor: FactorConfig | None = Field(
        None, description="a smooth field that D is multiplied by; none where not given"
    )
    growth_factor: FactorConfig | None = Field(
        None, description="a smooth field that ρ is multiplied by, likewise"
    )
    duration: PositiveRange | None = Field(
        None,
        description="least and largest time of growth until the last scan, days, uniform between "
        "them; known to be time.final if not given",
    )


def _with_kind(table: Mapping[str, Any]) -> Mapping[str, Any]:
    """Tissue without a kind is that of images where it names one, else the phantom."""
    tissue = table.get("tissue")
    if not isinstance(tissue, Mapping) or "kind" in tissue:
        return table
    kind = "nifti" if {"white", "grey", "csf"} & set(tissue) else "phantom"
    return {**table, "tissue": {"kind": kind, **tissue}}


class TumorConfig(Config):
    """Tumor growth in the brain: ∂c/∂t = ∇·(D∇c) + ρ c (1 − c)."""

    lengths: tuple[Positive, ...] = Field(
        (192.0, 192.0),
        min_length=1,
        max_length=3,
        description="sides of the box along x, y, z, mm; those of the image if tissue is one",
    )
    cells: int | tuple[int, ...] = Field(
        192, description="voxels of the inversion grid along each side, or along x, y, z"
    )
    solver: SolverName = Field(
        "finite-elements",
        description="finite-elements (dolfinx, the reference) or finite-differences (compiled, "
        "fast)",
    )
    tissue: TissueConfig = Field(
        PhantomConfig(),
        description="where white and grey matter are: phantom, homogeneous or nifti",
    )
    tensor: TensorConfig | None = Field(
        None, description="how much faster cells spread along fibres; as fast in all directions "
        "where not given",
    )  # fmt: skip
    faces: Literal["mean", "sampled"] = Field(
        "mean",
        description="D between two voxels of finite-differences: the mean of theirs, or that of "
        "tissue sampled in halves of voxels, harmonic along the flux",
    )
    ratio: Positive = Field(10.0, description="D in white matter over D in grey matter")
    threshold: float = Field(
        0.5, gt=0, le=1, description="least part of tissue in a voxel that cells can enter"
    )
    seed: SeedConfig = Field(SeedConfig(), description="the first cells")
    time: TimeConfig = Field(TimeConfig(), description="the run and its time steps")
    voxel: float = Field(
        0.0,
        ge=0,
        allow_inf_nan=False,
        description="edge of the voxels that data are averages over, mm; 0: data are values at "
        "points",
    )
    masks: MasksConfig | None = Field(
        None, description="how regions are seen; where not given, data are concentrations"
    )
    pet: PetConfig | None = Field(
        None, description="uptake in FET-PET, beside masks or instead; none where not given"
    )
    unknown: UnknownConfig = Field(UnknownConfig(), description="what is sought, and its prior")

    @model_validator(mode="before")
    @classmethod
    def _of_image(cls, table: Any) -> Any:
        """The sides of the box, and voxels of it, from the image where they are not given."""
        return with_box(_with_kind(table)) if isinstance(table, Mapping) else table

    @field_validator("cells")
    @classmethod
    def _enough(cls, value: int | tuple[int, ...]) -> int | tuple[int, ...]:
        if min(np.atleast_1d(value), default=0) < 2:
            raise ValueError("must be at least 2")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> TumorConfig:
        if not isinstance(self.cells, int) and len(self.cells) != self.dim:
            raise ValueError(f"cells: expected {self.dim} numbers, as many as lengths")
        if self.dim == 1 and isinstance(self.tissue, PhantomConfig):
            raise ValueError("tissue: a phantom has two or three lengths; use kind 'homogeneous'")
        if self.tensor is not None:
            self.tensor.check(self.dim, image=isinstance(self.tissue, NiftiConfig))
        self._check_seed()
        self._check_window()
        self._check_fronts()
        return self

    def _check_fronts(self) -> None:
        if self.masks is not None and self.masks.softness_mm is not None and self.factors:
            raise ValueError(
                f"masks.softness_mm goes with one D and one rho; leave unknown."
                f"{next(iter(self.factors))} out, or take masks.softness"
            )

    def _check_seed(self) -> None:
        if min(self.lengths) < self.seed.width:
            raise ValueError(
                f"lengths are in mm: the box of {list(self.lengths)} is smaller than the seed, "
                f"whose seed.width is {self.seed.width:g} mm; give both in mm"
            )
        low, high = self.seed_box
        if not len(low) == len(high) == self.dim:
            raise ValueError(f"unknown.low and unknown.high: expected {self.dim} numbers each")
        inside = all(0 <= a < b <= n for a, b, n in zip(low, high, self.lengths, strict=True))
        if not inside:
            raise ValueError(
                "unknown.low must be less than unknown.high along each axis, both in the box, "
                f"got {list(low)} and {list(high)}"
            )

    def _check_window(self) -> None:
        window, duration = self.time.window, self.unknown.duration
        if duration is None and window > 0:
            raise ValueError("time.window goes with unknown.duration; leave it out")
        if duration is not None and not window < min(duration[0], self.time.final):
            raise ValueError(
                f"time.window must be less than unknown.duration and time.final, got {window:g}"
            )
        if window > 0 and self.time.steps < 2:
            raise ValueError("time.steps must be at least 2 where there is a window")

    @property
    def dim(self) -> int:
        """The dimension of the box."""
        return len(self.lengths)

    @property
    def factors(self) -> dict[str, FactorConfig]:
        """The fields of factors that are sought, by name."""
        u = self.unknown
        given = {"diffusivity_factor": u.diffusivity_factor, "growth_factor": u.growth_factor}
        return {name: config for name, config in given.items() if config is not None}

    @property
    def counts(self) -> tuple[int, ...]:
        """Voxels of level 0 along x, y, z."""
        return (self.cells,) * self.dim if isinstance(self.cells, int) else self.cells

    @property
    def extent(self) -> tuple[tuple[float, float], ...]:
        """The ends of the box along x, y, z."""
        return tuple((0.0, length) for length in self.lengths)

    @property
    def seed_box(self) -> tuple[Place, Place]:
        """Corners of the box of seeds."""
        u = self.unknown
        return (
            u.low or tuple(n / 4 for n in self.lengths),
            u.high or tuple(3 * n / 4 for n in self.lengths),
        )
