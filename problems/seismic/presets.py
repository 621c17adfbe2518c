"""Known surveys as tables of the configuration.

``openfwi``: the vertical sections of OpenFWI (Deng et al. 2022), 70 × 70 nodes every 10 m, five
shots and a receiver at every column in a depth of 10 m, a Ricker wavelet of 15 Hz, 1000 samples of
1 ms. There a shot adds (v dt)² w to one node, which is s = h² w δ with h = 10 m. A file's sample k
is the wave at the time (k + 1) dt. The absorbing layer is 600 m wide: one of 300 m sends back 4 %
of the data above 5 Hz, as much as their noise often is.

``transmission``: the geometry of the waveform inversion of InverseBench (Zheng et al. 2025) at half
its resolution: sources at the bottom, receivers at the top under a free surface, 5 Hz.

``marmousi-like``: a faulted basin of 6 km by 2.4 km by a formula of our own, eight shots and
receivers every 50 m near the surface, 6 Hz.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pdeinv.config import merge

__all__ = ["PRESETS", "filled"]


def _row(count: int, spacing: float, depth: float) -> list[tuple[float, float]]:
    return [(spacing * k, depth) for k in range(count)]


PRESETS: Mapping[str, dict[str, Any]] = {
    "openfwi": {
        "lengths": (690.0, 690.0),
        "cells": 23,
        "survey": {
            "sources": [(10.0 * k, 10.0) for k in (0, 17, 34, 52, 69)],
            "receivers": _row(70, 10.0, 10.0),
        },
        "source": {"frequency": 15.0, "amplitude": 100.0, "delay": 0.073},
        "boundary": {"top": "absorbing", "width": 600.0},
        "time": {"final": 1.0, "record": 0.001},
        "unknown": {
            "kind": "bounded",
            "low": 1500.0,
            "high": 4500.0,
            "length": 150.0,
            "modes": 100,
            "grid": (24, 24),
        },
    },
    "transmission": {
        "lengths": (2520.0, 1260.0),
        "cells": (40, 20),
        "survey": {
            "sources": [(360.0 * k, 1260.0) for k in range(8)],
            "receivers": _row(64, 40.0, 10.0),
        },
        "source": {"frequency": 5.0},
        "boundary": {"top": "free", "width": 630.0},
        "time": {"final": 1.0, "record": 0.002},
        "unknown": {
            "kind": "bounded",
            "low": 1500.0,
            "high": 4500.0,
            "length": 300.0,
            "modes": 100,
            "grid": (33, 17),
        },
    },
    "marmousi-like": {
        "lengths": (6000.0, 2400.0),
        "cells": (75, 30),
        "survey": {
            "sources": [(375.0 + 750.0 * k, 20.0) for k in range(8)],
            "receivers": _row(121, 50.0, 20.0),
        },
        "source": {"frequency": 6.0},
        "boundary": {"top": "absorbing", "width": 480.0},
        "time": {"final": 3.0, "record": 0.004, "memory_mb": 1024.0},
        "unknown": {"kind": "family", "family": "marmousi-like", "grid": (301, 121)},
    },
}
"""By name."""


def filled(preset: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration's table with the preset below it; a delay belongs to its own frequency."""
    below, own = PRESETS.get(preset, {}), data.get("source")
    told = own.get("frequency") if isinstance(own, Mapping) else None
    if told is not None and "source" in below and told != below["source"]["frequency"]:
        source = {k: v for k, v in below["source"].items() if k != "delay"}
        below = {**below, "source": source}
    return merge(below, data)
