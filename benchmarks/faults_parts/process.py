"""Faults of streams, locale, memory and sizes."""

from __future__ import annotations

from .fault import Fault

__all__ = ["FAULTS"]

FAULTS: tuple[Fault, ...] = ()
