"""The unknown as networks trained on simulated measurements read it off the data."""

from __future__ import annotations

from pdeinv.engines.learned.engine import LearnedInverse

__all__ = ["InverseCnn"]


class InverseCnn(LearnedInverse):
    """The unknown as networks trained on simulated measurements read it off the data."""

    name = "inverse-cnn"
