"""What data say before anything is solved."""

from __future__ import annotations

import numpy as np

from pdeinv.io.observations import Observations

from .config import LogNormalConfig, TumorConfig
from .masks import REGION

__all__ = ["remarks"]

SOFT, SHARP = 0.25, 0.005
"""Softness beyond which it is odd: c lies between 0 and 1."""
SHARP_MM = 0.05
"""The same of one in mm, in voxels of the solver."""
STRAY = 0.1
"""Part of the core that may lie outside of the whole tumor by chance."""


def remarks(config: TumorConfig, observations: Observations) -> tuple[str, ...]:
    """Data of one time, coarse voxels, and concentrations that cannot be, one line each."""
    found = _coarse(config)
    if len(np.unique(observations.coords["t"])) == 1:
        found.append(_one_time(config))
    if config.masks is not None:
        found += [*_softness(config), *_outside_of_whole(observations)]
    return tuple(found) if config.masks or config.pet else (*found, *_impossible(observations))


def _softness(config: TumorConfig) -> list[str]:
    """Whether the softness says that all is seen by chance, or makes steps of data."""
    assert config.masks is not None
    mm = config.masks.softness_mm
    if mm is not None:
        return _softness_mm(mm.median if isinstance(mm, LogNormalConfig) else mm, config)
    s = config.masks.softness
    if s > SOFT:
        return [
            f"masks.softness = {s:g}: with c between 0 and 1 hardly anything is seen surely, so "
            "that masks tell next to nothing"
        ]
    if s < SHARP:
        return [
            f"masks.softness = {s:g}: masks jump within so small a change of c that searches find "
            f"no slope, and single voxels outweigh all others; take {SHARP:g} or more"
        ]
    return []


def _softness_mm(s: float, config: TumorConfig) -> list[str]:
    """The same of one in mm: against the brain, and the voxels of the solver."""
    voxel = min(n / k for n, k in zip(config.lengths, config.counts, strict=True))
    if s > SOFT * min(config.lengths):
        return [
            f"masks.softness_mm = {s:g}: hardly anything in a box of {min(config.lengths):g} mm is "
            "seen surely, so that masks tell next to nothing"
        ]
    if s < SHARP_MM * voxel:
        return [
            f"masks.softness_mm = {s:g}: contours are not that sharp where voxels have sides of "
            f"{voxel:.3g} mm, and single ones outweigh all others; take {SHARP_MM * voxel:.2g} or "
            "more"
        ]
    return []


def _outside_of_whole(observations: Observations) -> list[str]:
    """Whether the core was seen where the whole tumor was not."""
    axes = [a for a in ("x", "y", "z") if a in observations.coords]
    columns = [np.round(observations.coords[a], 6) for a in (*axes, "t")]
    seen = observations.values == 1
    whole, core = (
        {*zip(*(c[seen & (observations.coords[REGION] == k)] for c in columns), strict=True)}
        for k in (1, 2)
    )
    known = {*zip(*(c[observations.coords[REGION] == 1] for c in columns), strict=True)}
    strange = len((core & known) - whole)
    if not strange or strange <= STRAY * len(core):
        return []
    larger = f", and is larger ({len(core)} data against {len(whole)})" * (len(core) > len(whole))
    return [
        f"the core was seen at {strange} places where the whole tumor was not{larger}; are regions "
        "1 (whole) and 2 (core) in their order?"
    ]


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
