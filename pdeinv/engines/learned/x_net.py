"""An image by one invertible network between latent images of data and body."""

from __future__ import annotations

from pdeinv.engines.learned.engine import LearnedInverse

__all__ = ["XNet"]


class XNet(LearnedInverse):
    """An image by one invertible network between latent images of data and body."""

    name = "x-net"
