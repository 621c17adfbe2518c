"""An image by a convolutional encoder of the data and a decoder, trained on simulated pairs."""

from __future__ import annotations

from pdeinv.engines.learned.engine import LearnedInverse

__all__ = ["InversionNet"]


class InversionNet(LearnedInverse):
    """An image by a convolutional encoder of the data and a decoder."""

    name = "inversion-net"
