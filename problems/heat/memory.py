"""How much memory a run in time takes, known before it starts."""

from __future__ import annotations

from pdeinv.fem.trajectory import kept_states, segment_length

from .config import HeatConfig
from .discrete import steps_at

__all__ = ["state_bytes"]

_ENTRIES_PER_DOF = {1: 3, 2: 7, 3: 27}
"""Entries of one matrix row, by dimension, for elements of degree 1."""

_FILL = 6
"""Entries of a factor per entry of the matrix (nested dissection, up to 10⁵ unknowns)."""


def state_bytes(config: HeatConfig, size: int, level: int) -> int:
    """Bytes of the stored states, the loads that are kept, matrices and factor.

    Raises:
        ConfigError: the states do not fit into ``time.memory_mb``.
    """
    steps, bound = steps_at(config, level), 1e6 * config.time.memory_mb
    states = 0
    if config.unknown.kind in ("conductivity", "robin"):
        states = 8 * size * kept_states(steps, segment_length(steps, size, bound))
    loads = 8 * size * (steps + 1)
    kept = loads if loads <= 0.25 * bound else 0
    per_row = _ENTRIES_PER_DOF[config.dim] * (2 if config.element.endswith("2") else 1)
    matrices = 16 * size * per_row * (8 + _FILL)
    return states + (kept if _timed(config) else 0) + matrices


def _timed(config: HeatConfig) -> bool:
    """Whether a known load depends on time."""
    formulas = [config.source]
    for condition in config.boundary.values():
        formulas += [getattr(condition, "ambient", 0.0), getattr(condition, "value", 0.0)]
    return any(not config.function(f, "load").steady for f in formulas)
