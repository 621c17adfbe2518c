"""What data say before anything is solved."""

from __future__ import annotations

import numpy as np

from pdeinv.io.observations import Observations

from .config import TumorConfig

__all__ = ["remarks"]


def remarks(config: TumorConfig, observations: Observations) -> tuple[str, ...]:
    """Data of one time, coarse voxels, and concentrations that cannot be, one line each."""
    found = _coarse(config)
    if len(np.unique(observations.coords["t"])) == 1:
        found.append(_one_time(config))
    return tuple(found) if config.masks or config.pet else (*found, *_impossible(observations))


def _impossible(observations: Observations) -> list[str]:
    """Concentrations that are neither parts of a whole nor that with noise."""
    low, high = float(observations.values.min()), float(observations.values.max())
    if low >= -0.5 and high <= 1.5:
        return []
    return [
        f"concentrations from {low:g} to {high:g}; they are parts of the most that fits, "
        "between 0 and 1 apart from noise"
    ]


def _coarse(config: TumorConfig) -> list[str]:
    """Whether the front is too sharp for the voxels, as the prior has it."""
    u = config.unknown
    front = float(np.sqrt(u.diffusivity.median / u.growth_rate.median))
    voxel = max(n / k for n, k in zip(config.lengths, config.counts, strict=True))
    if voxel <= front / 2:
        return []
    return [
        f"voxels of {voxel:.3g} mm are larger than half of sqrt(D/rho) = {front:.3g} mm, the width "
        "of the front at the prior's medians; D comes out too small, take more cells"
    ]


def _one_time(config: TumorConfig) -> str:
    known = "data of one time identify diffusivity x duration and growth_rate x duration only"
    if config.unknown.duration is not None:
        return f"{known}; what tells the three apart is the prior"
    return f"{known}; both rates hold for time.final = {config.time.final:g} d of growth"
