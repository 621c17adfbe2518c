"""An image by a neural inverse operator, which reads experiments one by one."""

from __future__ import annotations

from pdeinv.engines.learned.engine import LearnedInverse

__all__ = ["Nio"]


class Nio(LearnedInverse):
    """An image by a neural inverse operator, which reads experiments one by one."""

    name = "nio"
