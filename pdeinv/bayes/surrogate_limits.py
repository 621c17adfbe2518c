"""How far the misfit under a surrogate may be off for each way of using it."""

__all__ = ["ALONE_SD", "REJECT_SD", "WARN_SD"]

ALONE_SD, WARN_SD, REJECT_SD = 0.3, 1.5, 4.0
"""Largest sd of the misfit difference on posterior draws at which a surrogate may be inverted with
alone, drives delayed acceptance well, and drives it at all."""
