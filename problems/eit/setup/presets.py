"""Ready-made instruments, as tables of the configuration.

``ktc2023`` is the tank of the Kuopio Tomography Challenge 2023: 32 electrodes over half of the rim.
Currents enter through the 16 odd electrodes only, between neighbours among them and from each to
electrodes 1, 9, 17 and 25; voltages are taken between all neighbours but the last and the first,
U_k − U_{k+1}. Level n leaves out electrodes 1 to 2(n − 1): drives that use them and measurements
that touch them are not made, and the electrodes stay as passive conductors. Numbers here count
from 0.

Reference: Räsänen et al. (2023), Zenodo 8252370.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

__all__ = [
    "KTC_COUNT",
    "KTC_FIRST_ANGLE",
    "KTC_LEVELS",
    "KTC_RADIUS",
    "KTC_WIDTH",
    "PRESETS",
    "ktc_drives",
    "ktc_measurements",
    "ktc_removed",
]

KTC_COUNT = 32
KTC_RADIUS = 0.115
"""m."""
KTC_WIDTH = math.pi * KTC_RADIUS / KTC_COUNT
"""m; electrodes and gaps are equally long."""
KTC_FIRST_ANGLE = 90 + 360 / (4 * KTC_COUNT)
"""Degrees; electrode 1 begins at the top and the others follow counter-clockwise."""
KTC_LEVELS = 7

Pairs = list[tuple[int, int]]


def ktc_removed(level: int) -> range:
    """The electrodes that a level leaves out.

    Raises:
        ValueError: not a level from 1 to 7.
    """
    if not 1 <= level <= KTC_LEVELS:
        raise ValueError(f"expected a level from 1 to {KTC_LEVELS}, got {level}")
    return range(2 * (level - 1))


def ktc_drives(level: int = 1) -> Pairs:
    """Source and sink of every injection: 76 at level 1, 27 at level 7."""
    odd = range(0, KTC_COUNT, 2)
    pairs = [(k, (k + 2) % KTC_COUNT) for k in odd]
    pairs += [(k, one) for one in (0, 8, 16, 24) for k in odd if k != one]
    return _kept(pairs, level)


def ktc_measurements(level: int = 1) -> Pairs:
    """The two electrodes of every voltage: 31 at level 1, 19 at level 7."""
    return _kept([(k, k + 1) for k in range(KTC_COUNT - 1)], level)


def _kept(pairs: Pairs, level: int) -> Pairs:
    lost = set(ktc_removed(level))
    return [pair for pair in pairs if not lost & set(pair)]


def _ktc2023(level: int) -> dict[str, Any]:
    return {
        "domain": {"kind": "disc", "radius": KTC_RADIUS},
        "electrodes": {
            "count": KTC_COUNT,
            "start": KTC_FIRST_ANGLE,
            "coverage": 0.5,
            "impedance": 1e-6,
        },
        "drive": {"pattern": {"kind": "pairs", "pairs": ktc_drives(level)}},
        "measure": {
            "pattern": {"kind": "pairs", "pairs": ktc_measurements(level)},
            "include_driven": True,
        },
    }


PRESETS: Mapping[str, Callable[[int], dict[str, Any]]] = {"ktc2023": _ktc2023}
"""By name, the tables for a level."""
