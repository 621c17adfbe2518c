"""The unknown m: diffusivity, growth rate, place of the seed and, where unknown, further numbers.

Those are the duration of growth, factors on D and ρ from place to place, the thresholds of masks,
and background and gain of PET.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from pdeinv.bayes.named_priors import lognormal, product, uniform
from pdeinv.bayes.prior import Prior
from pdeinv.errors import SolverDiverged
from pdeinv.fem.field_unknown import FieldUnknown
from pdeinv.typing import Array

from .config import LogNormalConfig, MasksConfig, TumorConfig
from .factors import FACTORS
from .pet import LEVELS

__all__ = [
    "SEEN",
    "Parameters",
    "changes",
    "check",
    "gradient",
    "level_name",
    "parameters",
    "prior_of",
    "threshold_name",
]

SEEN = {"whole": "the whole tumor", "core": "the core of the tumor"}
"""The regions of masks in words."""


def prior_of(config: TumorConfig, fields: Mapping[str, FieldUnknown]) -> Prior:
    """Independent: D and ρ log-normal, the place of the seed and the duration uniform, and fields.

    Args:
        config: of the problem.
        fields: of factors, by name.
    """
    u = config.unknown
    (d, r), (low, high) = (u.diffusivity, u.growth_rate), config.seed_box
    factors: list[Prior] = [
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
    # before those of scans, which a problem of plain concentrations has not
    factors += [one.prior for one in fields.values()]
    for region, threshold in _thresholds(config.masks).items():
        if isinstance(threshold, tuple):
            (a, b), words = threshold, f"concentration above which {SEEN[region]} is seen"
            factors.append(uniform(threshold_name(region), low=a, high=b, long_name=words))
    soft = _softness(config.masks)
    if isinstance(soft, LogNormalConfig):
        words = "how far a place is off a contour that is seen surely"
        factors.append(
            lognormal("softness_mm", median=soft.median, std=soft.std, units="mm", long_name=words)
        )
    for name, level in _levels(config).items():
        if isinstance(level, tuple):
            a, b = level
            factors.append(uniform(level_name(name), low=a, high=b, long_name=LEVELS[name]))
    return product(*factors)


def _thresholds(masks: MasksConfig | None) -> dict[str, float | tuple[float, float]]:
    return {} if masks is None else masks.thresholds


def _softness(masks: MasksConfig | None) -> float | LogNormalConfig | None:
    """That in mm; None where masks are seen by differences of c, or there are none."""
    return None if masks is None else masks.softness_mm


def threshold_name(region: str) -> str:
    """The name of a threshold in files."""
    return f"threshold_{region}"


def _levels(config: TumorConfig) -> dict[str, float | tuple[float, float]]:
    return {} if config.pet is None else config.pet.levels


def level_name(name: str) -> str:
    """The name of background or gain in files."""
    return f"pet_{name}"


@dataclass(frozen=True)
class Parameters:
    """A tile of unknowns by name.

    Attributes:
        diffusivity: D in white matter, (width,).
        growth_rate: ρ, (width,).
        seed: its place, (d, width).
        duration: of growth, (width,).
        thresholds: of the regions of masks, (regions, width).
        levels: background and gain of PET, (2, width), or (0, width).
        spread: factors on D at the nodes of their grid, (k, width); none where D is one number.
        pace: those on ρ, likewise.
        softness: of contours, mm, (width,); 0 where it is none.
    """

    diffusivity: Array
    growth_rate: Array
    seed: Array
    duration: Array
    thresholds: Array
    levels: Array
    spread: Array = field(default_factory=lambda: np.zeros((0, 1)))
    pace: Array = field(default_factory=lambda: np.zeros((0, 1)))
    softness: Array = field(default_factory=lambda: np.zeros(1))


def parameters(config: TumorConfig, m: Array) -> Parameters:
    """Those of a tile m (n_m, width)."""
    return _named(config, m, changes=False)


def changes(config: TumorConfig, dm: Array) -> Parameters:
    """How they change with dm (n_m, width); what is known does not."""
    return _named(config, dm, changes=True)


def _named(config: TumorConfig, m: Array, *, changes: bool) -> Parameters:
    """The rows of m by name, and the values of what is known, or zero for their change."""
    rows = iter(m[2 + config.dim :])

    def row(value: float | tuple[float, float] | LogNormalConfig) -> Array:
        if not isinstance(value, int | float):
            return next(rows)
        return np.full(m.shape[1], 0.0 if changes else value)

    def stacked(values: Mapping[str, float | tuple[float, float]]) -> Array:
        return np.array([row(v) for v in values.values()]).reshape(len(values), m.shape[1])

    duration = row(config.unknown.duration or config.time.final)
    spread, pace = (np.array(list(islice(rows, n))).reshape(n, m.shape[1]) for n in _sizes(config))
    thresholds = stacked(_thresholds(config.masks))
    softness = row(_softness(config.masks) or 0.0)
    levels, seed = stacked(_levels(config)), m[2 : 2 + config.dim]
    return Parameters(m[0], m[1], seed, duration, thresholds, levels, spread, pace, softness)


def _sizes(config: TumorConfig) -> list[int]:
    """How many factors there are on D and on ρ."""
    known = config.factors
    return [known[name].size(config.dim) if name in known else 0 for name in FACTORS]


def gradient(config: TumorConfig, found: Parameters) -> Array:
    """Derivatives by name as those by m, (n_m, width)."""
    rows = [found.diffusivity, found.growth_rate, *found.seed]
    if config.unknown.duration is not None:
        rows.append(found.duration)
    rows += [*found.spread, *found.pace]
    rows += _sought(_thresholds(config.masks), found.thresholds)
    if isinstance(_softness(config.masks), LogNormalConfig):
        rows.append(found.softness)
    return np.stack([*rows, *_sought(_levels(config), found.levels)])


def _sought(values: Mapping[str, float | tuple[float, float]], named: Array) -> list[Array]:
    """The rows of what is unknown."""
    pairs = zip(values.values(), named, strict=True)
    return [row for value, row in pairs if isinstance(value, tuple)]


def check(config: TumorConfig, m: Array) -> None:
    """Refuse one m of shape (n_m,) that is out of range.

    Raises:
        SolverDiverged: names the first bad value.
    """
    found = parameters(config, m[:, None])
    if _softness(config.masks) is not None:
        _check_fronts(found)
    wanted = {
        "diffusivity": (found.diffusivity, 0.0),
        "growth_rate": (found.growth_rate, 0.0),
        "duration": (found.duration, config.time.window),
    }
    for name, (value, least) in wanted.items():
        # NaN fails the comparison
        if not least < value[0] < np.inf and not (value[0] == least == 0.0):
            raise SolverDiverged(f"{name} must be finite and above {least:g}, got {value[0]:g}")
    for values in (found.spread, found.pace):
        if not ((values > 0) & (values < np.inf)).all():
            raise SolverDiverged(f"factors must be positive and finite, got {values.min():g}")
    if not np.isfinite(found.seed).all():
        raise SolverDiverged(f"the place of the seed must be finite, got {found.seed[:, 0]}")
    if not np.isfinite(found.thresholds).all():
        raise SolverDiverged(f"thresholds must be finite, got {found.thresholds[:, 0]}")
    if not np.isfinite(found.levels).all():
        raise SolverDiverged(f"background and gain must be finite, got {found.levels[:, 0]}")


def _check_fronts(found: Parameters) -> None:
    """What a distance from a contour is made of."""
    for name in ("diffusivity", "growth_rate", "softness"):
        value = getattr(found, name)[0]
        if not 0 < value < np.inf:
            raise SolverDiverged(
                f"with masks.softness_mm, {name} must be finite and above 0, got {value:g}"
            )
