"""The unknown m: diffusivity, growth rate, place of the seed and, where unknown, the duration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pdeinv.bayes.named_priors import lognormal, product, uniform
from pdeinv.bayes.prior import Prior
from pdeinv.errors import SolverDiverged
from pdeinv.typing import Array

from .config import TumorConfig

__all__ = ["Parameters", "check", "parameters", "prior_of"]


def prior_of(config: TumorConfig) -> Prior:
    """Independent: D and ρ log-normal, the place of the seed and the duration uniform."""
    u = config.unknown
    (d, r), (low, high) = (u.diffusivity, u.growth_rate), config.seed_box
    factors = [
        lognormal(
            "diffusivity", median=d.median, std=d.std, units="mm2 d-1",
            long_name="diffusivity of tumor cells in white matter",
        ),
        lognormal(
            "growth_rate", median=r.median, std=r.std, units="d-1",
            long_name="growth rate of the tumor",
        ),
        *(
            uniform(f"seed_{axis}", low=a, high=b, units="mm", long_name=f"{axis} of the seed")
            for axis, a, b in zip("xyz", low, high, strict=False)
        ),
    ]  # fmt: skip
    if u.duration is not None:
        a, b = u.duration
        words = "time of growth until the last scan"
        factors.append(uniform("duration", low=a, high=b, units="d", long_name=words))
    return product(*factors)


@dataclass(frozen=True)
class Parameters:
    """A tile of unknowns by name.

    Attributes:
        diffusivity: D in white matter, (width,).
        growth_rate: ρ, (width,).
        seed: its place, (d, width).
        duration: of growth, (width,).
    """

    diffusivity: Array
    growth_rate: Array
    seed: Array
    duration: Array


def parameters(config: TumorConfig, m: Array) -> Parameters:
    """Those of a tile m (n_m, width)."""
    end = 2 + config.dim
    known = config.unknown.duration is None
    duration = np.full(m.shape[1], config.time.final) if known else m[end]
    return Parameters(m[0], m[1], m[2:end], duration)


def check(config: TumorConfig, m: Array) -> None:
    """Refuse one m of shape (n_m,) that is out of range.

    Raises:
        SolverDiverged: names the first bad value.
    """
    found = parameters(config, m[:, None])
    wanted = {
        "diffusivity": (found.diffusivity, 0.0),
        "growth_rate": (found.growth_rate, 0.0),
        "duration": (found.duration, config.time.window),
    }
    for name, (value, least) in wanted.items():
        # NaN fails the comparison
        if not least < value[0] < np.inf and not (value[0] == least == 0.0):
            raise SolverDiverged(f"{name} must be finite and above {least:g}, got {value[0]:g}")
    if not np.isfinite(found.seed).all():
        raise SolverDiverged(f"the place of the seed must be finite, got {found.seed[:, 0]}")
