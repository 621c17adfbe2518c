"""Made-up patients: a brain, a seed in white matter, rates and thresholds, of usual volumes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pdeinv.problems.tumor import Tumor, TumorConfig
from pdeinv.rng import stream
from pdeinv.typing import Array

__all__ = ["BOX", "VOXEL", "Law", "Patient", "config", "patient"]

Law = Literal["ellipsoid", "egg"]
"""Of the shape of brains; what is trained or tuned sees ``ellipsoid`` alone."""

BOX, VOXEL = 192.0, 4.0
"""Edge of the box and of the voxels of the masks, mm."""

CORE, WHOLE = (5.0, 80.0), (20.0, 250.0)
"""Volumes of patients that are taken, cm³."""


@dataclass(frozen=True)
class Patient:
    """One of them.

    Attributes:
        number: of the brain, and of the random numbers.
        m: D, ρ, seed, thresholds of whole tumor and core.
        tried: draws until one had usual volumes.
        core, whole: the volumes, cm³.
        law: of the shape of the brain.
    """

    number: int
    m: Array
    tried: int
    core: float
    whole: float
    law: Law = "ellipsoid"


def config(
    number: int, refined: int, solver: str, law: Law = "ellipsoid", **more: Any
) -> TumorConfig:
    """The brain of a patient on voxels of the masks, each side of which is cut into ``refined``."""
    table = {
        "lengths": (BOX,) * 3,
        "cells": refined * round(BOX / VOXEL),
        "solver": solver,
        "tissue": {"kind": "phantom", "patient": number, "law": law},
        "voxel": VOXEL,
        "time": {"memory_mb": 4096.0},
        "masks": {},
    }
    return TumorConfig.model_validate({**table, **more})


def patient(number: int, law: Law = "ellipsoid") -> Patient:
    """The first draw from the prior with a seed in white matter and usual volumes."""
    problem = Tumor(config(number, 1, "finite-differences", law))
    name = "tumor patients" if law == "ellipsoid" else f"tumor patients, {law}"
    places, rng = problem.sensors("all"), stream(number, name)
    model, regions = problem.forward_model(places), np.asarray(places["region"])
    for tried, m in enumerate(_draws(problem, rng), 1):
        if problem.tissue(m[None, 2:5])[0][0] < 0.9:
            continue
        seen = model(m) > 0
        whole, core = (float((seen & (regions == k)).sum()) * VOXEL**3 / 1000 for k in (1, 2))
        if CORE[0] <= core <= CORE[1] and WHOLE[0] <= whole <= WHOLE[1]:
            return Patient(number, m, tried, core, whole, law)
    raise AssertionError


def _draws(problem: Tumor, rng: np.random.Generator) -> Iterator[Array]:
    prior = problem.prior()
    while True:
        yield prior.unwhiten(rng.standard_normal(prior.dim))
