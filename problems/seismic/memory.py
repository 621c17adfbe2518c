"""How much memory a model takes, known before it is built."""

from __future__ import annotations

from pdeinv.fem.trajectory import kept_states

from .clock import Clock
from .config import SeismicConfig
from .model import LENT, segment_of

__all__ = ["state_bytes"]

PER_ENTRY = 12 + 4 * 16
"""Bytes of an entry of the stiffness: itself, of a step, and where it belongs."""


def state_bytes(config: SeismicConfig, n: int, level: int) -> int:
    """Bytes of states, matrices and traces, with all shots and receivers.

    Raises:
        ConfigError: the states do not fit into ``time.memory_mb``.
    """
    clock, shots = Clock.of(config, level), len(config.sources)
    segment = segment_of(clock.steps, n * shots, config.time.memory_mb)
    states = 8 * n * shots * (kept_states(clock.steps, segment) + LENT)
    p = config.degree
    per_row = ((p - 1) * (2 * p + 1) + 2 * (3 * p + 1)) / p  # of lines of cells through a node
    traces = 8 * 6 * clock.samples * shots * len(config.receivers)
    return int(states + PER_ENTRY * per_row * n + traces + 8 * 30 * n)
