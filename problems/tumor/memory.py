"""How much memory a run takes, known before it starts."""

from __future__ import annotations

from pdeinv.fem.trajectory import kept_states, segment_length

from .clock import Clock
from .config import TumorConfig

__all__ = ["state_bytes"]

_ELEMENT_NUMBERS = {1: 100, 2: 250, 3: 1200}
"""Numbers for each node that mesh, assembly, matrix and, in the plane, factor hold."""


def state_bytes(config: TumorConfig, size: int, level: int) -> int:
    """Bytes of the stored states and the matrices.

    Raises:
        ConfigError: the states do not fit into ``time.memory_mb``.
    """
    steps = Clock.of(config, level).steps
    segment = segment_length(steps, size, 1e6 * config.time.memory_mb)
    lines = 10 * config.dim
    rest = lines if config.solver == "finite-differences" else _ELEMENT_NUMBERS[config.dim]
    return 8 * size * (kept_states(steps, segment) + rest)
